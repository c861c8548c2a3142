"""What is checked of a sensor's parameters, and when; templates, mapping and defaults."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_catalog.errors import CatalogFilterError, CatalogParameterError
from tests.airflow_names import AirflowFailException, TaskDeferred
from tests.sensors.conftest import SENSORS, students


@pytest.mark.parametrize("min_rows", [0, -1, "0", "three", 1.5, True, None])
def test_min_rows(sensor, min_rows):
    with pytest.raises(CatalogParameterError, match="min_rows"):
        sensor(min_rows=min_rows)


def test_an_unknown_filter_fails_when_the_dag_is_parsed(sensor):
    with pytest.raises(CatalogFilterError, match="did you mean 'account_ids'"):
        sensor(filters={"acount_ids": [1]})


def test_a_wrong_value_fails_before_any_request(sensor, serve):
    with serve([], "orders") as catalog:
        with pytest.raises(CatalogFilterError, match="account_ids") as caught:
            sensor(filters={"account_ids": ["x"]}).poke({})
    assert isinstance(caught.value, AirflowFailException)
    assert not catalog.requests


@pytest.mark.parametrize("parameter", ["fields", "drop_fields", "hash_fields"])
def test_paths_of_fields(sensor, parameter):
    with pytest.raises(CatalogParameterError, match=parameter):
        sensor(**{parameter: ["a..b"]})


def test_templates(sensor, serve):
    with serve(students(2), "orders") as catalog:
        waiting = sensor(
            catalog_conn_id="catalog_{{ d }}", filters={"account_ids": ["{{ n }}", "{{ n + 1 }}"]},
            min_rows="{{ n - 5 }}", fields=["{{ field }}"], drop_fields=["{{ field }}.email"],
        )  # fmt: skip
        waiting.render_template_fields({"n": 7, "d": "default", "field": "student"})
        assert waiting.poke({}).xcom_value == {"row_count": 2, "rows": [{"student": {"id": 0}}, {"student": {"id": 1}}]}
    assert catalog.requests[0].filters == {"account_ids": [7, 8]}


def test_what_a_template_gives_reaches_the_trigger(sensor, serve):
    with serve(students(2), "orders"):
        waiting = sensor(deferrable=True, min_rows="{{ n }}", filters={"account_ids": ["{{ n }}"]})
        waiting.render_template_fields({"n": 7})
        with pytest.raises(TaskDeferred) as caught:
            waiting.execute({})
    assert caught.value.trigger.min_rows == 7
    assert caught.value.trigger.filters == {"account_ids": [7]}


@pytest.mark.parametrize("rendered", ["", "None", "0", "many"])
def test_a_template_that_gives_no_number_fails_before_any_request(sensor, serve, rendered):
    with serve([], "orders") as catalog:
        waiting = sensor(min_rows="{{ n }}")
        waiting.render_template_fields({"n": rendered})
        with pytest.raises(CatalogParameterError, match="min_rows") as caught:
            waiting.poke({})
    assert isinstance(caught.value, AirflowFailException)
    assert not catalog.requests


def test_xcom_args_and_mapping():
    with DAG("mapped", schedule=None):

        @task
        def ids():
            return [1]

        numbers = ids()
        wait = SENSORS["orders"](task_id="one", filters={"account_ids": numbers}, min_rows=numbers)
        mapped = SENSORS["orders"].partial(task_id="many", deferrable=True).expand(filters=[{}, {}])
    assert wait.upstream_task_ids == {"ids"}
    assert mapped.task_id == "many"


def test_backoff_goes_to_the_trigger(sensor, serve):
    waiting = sensor(deferrable=True, exponential_backoff=True, max_wait=timedelta(minutes=2), poke_interval=30)
    with serve([], "orders"), pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    trigger = caught.value.trigger
    assert (trigger.exponential_backoff, trigger.max_wait, trigger.poke_interval) == (True, 120, 30)


def test_the_default_of_deferrable_is_airflows_and_nothing_heavy_is_imported():
    script = """
import sys
from airflow.providers.common.compat.sdk import BaseSensorOperator
BaseSensorOperator(task_id="airflows")
before = set(sys.modules)
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
sensor = CatalogOrdersAnalyticsSensor(task_id="wait")
print(sensor.deferrable, {"requests", "pyarrow", "fsspec"} & (set(sys.modules) - before))
"""
    environment = {**os.environ, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True set()"
