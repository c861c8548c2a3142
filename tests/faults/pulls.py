"""One pull by an operator while something fails, and what became of it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import requests

from airflow_provider_catalog.client import client, retry
from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.operators import analytics
from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox
from tests.faults import front

OUTPUTS = ("xcom", "jsonl", "csv", "parquet")
PLACES = ("first", "middle", "last")
OPERATORS: dict[str, Any] = {
    "products": analytics.CatalogProductsAnalyticsOperator,
    "enrollments": analytics.CatalogEnrollmentsAnalyticsOperator,
    "orders": analytics.CatalogOrdersAnalyticsOperator,
    "users": analytics.CatalogUsersAnalyticsOperator,
}
PAGE_ROWS = 10
SIZES = {"products": 64, "users": 65, "enrollments": 300, "as_of": "2026-07-01"}  # seven pages or more of each endpoint
EARLIER = b"what an earlier run has written"
STATES = 12
"""Rows that may be missing at the start where data moves lastingly."""
LONGEST = 30.0
"""Seconds that a pull may take; its waits are short."""


@dataclass(frozen=True)
class Pull:
    """
    What is tried.

    :param fault: the name of a fault of the sandbox's, or of the front's.
    :param place: at which page.
    :param lasting: whether always, or only so many times.
    :param times: how often, unless it lasts.
    """

    fault: str
    place: str
    lasting: bool
    in_flight: int = 1
    output: str = "xcom"
    endpoint: str = "orders"
    paging: str = "link"
    times: int = 1


@dataclass(frozen=True)
class Outcome:
    """
    What became of it.

    :param kind: ``rows`` (every row, once), ``error`` (a clear one, and nothing written) or ``WRONG``.
    :param detail: the error, or what is wrong.
    """

    kind: str
    detail: str
    seconds: float


@contextmanager
def short_waits() -> Iterator[None]:
    """Wait for milliseconds where the retry policy waits for seconds, and for seconds where it waits for minutes."""
    with mock.patch.object(retry, "MAX_BACKOFF", 0.02), mock.patch.object(client, "PATIENCE", 2.0):
        yield


def quiet() -> None:
    """Log nothing: the outcome tells."""
    logging.disable(logging.CRITICAL)


def run(pull: Pull) -> Outcome:
    """Pull, and look at what is there afterwards."""
    started = time.monotonic()
    try:
        with short_waits(), ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
            connection = _connect(pull, stack)
            kind, detail = _pull(pull, folder, connection)
    except Exception as error:  # all that is not the provider's own error is a finding
        kind, detail = "WRONG", f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - started
    if seconds > LONGEST:
        kind, detail = "WRONG", f"{seconds:.0f} s; {detail}"
    return Outcome(kind, detail, seconds)


def _connect(pull: Pull, stack: ExitStack) -> dict[str, Any]:
    """Start what is to be pulled from; return the connection to it."""
    extra: dict[str, Any] = {"page_size": PAGE_ROWS, "max_concurrency": pull.in_flight, "timeout": 5}
    if pull.fault == "stalled":
        extra["timeout"] = 0.2
    if pull.fault not in front.FAULTS:
        times = "*" if pull.lasting else pull.times
        plan = f"{pull.fault}@{pull.place}x{times}"
        catalog = stack.enter_context(sandbox(**SIZES, paging=pull.paging, faults=plan))
        return {"host": catalog.url, "password": catalog.token, "extra": extra}
    # Links that say http:// would lead away from the front, which takes https.
    catalog = stack.enter_context(sandbox(**SIZES, paging=pull.paging, links="relative"))
    last = -(-catalog.row_count(pull.endpoint) // PAGE_ROWS)
    page = {"first": None, "middle": (1 + last) // 2, "last": last}[pull.place]
    port = int(catalog.url.rpartition(":")[2])
    network = stack.enter_context(front.front(port, pull.fault, page, lasting=pull.lasting))
    extra["verify"] = str(front.ca_bundle())
    return {"host": network.url, "password": catalog.token, "extra": extra}


def _pull(pull: Pull, folder: Path, connection: dict[str, Any]) -> tuple[str, str]:
    path = folder / f"rows.{pull.output}"
    if pull.output != "xcom":
        path.write_bytes(EARLIER)
    value = json.dumps({"conn_type": "instructure_catalog", **connection})
    with mock.patch.dict(os.environ, AIRFLOW_CONN_CATALOG_DEFAULT=value, no_proxy="*"):
        operator = OPERATORS[pull.endpoint](task_id="pull", output_path=path if pull.output != "xcom" else None)
        try:
            result = operator.execute({})
        except CatalogError as error:
            return _judge_error(pull, error, path, connection["password"])
    written = path.read_bytes() if pull.output != "xcom" else json.dumps(result).encode()
    states = STATES if pull.lasting else 2
    is_moving = pull.fault in ("row-inserted", "row-deleted")
    if not any(written == expected(pull.endpoint, pull.output, state) for state in range(states if is_moving else 1)):
        return "WRONG", f"other rows than there are: {_count(result)}"
    return ("rows", "") if _is_tidy(pull, path) else ("WRONG", "something is left in the folder")


def _judge_error(pull: Pull, error: CatalogError, path: Path, token: str) -> tuple[str, str]:
    text = str(error)
    if pull.output != "xcom" and path.read_bytes() != EARLIER:
        return "WRONG", f"the earlier file is gone, after {text}"
    if not _is_tidy(pull, path):
        return "WRONG", f"something is left in the folder, after {text}"
    if f"({pull.endpoint}, connection 'catalog_default', " not in text or token in text or "cut off" in text:
        return "WRONG", f"an error that is not clear: {text}"
    kind = next(base.__name__ for base in type(error).__mro__ if base.__module__ == CatalogError.__module__)
    return "error", f"{kind}: {text}"


def _is_tidy(pull: Pull, path: Path) -> bool:
    return list(path.parent.iterdir()) == ([path] if pull.output != "xcom" else [])


def _count(result: Any) -> str:
    return f"{len(result) if isinstance(result, list) else result['row_count']} rows"


@cache
def rows(endpoint: str) -> list[dict[str, Any]]:
    """Return the rows as the sandbox gives them in one answer, without the provider's help."""
    with sandbox(**SIZES, paging="none") as catalog:
        return _post(catalog, endpoint)


def _post(catalog: SandboxCatalog, endpoint: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f'Token token="{catalog.token}"'}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{catalog.url}/api/v1/analytics/{endpoint}", headers=headers, timeout=10)
    found: list[dict[str, Any]] = answer.json()[endpoint]
    return found


@cache
def expected(endpoint: str, output: str, missing: int) -> bytes:
    """
    Return what a pull without faults writes.

    :param missing: how many rows at the start are not there.
    """
    if output == "xcom":
        return json.dumps(rows(endpoint)[missing:]).encode()
    # Rows are held back for a page that nobody asks for.
    plan = f"row-inserted@999999x{missing}" if missing else ""
    with sandbox(**SIZES, faults=plan) as catalog, TemporaryDirectory(prefix="faults-") as folder:
        path = Path(folder) / f"rows.{output}"
        with mock.patch.dict(os.environ, AIRFLOW_CONN_CATALOG_DEFAULT=catalog.connection_json):
            OPERATORS[endpoint](task_id="pull", output_path=path).execute({})
        content = path.read_bytes()
    if output == "jsonl" and [json.loads(line) for line in content.splitlines()] != rows(endpoint)[missing:]:
        raise AssertionError(f"{endpoint}: without a fault, too, the rows are others than the sandbox has")
    return content
