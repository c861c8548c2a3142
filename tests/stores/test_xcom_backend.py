"""Rows in XCom, where Airflow keeps large XComs in files: more of them than a database should hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.catalog_server import Pages, catalog_server

PROJECT = Path(__file__).parents[2]
ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}, "text": "x" * 5000} for n in range(400)]
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"

DAG_FILE = """
import datetime
from airflow.sdk import DAG, task
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator

with DAG("rows", start_date=datetime.datetime(2026, 1, 1), schedule=None) as dag:
    orders = CatalogOrdersAnalyticsOperator(task_id="orders", max_xcom_bytes=5_000_000)

    @task
    def add_up(rows):
        return [len(rows), sum(row["id"] for row in rows)]

    add_up(orders.output)

if __name__ == "__main__":
    from airflow.utils.db import initdb
    initdb()
    run = dag.test()
    assert run.state == "success", run.state
    print("added up", run.get_task_instance("add_up").xcom_pull(task_ids="add_up"))
"""


def test_rows_larger_than_xcom_allows_go_through_files(tmp_path):
    home, xcom = tmp_path / "home", tmp_path / "xcom"
    for folder in (home, xcom):
        folder.mkdir()
    (tmp_path / "rows.py").write_text(DAG_FILE)
    with catalog_server(Pages(ROWS)) as catalog:
        bundle = {"name": "here", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(tmp_path)}}
        variables = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_CATALOG_DEFAULT": catalog.connection(),
            "AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{xcom}",
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "100000",
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION": "gzip",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
            "PYTHONPATH": str(PROJECT),
        }
        command = [sys.executable, str(tmp_path / "rows.py")]
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    assert f"added up [400, {sum(range(400))}]" in done.stdout
    [file] = [each for each in xcom.rglob("*") if each.is_file()]
    assert file.suffix == ".gz"
    [database] = home.glob("*.db")
    assert b"s399@example.edu" not in database.read_bytes()
    assert "s399@example.edu" not in said, "no row in a log"
