"""Events, metrics and lineage of tasks, where they are sent: Airflow's API, a StatsD server, a file of OpenLineage."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.errors import CatalogAuthError
from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from scripts.local_airflow import LocalAirflow
from tests.catalog_server import Answer, Pages, catalog_server
from tests.lineage.test_assets import FIGURES
from tests.tasks import OPERATORS, SENSORS

pytest.importorskip("statsd", reason="statsd is not installed: make test-stores")
pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is not installed: make test-stores")

pytestmark = pytest.mark.takes(seconds=45)
PROJECT = Path(__file__).parents[2]
ROWS = [{"id": n} for n in range(25)]


@contextmanager
def statsd_server() -> Iterator[tuple[int, dict[str, str]]]:
    """Listen on a free port; what of ours has arrived, by name, is known after the block."""
    metrics: dict[str, str] = {}

    def listen() -> None:
        while (packet := listener.recv(65536)) != b"end":
            pairs = (line.split(":", 1) for line in packet.decode().splitlines())
            metrics.update((name, value) for name, value in pairs if "catalog." in name)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=listen)
        thread.start()
        yield listener.getsockname()[1], metrics
        listener.sendto(b"end", listener.getsockname())
        thread.join()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the example in a real Airflow, and the DAG that its file triggers; return what was told, and to whom."""
    folder = tmp_path_factory.mktemp("telemetry")
    lineage, file = folder / "lineage.jsonl", folder / "out" / "orders_asset" / "orders.parquet"
    dags, home = folder / "dags", folder / "home"
    dags.mkdir()
    home.mkdir()
    shutil.copy(PROJECT / "example_dags" / "catalog_assets.py", dags)
    with statsd_server() as (port, metrics), sandbox(products=10, users=40, enrollments=300) as catalog:
        variables = {
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(lineage), "append": True}
            ),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "test",
            "AIRFLOW_CONN_CATALOG_DEFAULT": catalog.connection_json,
            "PYTHONPATH": str(PROJECT),
        }
        dag_ids, say = ("catalog_assets", "catalog_assets_report"), lambda line: None
        with LocalAirflow(
            home=home, dags_folder=dags, dag_ids=dag_ids, variables=variables, say=say, limit=300
        ) as airflow:
            body = {"logical_date": None, "conf": {"folder": str(folder / "out")}}
            airflow.post("/api/v2/dags/catalog_assets/dagRuns", body)
            for dag_id in dag_ids:
                run_id = finished(airflow, dag_id)
            xcom = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/report/xcomEntries/return_value"
            report = airflow.get(xcom, deserialize=True)["value"]
            events = airflow.get("/api/v2/assets/events")["asset_events"]
    log = "".join(path.read_text() for path in home.glob("logs/dag_id=catalog_assets/**/*.log"))
    told = [json.loads(line) for line in lineage.read_text().splitlines()]
    return SimpleNamespace(
        catalog_url=catalog.url, file=file, report=report, events=events, log=log, metrics=metrics, lineage=told
    )


def finished(airflow, dag_id: str) -> str:
    """Wait until the first run of a DAG is done, and return its id."""
    while True:
        for run in airflow.get(f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]:
            assert run["state"] != "failed", dag_id
            if run["state"] == "success":
                return run["dag_run_id"]
        airflow.wait()


class TestTheExample:
    """``catalog_assets`` in a real Airflow, and the DAG that its events start."""

    def test_the_consumer_reads_the_figures_from_the_event(self, run):
        assert run.report == {
            "paths": [str(run.file)],
            "rows": pq.read_metadata(run.file).num_rows,
            "bytes": run.file.stat().st_size,
        }
        assert run.report["rows"] > 0

    def test_both_assets_have_an_event_with_figures_and_nothing_else(self, run):
        events = {event["uri"]: event for event in run.events}
        assert set(events) == {"catalog_orders", run.file.as_uri()}
        for event in events.values():
            assert event["extra"].keys() - {"from_rest_api", "from_trigger"} == FIGURES
            assert event["extra"]["sha256"] == hashlib.sha256(run.file.read_bytes()).hexdigest()
            assert event["source_task_id"] == "orders"

    def test_metrics(self, run):
        assert run.metrics["airflow.catalog.orders.rows"] == f"{pq.read_metadata(run.file).num_rows}|c"
        page = (PROJECT / "docs" / "metrics.md").read_text().partition("sensor")[0]
        assert run.metrics.keys() == {
            f"airflow.catalog.orders.{name}" for name in re.findall(r"^\| `catalog\..*\.(\w+)`", page, re.MULTILINE)
        }

    def test_lineage_says_from_where_to_where(self, run):
        whose = ("COMPLETE", "catalog_assets.orders")
        [completed] = [event for event in run.lineage if (event["eventType"], event["job"]["name"]) == whose]
        [source] = completed["inputs"]
        assert (source["namespace"], source["name"]) == (run.catalog_url, "orders")
        [output] = [output for output in completed["outputs"] if output["namespace"] == "file"]
        assert output["name"] == str(run.file)
        assert output["outputFacets"]["outputStatistics"]["rowCount"] == pq.read_metadata(run.file).num_rows
        assert [field["name"] for field in output["facets"]["schema"]["fields"]] == pq.read_schema(run.file).names

    def test_no_student_and_no_token_is_in_any_of_it(self, run):
        emails = set(pq.read_table(run.file).column("student_email").to_pylist()) - {None}
        assert emails
        assert "Catalog orders:" in run.log
        said = json.dumps([run.events, run.lineage]) + run.log
        assert not [text for text in (*emails, "Token token") if text in said]


@pytest.fixture
def metrics_of(connection):
    """Return a function that runs a task against a Catalog, and returns what a StatsD server was sent."""
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
    from airflow.sdk.observability import stats
    from statsd import StatsClient

    def run(answer, task) -> dict[str, str]:
        with statsd_server() as (port, metrics), catalog_server(answer) as catalog:
            client = StatsClient("127.0.0.1", port)
            stats.initialize(factory=lambda: SafeStatsdLogger(client), export_legacy_names=False)
            connection(catalog.url)
            try:
                task()
            finally:
                client.close()
        return metrics

    yield run
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


def pull():
    OPERATORS["orders"](task_id="pull").execute({})


def pull_in_vain():
    with pytest.raises(CatalogAuthError):
        pull()


def poke():
    SENSORS["orders"](task_id="wait", min_rows=26).poke({})


def poll():
    shared_catalog.cache_clear()
    asyncio.run(anext(CatalogAnalyticsTrigger("catalog_default", "orders", min_rows=25).run()))


REFUSED = Answer(status=401)
THROTTLED = Answer(status=429, headers={"Retry-After": "0.3"})
THROTTLED_LONG = Answer(status=429, headers={"Retry-After": "7"})


@pytest.mark.parametrize(
    ("task", "answers", "told", "is_throttled"),
    [
        (pull, {0: [THROTTLED]}, {"rows": "25|c", "retries": "1|c"}, True),
        (pull_in_vain, {0: REFUSED}, {"rows": "0|c", "requests": "1|c"}, False),
        (poke, {}, {"polls": "1|c", "requests": "2|c"}, False),
        (poll, {}, {"polls": "1|c", "requests": "2|c"}, False),
        (poke, {0: THROTTLED_LONG}, {"polls": "1|c", "polls_failed": "1|c", "requests": "1|c"}, True),
    ],
)
def test_what_a_task_has_cost(metrics_of, task, answers, told, is_throttled):
    metrics = metrics_of(Pages(ROWS, answers=answers), task)
    assert metrics.items() >= {f"catalog.orders.{name}": value for name, value in told.items()}.items()
    assert (metrics.get("catalog.orders.throttled", "0.000000|ms") != "0.000000|ms") is is_throttled
    assert ("catalog.orders.polls_failed" in metrics) == ("polls_failed" in told)
