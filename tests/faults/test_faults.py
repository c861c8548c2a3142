"""
What becomes of a pull when the Catalog, or the way to it, fails: every row once, or a clear error and nothing written.

``make faults`` tries every place with 1 and with 8 requests in flight; else these take turns.
"""

from __future__ import annotations

import json
import os
import re
import socket
from itertools import count, product
from pathlib import Path

import pytest

from airflow_provider_catalog.client import client
from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.sandbox.options import FAULTS

MOVES = ("page-twice", "page-missing", "page-empty", "circles", "row-inserted", "row-deleted")
OTHERS = [fault for fault in FAULTS if fault not in MOVES]
PLACES = ("first", "middle", "last")
ONCE, LASTING = "", "x*"
TIMES = {"503": "x3"}
OUTPUTS = ("xcom", "jsonl", "csv", "parquet")
SIZES = {"products": 50, "users": 65, "enrollments": 300, "as_of": "2026-07-01"}  # more than seven pages of orders
EARLIER = "what an earlier run has written"
HIDDEN = 12
"""Rows that may be missing at the start where data moves lastingly."""

NOT_NOTICED = {
    # By links: a page without rows that leads on is what some servers have, and so are numbers that are left out.
    *product(["link", "next-only"], ["page-missing", "page-empty"], PLACES, [LASTING]),
    *product(["link", "next-only"], ["page-twice"], ["first"], [LASTING]),
    # By number: a page without rows, or with those of another one, is how such a server says that there are no more.
    *product(["page-only"], MOVES[:4], ["middle", "last"], [LASTING]),
    *product(["page-only"], ["page-twice", "page-missing"], ["first"], [LASTING]),
    *product(["page-only"], ["page-missing"], ["middle"], [ONCE]),
    # An empty list and nothing else is how a server says that no row matches.
    *product(["page-only"], ["page-empty"], ["first"], [ONCE, LASTING]),
}
"""Paging, fault, place and whether it lasts: where an untrue answer is one that may as well be true."""


def cases():
    """Yield paging, fault, place, whether it lasts, requests in flight and output."""
    turn = count()
    for (paging, fault), lasts in product(
        [*product(["link"], OTHERS), *product(["link", "next-only", "page-only"], MOVES)], [ONCE, LASTING]
    ):
        tried = [place for place in PLACES if (paging, fault, place, lasts) not in NOT_NOTICED]
        variants = [(place, in_flight) for place in tried for in_flight in (1, 8)]
        one = variants[7 * next(turn) % len(variants) :][:1] if variants else []
        chosen = variants if os.environ.get("CATALOG_FAULTS") == "all" else one
        for place, in_flight in chosen:
            yield paging, fault, place, lasts, in_flight, OUTPUTS[next(turn) % len(OUTPUTS)]


def promised(paging, fault, place, lasts) -> set[str]:
    if (paging, fault, place) == ("page-only", "circles", "first"):
        return {"rows"}  # nothing goes wrong
    if lasts or (fault, place) == ("other-json", "first"):
        return {"error"}  # what was never otherwise is not tried again
    return {"rows", "error"} if (fault, place) == ("circles", "first") else {"rows"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a function that gives what a pull without faults writes, where so many rows at the start are not there."""
    known = {}

    def find(output, hidden=0):
        if (output, hidden) not in known:
            # Rows are held back for a page that nobody asks for.
            plan = f"row-inserted@999999x{hidden}" if hidden else ""
            with sandbox(**SIZES, faults=plan) as catalog, pytest.MonkeyPatch.context() as environment:
                known[output, hidden] = pull(environment, catalog, output, tmp_path_factory.mktemp("right"))
        return known[output, hidden]

    return find


def pull(environment, catalog, output, folder, **extra):
    """Return what a pull gives, or writes."""
    connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}
    connection["extra"] = {"page_size": 10, "timeout": 5, **extra}
    environment.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", json.dumps(connection))
    path = folder / f"rows.{output}" if output != "xcom" else None
    result = CatalogOrdersAnalyticsOperator(task_id="pull", output_path=path).execute({})
    return path.read_bytes() if path else result


@pytest.fixture
def short_waits(no_backoff, monkeypatch):
    monkeypatch.setattr(client, "PATIENCE", 2.0)


@pytest.mark.parametrize(("paging", "fault", "place", "lasts", "in_flight", "output"), [*cases()])
def test_a_fault(monkeypatch, tmp_path, short_waits, undisturbed, paging, fault, place, lasts, in_flight, output):
    path = tmp_path / f"rows.{output}"
    if output != "xcom":
        path.write_text(EARLIER)
    extra = {"max_concurrency": in_flight, "timeout": 0.2 if fault == "stalled" else 5}
    plan = f"{fault}@{place}{lasts or TIMES.get(fault, '')}"
    with sandbox(**SIZES, paging=paging, faults=plan) as catalog:
        try:
            found, outcome = pull(monkeypatch, catalog, output, tmp_path, **extra), "rows"
        except CatalogError as error:
            found, outcome = str(error), "error"
    assert outcome in promised(paging, fault, place, lasts), found
    assert list(tmp_path.iterdir()) == ([path] if output != "xcom" else [])
    if outcome == "error":
        assert output == "xcom" or path.read_text() == EARLIER
        assert "(orders, connection 'catalog_default', " in found
        assert catalog.token not in found
    else:
        hidden = range(HIDDEN if lasts else 2) if fault in ("row-inserted", "row-deleted") else [0]
        assert any(found == undisturbed(output, each) for each in hidden)


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("fault", ["refused", "dns"])
def test_a_network_that_fails(monkeypatch, tmp_path, short_waits, undisturbed, fault, lasts):
    look_up, failures = socket.getaddrinfo, iter(range(10**6 if lasts else 2))

    def fails(host, port, *arguments, **more):
        if next(failures, None) is None:
            return look_up(host, port, *arguments, **more)
        if fault == "dns":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, 9, *arguments, **more)

    right = undisturbed("xcom")
    with sandbox(**SIZES) as catalog:
        monkeypatch.setattr(socket, "getaddrinfo", fails)
        if lasts:
            with pytest.raises(CatalogError, match="connection 'catalog_default'"):
                pull(monkeypatch, catalog, "xcom", tmp_path)
        else:
            assert pull(monkeypatch, catalog, "xcom", tmp_path) == right


@pytest.mark.parametrize(("rate", "output"), [(0.05, "parquet"), (0.2, "jsonl")])
def test_faults_at_random(monkeypatch, tmp_path, no_backoff, rate, output):
    """Of 8 requests in flight, and hundreds of pages; the file is the same, byte for byte."""
    files = []
    for faults in ({}, {"fault_rate": rate, "fault_seed": 2}):
        with sandbox(products=50, users=500, enrollments=2500, as_of="2026-07-01", **faults) as catalog:
            files.append(pull(monkeypatch, catalog, output, tmp_path, max_concurrency=8))
    assert files[0] == files[1]
    assert len(catalog.requests) > 100, "many pages"


def test_the_page_explains_every_fault_of_the_sandbox():
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    table = page.partition("| fault | the answer |")[2].partition("\n\n")[0]
    explained = {name for line in table.splitlines()[2:] for name in re.findall(r"`([\w-]+)`", line.split("|")[1])}
    assert explained == {*FAULTS}
