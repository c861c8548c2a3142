from __future__ import annotations

import pytest

from tests.tables.databases import Database, setter


@pytest.fixture
def database(monkeypatch, tmp_path) -> Database:
    """Return an empty SQLite database."""
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    set_connection = setter(monkeypatch)
    set_connection("warehouse", connection)
    return Database("sqlite", connection, set_connection)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    """Wait for locks for moments only."""
    from airflow_provider_catalog.output.tables import dialects, load

    monkeypatch.setattr(dialects, "LOCK_TIMEOUT", 1)
    monkeypatch.setattr(dialects, "PAUSES", (0.1, 0.1))
    monkeypatch.setattr(load, "LOAD_PAUSE", 0.05)
