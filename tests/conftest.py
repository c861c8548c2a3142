"""Set-up that has to be there before Airflow is imported, and fixtures that many tests use."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

import pytest

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
def task_log(caplog, capfd):
    """Return a function that gives what was logged so far: tasks log to where Airflow says, the rest by ``logging``."""
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
