"""What the sandbox can't do: other paths, keys, encodings and links, and answers that are no rows."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from airflow_provider_catalog.probe import asking
from tests.probe.fake_catalog import ENDPOINTS, LOGIN_PAGE, fake_catalog, form_reader, read_json, rows_of
from tests.stand_in import TOKEN, Answer, Paging, Request, stand_in

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def found_in(probe):
    """Run the probe against the answers."""

    def run(answer: Callable[[Request], Answer], *arguments: str):
        with stand_in(answer) as catalog:
            return probe(catalog.url, *arguments, token=TOKEN)

    return run


def except_for(condition: Callable[[Request], bool], reply: Answer, **ways) -> Callable[[Request], Answer]:
    usual = fake_catalog(**ways)
    return lambda request: reply if condition(request) else usual(request)


def test_a_catalog_as_the_contract_has_it(found_in):
    found = found_in(fake_catalog())
    assert found.status == 0
    assert found.verdict("json") == "confirmed"
    assert found.verdict("form-lists") == "refuted"
    assert found["orders"]["to_instant"] == "exclusive"
    assert found["orders"]["date_field"] == "purchase_date"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_another_root_key(found_in, endpoint):
    found = found_in(fake_catalog(root_keys={endpoint: "items"}))
    assert found[endpoint]["root_keys"] == {"items": "array"}
    assert found.verdict(f"root-key-{endpoint}") == "refuted"
    assert "only list is taken" in found.finding(f"root-key-{endpoint}")["setting"]
    assert found[endpoint]["paging"] == "link"
    assert found.status == 0


def test_several_lists_under_other_keys(found_in):
    several = Answer({"data": [{"a": 1}], "included": [], "total": 1})
    found = found_in(except_for(lambda request: request.path.endswith("users"), several))
    assert found["users"]["root_keys"] == {"data": "array", "included": "array", "total": "integer"}
    assert found.verdict("root-key-users") == "refuted"
    assert found.verdict("path-users") == "unknown"
    assert found.status == 1
    assert found.to_do == {"path-users", "root-key-users"}


@pytest.mark.parametrize("body", [[{"a": 1}], "text", 5, b"no JSON at all"])
def test_an_answer_that_is_no_object(found_in, body):
    found = found_in(except_for(lambda request: request.path.endswith("users"), Answer(body)))
    assert found.verdict("path-users") == "unknown"
    assert found["users"]["post"] in ("200, JSON", "200, text")
    assert found.status == 1


@pytest.mark.parametrize("path", ["/api/v1/new_analytics/orders", "/api/v2/analytics/orders"])
def test_another_path(found_in, path):
    found = found_in(fake_catalog(paths={"orders": path}))
    assert found["orders"]["path"] == path
    assert found["orders"]["paging"] == "link"
    assert found.verdict("path-orders") == "refuted"
    assert f'{{"orders": "{path}"}}' in found.finding("path-orders")["setting"]
    assert (found.status, found.to_do) == (1, {"path-orders"})


def test_a_path_that_is_nowhere(found_in):
    found = found_in(fake_catalog(paths={"orders": "/somewhere/else"}))
    assert found["orders"]["post"] == "404, JSON"
    assert found["orders"]["root_keys"] == {}
    assert found.verdict("path-orders") == "refuted"
    assert "--path" in found.finding("path-orders")["setting"]
    assert found.status == 1


def test_a_path_that_the_person_knows(found_in):
    found = found_in(fake_catalog(paths={"orders": "/somewhere/else"}), "--path", "orders=/somewhere/else")
    assert found.verdict("path-orders") == "confirmed"
    assert found.status == 0


def test_only_get(found_in):
    found = found_in(fake_catalog(method="GET"))
    assert found["orders"]["get"] == "200, JSON"
    assert found.verdict("path-orders") == "refuted"
    assert "no setting" in found.finding("path-orders")["setting"]
    assert found.status == 3


@pytest.mark.parametrize("refuse", [True, False])
def test_forms_only(found_in, refuse):
    found = found_in(fake_catalog(read=form_reader("[]", refuse_json=refuse)))
    assert found["orders"]["encoding"] == "form"
    assert found["orders"]["filters"] == {"json": "refused" if refuse else "ignored", "form": "read"}
    assert found.verdict("json") == "refuted"
    assert "`form`" in found.finding("json")["setting"]
    assert found.verdict("form-lists") == "confirmed"
    assert found.report["form"]["form without []"] == "ignored"
    assert found["orders"]["paging"] == "link"
    assert found["orders"]["to_instant"] == "exclusive"
    assert (found.status, found.to_do) == (1, {"json"})


def test_forms_only_and_another_path(found_in):
    found = found_in(fake_catalog(read=form_reader("[]"), paths={"orders": "/api/v2/analytics/orders"}))
    assert (found["orders"]["path"], found["orders"]["encoding"]) == ("/api/v2/analytics/orders", "form")
    assert found["orders"]["filters"] == {"json": "refused", "form": "read"}
    assert found.to_do == {"path-orders", "json"}


def test_forms_only_and_lists_in_another_way(found_in):
    found = found_in(fake_catalog(read=form_reader("", refuse_json=True)))
    assert found.report["endpoints"]["orders"]["filters"] == {"json": "refused", "form": "ignored"}
    assert found.verdict("json") == "refuted"
    assert found.status == 1


def test_of_a_list_in_a_form_only_the_last_item_counts(found_in):
    found = found_in(fake_catalog(read=form_reader("[]", last_wins=True)))
    assert found.report["form_lists_whole"] == {"form": False}
    assert found.verdict("form-lists") == "refuted"
    assert "form-lists" in found.to_do


def test_filters_that_nobody_reads(found_in):
    found = found_in(fake_catalog(read=lambda request: {}))
    assert found["orders"]["filters"] == {"json": "ignored", "form": "ignored"}
    assert found.verdict("json") == "refuted"
    assert found.finding("json")["act"]
    assert found.verdict("date-to") == "unknown"


def test_a_login_page_instead_of_rows(found_in):
    found = found_in(lambda request: LOGIN_PAGE)
    assert found.status == 3
    assert found["orders"]["post"] == "200, an HTML page"
    assert found.verdict("login-page") == "confirmed"
    assert "login-page" in found.to_do
    assert found.report["requests"] < 20


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"", 301, {"Location": "https://login.example.com/"}), "301, an empty body"),
        (Answer(b"<html>We're sorry</html>", 500), "500, an HTML page"),
        (Answer({"error": "maintenance"}, 503), "503, JSON"),
        (Answer(b"403 Forbidden (Rate Limit Exceeded)", 403), "403, text"),
        (Answer({"orders": rows_of("orders")}, cut=30), "200, a damaged body"),
        (Answer(b'{"orders": [{"a"'), "200, a damaged body"),
        (Answer(b""), "200, an empty body"),
    ],
    ids=str,
)
def test_other_answers_that_are_no_rows(found_in, answer, words):
    found = found_in(lambda request: answer)
    assert found.status == 3
    assert found["orders"]["post"] == words
    assert found.report["endpoints"]["orders"]["fields"] == []


def test_a_connection_that_breaks_at_one_endpoint(found_in):
    found = found_in(except_for(lambda request: request.path.endswith("users"), Answer(drop=True)))
    assert found["users"]["post"] == "no answer"
    assert found.verdict("path-users") == "unknown"
    assert found.verdict("path-orders") == "confirmed"


def test_one_endpoint_that_the_token_may_not_read(found_in):
    usual = fake_catalog()

    def answer(request: Request) -> Answer:
        if request.path == "/api/v1/courses":
            return Answer({"courses": []})
        return Answer({"errors": ["no"]}, 403) if request.path.endswith("users") else usual(request)

    found = found_in(answer)
    assert found.verdict("token-rights") == "confirmed"
    assert found.to_do == {"path-users", "token-rights"}
    assert found["users"]["get"] is None
    assert found.verdict("path-orders") == "confirmed"


def test_links_to_another_origin(found_in):
    link = {"Link": '<http://elsewhere.example.com/x?page=2>; rel="next"'}
    usual = fake_catalog(paging=Paging("next-only"))

    def answer(request: Request) -> Answer:
        reply = usual(request)
        return Answer(reply.body, reply.status, link if "Link" in reply.headers else {})

    found = found_in(answer)
    assert found["orders"]["links"] == "to another origin"
    assert found.verdict("links") == "refuted"
    assert "links" in found.to_do
    assert "elsewhere" not in str(found.report)


@pytest.mark.parametrize(
    ("link", "links", "way", "first"),
    [
        ("<http://[x>; rel=next", "not a URL", None, None),
        ("<?cursor=abc>; rel=next", "relative", "next-only", None),
        ("<?page=0>; rel=next", "relative", "next-only", None),
        ("</style.css>; rel=preload", None, "none", None),
        ("<?page=1>; rel=first", None, "none", None),
    ],
)
def test_links_of_other_kinds(found_in, link, links, way, first):
    usual = fake_catalog(paging=Paging("none"))

    def answer(request: Request) -> Answer:
        reply = usual(request)
        return Answer(reply.body, reply.status, {"Link": link})

    found = found_in(answer)
    assert (found["orders"]["links"], found["orders"]["paging"]) == (links, way)
    assert found["orders"]["first_page"] == first


def test_a_page_size_above_the_maximum_is_refused(found_in):
    rows = {"orders": rows_of("orders", 250)}
    refusal = Answer({"errors": ["per_page"]}, 422)
    found = found_in(except_for(lambda request: request.query.get("per_page") == "101", refusal, rows=rows))
    assert found["orders"]["page_limit"] == 100
    assert found.verdict("page-limit") == "refuted"
    assert "422" in found.finding("page-limit")["seen"]
    assert found.status == 0


@pytest.mark.parametrize("first", [0, 1])
def test_page_numbers_without_links(found_in, first):
    found = found_in(fake_catalog(paging=Paging("page-only", first=first), rows={"orders": rows_of("orders", 150)}))
    assert (found["orders"]["paging"], found["orders"]["first_page"]) == ("page-only", first)
    assert found["orders"]["page_limit"] == 100
    assert found["users"]["page_limit"] is None


def test_page_numbers_that_are_refused(found_in):
    refused = except_for(lambda request: "page" in request.query, Answer(status=400), paging=Paging("page-only"))
    assert found_in(refused)["orders"]["paging"] is None


def test_pages_that_fail_later(found_in):
    def later(request: Request) -> bool:
        return request.query.get("per_page") == "101" or request.page == 2

    found = found_in(except_for(later, Answer(status=503), paging=Paging("page-only")))
    assert found["orders"]["paging"] is None
    found = found_in(except_for(later, Answer(status=503), paging=Paging("page-only", first=0)))
    assert (found["orders"]["paging"], found["orders"]["page_limit"]) == ("page-only", None)


def test_all_rows_at_once_and_more_of_them_than_are_read(found_in):
    many = {"orders": rows_of("orders", 40_000)}
    found = found_in(fake_catalog(paging=Paging("none"), rows=many))
    assert found["orders"]["paging"] == "none"
    assert found["orders"]["rows_looked_at"] == 200
    assert [field["path"] for field in found["orders"]["fields"]] == ["account_id", "number", "purchase_date"]
    assert found["orders"]["to_instant"] == "exclusive"


def test_a_long_body_that_is_no_rows(found_in):
    found = found_in(except_for(lambda request: request.path.endswith("users"), Answer(b'{"a": "' + b"x" * 3_000_000)))
    assert found.verdict("path-users") == "unknown"


def test_a_long_body_with_few_rows(found_in):
    long = Answer(b'{"users": [{"email": 1}]' + b" " * 3_000_000 + b"}")
    found = found_in(except_for(lambda request: request.path.endswith("users"), long))
    assert [field["path"] for field in found["users"]["fields"]] == ["email"]
    assert found["users"]["paging"] == "none"


def test_forms_that_fail(found_in):
    def is_form(request: Request) -> bool:
        return request.headers.get("content-type") == "application/x-www-form-urlencoded"

    found = found_in(except_for(is_form, Answer(status=503)))
    assert found.verdict("form-lists") == "unknown"
    assert found.status == 0


def test_dates_that_are_refused_or_ignored(found_in):
    def read(request: Request):
        filters = read_json(request)
        if isinstance(filters, dict):
            if any(name.endswith("_from") and "T" in value for name, value in filters.items()):
                return Answer({"errors": ["date"]}, 400)
            return {name: value for name, value in filters.items() if name == "account_ids"}
        return filters

    found = found_in(fake_catalog(read=read))
    assert found.verdict("date-with-time") == found.verdict("date-without-time") == "refuted"
    assert {"date-with-time", "date-without-time"} <= found.to_do
    assert found.report["date_formats"] == {
        "YYYY-MM-DDTHH:MM:SSZ": "refused",
        "YYYY-MM-DD": "ignored",
        "YYYY-MM-DDTHH:MM:SS.ffffffZ": "refused",
        "YYYY-MM-DDTHH:MM:SS+HH:MM": "refused",
        "YYYY/MM/DD HH:MM:SS +HHMM": "ignored",
    }
    assert found.verdict("unknown-filter") == "refuted"
    assert found["orders"]["to_instant"] is None


def test_a_fraction_of_a_second_leaves_a_doubt(found_in):
    rows = [{"account_id": 3, "purchased_at": "2026/03/01 11:00:00 +0000"}, {"account_id": 3, "purchased_at": "none"}]
    found = found_in(fake_catalog(rows={"orders": rows}))
    assert found["orders"]["date_field"] == "purchased_at"
    rows = [{"account_id": 3, "purchase_date": f"2026-03-01T11:00:0{second}.5Z"} for second in range(9)]
    found = found_in(fake_catalog(rows={"orders": rows}))
    assert "orders: exclusive (or fractions of a second are cut)" in found.finding("date-to")["seen"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "2026-03-01", 5, None])
def test_dates_that_can_not_be_asked_with(found_in, moment):
    rows = [{"account_id": 3, "purchase_date": moment, "paid_at": "2026"}]
    found = found_in(
        fake_catalog(rows={"orders": rows}, read=lambda request: Answer(status=422) if request.body != b"{}" else {})
    )
    assert found["orders"]["to_instant"] is None


def test_amounts_as_text(found_in):
    rows = [{"account_id": 3, "purchase_date": "2026-03-01T11:00:00Z", "revenue": "10.50", "discount": None}]
    found = found_in(fake_catalog(rows={"orders": rows}))
    assert found.verdict("money") == "refuted"
    assert found.finding("money")["seen"] == "string (a decimal)"
    assert found.status == 0


def test_rate_limit_headers(found_in):
    usual = fake_catalog()
    headers = {"X-Request-Cost": "0.0123", "X-Rate-Limit-Remaining": "599.5", "RateLimit-Policy": "who=jane"}

    def answer(request: Request) -> Answer:
        reply = usual(request)
        return Answer(reply.body, reply.status, reply.headers | headers)

    found = found_in(answer)
    assert found.verdict("rate-limits") == "confirmed"
    assert found.report["rate_headers"] == headers | {"RateLimit-Policy": "not a number"}


def test_the_person_is_told_of_a_long_wait(found_in, monkeypatch):
    waited = []
    monkeypatch.setattr(asking, "MAX_WAIT", 60)
    monkeypatch.setattr(asking, "time", SimpleNamespace(sleep=waited.append))
    first = []

    def answer(request: Request) -> Answer:
        first.append(request)
        return Answer(status=429, headers={"Retry-After": "300"}) if len(first) == 1 else fake_catalog()(request)

    assert "going on in 60 s" in found_in(answer).told
    assert waited == [60]


def test_nobody_is_there(probe):
    found = probe("http://127.0.0.1:1", token=TOKEN)
    assert (found.status, found.report) == (3, {})
    assert "not reached" in found.told
    assert "refused" in found.told


def test_tls_that_fails(probe, tmp_path):
    # A plain server, asked over TLS.
    with stand_in(fake_catalog()) as catalog:
        found = probe(catalog.url.replace("http:", "https:"), token=TOKEN)
    assert ssl.HAS_TLSv1_2
    assert (found.status, found.report) == (3, {})
    assert "TLS failed" in found.told
