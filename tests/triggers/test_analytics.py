"""The trigger of deferred sensors, beside what tests/sensors do with it: its deadline, its connection, many of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers import analytics, shared_catalog
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from airflow_provider_catalog.triggers.pace import Pace
from tests.catalog_server import Answer
from tests.tasks import first_payload, loaded, until

pytestmark = pytest.mark.usefixtures("new_triggers")
ROW = [{"n": 1, "email": "s1@example.edu"}]


def trigger_of(endpoint="orders", **parameters):
    return CatalogAnalyticsTrigger("catalog_default", endpoint, **{"poke_interval": 0.1, **parameters})


def payload_of(*endpoint, **parameters):
    return asyncio.run(first_payload(trigger_of(*endpoint, **parameters)))


def test_rows_at_the_last_moment(serve):
    with serve(ROW):
        assert payload_of(poke_interval=60, started_at=time.time(), deadline=time.time() + 0.2) == {"status": "done"}


@pytest.mark.parametrize(
    ("passed", "parameters"),
    [(3600, {}), (-0.5, {"poke_interval": 1, "exponential_backoff": True, "max_wait": 0.2})],
    ids=["passed while no triggerer ran", "with backoff"],
)
def test_the_deadline(serve, passed, parameters):
    with serve([]):
        payload = payload_of(started_at=time.time() - 7200, deadline=time.time() - passed, **parameters)
    assert payload == {"status": "timeout", "last_poll": "0 of 1 rows"}


def test_a_server_that_does_not_answer_does_not_hold_it_beyond_that(serve, monkeypatch):
    monkeypatch.setattr(analytics, "LAST_POLL", 0.1)
    with serve(lambda request: Answer(stall=-1), timeout=600):
        payload = payload_of(deadline=time.time() + 0.2)
    assert payload["status"] == "timeout"
    assert "no answer" in payload["last_poll"]


def test_a_timeout_of_something_else_is_none_of_the_sensors(monkeypatch):
    def look_up(hook, conn_id):
        raise TimeoutError("the secrets backend")

    monkeypatch.setattr(CatalogHook, "get_connection", look_up)
    with pytest.raises(TimeoutError, match="secrets backend"):
        payload_of(deadline=time.time() + 60)


def test_no_connection_and_no_such_endpoint(connection):
    with pytest.raises(Exception, match="catalog_default"):
        payload_of()
    connection("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="'order' is not one of"):
        payload_of("order")


def test_what_an_earlier_version_has_stored_is_loaded():
    arguments = {
        "catalog_conn_id": "catalog_default", "endpoint": "orders", "filters": {"account_ids": [1, 2]}, "min_rows": 3,
        "poke_interval": 60.0, "exponential_backoff": True, "max_wait": 5.0, "started_at": 1.5, "deadline": 99.5,
    }  # fmt: skip
    trigger = CatalogAnalyticsTrigger(**arguments)
    assert trigger.serialize() == ("airflow_provider_catalog.triggers.analytics.CatalogAnalyticsTrigger", arguments)
    assert loaded(trigger).serialize() == trigger.serialize()


class TestConnection:
    @pytest.fixture(autouse=True)
    def looked_up_each_time(self, monkeypatch):
        monkeypatch.setattr(shared_catalog, "LIFETIME", 0.0)

    def play(self, catalog, then):
        """Let a trigger poll, change something, and return the payload."""

        async def run():
            task = asyncio.create_task(first_payload(trigger_of()))
            await until(lambda: catalog.requests)
            then()
            return await task

        return asyncio.run(run())

    def test_one_that_is_changed(self, serve, connection):
        with serve([]) as before, serve(ROW) as after:
            connection(before.url)
            assert self.play(before, lambda: connection(after.url)) == {"status": "done"}

    def test_one_that_becomes_wrong(self, serve, connection):
        with serve([]) as catalog:
            payload = self.play(catalog, lambda: connection("http://catalog.example.com"))
        assert (payload["status"], payload["kind"]) == ("error", "CatalogParameterError")

    def test_one_that_can_t_be_looked_up_for_a_while(self, serve, monkeypatch, task_log):
        there, failures, look_up = [], [], CatalogHook.get_connection

        def fails(hook, conn_id):
            failures.append(conn_id)
            if len(failures) > 2:
                there.extend(ROW)
                return look_up(conn_id)
            raise RuntimeError("the secrets backend is away, and here is a secret")

        with serve(there) as catalog:
            then = lambda: monkeypatch.setattr(CatalogHook, "get_connection", fails)  # noqa: E731
            assert self.play(catalog, then) == {"status": "done"}
        text = task_log()
        assert "'catalog_default' can't be looked up now (RuntimeError)" in text
        assert "here is a secret" not in text


class TestMany:
    COUNT = 300

    def test_all_are_polled_and_none_is_forgotten(self, serve):
        """More than there are threads, of one connection, all due at the same moment."""
        with serve(lambda request: Answer({"orders": []}, delay=0.05)) as catalog:
            now = time.time()
            triggers = [
                trigger_of(filters={"account_ids": [n]}, poke_interval=60, started_at=now, deadline=now + 1)
                for n in range(self.COUNT)
            ]

            async def run():
                return await asyncio.gather(*map(first_payload, triggers))

            payloads = asyncio.run(run())
        assert payloads == [{"status": "timeout", "last_poll": "0 of 1 rows"}] * self.COUNT
        assert sorted(request.filters["account_ids"][0] for request in catalog.requests) == [*range(self.COUNT)]

    def test_none_asks_before_the_time_that_the_server_has_said(self, serve):
        with serve(lambda request: Answer(b"slow down", 429, {"Retry-After": "600"})) as catalog:
            first, *others = [payload_of(deadline=time.time()) for _ in range(9)]
        assert len(catalog.requests) == 1
        assert "429, slow down" in first["last_poll"]
        assert all("asked for patience" in other["last_poll"] for other in others)

    def test_the_longest_wait_that_the_server_has_asked_for_holds(self, serve):
        at_once = {"Retry-After": "0"}
        answers = iter([Answer(b"", 429, {"Retry-After": "600"}, delay=0.3), Answer(b"", 429, at_once, delay=0.6)])

        async def two():
            await asyncio.gather(*(first_payload(trigger_of(deadline=time.time())) for _ in range(2)))

        with serve(lambda request: next(answers)) as catalog:
            asyncio.run(two())
            payload_of(deadline=time.time())
        assert len(catalog.requests) == 2

    SCRIPT = """
import asyncio, sys
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger

async def run():
    triggers = [CatalogAnalyticsTrigger("catalog_default", "orders", {"account_ids": [n]}) for n in range(5)]
    tasks = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    print([type(each).__name__ for each in await asyncio.gather(*tasks, return_exceptions=True)])

asyncio.run(run())
"""

    def test_cancelled_polls_keep_neither_the_event_loop_nor_the_process_waiting(self, serve):
        with serve(lambda request: Answer(stall=-1), timeout=3600) as catalog:
            process = subprocess.Popen(
                [sys.executable, "-c", self.SCRIPT],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
            )  # fmt: skip
            with process:
                while len(catalog.stalled) < 5 and process.poll() is None:
                    time.sleep(0.05)
                out, err = process.communicate("cancel\n", timeout=120)
        assert process.returncode == 0, err
        assert out.splitlines()[-1] == str(["CancelledError"] * 5)


START = 1_800_000_000.0


@pytest.mark.parametrize(
    ("elapsed", "next_poll", "pace"),
    [
        *((elapsed, 60, {}) for elapsed in (-5, 0, 0.5, 59.9)),
        (60.5, 120, {}),
        (61, 120, {}),
        (3600 * 5 + 1, 3600 * 5 + 60, {}),
        *((99.5, 100, {"deadline": START + 100, "exponential_backoff": backoff}) for backoff in (False, True)),
        (5, pytest.approx(5.1, abs=0.01), {"poke_interval": 0}),  # or the triggerer would do nothing else
    ],
)
def test_polls_stay_at_their_times_and_the_last_one_is_at_the_deadline(elapsed, next_poll, pace):
    pace = Pace(**{"poke_interval": 60, "started_at": START, **pace})
    assert pace.next_poll(START + elapsed) - START == next_poll


def test_backoff_doubles_and_max_wait_ends_that():
    def waits(**parameters):
        pace, now, found = Pace(60, START, exponential_backoff=True, **parameters), START, []
        for _ in range(8):
            found.append(pace.next_poll(now) - now)
            now += found[-1]
        return found

    for first, *others, last in [waits() for _ in range(300)]:
        assert 30 <= first < 60, "half an interval, and up to as much again"
        assert first < last / 8, "it grows"
        assert len(others) == 6
    assert max(waits(max_wait=100)) == 100


def test_polls_that_are_due_together_are_spread():
    def delays(poke_interval, deadline):
        return [Pace(poke_interval, START, deadline=deadline).delay() for _ in range(1000)]

    for poke_interval, timeout, most in ((60, 3600, 7), (60, 60, 3), (8, 3600, 1), (3600, 86400, 7)):
        found = delays(poke_interval, START + timeout)
        assert min(found) >= 0
        assert most / 2 < max(found) <= most
    assert set(delays(60, START - 5)) == {0.0}
