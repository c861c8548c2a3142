"""What is checked of a sensor's parameters, and when; templates, mapping and defaults."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.sdk import DAG, BaseSensorOperator, task

from airflow_provider_catalog.errors import CatalogFilterError, CatalogParameterError
from tests.airflow_names import AirflowFailException, TaskDeferred
from tests.sensors.conftest import SENSORS


class TestParameters:
    @pytest.mark.parametrize("min_rows", [0, -1, "3", 1.5, True, None])
    def test_min_rows(self, sensor, endpoint, min_rows):
        with pytest.raises(CatalogParameterError, match="min_rows"):
            sensor(min_rows=min_rows)

    def test_an_unknown_filter_fails_when_the_dag_is_parsed(self, sensor, endpoint):
        with pytest.raises(CatalogFilterError, match="did you mean 'account_ids'"):
            sensor(filters={"acount_ids": [1]})

    def test_a_wrong_value_fails_before_any_request(self, sensor, endpoint, serve):
        with serve([], endpoint) as catalog:
            with pytest.raises(CatalogFilterError, match="account_ids") as caught:
                sensor(filters={"account_ids": ["x"]}).poke({})
        assert isinstance(caught.value, AirflowFailException)
        assert not catalog.requests

    @pytest.mark.parametrize("parameter", ["fields", "drop_fields", "hash_fields"])
    def test_paths(self, sensor, endpoint, parameter):
        with pytest.raises(CatalogParameterError, match=parameter):
            sensor(**{parameter: ["a..b"]})

    def test_templates(self, sensor, endpoint, serve):
        with serve([], endpoint) as catalog:
            waiting = sensor(filters={"account_ids": ["{{ n }}", "{{ n + 1 }}"]}, catalog_conn_id="catalog_{{ d }}")
            waiting.render_template_fields({"n": 7, "d": "default"})
            waiting.poke({})
            waiting.deferrable = True
            with pytest.raises(TaskDeferred) as caught:
                waiting.execute({})
        assert catalog.requests[0].filters == {"account_ids": [7, 8]}
        assert caught.value.trigger.filters == {"account_ids": [7, 8]}
        assert caught.value.trigger.catalog_conn_id == "catalog_default"

    def test_xcom_args_and_mapping(self, endpoint):
        with DAG("mapped", schedule=None):

            @task
            def ids():
                return [1]

            wait = SENSORS[endpoint](task_id="one", filters={"account_ids": ids()})
            mapped = SENSORS[endpoint].partial(task_id="many", deferrable=True).expand(filters=[{}, {}])
        assert wait.upstream_task_ids == {"ids"}
        assert mapped.task_id == "many"

    def test_backoff_goes_to_the_trigger(self, sensor, endpoint, serve):
        with serve([], endpoint):
            with pytest.raises(TaskDeferred) as caught:
                sensor(
                    deferrable=True, exponential_backoff=True, max_wait=timedelta(minutes=2), poke_interval=30
                ).execute({})
        trigger = caught.value.trigger
        assert (trigger.exponential_backoff, trigger.max_wait, trigger.poke_interval) == (True, 120, 30)

    @pytest.mark.parametrize("cls", SENSORS.values())
    def test_what_the_sensors_are(self, cls):
        assert issubclass(cls, BaseSensorOperator)
        assert set(cls.template_fields) == {"catalog_conn_id", "filters"}
        assert cls.template_fields_renderers == {"filters": "json"}
        assert cls.__doc__
        assert [link.name for link in cls.operator_extra_links] == ["Catalog analytics"]

    @pytest.mark.parametrize("value", ["True", "False"])
    def test_the_default_of_deferrable_is_airflows(self, value):
        script = """
import sys
from airflow.sdk import BaseSensorOperator
BaseSensorOperator(task_id="airflows")
before = set(sys.modules)
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
sensor = CatalogOrdersAnalyticsSensor(task_id="wait")
print(sensor.deferrable, not {"requests", "pyarrow", "asgiref", "tenacity"} & (set(sys.modules) - before))
"""
        environment = {**os.environ, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": value}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[-2:] == [value, "True"], "and it imports nothing heavy"
