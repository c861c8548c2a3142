from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import pytest

from airflow_provider_catalog.probe.__main__ import main
from tests.catalog_server import PAGINGS, TOKEN, Answer, Pages, Request, catalog_server

DATE_FIELDS = {
    "products": "created_at",
    "enrollments": "enrollment_date",
    "orders": "purchase_date",
    "users": "registration_date",
}
Catalog = Callable[[Request], Answer]


def rows_of(endpoint: str, count: int = 30) -> list[dict[str, Any]]:
    date = DATE_FIELDS[endpoint]
    return [{"account_id": 3, "number": n, date: f"2026-03-{1 + n % 28:02}T11:00:{n % 60:02}Z"} for n in range(count)]


def read_json(request: Request) -> dict[str, Any] | Answer:
    if request.headers["content-type"] != "application/json":
        return Answer(b"Unsupported Media Type", 415, {"Content-Type": "text/plain"})
    return json.loads(request.body)


def read_form(request: Request) -> dict[str, Any] | Answer:
    if request.headers["content-type"] == "application/json":
        return Answer({"errors": ["no JSON"]}, 415)
    form = [(name.removesuffix("[]"), value) for name, value in parse_qsl(request.body.decode())]
    return {name: value if name.endswith(("_from", "_to")) else [value] for name, value in form}


def matches(row: dict[str, Any], filters: dict[str, Any]) -> bool:
    """Say whether a row is within the filters, an instant of `_to` not included."""
    [moment] = [value for name, value in row.items() if name in DATE_FIELDS.values()]
    return row["account_id"] in filters.get("account_ids", [row["account_id"]]) and all(
        value <= moment if name.endswith("_from") else moment < value
        for name, value in filters.items()
        if name.endswith(("_from", "_to"))
    )


def fake_catalog(
    *,
    rows: dict[str, list[Any]] | None = None,
    read: Callable[[Request], dict[str, Any] | Answer] = read_json,
    paths: dict[str, str] | None = None,
    paging: str = "link",
    **ways: Any,
) -> Catalog:
    """
    Return what a Catalog answers whose ways can be chosen, those that the sandbox does not have among them; whatever is
    not said, as of :class:`Pages`, is as the contract expects it.
    """
    found = {(paths or {}).get(name, f"/api/v1/analytics/{name}"): name for name in DATE_FIELDS}
    all_rows = {name: rows_of(name) for name in DATE_FIELDS} | (rows or {})

    def answer(request: Request) -> Answer:
        name = found.get(request.path)
        filters = read(request)
        if name is None or isinstance(filters, Answer):
            return Answer({"errors": ["not found"]}, 404) if name is None else filters
        some = [row for row in all_rows[name] if matches(row, filters)] if filters else all_rows[name]
        return Pages(some, name, **{"size": 100, **PAGINGS[paging], **ways})(request)

    return answer


@dataclass
class Outcome:
    """What the command did: its exit status, its report (none when it printed none), and what it told the person."""

    status: int
    report: dict[str, Any]
    told: str

    def __getitem__(self, endpoint: str) -> dict[str, Any]:
        return self.report["endpoints"][endpoint]

    @property
    def extra(self) -> dict[str, Any]:
        return self.report["extra"]

    @property
    def to_do(self) -> str:
        return "\n".join(self.report["to_do"])


@pytest.fixture
def probe(capsys, monkeypatch) -> Callable[..., Outcome]:
    """Run the command with --json; with a connection of Airflow's, when it is to have an extra."""

    def run(url: str, *arguments: str, token: str = TOKEN, extra: dict[str, Any] | None = None) -> Outcome:
        monkeypatch.setenv("CATALOG_TOKEN", token)
        fields = {"conn_type": "instructure_catalog", "host": url, "password": token, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_PROBED", json.dumps(fields))
        status = main([*(["--url", url] if extra is None else ["--conn-id", "probed"]), "--json", *arguments])
        printed = capsys.readouterr()
        return Outcome(status, json.loads(printed.out) if printed.out else {}, printed.err)

    return run


@pytest.fixture
def found_in(probe, no_backoff) -> Callable[..., Outcome]:
    """Run the command against answers."""

    def run(answer: Catalog, *arguments: str, **more: Any) -> Outcome:
        with catalog_server(answer) as catalog:
            return probe(catalog.url, *arguments, **more)

    return run
