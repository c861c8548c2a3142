"""The trigger of an asset watcher: what it reports, and what it remembers."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_catalog.errors import CatalogFilterError, CatalogParameterError
from airflow_provider_catalog.triggers import watch
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsEventTrigger
from tests.airflow_names import encode_trigger, smart_decode_trigger_kwargs
from tests.stand_in import TOKEN, Answer, Paging, paged, stand_in


class Store:
    """An asset's state store, with the two methods that Airflow 3.3 gives a trigger."""

    def __init__(self, assets=1) -> None:
        self.values, self.assets, self.broken = {}, assets, False

    async def aget(self, key, default=None):
        self._check()
        return self.values.get(key, default)

    async def aset(self, key, value):
        self._check()
        self.values[key] = json.loads(json.dumps(value))

    def _check(self):
        if self.assets != 1:
            raise ValueError("several assets")
        if self.broken:
            raise RuntimeError("the database is away")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watch, "HAND_OVER", 0.02)
    monkeypatch.setattr("airflow_provider_catalog.triggers.pace.SHORTEST_INTERVAL", 0.05)


def watcher(endpoint="orders", store=None, **parameters):
    trigger = CatalogAnalyticsEventTrigger("catalog_default", endpoint, **parameters)
    trigger.poke_interval = 0.05  # less than a user may ask for
    if store is not None:
        trigger.asset_state_store = store
    return trigger


@asynccontextmanager
async def running(trigger, payloads):
    async def run():
        async for event in trigger.run():
            payloads.append(event.payload)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def polls(catalog, count=3):
    """Wait for so many polls."""
    end = len(catalog.requests) + count
    async with asyncio.timeout(10):
        while len(catalog.requests) < end:
            await asyncio.sleep(0.01)


def rows(count):
    return [{"n": n, "email": f"s{n}@example.edu"} for n in range(count)]


@pytest.fixture
def watch_for(serve):
    """Return a function that plays steps while a watcher runs, and returns what it has reported."""

    def play(there, *steps, endpoint="orders", **parameters):
        payloads = []
        watch.shared_catalog.cache_clear()  # as in a new process

        async def run():
            with serve(there, endpoint, Paging(most=10)) as catalog:
                async with running(watcher(endpoint, **parameters), payloads):
                    await polls(catalog)
                    for step in steps:
                        step()
                        await polls(catalog)

        asyncio.run(run())
        return payloads

    return play


def counts(payloads):
    return [(payload["new_rows"], payload["row_count"]) for payload in payloads]


class TestReporting:
    @pytest.mark.parametrize("endpoint", ["products", "enrollments", "orders", "users"])
    def test_new_rows_are_reported_once(self, watch_for, endpoint):
        there = rows(5)
        payloads = watch_for(
            there,
            lambda: there.extend(rows(3)),
            lambda: there.extend(rows(20)),
            endpoint=endpoint,
            filters={"account_ids": "1,2"},
        )
        same = {"catalog_conn_id": "catalog_default", "endpoint": endpoint, "filters": {"account_ids": [1, 2]}}
        assert payloads == [{**same, "new_rows": 3, "row_count": 8}, {**same, "new_rows": 20, "row_count": 28}]

    def test_what_was_there_before_is_no_news(self, watch_for):
        assert watch_for(rows(500)) == []

    def test_unless_it_is_asked_for(self, watch_for):
        assert counts(watch_for(rows(12), report_existing=True)) == [(12, 12)]

    def test_rows_that_go_make_room(self, watch_for):
        there = rows(5)
        assert counts(watch_for(there, there.clear, lambda: there.extend(rows(2)))) == [(2, 2)]

    def test_a_server_in_trouble(self, connection, lines):
        ready = paged(rows(2), Paging(), "orders")
        answers = iter([Answer({"orders": []}), Answer(b"busy", 503), Answer(b"no", 401), Answer({"a": 1})])
        payloads = []

        async def run():
            with stand_in(lambda request: next(answers, None) or ready(request)) as catalog:
                connection(catalog.url)
                async with running(watcher(), payloads):
                    await polls(catalog, 6)

        asyncio.run(run())
        assert counts(payloads) == [(2, 2)], "a watcher goes on"
        levels = [level for level, _ in lines()][:5]
        assert levels == ["INFO", "WARNING", "ERROR", "ERROR", "INFO"]
        assert TOKEN not in str(lines())

    def test_a_connection_that_comes_late(self, connection, lines, monkeypatch):
        payloads = []

        async def run():
            with stand_in(paged(rows(2), Paging(), "orders")) as catalog:
                async with running(watcher(report_existing=True), payloads):
                    async with asyncio.timeout(10):
                        while not lines():
                            await asyncio.sleep(0.01)
                    connection(catalog.url)
                    await polls(catalog)

        asyncio.run(run())
        assert lines()[0] == ("ERROR", "Catalog watcher of orders, connection 'catalog_default', failed")
        assert counts(payloads) == [(2, 2)]


class TestMemory:
    def test_after_a_restart_it_reports_what_has_come_meanwhile(self, watch_for):
        store, there = Store(), rows(5)
        assert watch_for(there, store=store) == []
        there.extend(rows(3))
        assert counts(watch_for(there, store=store)) == [(3, 8)]
        assert watch_for(there, store=store) == []

    def test_nothing_remembered_is_not_zero_rows(self, watch_for):
        store, there = Store(), []
        assert watch_for(there, store=store) == []
        there.extend(rows(3))
        assert counts(watch_for(there, store=store)) == [(3, 3)]

    def test_existing_rows_are_reported_once_ever(self, watch_for):
        store = Store()
        assert counts(watch_for(rows(5), store=store, report_existing=True)) == [(5, 5)]
        assert watch_for(rows(5), store=store, report_existing=True) == []

    def test_an_event_is_remembered_only_when_airflow_has_it(self, watch_for, monkeypatch):
        store, there = Store(), rows(5)
        watch_for(there, store=store)
        monkeypatch.setattr(watch, "HAND_OVER", 60)
        there.extend(rows(1))

        async def killed_in_between(catalog_rows):
            payloads = []
            async with running(watcher(store=store), payloads):
                async with asyncio.timeout(10):
                    while not payloads:
                        await asyncio.sleep(0.01)
            return payloads

        with stand_in(paged(there, Paging(), "orders")) as catalog:
            self.connect(monkeypatch, catalog.url)
            assert counts(asyncio.run(killed_in_between(there))) == [(1, 6)]
            assert counts(asyncio.run(killed_in_between(there))) == [(1, 6)], "twice rather than never"

    @staticmethod
    def connect(monkeypatch, url):
        value = {"conn_type": "instructure_catalog", "host": url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", json.dumps(value))
        watch.shared_catalog.cache_clear()

    def test_watchers_of_one_asset_don_t_mix(self, watch_for):
        store = Store()
        watch_for(rows(5), store=store, filters={"account_ids": [1]})
        watch_for(rows(9), store=store, filters={"account_ids": [2]})
        assert sorted(value["row_count"] for value in store.values.values()) == [5, 9]
        assert all("1" not in str(value) for value in store.values.values()), "a number, no rows"

    def test_an_asset_state_store_that_fails(self, watch_for, lines):
        store, there = Store(), rows(5)

        def breaks():
            store.broken = True
            there.extend(rows(1))

        def is_mended():
            store.broken = False

        assert counts(watch_for(there, breaks, is_mended, store=store)) == [(1, 6)]
        assert next(iter(store.values.values())) == {"row_count": 6}
        assert [text for level, text in lines() if level == "ERROR"]

    def test_several_assets_with_the_same_watcher(self, watch_for, lines):
        there = rows(5)
        payloads = watch_for(there, lambda: there.extend(rows(2)), store=Store(assets=2))
        assert counts(payloads) == [(2, 7)]
        assert sum("several assets have this same watcher" in text for _, text in lines()) == 1


class TestParameters:
    def test_it_is_the_same_after_serializing(self):
        trigger = CatalogAnalyticsEventTrigger(
            "c", "users", {"student_ids": "4"}, poke_interval=9, report_existing=True
        )
        assert isinstance(trigger, BaseEventTrigger)
        classpath, arguments = trigger.serialize()
        encoded = json.loads(json.dumps(encode_trigger(trigger)["kwargs"]))
        decoded = {name: smart_decode_trigger_kwargs(value) for name, value in encoded.items()}
        assert CatalogAnalyticsEventTrigger(**decoded).serialize() == (classpath, arguments)
        assert arguments["filters"] == {"student_ids": [4]}
        assert BaseEventTrigger.hash(classpath, arguments) == BaseEventTrigger.hash(classpath, decoded)

    def test_in_a_dag(self):
        trigger = CatalogAnalyticsEventTrigger("catalog_default", "orders")
        asset = Asset("orders", watchers=[AssetWatcher(name="orders", trigger=trigger)])
        with DAG("on_orders", schedule=[asset]) as dag:
            pass
        assert dag.timetable

    @pytest.mark.parametrize("filters", [{"acount_ids": [1]}, {"account_ids": "x"}, {"account_ids": "{{ ds }}"}])
    def test_filters_are_checked_when_the_dag_is_parsed(self, filters):
        with pytest.raises(CatalogFilterError):
            CatalogAnalyticsEventTrigger("catalog_default", "orders", filters)

    def test_the_endpoint(self):
        with pytest.raises(ValueError, match="order"):
            CatalogAnalyticsEventTrigger("catalog_default", "order")

    @pytest.mark.parametrize("poke_interval", [0, 0.5, -1, True, "60", None, float("nan")])
    def test_the_interval(self, poke_interval):
        with pytest.raises(CatalogParameterError, match="poke_interval"):
            CatalogAnalyticsEventTrigger("catalog_default", "orders", poke_interval=poke_interval)
