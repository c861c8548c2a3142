"""What the probe finds out about a Catalog, and which settings it recommends."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.catalog_server import Answer, Request
from tests.probe.fake_catalog import ENDPOINTS, except_for, fake_catalog, read_form, read_json, rows_of

SMALL = {"products": 120, "users": 130, "enrollments": 400}
AUTO = {"request_encoding": "json", "pagination": "auto"}
MODES = [
    {"paging": "link", "first_page": 1, "max_per_page": 100, "date_to": "inclusive"},
    {"paging": "next-only", "first_page": 0, "max_per_page": 7, "date_to": "exclusive", "links": "relative"},
    {"paging": "page-only", "first_page": 0, "max_per_page": 100, "date_to": "inclusive"},
    {"paging": "page-only", "first_page": 1, "max_per_page": 7, "date_to": "exclusive"},
    {"paging": "none", "first_page": None, "max_per_page": None, "date_to": "inclusive"},
]
PAGINATIONS = {"link": "link", "next-only": "link", "page-only": "page", "none": "none"}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(map(str, mode.values())))
def test_each_way_of_the_sandbox(probe, mode):
    with sandbox(**SMALL, **{name: value for name, value in mode.items() if value is not None}) as catalog:
        found = probe(catalog.url, token=catalog.token)
        assert len(catalog.requests) == found.report["requests"] <= 55
    assert (found.status, found.to_do, found.report["complete"]) == (0, "", True)
    assert found.extra == AUTO | ({"pagination": "none"} if mode["paging"] == "none" else {})
    has_links = mode["paging"] in ("link", "next-only")
    for endpoint in ENDPOINTS:
        each = found[endpoint]
        assert each["path"] == f"/api/v1/analytics/{endpoint}"
        assert each["filters"] == {"json": "read"}
        assert each["pagination"] == PAGINATIONS[mode["paging"]]
        assert each["links"] == ("number" if has_links else None)
        assert each["has_last"] == (mode["paging"] == "link" if has_links else None)
        assert (each["first_page"], each["page_size"]) == (mode["first_page"], mode["max_per_page"])
        assert set(each["dates"].values()) == {"read"}
        assert each["to_instant"].startswith(mode["date_to"])
        assert each["to_day"] == mode["date_to"]
        assert {"path": "account_id", "kinds": ["integer"], "missing": False, "hidden": 0} in each["fields"]


@pytest.mark.parametrize("count", [0, 1])
def test_what_few_rows_do_not_tell_is_not_claimed(probe, count):
    with sandbox(products=count, users=count, enrollments=count) as catalog:
        found = probe(catalog.url, token=catalog.token)
    assert (found.status, found.extra) == (0, AUTO)
    assert found["users"]["filters"] == ({"json": "read"} if count else {})
    for name in ("pagination", "first_page", "page_size"):
        assert found["users"][name] is None


@pytest.mark.parametrize(("token", "words"), [("wrong", "make an API token at"), ("courses", "with analytics rights")])
def test_a_token_that_is_refused(probe, token, words):
    with sandbox(**SMALL, token_without_analytics="courses") as catalog:
        found = probe(catalog.url, token=token)
    assert (found.status, found.report["requests"]) == (3, 5)
    assert words in found.to_do
    assert found["users"]["answer"] == ("401" if token == "wrong" else "403")


def test_one_endpoint_that_the_token_may_not_read(found_in):
    found = found_in(except_for(lambda request: request.path.endswith("users"), Answer({"errors": ["no"]}, 403)))
    assert found.status == 1
    assert "users answers 403" in found.to_do
    assert found["orders"]["answer"] == "rows"


def test_a_rate_limit_is_obeyed_and_told(found_in):
    refusals = [Answer(status=429, headers={"Retry-After": "1"})] * 2
    usual = fake_catalog()
    found = found_in(lambda request: refusals.pop() if refusals else usual(request))
    assert (found.status, found.report["complete"]) == (0, True)
    assert found.report["times_throttled"] == 2
    assert found.report["rate_headers"] == {"Retry-After": "1"}
    assert "429; waiting 1.0 s" in found.told


def test_headers_of_rate_limits_are_told_where_they_are_numbers(found_in):
    usual = fake_catalog()
    headers = {"X-Request-Cost": "0.0123", "X-Rate-Limit-Remaining": "599.5", "RateLimit-Policy": "who=jane"}

    def answer(request: Request) -> Answer:
        reply = usual(request)
        return Answer(reply.body, reply.status, reply.headers | headers)

    assert found_in(answer).report["rate_headers"] == headers | {"RateLimit-Policy": "not a number"}


def test_requests_that_fail_do_not_change_what_is_found(probe, no_backoff):
    ways = {**SMALL, "paging": "page-only", "first_page": 0}
    with sandbox(**ways) as catalog:
        calm = probe(catalog.url, token=catalog.token)
    with sandbox(**ways, fault_rate=0.1, fault_kinds="500,dropped,cut-off,html,broken-json") as catalog:
        found = probe(catalog.url, "--max-requests", "400", token=catalog.token)
    assert found.report["requests"] > calm.report["requests"]
    assert found.report["endpoints"] == calm.report["endpoints"]


@pytest.mark.parametrize("most", [1, 20])
def test_no_more_requests_than_allowed(probe, most):
    with sandbox(**SMALL) as catalog:
        found = probe(catalog.url, "--max-requests", str(most), token=catalog.token)
        assert len(catalog.requests) == found.report["requests"] == most
    assert (found.status, found.report["complete"]) == (4, False)


@pytest.mark.parametrize(
    ("path", "read"), [("/api/v1/new_analytics/orders", read_json), ("/api/v2/analytics/orders", read_form)]
)
def test_another_path(found_in, path, read):
    found = found_in(fake_catalog(paths={"orders": path}, read=read))
    assert found["orders"]["path"] == path
    assert found["orders"]["pagination"] == "link"
    assert f'set `paths` in the connection\'s extra to {{"orders": "{path}"}}' in found.to_do
    assert found.status == 1


def test_a_path_that_only_the_person_knows(found_in):
    catalog = fake_catalog(paths={"orders": "/somewhere/else"})
    found = found_in(catalog)
    assert (found.status, found["orders"]["answer"]) == (1, "404")
    assert "find the path" in found.to_do
    found = found_in(fake_catalog(), "--path", "orders=/somewhere/wrong")
    assert found.to_do == "set `paths` in the connection's extra to {}"
    found = found_in(catalog, "--path", "orders=/somewhere/else")
    assert (found.status, found.extra["paths"]) == (0, {"orders": "/somewhere/else"})


def ignore_json(request: Request):
    return {} if request.headers["content-type"] == "application/json" else read_form(request)


@pytest.mark.parametrize(("read", "json"), [(read_form, None), (ignore_json, "ignored")])
def test_forms_only(found_in, read, json):
    found = found_in(fake_catalog(read=read))
    assert found["orders"]["filters"] == {"form": "read"} | ({"json": json} if json else {})
    assert found.extra == {"request_encoding": "form", "pagination": "auto"}
    assert found.to_do == 'set `request_encoding` in the connection\'s extra to "form"'
    assert found["orders"]["to_instant"] == "exclusive"
    assert found.status == 1


def test_an_account_that_is_refused_says_nothing_about_filters(found_in):
    found = found_in(except_for(lambda request: b"account_ids" in request.body, Answer({"errors": ["account"]}, 422)))
    assert (found.status, found["orders"]["filters"]) == (0, {"json": "refused", "form": "refused"})


def test_filters_that_have_no_effect(found_in):
    found = found_in(fake_catalog(read=lambda request: {}))
    assert found["orders"]["filters"] == {"json": "ignored", "form": "ignored"}
    assert "filters have no effect" in found.to_do
    assert found["orders"]["to_instant"] is None
    assert found.status == 1


def test_dates_that_are_refused_or_ignored(found_in):
    def read(request: Request):
        filters = read_json(request)
        if isinstance(filters, dict):
            if any(name.endswith("_from") and "T" in value for name, value in filters.items()):
                return Answer({"errors": ["date"]}, 400)
            return {name: value for name, value in filters.items() if name == "account_ids"}
        return filters

    found = found_in(fake_catalog(read=read))
    assert found["orders"]["dates"] == {"YYYY-MM-DDTHH:MM:SSZ": "refused", "YYYY-MM-DD": "ignored"}
    assert "give dates in filters as text" in found.to_do


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999Z", "2026-03-01", "none", ""])
def test_times_that_can_not_be_asked_with(found_in, moment):
    rows = [{"account_id": 3, "purchase_date": moment}] * 2
    found = found_in(fake_catalog(rows={"orders": rows}))
    assert found["orders"]["to_instant"] is None
    assert found["users"]["to_instant"] == "exclusive"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"", 301, {"Location": "https://login.example.com/"}), "301, a redirect"),
        (Answer(b"<html>We're sorry</html>", 500), "500"),
        (Answer(b"<!DOCTYPE html><html>Log in</html>", headers={"Content-Type": "text/html"}), "200, but an HTML page"),
        (Answer({"orders": rows_of("orders")}, cut=30), "200, but no whole JSON"),
        (Answer({"data": [{"a": 1}], "included": [], "total": 1}), "200 without a list of rows"),
        (Answer(drop=True), "no answer"),
    ],
    ids=str,
)
def test_answers_that_are_no_rows(found_in, answer, words):
    found = found_in(except_for(lambda request: request.path.endswith("users"), answer))
    assert found.status == 1
    assert found["users"]["answer"] in (words, "no answer" if answer.cut else words)
    assert f"users answers {found['users']['answer']}" in found.to_do
    assert found["users"]["fields"] == []
    assert found["orders"]["answer"] == "rows"


def paged_by(turn, rows=None):
    """Return what a Catalog answers that pages in a way of its own."""
    usual = fake_catalog(rows=rows, paging="none")

    def answer(request: Request) -> Answer:
        reply = usual(request)
        if reply.status != 200:
            return reply
        [(name, found)] = reply.body.items()
        return turn(request, name, found)

    return answer


def cursor(request: Request, name: str, rows: list) -> Answer:
    start, size = int(request.query.get("after", "x0")[1:]), int(request.query["per_page"])
    more = rows[start + size :]
    link = {"Link": f'<{request.path}?after=x{start + size}>; rel="next"'} if more else {}
    return Answer({name: rows[start : start + size]}, headers=link)


def circles(request: Request, name: str, rows: list) -> Answer:
    size, page = int(request.query["per_page"]), request.page or 1
    link = {"Link": f'<{request.path}?page=1>; rel="next"'}
    return Answer({name: rows[(page - 1) * size : page * size]}, headers=link)


def cut_short(request: Request, name: str, rows: list) -> Answer:
    return Answer({name: rows[:25], "meta": {"total": len(rows), "next_cursor": "abc" if rows else None}})


def first_twenty(request: Request, name: str, rows: list) -> Answer:
    return Answer({name: rows[:20]})


def numbers_that_nobody_needs_yet(request: Request, name: str, rows: list) -> Answer:
    start = 50 * ((request.page or 1) - 1)
    return Answer({name: rows[start : start + 50]})


def test_links_by_cursor(found_in):
    found = found_in(paged_by(cursor, {"orders": rows_of("orders", 250)}))
    assert (found.status, found.extra) == (0, AUTO)
    assert (found["orders"]["pagination"], found["orders"]["links"]) == ("link", "cursor")
    assert (found["orders"]["first_page"], found["orders"]["page_size"]) == (None, 100)


def test_links_that_lead_in_circles_where_page_counts(found_in):
    found = found_in(paged_by(circles))
    assert (found.status, found.extra["pagination"]) == (1, "page")
    assert found["orders"]["links"] == "in circles"
    assert found.to_do == 'set `pagination` in the connection\'s extra to "page"'


def test_rows_that_can_not_be_reached(found_in):
    found = found_in(paged_by(cut_short))
    assert (found.status, found.extra) == (1, AUTO)
    assert "more rows than can be reached" in found.to_do
    assert found["orders"]["has_total"] is True


@pytest.mark.parametrize("turn", [first_twenty, numbers_that_nobody_needs_yet])
def test_one_page_is_not_taken_for_all_rows(found_in, turn):
    """A Catalog that is set to "none" is not asked for a second page, so that has to be sure."""
    found = found_in(paged_by(turn))
    assert (found.status, found.extra) == (0, AUTO)
    assert found["orders"]["pagination"] in (None, "page")


def test_pages_beyond_the_first_that_are_refused(found_in):
    refused = except_for(lambda request: "page" in request.query, Answer(status=400), paging="page-only")
    assert found_in(refused)["orders"]["pagination"] is None


def test_a_large_answer_is_not_received_whole(found_in):
    long = {"purchase_date": "2026-03-01T11:00:00Z", "account_id": 3, "notes": "x" * 100_000}
    found = found_in(fake_catalog(paging="none", rows={"orders": [{**long, "id": n} for n in range(150)]}))
    assert found["orders"]["pagination"] == "none"
    assert 50 < found["orders"]["rows_looked_at"] < 100


@pytest.mark.parametrize(
    ("chosen", "way", "advice"),
    [("none", "link", "auto"), ("link", "page-only", "auto"), ("link", "next-only", None), ("page", "page-only", None)],
)
def test_whether_pagination_as_it_is_set_fits(chosen, way, advice, found_in):
    found = found_in(fake_catalog(paging=way), extra={"pagination": chosen})
    assert found.extra["pagination"] == (advice or chosen)
    assert found.to_do == (f'set `pagination` in the connection\'s extra to "{advice}"' if advice else "")
    assert found.status == (1 if advice else 0)
