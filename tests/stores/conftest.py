from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Iterator

import pytest

from tests.stores.servers import Store, azure, gcs, s3

# gcsfs asks another service, which is not there, what kind of bucket it has to do with, and waits long for an answer.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3_store() -> Iterator[Store]:
    with s3() as store:
        yield store


@pytest.fixture(scope="session")
def azure_store() -> Iterator[Store]:
    with azure() as store:
        yield store


@pytest.fixture(scope="session")
def gcs_store() -> Iterator[Store]:
    with gcs() as store:
        yield store


@pytest.fixture(params=["s3", "azure", "gcs"])
def store(request) -> Store:
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def connect(monkeypatch):
    """Return a function that sets an Airflow connection and returns its id; a new one, since clients are kept by it."""

    def set_connection(value: dict) -> str:
        conn_id = f"store_{next(NUMBERS)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
        return conn_id

    return set_connection


@pytest.fixture
def no_waiting(monkeypatch):
    """Let the clients try again at once; how long they wait is theirs."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *args: sleep(min(seconds, 0.01), *args))
