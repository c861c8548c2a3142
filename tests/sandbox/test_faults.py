"""Ways to fail on request: at random, or at certain pages."""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.sandbox.fault_plan import FAULTS, RANDOM_FAULTS
from airflow_provider_catalog.sandbox.faults import ANSWERS
from tests.sandbox.conftest import SMALL


def outcome(catalog, post, **more) -> str:
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
    "500": "500 None",
    "503": "503 None",
    "503-retry-now": "503 0",
    "503-retry-date": "503 date",
    "429": "429 None",
    "429-retry-after": "429 1",
    "html": "html",
    "broken-json": "not JSON",
    "broken-gzip": "not gzip",
    "other-json": "other JSON",
    "cut-off": "cut off",
    "dropped": "dropped",
    "reset-before-headers": "reset",
    "reset-in-headers": "reset",
    "reset-after-headers": "reset",
    "stalled": "stalled",
    "page-empty": "0 rows",
}


@pytest.mark.parametrize("fault", SEEN)
def test_what_a_client_sees_of_a_planned_fault(fault, post, caplog) -> None:
    timeout = 1 if fault == "stalled" else 10
    with sandbox(**SMALL, faults=f"{fault}@middlex2", gzip=len(fault) % 2 == 0) as catalog:
        seen = [outcome(catalog, post, params={"page": page}, timeout=timeout) for page in (1, 2, 2, 2, 3)]
    assert seen == ["20 rows", SEEN[fault], SEEN[fault], "20 rows", "5 rows"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_every_fault_can_be_planned() -> None:
    assert set(ANSWERS) == set(FAULTS)
    assert set(FAULTS) - set(SEEN) == {"page-twice", "page-missing", "circles", "row-inserted", "row-deleted"}


def ids(catalog, post, page: int, **more) -> list[int]:
    rows = post(catalog, "products", params={"page": page, "per_page": 10}, **more).json()["products"]
    return [row["product"]["id"] for row in rows]


@pytest.mark.parametrize(("fault", "shown"), [("page-twice", [2, 1, 2]), ("page-missing", [2, 3, 4])])
def test_a_page_in_the_place_of_another(fault, shown, post) -> None:
    with sandbox(**SMALL) as well:
        pages = {number: ids(well, post, number) for number in range(1, 6)}
    plan = ",".join(f"{fault}@{page}x*" for page in (1, 2, 3))
    with sandbox(**SMALL, faults=plan) as catalog:
        assert [ids(catalog, post, number) for number in (1, 2, 3)] == [pages[number] for number in shown]
        assert ids(catalog, post, 4) == pages[4]


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_links_in_a_circle(place, post) -> None:
    with sandbox(**SMALL, faults=f"circles@{place}", paging="next-only") as catalog:
        page = {"first": 1, "middle": 3, "last": 5}[place]
        asked = {"params": {"page": page, "per_page": 10}}
        assert post(catalog, "products", **asked).links["next"]["url"].endswith("page=1")
        assert not post(catalog, "products", **asked).links.get("next", {"url": ""})["url"].endswith("page=1")
    with sandbox(**SMALL, faults=f"circles@{place}", paging="page-only") as catalog:
        assert ids(catalog, post, page) == ids(catalog, post, 1)


@pytest.mark.parametrize("fault", ["row-inserted", "row-deleted"])
@pytest.mark.parametrize("endpoint", ["products", "orders"])
def test_rows_that_enter_or_leave(fault, endpoint, post) -> None:
    """At the front, after the page was answered; on the endpoint that was asked, and no other."""
    with sandbox(**SMALL, paging="none") as well:
        every = {each: post(well, each).json()[each] for each in ("products", "orders")}
    with sandbox(**SMALL, paging="none", faults=f"{fault}@firstx2") as catalog:
        for missing in [2, 1, 0, 0] if fault == "row-inserted" else [0, 1, 2, 2]:
            assert post(catalog, endpoint).json()[endpoint] == every[endpoint][missing:]
        other = "orders" if endpoint == "products" else "products"
        assert post(catalog, other).json()[other] == every[other][2 if fault == "row-inserted" else 0 :]


def test_every_random_fault_happens_and_the_server_survives(post, caplog) -> None:
    with sandbox(**SMALL, fault_rate=0.9, seed=3) as catalog:
        outcomes = [outcome(catalog, post) for _ in range(160)]
        assert set(outcomes) == {SEEN[fault] for fault in RANDOM_FAULTS} | {"20 rows"}
        assert len(catalog.requests) == 160
        nothing = [request.status for request in catalog.requests].count(0)
        assert outcomes.count("dropped") < nothing <= outcomes.count("dropped") + outcomes.count("reset")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not warnings, "faults are no errors of the server's"
    with sandbox(**SMALL, fault_rate=0.9, seed=3) as again:
        assert [outcome(again, post) for _ in range(160)] == outcomes


def test_random_faults_can_be_chosen(post) -> None:
    with sandbox(**SMALL, fault_rate=0.5, fault_kinds="html, 500") as catalog:
        assert {outcome(catalog, post) for _ in range(40)} == {"html", "500 None", "20 rows"}


def test_faults_may_be_planned_anew(post) -> None:
    with sandbox(**SMALL, faults="503@firstx*, row-deleted@lastx2") as catalog:
        assert outcome(catalog, post, params={"per_page": 45}) == "503 None"
        catalog.set_faults("500@first, row-inserted@2")
        assert outcome(catalog, post) == "500 None"
        assert ids(catalog, post, 5)[-1] == max(ids(catalog, post, 5))
        assert len(ids(catalog, post, 5)) == 4, "one row is held back"
        catalog.set_faults("")
        assert len(ids(catalog, post, 5)) == 5
        with pytest.raises(ValueError, match="faults has 'slow', which"):
            catalog.set_faults("slow@1")
