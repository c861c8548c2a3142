"""Ways to fail on request: at random, or at certain pages."""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.sandbox.options import FAULTS, RANDOM_FAULTS
from tests.sandbox.conftest import SMALL


@pytest.fixture(autouse=True)
def no_warnings(caplog):
    """Faults are no errors of the server's."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def outcome(catalog, post, **more):
    """Ask once and say how it went."""
    try:
        response = post(catalog, "products", **more)
        if response.status_code != 200:
            retry_after = response.headers.get("Retry-After")
            if retry_after and not retry_after.isdigit():
                assert abs(parsedate_to_datetime(retry_after).timestamp() - time.time()) < 3
                retry_after = "date"
            return f"{response.status_code} {retry_after}"
        if "html" in response.headers["Content-Type"]:
            return "html"
        body = response.json()
        return f"{len(body['products'])} rows" if "products" in body else "other JSON"
    except requests.exceptions.JSONDecodeError:
        return "not JSON"
    except requests.exceptions.ContentDecodingError:
        return "not gzip"
    except requests.exceptions.ChunkedEncodingError as error:
        return "reset" if "reset" in str(error) else "cut off"
    except requests.exceptions.ConnectionError as error:
        return "reset" if "reset" in str(error) else "stalled" if "timed out" in str(error) else "dropped"


SEEN = {
    "500": "500 None", "503": "503 None", "503-retry-now": "503 0", "503-retry-date": "503 date", "429": "429 None",
    "429-retry-after": "429 1", "html": "html", "broken-json": "not JSON", "broken-gzip": "not gzip",
    "other-json": "other JSON", "cut-off": "cut off", "dropped": "dropped", "reset-before-headers": "reset",
    "reset-in-headers": "reset", "reset-after-headers": "reset", "stalled": "stalled", "page-empty": "0 rows",
}  # fmt: skip
OTHER_PAGES = {"page-twice", "page-missing", "circles", "row-inserted", "row-deleted"}


@pytest.mark.parametrize("fault", sorted({*FAULTS} - OTHER_PAGES))
def test_what_a_client_sees_of_a_planned_fault(fault, post):
    timeout = 1 if fault == "stalled" else 10
    with sandbox(**SMALL, faults=f"{fault}@middlex2", gzip=len(fault) % 2 == 0) as catalog:
        seen = [outcome(catalog, post, params={"page": page}, timeout=timeout) for page in (1, 2, 2, 2, 3)]
    assert seen == ["20 rows", SEEN[fault], SEEN[fault], "20 rows", "5 rows"]


def ids(catalog, post, page):
    rows = post(catalog, "products", params={"page": page, "per_page": 10}).json()["products"]
    return [row["product"]["id"] for row in rows]


@pytest.mark.parametrize(
    ("fault", "shown"), [("page-twice", [2, 1, 2]), ("page-missing", [2, 3, 4]), ("circles", [1, 1, 1])]
)
def test_a_page_in_the_place_of_another(fault, shown, post):
    plan = ",".join(f"{fault}@{page}x*" for page in (1, 2, 3))
    with sandbox(**SMALL) as well, sandbox(**SMALL, paging="page-only", faults=plan) as catalog:
        assert [ids(catalog, post, number) for number in (1, 2, 3, 4)] == [ids(well, post, n) for n in (*shown, 4)]


@pytest.mark.parametrize(("place", "number"), [("first", 1), ("middle", 3), ("last", 5)])
def test_links_in_a_circle(place, number, post):
    with sandbox(**SMALL, faults=f"circles@{place}", paging="next-only") as catalog:
        answers = [post(catalog, "products", params={"page": number, "per_page": 10}) for _ in range(2)]
    assert [answer.headers.get("Link", "").endswith('page=1>; rel="next"') for answer in answers] == [True, False]


@pytest.mark.parametrize(("fault", "missing"), [("row-inserted", [2, 1, 0, 0]), ("row-deleted", [0, 1, 2, 2])])
def test_rows_that_enter_or_leave(fault, missing, post):
    """At the start, after the page was answered; on the endpoint that was asked, and no other."""
    with sandbox(**SMALL, paging="none") as well, sandbox(**SMALL, paging="none", faults=f"{fault}@firstx2") as catalog:
        every = {each: post(well, each).json()[each] for each in ("products", "orders")}
        for count in missing:
            assert post(catalog, "products").json()["products"] == every["products"][count:]
        assert post(catalog, "orders").json()["orders"] == every["orders"][missing[0] :]


def test_random_faults_all_happen_and_are_the_same_again(post):
    with sandbox(**SMALL, fault_rate=0.9, seed=3) as catalog, sandbox(**SMALL, fault_rate=0.9, seed=3) as again:
        outcomes = [outcome(catalog, post) for _ in range(160)]
        assert set(outcomes) == {SEEN[fault] for fault in RANDOM_FAULTS} | {"20 rows"}
        assert [outcome(again, post) for _ in range(160)] == outcomes
        assert len(catalog.requests) == 160
        unanswered = [request.status for request in catalog.requests].count(0)
        assert outcomes.count("dropped") < unanswered <= outcomes.count("dropped") + outcomes.count("reset")


def test_random_faults_can_be_chosen(post):
    with sandbox(**SMALL, fault_rate=0.5, fault_kinds="html, 500") as catalog:
        assert {outcome(catalog, post) for _ in range(40)} == {"html", "500 None", "20 rows"}


def test_faults_may_be_planned_anew(post):
    with sandbox(**SMALL, faults="503@firstx*, row-deleted@lastx2") as catalog:
        assert outcome(catalog, post, params={"per_page": 45}) == "503 None"
        catalog.set_faults("500@first, row-inserted@2")
        assert outcome(catalog, post) == "500 None"
        assert len(ids(catalog, post, 5)) == 4, "one row is held back"
        catalog.set_faults("")
        assert len(ids(catalog, post, 5)) == 5
        with pytest.raises(ValueError, match="faults has 'slow@1', which"):
            catalog.set_faults("slow@1")
