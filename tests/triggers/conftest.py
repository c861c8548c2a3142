from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.operators.conftest import OPERATORS, connection, serve  # noqa: F401 - fixtures


@pytest.fixture(params=OPERATORS)
def endpoint(request) -> str:
    return request.param


@pytest.fixture(autouse=True)
def new_clients():
    """Let no test see the connection of another one."""
    shared_catalog.cache_clear()


@pytest.fixture
def lines(caplog):
    """Return a function that gives the provider's log lines at INFO and above."""
    caplog.set_level(logging.INFO, logger="airflow_provider_catalog")

    def provider_lines() -> list[tuple[str, str]]:
        return [
            (record.levelname, record.getMessage())
            for record in caplog.records
            if record.name.startswith("airflow_provider_catalog")
        ]

    return provider_lines


async def first_payload(trigger, timeout=10.0):
    async with asyncio.timeout(timeout):
        return (await anext(trigger.run())).payload
