"""Set-up that has to be there before Airflow is imported, and fixtures that many tests use."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest

AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=AIRFLOW_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
)


@pytest.fixture
def no_backoff(monkeypatch):
    """Retry at once: how long the policy waits is tested where the policy is."""
    from airflow_provider_catalog.api import retry

    monkeypatch.setattr(retry, "_backoff", lambda state: 0.0)
