"""The trigger that waits for a sensor: in an event loop, against a real server."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from itertools import pairwise

import pytest

from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers import analytics, shared_catalog
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from airflow_provider_catalog.triggers.shared_catalog import GrowingGate
from tests.airflow_names import encode_trigger, smart_decode_trigger_kwargs
from tests.kills.signals import stalls
from tests.stand_in import TOKEN, Answer, Paging, paged, stand_in
from tests.triggers.conftest import first_payload


def trigger_of(endpoint, **parameters):
    return CatalogAnalyticsTrigger("catalog_default", endpoint, **{"poke_interval": 0.1, **parameters})


def rows(count):
    return [{"n": n, "email": f"s{n}@example.edu"} for n in range(count)]


class TestWaiting:
    @pytest.mark.parametrize("paging", ["link", "next-only", "page-only", "none"])
    def test_done(self, serve, endpoint, paging):
        with serve(rows(25), endpoint, Paging(paging, most=10)) as catalog:
            trigger = trigger_of(endpoint, filters={"account_ids": [7]}, min_rows=25)
            assert asyncio.run(first_payload(trigger)) == {"status": "done"}
        assert catalog.requests[0].filters == {"account_ids": [7]}

    def test_it_asks_for_no_more_than_it_has_to_know(self, serve, endpoint):
        with serve(rows(250), endpoint, Paging("next-only", most=10)) as catalog:
            asyncio.run(first_payload(trigger_of(endpoint, min_rows=15)))
        assert len(catalog.requests) == 2

    def test_not_yet_and_then_done(self, serve, endpoint, lines):
        there = []
        with serve(there, endpoint) as catalog:

            async def play():
                task = asyncio.create_task(first_payload(trigger_of(endpoint, min_rows=2)))
                while len(catalog.requests) < 3:
                    await asyncio.sleep(0.01)
                there.extend(rows(2))
                return await task

            assert asyncio.run(play()) == {"status": "done"}
        levels, texts = zip(*lines(), strict=True)
        assert set(levels) == {"INFO"}
        assert texts[0] == f"Catalog {endpoint}: 0 rows match so far, 2 wanted; next poll in 0 s"
        assert texts[-1] == f"Catalog {endpoint}: 2 rows match so far, 2 wanted"
        assert len(texts) == len(catalog.requests), "one line a poll"

    def test_the_first_poll_is_an_interval_after_the_sensors_own(self, serve, endpoint):
        with serve(rows(1), endpoint):
            started = time.time()
            asyncio.run(first_payload(trigger_of(endpoint, poke_interval=1, started_at=started - 0.5)))
        assert 0.45 < time.time() - started < 2

    def test_a_server_in_trouble_is_not_yet(self, connection, lines):
        answers = iter([Answer(b"busy", 503), Answer(drop=True)])
        ready = paged(rows(1), Paging(), "orders")
        with stand_in(lambda request: next(answers, None) or ready(request)) as catalog:
            connection(catalog.url)
            assert asyncio.run(first_payload(trigger_of("orders"))) == {"status": "done"}
        assert [level for level, _ in lines()] == ["WARNING", "WARNING", "INFO"]

    def test_with_backoff(self, serve, endpoint):
        with serve(rows(0), endpoint):
            trigger = trigger_of(
                endpoint, poke_interval=1, exponential_backoff=True, max_wait=0.2, deadline=time.time() + 1
            )
            assert asyncio.run(first_payload(trigger)) == {"status": "timeout"}


class TestDeadline:
    def test_it_polls_once_more_and_says_so(self, serve, endpoint, lines):
        with serve([], endpoint) as catalog:
            started = time.time()
            trigger = trigger_of(endpoint, poke_interval=60, started_at=started, deadline=started + 0.3)
            assert asyncio.run(first_payload(trigger)) == {"status": "timeout"}
        assert 0.3 <= time.time() - started < 3
        assert len(catalog.requests) == 1
        assert lines() == [("INFO", f"Catalog {endpoint}: 0 rows match so far, 1 wanted; that was the last poll")]

    def test_rows_at_the_last_moment(self, serve, endpoint):
        with serve(rows(1), endpoint):
            trigger = trigger_of(endpoint, poke_interval=60, started_at=time.time(), deadline=time.time() + 0.2)
            assert asyncio.run(first_payload(trigger)) == {"status": "done"}

    def test_a_server_that_does_not_answer_does_not_hold_it(self, connection, lines, monkeypatch):
        monkeypatch.setattr(analytics, "LAST_POLL", 0.1)
        with stand_in(lambda request: Answer(delay=2)) as catalog:
            connection(catalog.url)
            started = time.time()
            trigger = trigger_of("orders", deadline=started + 0.2)
            assert asyncio.run(first_payload(trigger)) == {"status": "timeout"}
            assert time.time() - started < 1.5
        assert lines()[-1] == ("WARNING", "Catalog orders: the last poll has taken too long")

    def test_a_timeout_of_another_kind_is_not_taken_for_it(self, monkeypatch):
        def no_settings(hook):
            raise TimeoutError("the secrets backend")

        monkeypatch.setattr(CatalogHook, "settings", property(no_settings))
        with pytest.raises(TimeoutError, match="secrets backend"):
            asyncio.run(first_payload(trigger_of("orders", deadline=time.time() + 60)))


class TestSpread:
    """A thousand sensors that began at the same moment neither poll nor end at the same moment."""

    @pytest.mark.parametrize(
        ("poke_interval", "timeout", "polls_within", "deadlines_within"),
        [(60, 3600, 7, 7), (60, 60, 7, 3), (8, 3600, 1, 1), (3600, 86400, 7, 7)],
    )
    def test_evenly(self, poke_interval, timeout, polls_within, deadlines_within):
        start = 1_800_000_000.0
        triggers = [
            trigger_of("orders", poke_interval=poke_interval, started_at=start, deadline=start + timeout)
            for _ in range(1000)
        ]
        paces = [trigger._shifted_pace() for trigger in triggers]
        polls = sorted(pace.next_poll(start + 0.1) - start - poke_interval for pace in paces)
        deadlines = sorted(pace.deadline - start - timeout for pace in paces)
        for times, within in ((polls, polls_within), (deadlines, deadlines_within)):
            assert 0 <= times[0] < times[-1] <= within
            gaps = [after - before for before, after in pairwise(times)]
            assert max(gaps) < 3 * within / 1000, "no crowd, and no hole"

    def test_the_times_of_a_trigger_stay(self):
        pace = trigger_of("orders", poke_interval=60, started_at=1_800_000_000.0)._shifted_pace()
        first = pace.next_poll(1_800_000_001.0)
        assert pace.next_poll(first + 0.5) == first + 60


class TestErrors:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (Answer(b"HTTP Token: Access denied.", 401), "CatalogAuthError"),
            (Answer(b"", 404), "CatalogRequestError"),
            (Answer({"errors": ["no"]}, 422), "CatalogRequestError"),
            (Answer({"a": 1}), "CatalogResponseError"),
        ],
        ids=["401", "404", "422", "no rows"],
    )
    def test_what_will_last(self, connection, endpoint, answer, kind):
        with stand_in(lambda request: answer) as catalog:
            connection(catalog.url)
            payload = asyncio.run(first_payload(trigger_of(endpoint)))
        assert payload["status"] == "error"
        assert payload["kind"] == kind
        assert endpoint in payload["message"]
        assert TOKEN not in json.dumps(payload)
        assert len(catalog.requests) == 1

    def test_a_connection_that_is_wrong(self, connection):
        connection("http://catalog.example.com")
        payload = asyncio.run(first_payload(trigger_of("orders")))
        assert (payload["status"], payload["kind"]) == ("error", "CatalogParameterError")

    def test_no_connection(self):
        with pytest.raises(Exception, match="catalog_default"):
            asyncio.run(first_payload(trigger_of("orders")))


class TestSerialized:
    def test_it_is_the_same_afterwards(self, endpoint):
        trigger = trigger_of(
            endpoint, filters={"account_ids": [1, 2]}, min_rows=3, exponential_backoff=True, max_wait=5.0,
            started_at=1.5, deadline=99.5,
        )  # fmt: skip
        classpath, arguments = trigger.serialize()
        assert classpath == "airflow_provider_catalog.triggers.analytics.CatalogAnalyticsTrigger"
        encoded = json.loads(json.dumps(encode_trigger(trigger)["kwargs"]))
        decoded = {name: smart_decode_trigger_kwargs(value) for name, value in encoded.items()}
        assert CatalogAnalyticsTrigger(**decoded).serialize() == (classpath, arguments)
        assert json.loads(json.dumps(arguments)) == arguments, "plain values only"
        assert "account_ids" in repr(trigger)


class TestShared:
    def test_one_look_up_one_client_for_all(self, serve, endpoint, monkeypatch):
        looked_up = []
        look_up = CatalogHook.get_connection
        monkeypatch.setattr(
            CatalogHook, "get_connection", lambda self, conn_id: looked_up.append(conn_id) or look_up(conn_id)
        )
        with serve(rows(1), endpoint) as catalog:

            async def play():
                await asyncio.gather(*(first_payload(trigger_of(endpoint)) for _ in range(20)))

            asyncio.run(play())
        assert looked_up == ["catalog_default"]
        assert len(catalog.requests) == 20

    def test_a_connection_that_is_changed(self, serve, endpoint, monkeypatch):
        monkeypatch.setattr(shared_catalog, "LIFETIME", 0.0)
        with serve([], endpoint):
            asyncio.run(first_payload(trigger_of(endpoint, deadline=time.time())))
            client = shared_catalog.shared_catalog("catalog_default")._client
            asyncio.run(first_payload(trigger_of(endpoint, deadline=time.time())))
            assert shared_catalog.shared_catalog("catalog_default")._client is client, "it is as it was"
        with serve(rows(1), endpoint):
            assert asyncio.run(first_payload(trigger_of(endpoint))) == {"status": "done"}

    def test_a_connection_that_can_t_be_looked_up_for_a_while(self, serve, endpoint, monkeypatch, lines):
        monkeypatch.setattr(shared_catalog, "LIFETIME", 0.0)
        there, look_up = [], CatalogHook.get_connection

        def fails(hook, conn_id):
            if len(catalog.requests) in (2, 3):
                raise RuntimeError("the secrets backend is away, and here is a secret")
            return look_up(conn_id)

        monkeypatch.setattr(CatalogHook, "get_connection", fails)
        with serve(there, endpoint) as catalog:

            async def play():
                task = asyncio.create_task(first_payload(trigger_of(endpoint)))
                while len(catalog.requests) < 5:
                    await asyncio.sleep(0.01)
                there.extend(rows(1))
                return await task

            assert asyncio.run(play()) == {"status": "done"}
        warnings = [text for level, text in lines() if level == "WARNING"]
        assert (
            warnings
            == ["Connection 'catalog_default' can't be looked up now (RuntimeError); going on with what is known of it"]
            * 2
        )

    def test_a_connection_that_becomes_wrong(self, serve, connection, monkeypatch):
        monkeypatch.setattr(shared_catalog, "LIFETIME", 0.0)
        with serve([], "orders") as catalog:

            async def play():
                task = asyncio.create_task(first_payload(trigger_of("orders")))
                while not catalog.requests:
                    await asyncio.sleep(0.01)
                connection("http://catalog.example.com")
                return await task

            payload = asyncio.run(play())
        assert (payload["status"], payload["kind"]) == ("error", "CatalogParameterError")

    def test_a_trigger_that_is_cancelled_ends_its_poll(self, endpoint, connection):
        with stand_in(stalls(endpoint, "first")) as catalog:
            connection(catalog.url, timeout=60)

            async def play():
                task = asyncio.create_task(first_payload(trigger_of(endpoint)))
                while not catalog.waiting:
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                while catalog.waiting:
                    await asyncio.sleep(0.01)

            asyncio.run(asyncio.wait_for(play(), 10))

    def test_a_trigger_that_is_cancelled_asks_no_more(self, serve):
        with serve(rows(500), "orders", Paging("next-only", most=1)) as catalog:

            async def play():
                task = asyncio.create_task(first_payload(trigger_of("orders", min_rows=500)))
                while len(catalog.requests) < 3:
                    await asyncio.sleep(0.005)
                task.cancel()
                await asyncio.wait([task])

            asyncio.run(play())
            time.sleep(0.1)
            asked = len(catalog.requests)
            time.sleep(0.2)
            assert len(catalog.requests) == asked < 400


class TestPatience:
    def test_all_triggers_of_a_connection_slow_down_together(self, connection, endpoint):
        lock, times = threading.Lock(), []

        def answer(request):
            with lock:
                times.append(time.monotonic())
                first = len(times) == 1
            return Answer(b"slow down", 429, {"Retry-After": "1"}) if first else Answer({endpoint: rows(1)})

        with stand_in(answer) as catalog:
            connection(catalog.url)

            async def play():
                one = asyncio.create_task(first_payload(trigger_of(endpoint)))
                while not times:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                await asyncio.gather(one, *(first_payload(trigger_of(endpoint)) for _ in range(9)))

            asyncio.run(play())
        assert len(times) == 11
        assert times[1] - times[0] > 0.9, "none of the others asks before the server lets it"

    def test_the_gate_stays_closed_for_longer_each_time(self):
        gate, seconds = GrowingGate(), []
        for _ in range(9):
            gate.close(0.5)
            gate.close(0.1)  # of a request that was under way at the same time
            seconds.append(round(gate.seconds_left()))
            gate._opens_at = 0.0
        assert seconds == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        gate.reset()
        gate.close(0.5)
        assert gate.seconds_left() < 1.1
        gate.reset()
        assert gate.seconds_left() > 0.4, "one that is closed stays so"
        gate.close(300)
        assert gate.seconds_left() > 299, "as long as the server asks for"


def test_an_endpoint_that_is_not_one(connection):
    connection("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="'order' is not one of"):
        asyncio.run(first_payload(trigger_of("order")))


def test_catalog_errors_are_what_the_payload_names():
    from airflow_provider_catalog import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CatalogError)]
    assert all(getattr(errors, kind.__name__) is kind for kind in kinds)
