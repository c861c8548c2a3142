"""Canaries in every place of the Catalog's answers that can hold something: none comes out anywhere."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_catalog.client import decoding
from airflow_provider_catalog.probe.__main__ import main
from tests.probe.fake_catalog import ENDPOINTS, fake_catalog, rows_of
from tests.stand_in import Answer, Paging, Request, stand_in

TOKEN = "canary0token0secret"
CANARIES = (TOKEN, "Canarina", "canary.person@example.edu", "canary", "8888888888", "CANARY")
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


def error(kind: str, status: int) -> Answer:
    return Answer(BODIES[kind].encode(), status, HEADERS, cut=40 if kind == "cut" else None)


@pytest.fixture
def everything_said(capsys, caplog, monkeypatch):
    """Run the command both ways, all logs included, and return all that was said."""

    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 20_000)

    def run(url: str) -> str:
        monkeypatch.setenv("CATALOG_TOKEN", TOKEN)
        said = ""
        for arguments in ([], ["--json"]):
            with caplog.at_level(logging.DEBUG):
                logging.getLogger("urllib3").setLevel(logging.WARNING)  # at DEBUG it shows URLs, also where Link leads
                main(["--url", url, "--max-requests", "60", *arguments])
            printed = capsys.readouterr()
            assert printed.err
            said += printed.out + printed.err + caplog.text
        return said

    return run


def assert_none_of_it(said: str) -> None:
    assert [canary for canary in CANARIES if canary in said] == []


def served(answer):
    """The stand-in's answers, for this file's token."""

    def check(request: Request) -> Answer:
        assert request.headers["authorization"] == f'Token token="{TOKEN}"'
        request.headers["authorization"] = 'Token token="stand-in-token"'
        return answer(request)

    return stand_in(check)


@pytest.mark.parametrize("mode", ["link", "page-only", "none"])
def test_canaries_in_rows(everything_said, mode):
    rows = {name: canary_rows(name) for name in ENDPOINTS}
    with served(fake_catalog(rows=rows, paging=Paging(mode))) as catalog:
        said = everything_said(catalog.url)
    assert_none_of_it(said)
    assert "student.email" in said
    assert "keys that are not shown" in said


def test_canaries_in_the_only_row(everything_said):
    with served(fake_catalog(rows={name: canary_rows(name)[:1] for name in ENDPOINTS})) as catalog:
        assert_none_of_it(everything_said(catalog.url))


@pytest.mark.parametrize(
    ("kind", "status"),
    [(kind, 200) for kind in BODIES] + [("json", 302), ("text", 401), ("html", 403), ("json", 422), ("text", 429)],
)
def test_canaries_in_errors(everything_said, kind, status):
    with served(lambda request: error(kind, status)) as catalog:
        assert_none_of_it(everything_said(catalog.url))


@pytest.mark.parametrize("kind", ["json", "text"])
def test_canaries_in_refusals_of_filters(everything_said, kind):
    usual = fake_catalog(rows={name: canary_rows(name) for name in ENDPOINTS})
    with served(lambda request: error(kind, 422) if len(request.body) > 2 else usual(request)) as catalog:
        assert_none_of_it(everything_said(catalog.url))


def test_canaries_in_headers_of_good_answers(everything_said):
    usual = fake_catalog(rows={name: canary_rows(name) for name in ENDPOINTS})

    def answer(request: Request) -> Answer:
        reply = usual(request)
        return Answer(reply.body, reply.status, HEADERS)

    with served(answer) as catalog:
        said = everything_said(catalog.url)
    assert_none_of_it(said)
    assert "not a number" in said


def test_nothing_is_asked_of_another_host_and_nothing_changes(everything_said):
    """The token goes to the Catalog's own origin; every request asks for rows."""
    with (
        stand_in(lambda request: Answer()) as other,
        served(
            lambda request: Answer(
                {"orders": rows_of("orders")}, headers={"Link": f'<{other.url}/?page=2>; rel="next"'}
            )
        ) as catalog,
    ):
        everything_said(catalog.url)
    assert other.requests == []
    assert {request.method for request in catalog.requests} == {"POST"}
    assert all(request.path.startswith("/api/v") for request in catalog.requests)
