"""What the probe finds out about a Catalog, and which settings it recommends."""

from __future__ import annotations

import re

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.catalog_server import Answer, Request
from tests.probe.conftest import DATE_FIELDS, fake_catalog, read_form, read_json, rows_of

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
    for endpoint in DATE_FIELDS:
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


def except_for(condition, reply, **ways):
    usual = fake_catalog(**ways)
    return lambda request: reply if condition(request) else usual(request)


def ignore_json(request: Request):
    return {} if request.headers["content-type"] == "application/json" else read_form(request)


def read_accounts_only(request: Request):
    filters = read_json(request)
    if isinstance(filters, dict) and any("T" in value for name, value in filters.items() if name.endswith("_from")):
        return Answer({"errors": ["date"]}, 400)
    return {name: filters[name] for name in filters if name == "account_ids"} if isinstance(filters, dict) else filters


SET = "set `{}` in the connection's extra to {}"
V1, V2 = "/api/v1/new_analytics/orders", "/api/v2/analytics/orders"
FORM = {"extra": AUTO | {"request_encoding": "form"}, "to_instant": "exclusive"}
SET_FORM = SET.format("request_encoding", '"form"')
NO_EFFECT = "filters have no effect"

# The Catalog, what is found of its orders (and as `extra`), and what has to be done.
CATALOGS = {
    "another path": (fake_catalog(paths={"orders": V1}), {"path": V1}, SET.format("paths", f'{{"orders": "{V1}"}}')),
    "another path, and forms": (
        fake_catalog(paths={"orders": V2}, read=read_form), {"path": V2, "pagination": "link"}, SET_FORM,
    ),
    "an unknown path": (fake_catalog(paths={"orders": "/elsewhere"}), {"answer": "404"}, "find the path"),
    "no rights": (
        except_for(lambda request: request.path.endswith("orders"), Answer({"errors": ["no"]}, 403)),
        {"answer": "403"}, "orders answers 403",
    ),
    "forms only": (fake_catalog(read=read_form), {"filters": {"form": "read"}, **FORM}, SET_FORM),
    "JSON ignored": (
        fake_catalog(read=ignore_json), {"filters": {"json": "ignored", "form": "read"}, **FORM}, SET_FORM,
    ),
    "an account refused": (  # which says nothing about filters
        except_for(lambda request: b"account_ids" in request.body, Answer({"errors": ["account"]}, 422)),
        {"filters": {"json": "refused", "form": "refused"}}, "",
    ),
    "filters ignored": (
        fake_catalog(read=lambda request: {}),
        {"filters": {"json": "ignored", "form": "ignored"}, "to_instant": None}, NO_EFFECT,
    ),
    "dates refused or ignored": (
        fake_catalog(read=read_accounts_only),
        {"dates": {"YYYY-MM-DDTHH:MM:SSZ": "refused", "YYYY-MM-DD": "ignored"}}, "give dates in filters as text",
    ),
    "cursors": (
        fake_catalog(rows={"orders": rows_of("orders", 250)}, by="cursor"),
        {"pagination": "link", "links": "cursor", "first_page": None, "page_size": 100, "extra": AUTO}, "",
    ),
    "circles, where page counts": (
        fake_catalog(link=lambda url: re.sub(r"\bpage=\d+", "page=1", url), more="all"),
        {"links": "in circles", "extra": AUTO | {"pagination": "page"}}, SET.format("pagination", '"page"'),
    ),
    "more than can be reached": (
        fake_catalog(paging="none", sizes=(25,), total="meta.total", values={"meta.next_cursor": "abc"}),
        {"has_total": True, "is_cut_short": True, "extra": AUTO}, "more rows than can be reached",
    ),
    # A Catalog that is set to "none" is not asked for a second page, so that has to be sure.
    "twenty rows": (fake_catalog(paging="none", sizes=(20,)), {"pagination": None, "extra": AUTO}, ""),
    "a page that is not full": (fake_catalog(paging="page-only", sizes=(50,)), {"extra": AUTO}, ""),
    "pages refused": (
        except_for(lambda request: "page" in request.query, Answer(status=400), paging="page-only"),
        {"pagination": None}, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("catalog", "expected", "to_do"), CATALOGS.values(), ids=CATALOGS)
def test_what_is_found_and_what_has_to_be_done(found_in, catalog, expected, to_do):
    found = found_in(catalog)
    told = {**found["orders"], "extra": found.extra}
    assert {key: told[key] for key in expected} == expected
    assert to_do in found.to_do
    assert found.status == bool(found.to_do) == bool(to_do)
    assert found["products"]["fields"]


@pytest.mark.parametrize("count", [0, 1])
def test_what_few_rows_do_not_tell_is_not_claimed(probe, count):
    with sandbox(products=count, users=count, enrollments=count) as catalog:
        found = probe(catalog.url, token=catalog.token)
    assert (found.status, found.extra) == (0, AUTO)
    assert found["users"]["filters"] == ({"json": "read"} if count else {})
    assert {found["users"][name] for name in ("pagination", "first_page", "page_size")} == {None}


@pytest.mark.parametrize(("token", "answer"), [("wrong", "401"), ("courses", "403")])
def test_a_token_that_is_refused(probe, token, answer):
    with sandbox(**SMALL, token_without_analytics="courses") as catalog:
        found = probe(catalog.url, token=token)
    assert (found.status, found["users"]["answer"]) == (3, answer)
    assert "make an API token with analytics rights" in found.to_do


def test_a_rate_limit_is_obeyed_and_told_where_it_is_a_number(found_in):
    refusals = [Answer(status=429, headers={"Retry-After": "1"})] * 2
    headers = {"X-Request-Cost": "0.0123", "X-Rate-Limit-Remaining": "599.5", "RateLimit-Policy": "who=jane"}
    usual = fake_catalog()

    def answer(request: Request) -> Answer:
        reply = refusals.pop() if refusals else usual(request)
        return Answer(reply.body, reply.status, reply.headers | headers)

    found = found_in(answer)
    assert (found.status, found.report["complete"], found.report["times_throttled"]) == (0, True, 2)
    assert found.report["rate_headers"] == headers | {"Retry-After": "1", "RateLimit-Policy": "not a number"}
    assert "429; waiting 1.0 s" in found.told


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


def test_a_path_that_only_the_person_knows(found_in):
    found = found_in(fake_catalog(), "--path", "orders=/somewhere/wrong")
    assert found.to_do == "set `paths` in the connection's extra to {}"
    found = found_in(fake_catalog(paths={"orders": "/somewhere/else"}), "--path", "orders=/somewhere/else")
    assert (found.status, found.extra["paths"]) == (0, {"orders": "/somewhere/else"})


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
        (Answer({"orders": rows_of("orders")}, cut=30), "no answer"),
        (Answer({"data": [{"a": 1}], "included": [], "total": 1}), "200 without a list of rows"),
        (Answer(drop=True), "no answer"),
    ],
    ids=str,
)
def test_answers_that_are_no_rows(found_in, answer, words):
    found = found_in(except_for(lambda request: request.path.endswith("users"), answer))
    assert (found.status, found["users"]["answer"], found["users"]["fields"]) == (1, words, [])
    assert f"users answers {words}" in found.to_do
    assert found["orders"]["answer"] == "rows"


def test_a_large_answer_is_not_received_whole(found_in):
    long = {"purchase_date": "2026-03-01T11:00:00Z", "account_id": 3, "notes": "x" * 100_000}
    found = found_in(fake_catalog(paging="none", rows={"orders": [{**long, "id": n} for n in range(150)]}))
    assert found["orders"]["pagination"] == "none"
    assert 50 < found["orders"]["rows_looked_at"] < 100


@pytest.mark.parametrize(
    ("chosen", "paging", "advice"),
    [("none", "link", "auto"), ("link", "page-only", "auto"), ("link", "next-only", None), ("page", "page-only", None)],
)
def test_whether_pagination_as_it_is_set_fits(chosen, paging, advice, found_in):
    found = found_in(fake_catalog(paging=paging), extra={"pagination": chosen})
    assert found.extra["pagination"] == (advice or chosen)
    assert found.to_do == (f'set `pagination` in the connection\'s extra to "{advice}"' if advice else "")
    assert found.status == (1 if advice else 0)
