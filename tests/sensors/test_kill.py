"""Airflow ends a sensor: the poke that is under way, or the sleep between two, is given up."""

from __future__ import annotations

import time

import pytest

from tests.catalog_server import Answer
from tests.tasks import sensor, signalled


@pytest.fixture
def stalled(serve):
    """Return a server that never answers; were it waited for, the tests would take ten minutes and then fail."""
    with serve(lambda request: Answer(stall=-1), timeout=600) as catalog:
        yield catalog


@pytest.mark.parametrize("parameters", [{}, {"silent_fail": True}, {"never_fail": True}, {"soft_fail": True}], ids=str)
def test_while_it_pokes(stalled, parameters):
    wait = sensor(**parameters)
    with signalled(wait.on_kill, lambda: stalled.stalled):
        with pytest.raises(SystemExit, match="Catalog orders: Airflow has ended the task"):
            wait.execute({})
    assert len(stalled.stalled) == 1


def test_after_the_trigger_has_fired(stalled):
    wait = sensor(deferrable=True)
    with signalled(wait.on_kill, lambda: stalled.stalled):
        with pytest.raises(SystemExit):
            wait.execute_complete({}, {"status": "done"}, started_at=time.time())


def test_while_it_sleeps(serve):
    wait = sensor(poke_interval=600, timeout=6000)
    with serve([]) as catalog, signalled(wait.on_kill, lambda: catalog.requests):
        with pytest.raises(SystemExit):
            wait.execute({})
    assert len(catalog.requests) == 1
