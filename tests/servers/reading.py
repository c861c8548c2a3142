"""Ways to read a server: with what a DAG uses, and with the loop of ten lines that people write instead."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

import requests

from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from tests.catalog_server import TOKEN, Pages, catalog_server
from tests.tasks import operator

T = TypeVar("T")


def rows_of(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": n, "student": {"email": f"s{n}@example.edu"}, "revenue": n / 4} for n in range(start, start + count)]


def is_read_by_a_loop(pages: Pages) -> bool:
    """Whether a loop gets all rows that follows ``next``, in the header or the body, until there is none, or no row."""
    rows: list[dict[str, Any]] = []
    with catalog_server(pages) as catalog, requests.Session() as session:
        session.headers["Authorization"] = f'Token token="{TOKEN}"'
        address = f"{catalog.url}/api/v1/analytics/orders?per_page=10"
        try:
            for _ in range(100):
                answer = session.post(address, json={}, timeout=0.5)
                answer.raise_for_status()
                following: Any = answer.json()
                found = following["orders"]
                rows += found
                if pages.links in ("header", "none"):
                    following = answer.links.get("next", {}).get("url")
                else:
                    for step in pages.links.split("."):
                        following = following[step]
                if not following or not found:
                    return rows == pages.rows
                address = urljoin(catalog.url, following)
        except (requests.RequestException, KeyError, TypeError, ValueError):
            pass
    return False


def within_patience(read: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; one that hangs fails the test: nothing here takes long."""
    outcome: Future[T] = Future()

    def call() -> None:
        try:
            outcome.set_result(read())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return outcome.result(timeout=30)


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
        said = f"{type(self.error).__name__}: {self.error}" if self.error else "success"
        return f"{len(self.rows)} rows ({len({row.get('id') for row in self.rows})} ids), {said}"


def read_with_hook(**parameters: Any) -> Outcome:
    outcome = Outcome([])

    def read() -> None:
        for row in CatalogHook().iter_rows("orders", **parameters):
            outcome.rows.append(dict(row))
            row.clear()  # whoever gets a row may change it

    try:
        within_patience(read)
    except CatalogError as error:
        outcome.error = error
    return outcome


def read_with_operator(folder: Path, **parameters: Any) -> Outcome:
    """Let an operator write a file; one that fails must leave nothing behind."""
    path = folder / "orders.jsonl"
    task = operator(output_path=str(path), **parameters)
    try:
        manifest = within_patience(lambda: task.execute({}))
    except CatalogError as error:
        assert list(folder.iterdir()) == []
        return Outcome([], error)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert manifest["row_count"] == len(rows)
    path.unlink()
    return Outcome(rows, manifest=manifest)


def is_clear(error: CatalogError | None) -> bool:
    """Whether an error names connection and endpoint, and shows no token and no value of a row."""
    text = str(error)
    return "catalog_default" in text and "orders" in text and TOKEN not in text and "@example.edu" not in text


def warnings_of(caplog: Any) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
