"""What type checkers say of a DAG: they take every way to give a parameter, and refuse a filter's wrong name."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.takes(seconds=30)

DAG_FILE = """
from datetime import date
from typing import Any

from airflow.sdk import DAG, Variable, task

from airflow_provider_catalog.client.filters import OrdersFilters
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator as Operator
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor as Sensor

untyped: dict[str, Any] = {"account_ids": [1, 2]}
typed: OrdersFilters = {"account_ids": "{{ params.ids }}"}


@task
def filters_of(day: str) -> dict[str, Any]:
    return {"purchase_date_from": day}


@task
def ids() -> list[int]:
    return [1]


with DAG("right"):
    Operator(task_id="literal", filters={"account_ids": [1, 2], "purchase_date_from": date(2026, 1, 1)})
    Operator(task_id="text", filters="{{ params.filters | tojson }}", fields="{{ params.fields }}", page_size="{{ n }}")
    Operator(task_id="xcom", filters=filters_of("2026-01-01"), fields=["student.id"], output_format="csv")
    Operator(task_id="xcoms", filters={"account_ids": ids(), "product_ids": "{{ params.ids }}"}, hash_fields=ids())
    Operator(task_id="untyped", filters=untyped, on_empty="{{ params.on_empty }}", max_xcom_bytes="{{ params.n }}")
    Operator(task_id="typed", filters=typed, field_types={"price": "decimal(12,2)"})
    Operator(task_id="none", filters=None)
    Operator(task_id="output", filters=Operator(task_id="other").output)
    Operator(task_id="variable", filters=Variable.get("filters", deserialize_json=True))
    Operator.partial(task_id="many").expand(filters=[{"account_ids": 1}, {"account_ids": 2}])
    Operator.partial(task_id="days").expand(filters=filters_of.expand(day=["2026-01-01"]))
    Operator.partial(task_id="files").expand_kwargs([{"filters": typed, "output_path": "/x.csv"}])
    Sensor(task_id="wait", filters={"account_ids": [1]}, fields="{{ params.fields }}")
    Sensor(task_id="wait_untyped", filters=untyped)
    Sensor(task_id="wait_text", filters="{{ params.filters }}")

with DAG("wrong"):
    Operator(task_id="name", filters={"acount_ids": [1]})  # wrong
    Operator(task_id="value", filters={"bulk_purchases_only": [1]})  # wrong
    Operator(task_id="two", filters={"account_ids": [1], "purchase_date": "2026-01-01"})  # wrong
    Operator(task_id="list", filters=[1])  # wrong
    Operator(task_id="size", page_size=[1])  # wrong
    Operator(task_id="fields", fields=[1])  # wrong
    Sensor(task_id="wait_name", filters={"acount_ids": [1]})  # wrong
"""
WRONG = {number for number, line in enumerate(DAG_FILE.splitlines(), 1) if "# wrong" in line}


@pytest.fixture
def dag_file(tmp_path):
    path = tmp_path / "dag.py"
    path.write_text(DAG_FILE)
    return path


def output_of(folder, *command):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_mypy(dag_file):
    said = output_of(dag_file.parent, "mypy", "--strict", "--no-error-summary", "--cache-dir=.mypy", dag_file.name)
    assert {int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line} == WRONG, said


@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright(dag_file):
    said = output_of(dag_file.parent, "pyright", "--outputjson", "--pythonpath", sys.executable, dag_file.name)
    found = json.loads(said[said.index("{") :])["generalDiagnostics"]
    assert {each["range"]["start"]["line"] + 1 for each in found} == WRONG, said
