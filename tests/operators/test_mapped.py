"""Mapped tasks in a real run: each needs a file of its own, or only the last one's rows would be left."""

from __future__ import annotations

import importlib.util
import json

from tests.catalog_server import TOKEN, Pages, catalog_server
from tests.example_dags.conftest import airflow_database  # noqa: F401 - a fixture
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() warns of

DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task, task_group
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator as Operator

FILTERS = [{"account_ids": 1}, {"account_ids": 2}]

def mapped(name, path):
    filters = [{"account_ids": 8}, {"account_ids": 9}] if name.startswith("same") else FILTERS
    Operator.partial(task_id=name, output_path=path).expand(filters=filters)

with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1), params={"index": 1}) as dag:
    mapped("same_literal", "FOLDER/same_literal.csv")
    mapped("same_in_each_run", "FOLDER/same_{{ ds }}_{{ params.index }}.csv")
    mapped("same_object", ObjectStoragePath("file://FOLDER/same_object_{{ ds }}.csv"))
    mapped("own_index", "FOLDER/own_index_{{ ti.map_index }}.csv")
    mapped("own_filters", "FOLDER/own_filters_{{ task.filters.account_ids }}.csv")
    mapped("own_block", "FOLDER/own_block_{% if task_instance.map_index %}a{% else %}b{% endif %}.csv")
    Operator.partial(task_id="own_mapped").expand(output_path=["FOLDER/own_mapped_1.csv", "FOLDER/own_mapped_2.csv"])
    Operator.partial(task_id="own_kwargs").expand_kwargs(
        [{"output_path": f"FOLDER/own_kwargs_{n}.csv", "filters": {"account_ids": n}} for n in (1, 2)]
    )
    Operator.partial(task_id="own_xcoms").expand(filters=FILTERS)
    Operator.partial(task_id="own_params", output_path="FOLDER/own_params_{{ params.n }}.csv").expand(
        params=[{"n": 1}, {"n": 2}]
    )

    @task_group
    def group(number):
        Operator(task_id="same", filters={"account_ids": 8}, output_path="FOLDER/same_group.csv")
        Operator(task_id="own", filters={"account_ids": number}, output_path="FOLDER/own_group_{{ ti.map_index }}.csv")

    group.expand(number=[1, 2])
"""


def test_one_file_for_all_is_an_error_before_the_first_request(airflow_database, tmp_path, monkeypatch):  # noqa: F811
    output = tmp_path / "output"
    output.mkdir()
    path = tmp_path / "mapped.py"
    path.write_text(DAG_FILE.replace("FOLDER", str(output)))
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundle = {"name": "mapped", "classpath": local, "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    spec = importlib.util.spec_from_file_location("mapped", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with catalog_server(Pages([{"id": 1}])) as catalog:
        connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", json.dumps(connection))
        states = {}
        for instance in module.dag.test().get_task_instances():
            states.setdefault(instance.task_id, []).append(str(instance.state))
    assert len(states) == 12
    for name, found in states.items():
        assert found == ["failed" if "same" in name else "success"] * 2, name
    files = [found.name for found in output.iterdir()]
    assert len(files) == 7 * 2
    assert not [name for name in files if name.startswith("same")]
    filters = {str(request.filters) for request in catalog.requests}
    assert filters == {"{'account_ids': [1]}", "{'account_ids': [2]}", "{}"}
