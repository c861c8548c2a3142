from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.catalog_server import TOKEN, StandIn, catalog_server
from tests.certificates import make_certificate


@pytest.fixture(autouse=True)
def at_once(no_backoff):
    """Let nothing here wait between two tries, but where the server says so."""


@pytest.fixture(autouse=True)
def new_clients():
    shared_catalog.cache_clear()


@pytest.fixture
def connection(monkeypatch) -> Callable[..., None]:
    """Return a function that sets the connection ``catalog_default``; pages are of 10 rows."""

    def set_connection(url: str, **extra) -> None:
        extra = {"page_size": 10, **extra}
        value = {"conn_type": "instructure_catalog", "host": url, "password": TOKEN, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", json.dumps(value))

    return set_connection


@pytest.fixture
def serve(connection) -> Callable[..., Iterator[StandIn]]:
    """Return a context manager that serves answers, with a connection to them."""

    @contextmanager
    def serve_answers(answer, **extra) -> Iterator[StandIn]:
        with catalog_server(answer) as catalog:
            connection(catalog.url, **extra)
            yield catalog

    return serve_answers


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return the CA bundle of a self-signed certificate, and a server's context with it."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
