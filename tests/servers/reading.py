"""Ways to read a server: with what a DAG uses, and with the loop of ten lines that people write instead."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

import requests

from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from tests.catalog_server import TOKEN

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds after which a read hangs: nothing here takes more than a few."""


def rows_of(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": n, "student": {"email": f"s{n}@example.edu"}, "revenue": n / 4} for n in range(start, start + count)]


def plain_loop(url: str, stop_when_empty: bool, next_in: str | None = None) -> list[dict[str, Any]]:
    """Read orders as a loop does that follows ``next``, from the header or from a place in the body."""
    rows: list[dict[str, Any]] = []
    address: str | None = f"{url}/api/v1/analytics/orders?per_page=10"
    headers = {"Authorization": f'Token token="{TOKEN}"'}
    for _ in range(100):
        answer = requests.post(address, json={}, headers=headers, timeout=0.5)
        answer.raise_for_status()
        body = answer.json()
        rows += body["orders"]
        following: Any = body
        for step in next_in.split(".") if next_in else ():
            following = following[step]
        address = following if next_in else answer.links.get("next", {}).get("url")
        if not address or (stop_when_empty and not body["orders"]):
            return rows
        address = urljoin(url, address)
    raise AssertionError("the loop does not end")


def is_read_by_a_loop(url: str, rows: list[dict[str, Any]], next_in: str | None, stop_when_empty: bool) -> bool:
    try:
        return plain_loop(url, stop_when_empty, next_in) == rows
    except (requests.RequestException, AssertionError, KeyError, TypeError, ValueError):
        return False


def within_patience(read: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; a call that hangs fails the test."""
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.append((read(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert outcome, f"hangs for {PATIENCE:.0f} s"
    [(result, error)] = outcome
    if error:
        raise error
    return result


@dataclass
class Outcome:
    """
    :param rows: what was handed out, in order; for an operator that fails, nothing.
    :param error: what ended the read, if it was an error of the provider.
    """

    rows: list[dict[str, Any]]
    error: CatalogError | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        ids = [row.get("id") for row in self.rows]
        said = f"{type(self.error).__name__}: {self.error}" if self.error else "success"
        return f"{len(self.rows)} rows ({len(set(ids))} ids), {said}"


def read_with_hook(**parameters: Any) -> Outcome:
    rows: list[dict[str, Any]] = []

    def read() -> None:
        for row in CatalogHook().iter_rows("orders", **parameters):
            rows.append(row)  # noqa: PERF402 - what was handed out before an error counts, too

    try:
        within_patience(read)
    except CatalogError as error:
        return Outcome(rows, error)
    return Outcome(rows)


def read_with_operator(folder: Path, **parameters: Any) -> Outcome:
    """Let an operator write a file; one that fails must leave nothing behind."""
    path = folder / "orders.jsonl"
    task = CatalogOrdersAnalyticsOperator(task_id="pull", output_path=str(path), **parameters)
    try:
        manifest = within_patience(lambda: task.execute({}))
    except CatalogError as error:
        assert list(folder.iterdir()) == []
        return Outcome([], error)
    assert isinstance(manifest, dict)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert manifest["row_count"] == len(rows)
    path.unlink()
    return Outcome(rows, manifest=manifest)


def read_into_xcom() -> Outcome:
    return Outcome(within_patience(lambda: CatalogOrdersAnalyticsOperator(task_id="pull").execute({})))  # type: ignore[arg-type]


def is_clear(error: CatalogError) -> bool:
    """Whether an error names connection and endpoint, and shows no token and no value of a row."""
    text = str(error)
    return "catalog_default" in text and "orders" in text and TOKEN not in text and "@example.edu" not in text
