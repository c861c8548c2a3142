"""The probe finds out which mode a sandbox is in."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.sandbox.filters import FILTERS

SMALL = {"products": 120, "users": 130, "enrollments": 400}
PAGINGS = [
    *itertools.product(("link", "next-only"), ("absolute", "relative")),
    ("page-only", "absolute"),  # which has no links
]
PAGED = [
    {"paging": paging, "first_page": first, "max_per_page": most, "date_to": date_to, "links": links}
    for paging, links in PAGINGS
    for first, most, date_to in itertools.product((0, 1), (7, 100), ("inclusive", "exclusive"))
]
MODES = [*PAGED, *({"paging": "none", "date_to": date_to} for date_to in ("inclusive", "exclusive"))]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(map(str, mode.values())))
def test_each_mode(probe, mode):
    with sandbox(**SMALL, **mode) as catalog:
        found = probe(catalog.url, token=catalog.token)
        asked = len(catalog.requests)
    assert found.status == 0
    assert not found.to_do
    assert found.report["complete"]
    assert asked == found.report["requests"] - 4  # GET, which the sandbox doesn't count
    assert found.report["requests"] <= 55
    is_paged, has_links = mode["paging"] != "none", mode["paging"] in ("link", "next-only")
    for endpoint in FILTERS:
        each = found[endpoint]
        assert each["post"] == "200, JSON"
        assert each["get"] == "405, JSON"
        assert each["filters"] == {"json": "read"}
        assert each["root_keys"] == {endpoint: "array"}
        assert each["paging"] == mode["paging"]
        assert each["first_page"] == (mode["first_page"] if is_paged else None)
        assert each["links"] == (mode["links"] if has_links else None)
        assert each["page_limit"] == (mode["max_per_page"] if is_paged else None)
        assert each["to_instant"] == each["to_day"] == mode["date_to"]
        assert found.verdict(f"path-{endpoint}") == found.verdict(f"root-key-{endpoint}") == "confirmed"
        assert found.verdict(f"paging-{endpoint}") == found.verdict(f"fields-{endpoint}") == "confirmed"
    inclusive = "confirmed" if mode["date_to"] == "inclusive" else "refuted"
    assert found.verdict("date-to") == found.verdict("date-to-day") == inclusive
    assert found.verdict("first-page") == ("confirmed" if is_paged else "unknown")
    assert found.verdict("links") == ("confirmed" if has_links else "unknown")
    limit = {7: "refuted", 100: "confirmed"}.get(mode.get("max_per_page"), "unknown")
    assert found.verdict("page-limit") == limit
    assert found.report["form"] == {"form": "read", "form without []": "read"}
    assert found.report["form_lists_whole"] == {"form": True, "form without []": True}
    assert found.report["date_formats"]["YYYY-MM-DDTHH:MM:SSZ"] == "read"
    assert found.report["date_formats"]["YYYY/MM/DD HH:MM:SS +HHMM"] == "refused"
    assert found.verdict("wrong-value") == found.verdict("unknown-filter") == "confirmed"


def test_a_server_that_gives_larger_pages_than_documented(probe):
    with sandbox(**SMALL, max_per_page=1_000) as catalog:
        found = probe(catalog.url, token=catalog.token)
    assert found["orders"]["page_limit"] is None
    assert found["orders"]["page_least"] == 101
    assert found.verdict("page-limit") == "refuted"
    assert found.status == 0


def test_an_empty_catalog_leaves_most_unknown_and_says_so(probe):
    with sandbox(products=0, users=0, enrollments=0) as catalog:
        found = probe(catalog.url, token=catalog.token)
    assert found.status == 0
    for endpoint in FILTERS:
        assert found.verdict(f"path-{endpoint}") == found.verdict(f"root-key-{endpoint}") == "confirmed"
        assert found.verdict(f"paging-{endpoint}") == found.verdict(f"fields-{endpoint}") == "unknown"
    for name in ("json", "form-lists", "first-page", "page-limit", "date-with-time", "date-to", "date-to-day", "money"):
        assert found.verdict(name) == "unknown"


def test_one_row_of_each(probe):
    with sandbox(products=1, users=1, enrollments=1) as catalog:
        found = probe(catalog.url, token=catalog.token)
    assert found.status == 0
    assert found.verdict("json") == "confirmed"
    assert found.verdict("fields-users") == "confirmed"


def test_the_wrong_token(probe):
    with sandbox(**SMALL) as catalog:
        found = probe(catalog.url, token="not-the-token")
    assert found.status == 3
    assert {each["post"] for each in found.report["endpoints"].values()} == {"401, text"}
    assert found.verdict("token-refused") == "confirmed"
    assert found.verdict("token-rights") == "unknown"
    assert "token-refused" in found.to_do
    assert found.report["requests"] == 5


def test_a_token_without_analytics(probe):
    with sandbox(**SMALL, token_without_analytics="courses-only") as catalog:
        found = probe(catalog.url, token="courses-only")
    assert found.status == 3
    assert found.verdict("token-rights") == "confirmed"
    assert found.verdict("token-refused") == "unknown"
    assert {"path-orders", "token-rights"} <= found.to_do
    assert found.report["courses"] == "200, JSON"


def test_a_rate_limit_is_obeyed_and_told(probe):
    with sandbox(**SMALL, rate_limit=8) as catalog:
        found = probe(catalog.url, token=catalog.token)
        statuses = [request.status for request in catalog.requests]
    assert found.status == 0
    assert found.verdict("rate-limits") == "confirmed"
    assert found.report["times_throttled"] == statuses.count(429) > 0
    assert found.report["rate_headers"] == {"Retry-After": "1"}
    assert found.report["complete"]


@pytest.mark.parametrize("seed", range(2))
def test_faults_do_not_change_what_is_found(probe, no_waiting, seed):
    with sandbox(**SMALL, fault_rate=0.2, seed=seed, paging="page-only", first_page=0) as catalog:
        found = probe(catalog.url, "--max-requests", "400", token=catalog.token)
    with sandbox(**SMALL, seed=seed, paging="page-only", first_page=0) as catalog:
        calm = probe(catalog.url, token=catalog.token)
    assert found.report["requests"] > calm.report["requests"]
    assert found.report["endpoints"] == calm.report["endpoints"]
    assert found.status == calm.status == 0


@pytest.mark.parametrize("most", [1, 5, 20])
def test_no_more_requests_than_allowed(probe, most):
    with sandbox(**SMALL) as catalog:
        found = probe(catalog.url, "--max-requests", str(most), token=catalog.token)
        assert len(catalog.requests) <= most
    assert found.report["requests"] == most
    assert not found.report["complete"]
    assert found.status == 4
    assert f"at most {most} requests" in found.told


def test_gzip_is_noticed(probe):
    with sandbox(**SMALL, gzip=True) as catalog:
        assert probe(catalog.url, token=catalog.token).report["gzip"]
