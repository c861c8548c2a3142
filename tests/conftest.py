"""Set-up that has to be there before Airflow is imported, and fixtures that many tests use."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.catalog_server import Pages, StandIn, catalog_server

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # the environment of tests/stores has none
    pass
else:
    always = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
    # The same examples each time, so that a change that is tested fails for what it changes.
    settings.register_profile("quick", always, max_examples=50, derandomize=True)
    settings.register_profile("thorough", always, max_examples=1_000, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# What takes long, or needs more than a laptop has, is run by name: `pytest tests/live`. The gate does so.
collect_ignore = ["browser", "distributed", "kills", "live", "stores", "tables_servers"]

AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=AIRFLOW_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest begin first, so that no worker is left with one of them at the end."""

    def seconds(item: pytest.Item) -> float:
        marker = item.get_closest_marker("takes")
        return marker.kwargs["seconds"] if marker else 0

    items.sort(key=seconds, reverse=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Save what a worker has measured; it may be killed before it does so itself, at its very end."""
    if hasattr(session.config, "workerinput") and "coverage" in sys.modules:
        from coverage import Coverage

        if measured := Coverage.current():
            measured.save()


@pytest.fixture
def connection(monkeypatch) -> Callable[..., None]:
    """Return a function that sets an Airflow connection, ``catalog_default`` unless it is told another id."""

    def set_connection(url: str, *, conn_id: str = "catalog_default", **extra) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", StandIn(url).connection(**extra))

    return set_connection


@pytest.fixture
def serve(connection) -> Callable[..., Iterator[StandIn]]:
    """Return a context manager that serves rows, or what a function answers, with a connection to it."""

    @contextmanager
    def serve_rows(rows, endpoint="orders", **extra) -> Iterator[StandIn]:
        with catalog_server(rows if callable(rows) else Pages(rows, endpoint)) as catalog:
            connection(catalog.url, **extra)
            yield catalog

    return serve_rows


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return the CA bundle of a self-signed certificate, and a server's context with it."""
    from tests.certificates import make_certificate

    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def new_triggers():
    """Let no trigger see the connection of another test."""
    from airflow_provider_catalog.triggers.shared_catalog import shared_catalog

    shared_catalog.cache_clear()


@pytest.fixture
def task_log(caplog, capfd):
    """Return a function that gives what was logged so far: tasks log to where Airflow says, the rest by ``logging``."""
    caplog.set_level(logging.INFO)
    said = []

    def log() -> str:
        said.extend(capfd.readouterr())
        return "".join([caplog.text, *said])

    return log


@pytest.fixture
def no_backoff(monkeypatch):
    """Retry at once."""
    from airflow_provider_catalog.client import retry

    monkeypatch.setattr(retry, "MAX_BACKOFF", 0.0)
