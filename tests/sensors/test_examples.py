"""The example DAGs with a sensor and with a watcher, run for real against a sandbox."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from tests.example_dags.conftest import (  # noqa: F401 - fixtures
    airflow_database,
    all_rows,
    catalog,
    load_dag,
    run_example,
)
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() itself warns of


@pytest.fixture(scope="module")
def waited(run_example):  # noqa: F811
    return run_example("catalog_sensors", logical_date=datetime(2026, 3, 12, tzinfo=UTC))


def test_the_day_is_loaded_once_it_is_there(waited, all_rows):  # noqa: F811
    of_the_day = [row for row in all_rows("enrollments") if row["enrollment_date"].startswith("2026-03-11")]
    assert of_the_day, "or another day has to be taken"
    assert waited.state == "success"
    assert waited.xcoms["wait"]["row_count"] == len(of_the_day)
    assert waited.xcoms["wait"]["rows"] == [{"enrollment_id": row["enrollment_id"]} for row in of_the_day[:100]]
    assert waited.xcoms["check"] == 0
    [path] = waited.folder.rglob("*.parquet")
    assert pq.read_table(path).num_rows == len(of_the_day)


def test_the_sensor_waits_in_the_triggerer():
    assert load_dag("catalog_sensors").get_task("wait").deferrable is True


def test_new_orders_by_hand(run_example):  # noqa: F811
    run = run_example("catalog_on_new_orders")
    assert run.state == "success"
    assert run.xcoms["what_is_new"] == {"new_rows": 0, "filters": {}}
    assert len(list(run.folder.rglob("orders.parquet"))) == 1
    assert set(run.xcoms["orders"]["filters"]) == {"order_fee", "purchase_date_from"}
