"""The example `catalog_assets` in a real Airflow with scheduler, workers and API server."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_catalog.sandbox import sandbox
from scripts.local_airflow import LocalAirflow

PROJECT = Path(__file__).parents[2]
DAG_IDS = ("catalog_assets", "catalog_assets_report")
LIMIT = 300  # seconds; on two cores it takes less than one minute


@dataclass(frozen=True)
class RealRun:
    """
    What a finished run has left.

    :param catalog_url: the origin of the sandbox that it read.
    :param file: what it wrote.
    :param report: the XCom of the DAG that the file's event has triggered.
    :param events: the events of all assets, as the REST API tells them.
    :param log: the task's log.
    """

    catalog_url: str
    file: Path
    report: dict
    events: list[dict]
    log: str


def real_run(folder: Path, **variables: str) -> RealRun:
    """
    Run the example, wait for the DAG that it triggers, and return what is left when all is stopped.

    :param folder: an empty one.
    :param variables: more environment variables for Airflow.
    """
    dags, home = folder / "dags", folder / "home"
    dags.mkdir(parents=True)
    home.mkdir()
    shutil.copy(PROJECT / "example_dags" / "catalog_assets.py", dags)
    variables = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True", "PYTHONPATH": str(PROJECT), **variables}
    with sandbox(products=10, users=40, enrollments=300) as catalog:
        variables["AIRFLOW_CONN_CATALOG_DEFAULT"] = catalog.connection_json
        with LocalAirflow(
            home=home, dags_folder=dags, dag_ids=DAG_IDS, variables=variables, say=lambda line: None, limit=LIMIT
        ) as airflow:
            body = {"logical_date": None, "conf": {"folder": str(folder / "out")}}
            airflow.post("/api/v2/dags/catalog_assets/dagRuns", body)
            finished(airflow, "catalog_assets")
            run_id = finished(airflow, "catalog_assets_report")
            xcom = f"/api/v2/dags/catalog_assets_report/dagRuns/{run_id}/taskInstances/report/xcomEntries/return_value"
            report = airflow.get(xcom, deserialize=True)["value"]
            events = airflow.get("/api/v2/assets/events")["asset_events"]
    log = "".join(path.read_text() for path in home.glob("logs/dag_id=catalog_assets/**/*.log"))
    file = folder / "out" / "orders_asset" / "orders.parquet"
    return RealRun(catalog.url, file, report, events, log)


def finished(airflow, dag_id: str) -> str:
    """Wait until the first run of a DAG is done, and return its id."""
    while True:
        for run in airflow.get(f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]:
            assert run["state"] != "failed", dag_id
            if run["state"] == "success":
                return run["dag_run_id"]
        airflow.wait()
