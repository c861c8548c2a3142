"""A sensor in poke mode that Airflow ends: the poke that is under way, or the sleep between two, ends at once."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from tests.kills.signals import ended_by, stalls, timed_out
from tests.stand_in import stand_in


@pytest.mark.parametrize("parameters", [{}, {"silent_fail": True}, {"never_fail": True}, {"soft_fail": True}], ids=str)
@pytest.mark.parametrize("where", ["first", "body", "last"])
def test_cleared_or_marked_while_it_pokes(sensor, endpoint, connection, where, parameters):
    with stand_in(stalls(endpoint, where)) as catalog:
        connection(catalog.url, timeout=60)
        wait = sensor(min_rows=1000, **parameters)
        with ended_by(signal.SIGTERM, wait.on_kill, catalog, 1) as seconds:
            with pytest.raises(SystemExit, match=f"Catalog {endpoint}: Airflow has ended the task"):
                wait.execute({})
            assert seconds() < 5


def test_execution_timeout(sensor, endpoint, connection):
    with stand_in(stalls(endpoint, "first")) as catalog:
        connection(catalog.url, timeout=60)
        wait = sensor()
        assert timed_out(lambda: wait.execute({}), catalog, 1) < 5
        wait.on_kill()


def test_while_it_sleeps(sensor, endpoint, serve):
    wait = sensor(poke_interval=60, timeout=600)
    handler = signal.signal(signal.SIGALRM, lambda *_: wait.on_kill())
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with serve([], endpoint) as catalog, pytest.raises(SystemExit):
            wait.execute({})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert len(catalog.requests) == 1, "it had poked, and slept"
    assert time.monotonic() - started < 30


def test_after_the_trigger_has_fired(sensor, endpoint, connection):
    """The look that a deferrable sensor takes when it resumes."""
    with stand_in(stalls(endpoint, "first")) as catalog:
        connection(catalog.url, timeout=60)
        wait = sensor(deferrable=True)
        with ended_by(signal.SIGTERM, wait.on_kill, catalog, 1) as seconds:
            with pytest.raises(SystemExit):
                wait.execute_complete({}, {"status": "done"}, started_at=time.time())
            assert seconds() < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("catalog_") and thread.is_alive()]
