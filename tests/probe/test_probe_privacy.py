"""Canaries in every place of the Catalog's answers that can hold something: none comes out anywhere."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_catalog.client import decoding
from airflow_provider_catalog.probe.__main__ import main
from tests.catalog_server import Answer, Request, catalog_server
from tests.probe.fake_catalog import ENDPOINTS, fake_catalog, rows_of

TOKEN = "canary0token0secret"
CANARIES = (TOKEN, "Canarina", "canary.person@example.edu", "canary", "8888888888", "CANARY")
MESSAGE = f"Canarina (canary.person@example.edu, 8888888888) with {TOKEN}"
HEADERS = {
    "Link": '<http://canary.example.com/Canarina?page=2>; rel="next"',
    "Retry-After": "CANARY",
    "X-Rate-Limit-Remaining": "canary.person@example.edu",
    "X-Canary": "CANARY",
    "Set-Cookie": "canary=CANARY",
    "Location": "https://canary.example.com/?t=CANARY",
}
BODIES = {
    "json": json.dumps({"errors": [MESSAGE], "Canarina": MESSAGE, "canary.person@example.edu": []}),
    "text": MESSAGE,
    "html": f"<html>{MESSAGE}</html>",
    "damaged": f'{{"orders": [{{"name": "{MESSAGE}"',
    "cut": json.dumps({"orders": [MESSAGE] * 9}),
    "long": '{"Canarina Testperson": [{"canary person": "CANARY"},' + " " * 30_000,
}
pytestmark = pytest.mark.usefixtures("no_backoff")


def canary_rows(endpoint: str) -> list[dict]:
    person = {"id": 8888888888, "name": "Canarina Testperson", "email": "canary.person@example.edu"}
    return [
        row
        | {
            "student": person,
            "custom_fields": {"canary_size": "CANARY", "Canarina": {"canary": "CANARY"}},
            "Canarina Testperson": "CANARY",
            "canary.person@example.edu": [person],
            "progress": {"canary_person": 8888888888} if row["number"] == 7 else {"done": 1},
            "revenue": 8888888888.25,
            "promo_codes": ["CANARY"],
        }
        for row in rows_of(endpoint)
    ]


ROWS = {name: canary_rows(name) for name in ENDPOINTS}


def error(kind: str, status: int) -> Answer:
    return Answer(BODIES[kind].encode(), status, HEADERS, cut=40 if kind == "cut" else None)


@pytest.fixture
def said_of(capsys, caplog, monkeypatch):
    """Run the command both ways against answers, and return all that was said, logs included: no canary is in it."""

    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 20_000)

    def run(answer) -> str:
        def check(request: Request) -> Answer:
            assert request.headers["authorization"] == f'Token token="{TOKEN}"'
            request.headers["authorization"] = 'Token token="stand-in-token"'
            return answer(request)

        monkeypatch.setenv("CATALOG_TOKEN", TOKEN)
        with catalog_server(check) as catalog, caplog.at_level(logging.DEBUG):
            logging.getLogger("urllib3").setLevel(logging.WARNING)  # at DEBUG it shows URLs, also where Link leads
            for arguments in ([], ["--json"]):
                main(["--url", catalog.url, "--max-requests", "60", *arguments])
        printed = capsys.readouterr()
        assert printed.err
        said = printed.out + printed.err + caplog.text
        assert [canary for canary in CANARIES if canary in said] == []
        assert {request.method for request in catalog.requests} <= {"GET", "POST"}
        assert all(request.path.startswith("/api/v") for request in catalog.requests)
        return said

    return run


@pytest.mark.parametrize("paging", ["link", "page-only", "none"])
def test_canaries_in_rows(said_of, paging):
    said = said_of(fake_catalog(rows=ROWS, paging=paging))
    assert "student.email" in said
    assert "keys that are not shown" in said


def test_canaries_in_the_only_row(said_of):
    said_of(fake_catalog(rows={name: rows[:1] for name, rows in ROWS.items()}))


@pytest.mark.parametrize(
    ("kind", "status"),
    [(kind, 200) for kind in BODIES] + [("json", 302), ("text", 401), ("html", 403), ("json", 422), ("text", 429)],
)
def test_canaries_in_errors(said_of, kind, status):
    said_of(lambda request: error(kind, status))


@pytest.mark.parametrize("kind", ["json", "text"])
def test_canaries_in_refusals_of_filters(said_of, kind):
    usual = fake_catalog(rows=ROWS)
    said_of(lambda request: error(kind, 422) if len(request.body) > 2 else usual(request))


def test_canaries_in_headers_of_good_answers(said_of):
    usual = fake_catalog(rows=ROWS)
    assert "not a number" in said_of(lambda request: Answer(usual(request).body, usual(request).status, HEADERS))


def test_nothing_is_asked_of_another_host(said_of):
    with catalog_server(lambda request: Answer()) as other:
        link = {"Link": f'<{other.url}/?page=2>; rel="next"'}
        said_of(lambda request: Answer({"orders": rows_of("orders")}, headers=link))
    assert other.requests == []
