"""The trigger of an asset watcher: what it reports, and what it remembers."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress

import pytest

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.triggers import analytics, watch
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsEventTrigger
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.airflow_names import AIRFLOW
from tests.catalog_server import TOKEN, Answer, Pages, catalog_server
from tests.tasks import loaded, until

pytestmark = pytest.mark.usefixtures("new_triggers")
needs_watchers = pytest.mark.skipif(AIRFLOW < (3, 0), reason="Airflow 2 has no asset watchers")


@pytest.mark.skipif(AIRFLOW >= (3, 0), reason="for Airflow 2")
def test_airflow_2_has_no_watchers():
    with pytest.raises(CatalogParameterError, match=r"needs Airflow 3\.0 or later.*deferrable=True"):
        CatalogAnalyticsEventTrigger("catalog_default", "orders")


def rows(count):
    return [{"n": n, "email": f"s{n}@example.edu"} for n in range(count)]


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


def watcher(store=None, **parameters):
    trigger = CatalogAnalyticsEventTrigger("catalog_default", "orders", **parameters)
    trigger.poke_interval = 0.05  # less than a user may ask for
    if store is not None:
        trigger.asset_state_store = store
    return trigger


async def news(payloads):
    await until(lambda: payloads)


async def reported(trigger, steps):
    """Run a watcher until all steps, which are awaited one after the other, are taken; return what it has reported."""
    payloads = []

    async def run():
        async with aclosing(trigger.run()) as events:
            async for event in events:
                payloads.append(event.payload)  # noqa: PERF401 - the steps look at it meanwhile

    task = asyncio.create_task(run())
    for step in steps:
        await step(payloads)
    assert not task.done(), "a watcher goes on, whatever happens"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return payloads


@pytest.fixture
def watch_for(serve):
    """Return a function that takes steps while a watcher runs, with some polls after each; returns what it reported."""

    def play(there, *steps, **parameters):
        shared_catalog.cache_clear()  # as in a new process
        with serve(there) as catalog:

            def and_polls(step):
                async def take(payloads):
                    step()
                    end = len(catalog.requests) + 6  # a poll takes two at most, and one is under way
                    await until(lambda: len(catalog.requests) >= end)

                return take

            return asyncio.run(reported(watcher(**parameters), map(and_polls, [lambda: None, *steps])))

    return play


def counts(payloads):
    return [(payload["new_rows"], payload["row_count"]) for payload in payloads]


@needs_watchers
class TestReporting:
    def test_new_rows_are_reported_once(self, watch_for):
        there = rows(5)
        more = (lambda: there.extend(rows(3)), lambda: there.extend(rows(20)))
        payloads = watch_for(there, *more, filters={"account_ids": "1,2"})
        same = {"catalog_conn_id": "catalog_default", "endpoint": "orders", "filters": {"account_ids": [1, 2]}}
        assert payloads == [{**same, "new_rows": 3, "row_count": 8}, {**same, "new_rows": 20, "row_count": 28}]

    def test_what_was_there_before_is_no_news_unless_asked_for(self, watch_for):
        assert watch_for(rows(15)) == []
        assert counts(watch_for(rows(15), report_existing=True)) == [(15, 15)]

    def test_rows_that_go_make_room(self, watch_for):
        there = rows(5)
        assert counts(watch_for(there, there.clear, lambda: there.extend(rows(2)))) == [(2, 2)]

    def test_a_server_in_trouble(self, serve, task_log):
        answers = [Answer({"orders": []}), Answer(b"busy", 503), Answer(b"no", 401)]

        with serve(Pages(rows(2), answers={0: answers})):
            assert counts(asyncio.run(reported(watcher(), [news]))) == [(2, 2)]
        text = task_log()
        assert "Catalog orders: not yet" in text
        assert "Catalog watcher: " in text
        assert TOKEN not in text

    def test_a_connection_that_comes_late(self, connection, task_log):
        async def no_connection(payloads):
            await until(lambda: "connection 'catalog_default', failed" in task_log())

        async def a_connection(payloads):
            connection(catalog.url)
            await news(payloads)

        with catalog_server(Pages(rows(2))) as catalog:
            trigger = watcher(report_existing=True)
            assert counts(asyncio.run(reported(trigger, [no_connection, a_connection]))) == [(2, 2)]


@needs_watchers
class TestMemory:
    @pytest.mark.parametrize("report_existing", [False, True])
    def test_after_a_restart_it_reports_what_has_come_meanwhile(self, watch_for, report_existing):
        store, there = Store(), rows(5)
        more = {"store": store, "report_existing": report_existing}
        assert counts(watch_for(there, **more)) == ([(5, 5)] if report_existing else [])
        there.extend(rows(3))
        assert counts(watch_for(there, **more)) == [(3, 8)]
        assert watch_for(there, **more) == []

    def test_an_event_is_remembered_only_when_airflow_has_it(self, watch_for, serve, monkeypatch):
        store, there = Store(), rows(5)
        watch_for(there, store=store)
        there.extend(rows(1))
        monkeypatch.setattr(watch, "HAND_OVER", 60)
        for _ in range(2):  # killed before Airflow has it: it is reported twice rather than never
            shared_catalog.cache_clear()
            with serve(there):
                assert counts(asyncio.run(reported(watcher(store=store), [news]))) == [(1, 6)]

    def test_watchers_of_one_asset_don_t_mix(self, watch_for):
        store = Store()
        watch_for(rows(5), store=store, filters={"account_ids": [1]})
        watch_for(rows(9), store=store, filters={"account_ids": [2]})
        assert sorted(value["row_count"] for value in store.values.values()) == [5, 9]

    def test_an_asset_state_store_that_fails(self, watch_for, task_log):
        store, there = Store(), rows(5)

        def breaks():
            store.broken = True
            there.extend(rows(1))

        assert counts(watch_for(there, breaks, lambda: setattr(store, "broken", False), store=store)) == [(1, 6)]
        assert [*store.values.values()] == [{"row_count": 6}]
        assert "the database is away" in task_log()

    def test_several_assets_with_the_same_watcher(self, watch_for, task_log):
        there = rows(5)
        assert counts(watch_for(there, lambda: there.extend(rows(2)), store=Store(assets=2))) == [(2, 7)]
        assert "several assets have this same watcher" in task_log()


@needs_watchers
class TestParameters:
    def test_what_an_earlier_version_has_stored_is_loaded(self):
        arguments = {
            "catalog_conn_id": "c", "endpoint": "users", "filters": {"student_ids": [4]}, "poke_interval": 9,
            "report_existing": True,
        }  # fmt: skip
        trigger = watch.CatalogAnalyticsEventTrigger(**arguments)  # which is what the path was
        path = "airflow_provider_catalog.triggers.analytics.CatalogAnalyticsEventTrigger"
        assert trigger.serialize() == (path, arguments)
        assert type(loaded(trigger)) is analytics.CatalogAnalyticsEventTrigger
        assert loaded(trigger).serialize() == trigger.serialize()

    def test_in_a_dag(self):
        from airflow.sdk import DAG, Asset, AssetWatcher

        trigger = CatalogAnalyticsEventTrigger("catalog_default", "orders")
        asset = Asset("orders", watchers=[AssetWatcher(name="orders", trigger=trigger)])
        with DAG("on_orders", schedule=[asset]) as dag:
            pass
        assert dag.timetable

    @pytest.mark.parametrize(
        ("parameters", "says"),
        [
            ({"filters": {"acount_ids": [1]}}, "did you mean"),
            ({"filters": {"account_ids": "{{ ds }}"}}, "filter 'account_ids' is"),
            *(({"poke_interval": value}, "poke_interval") for value in (0, 0.5, True, "60", None, float("nan"))),
            ({"endpoint": "order"}, "'order' is not one of"),
        ],
        ids=str,
    )
    def test_what_is_wrong_fails_when_the_dag_is_parsed(self, parameters, says):
        with pytest.raises(ValueError, match=says):
            CatalogAnalyticsEventTrigger(**{"catalog_conn_id": "catalog_default", "endpoint": "orders", **parameters})
