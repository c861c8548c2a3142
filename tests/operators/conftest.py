from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_catalog.operators.analytics import (
    CatalogEnrollmentsAnalyticsOperator,
    CatalogOrdersAnalyticsOperator,
    CatalogProductsAnalyticsOperator,
    CatalogUsersAnalyticsOperator,
)
from tests.catalog_server import TOKEN, Paging, catalog_server, paged

OPERATORS = {
    "products": CatalogProductsAnalyticsOperator,
    "enrollments": CatalogEnrollmentsAnalyticsOperator,
    "orders": CatalogOrdersAnalyticsOperator,
    "users": CatalogUsersAnalyticsOperator,
}


@pytest.fixture
def endpoint() -> str:
    """One for all: what differs between the four is tested with ``parametrize("endpoint", OPERATORS)``."""
    return "orders"


@pytest.fixture
def operator(endpoint):
    """Return a function that makes the endpoint's operator."""
    return lambda **parameters: OPERATORS[endpoint](task_id="pull", **parameters)


@pytest.fixture
def connection(monkeypatch) -> Callable[..., None]:
    """Return a function that sets the connection ``catalog_default``."""

    def set_connection(url: str, *, conn_id: str = "catalog_default", **extra) -> None:
        value = {"conn_type": "instructure_catalog", "host": url, "password": TOKEN, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    return set_connection


@pytest.fixture
def serve(connection):
    """Return a context manager that serves rows of an endpoint, with a connection to them."""

    @contextmanager
    def serve_rows(rows, endpoint, paging=None, **extra) -> Iterator:
        with catalog_server(paged(rows, paging or Paging(most=10), endpoint)) as catalog:
            connection(catalog.url, **extra)
            yield catalog

    return serve_rows


@pytest.fixture(autouse=True)
def no_litter(tmp_path):
    """Every test leaves its folder without hidden files."""
    yield
    left = [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert not left, left
    assert os.umask(0o022) == 0o022


@contextmanager
def signalled(handler: Callable[[], object], when: Callable[[], object]) -> Iterator[None]:
    """Send this process a signal, as Airflow does, as soon as ``when()``; the block is over when it was handled."""

    def send():
        while not when():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: handler())
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGTERM, before)
