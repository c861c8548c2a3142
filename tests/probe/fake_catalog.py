"""Answers for the stand-in: a Catalog whose ways can be chosen, those that the sandbox does not have among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tests.catalog_server import PAGINGS, TOKEN, Answer, Pages, Request

DATE_FIELDS = {
    "products": "created_at",
    "enrollments": "enrollment_date",
    "orders": "purchase_date",
    "users": "registration_date",
}
ENDPOINTS = tuple(DATE_FIELDS)
Catalog = Callable[[Request], Answer]


def rows_of(endpoint: str, count: int = 30) -> list[dict[str, Any]]:
    return [
        {
            "account_id": 3,
            "number": number,
            DATE_FIELDS[endpoint]: f"2026-03-{1 + number % 28:02}T11:00:{number % 60:02}Z",
        }
        for number in range(count)
    ]


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
    if row["account_id"] not in filters.get("account_ids", [row["account_id"]]):
        return False
    moment = next(value for name, value in row.items() if name.endswith(("_at", "_date")))
    return all(
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
    """Return what a Catalog answers; whatever is not said, as of :class:`Pages`, is as the contract expects it."""
    found = {(paths or {}).get(name, f"/api/v1/analytics/{name}"): name for name in ENDPOINTS}
    all_rows = {name: rows_of(name) for name in ENDPOINTS} | (rows or {})

    def answer(request: Request) -> Answer:
        name = found.get(request.path)
        if request.headers.get("authorization") != f'Token token="{TOKEN}"':
            return Answer(b"HTTP Token: Access denied.", 401, {"Content-Type": "text/plain"})
        if name is None:
            return Answer({"errors": ["not found"]}, 404)
        filters = read(request)
        if isinstance(filters, Answer):
            return filters
        some = [row for row in all_rows[name] if matches(row, filters)] if filters else all_rows[name]
        return Pages(some, name, **{"size": 100, **PAGINGS[paging], **ways})(request)

    return answer


def except_for(condition: Callable[[Request], bool], reply: Answer, **ways: Any) -> Catalog:
    usual = fake_catalog(**ways)
    return lambda request: reply if condition(request) else usual(request)
