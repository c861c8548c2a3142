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
from tests.tasks import SENSORS, sensor

STUDENTS = [{"key": n, "student": {"id": n, "email": f"s{n}@example.edu"}} for n in range(2)]


@pytest.mark.parametrize(
    "parameters",
    [
        *({"min_rows": value} for value in (0, -1, "0", "three", 1.5, True, None)),
        {"fields": ["a..b"]}, {"drop_fields": ["a..b"]}, {"hash_fields": ["a..b"]}, {"filters": {"acount_ids": [1]}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_fails_when_the_dag_is_parsed(parameters):
    [says] = parameters if "filters" not in parameters else ["did you mean 'account_ids'"]
    with pytest.raises(CatalogParameterError, match=says):
        sensor(**parameters)


def test_a_wrong_value_fails_before_any_request(serve):
    with serve([]) as catalog:
        with pytest.raises(CatalogFilterError, match="account_ids") as caught:
            sensor(filters={"account_ids": ["x"]}).poke({})
    assert isinstance(caught.value, AirflowFailException)
    assert not catalog.requests


def test_templates(serve):
    with serve(STUDENTS) as catalog:
        waiting = sensor(
            catalog_conn_id="catalog_{{ d }}", filters={"account_ids": ["{{ n }}", "{{ n + 1 }}"]},
            min_rows="{{ n - 5 }}", fields=["{{ field }}"], drop_fields=["{{ field }}.email"],
        )  # fmt: skip
        waiting.render_template_fields({"n": 7, "d": "default", "field": "student"})
        assert waiting.poke({}).xcom_value == {"row_count": 2, "rows": [{"student": {"id": 0}}, {"student": {"id": 1}}]}
    assert catalog.requests[0].filters == {"account_ids": [7, 8]}


@pytest.mark.parametrize("rendered", ["", "None", "0", "many"])
def test_a_template_that_gives_no_number_fails_before_any_request(serve, rendered):
    with serve([]) as catalog:
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


def test_what_the_trigger_is_told(serve):
    waiting = sensor(
        deferrable=True, min_rows="{{ n }}", filters={"account_ids": ["{{ n }}"]}, poke_interval=30,
        exponential_backoff=True, max_wait=timedelta(minutes=2),
    )  # fmt: skip
    waiting.render_template_fields({"n": 7})
    with serve(STUDENTS), pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    trigger = caught.value.trigger
    assert (trigger.min_rows, trigger.filters) == (7, {"account_ids": [7]})
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
