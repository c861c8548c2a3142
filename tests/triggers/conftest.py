from __future__ import annotations

import asyncio
import logging
from importlib import import_module

import pytest

from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.operators.conftest import connection, serve  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def new_clients():
    """Let no test see the connection of another one."""
    shared_catalog.cache_clear()


@pytest.fixture
def said(caplog, capfd):
    """Return a function that gives what has been logged since it was last called, wherever this Airflow writes it."""
    caplog.set_level(logging.INFO)

    def said_since() -> str:
        text = caplog.text + capfd.readouterr().out
        caplog.clear()
        return text

    return said_since


def rows(count):
    return [{"n": n, "email": f"s{n}@example.edu"} for n in range(count)]


async def first_payload(trigger, timeout=120.0):
    async with asyncio.timeout(timeout):
        return (await anext(trigger.run())).payload


async def until(condition, timeout=120.0):
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


def loaded(trigger):
    """Return the trigger as Airflow makes it again from what it has stored of it."""
    from airflow.models.trigger import Trigger

    row = Trigger.from_object(trigger)
    module, _, name = row.classpath.rpartition(".")
    return getattr(import_module(module), name)(**row.kwargs)
