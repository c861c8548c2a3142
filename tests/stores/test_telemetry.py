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

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.errors import CatalogAuthError
from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.catalog_server import Answer, Pages, catalog_server
from tests.lineage.test_assets import FIGURES
from tests.real_airflow import RealAirflow
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


def test_what_is_told_of_the_example_in_a_real_airflow_and_to_the_dag_that_its_file_triggers(tmp_path):
    lineage, file = tmp_path / "lineage.jsonl", tmp_path / "out" / "orders_asset" / "orders.parquet"
    dags, home = tmp_path / "dags", tmp_path / "home"
    dags.mkdir()
    home.mkdir()
    shutil.copy(PROJECT / "example_dags" / "catalog_assets.py", dags)
    transport = {"type": "file", "log_file_path": str(lineage), "append": True}
    with statsd_server() as (port, metrics), sandbox(products=10, users=40, enrollments=300) as catalog:
        variables = {
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "test",
            "AIRFLOW_CONN_CATALOG_DEFAULT": catalog.connection_json,
            "PYTHONPATH": str(PROJECT),
        }
        ids = ("catalog_assets", "catalog_assets_report")
        with RealAirflow(home=home, dags_folder=dags, dag_ids=ids, variables=variables, limit=300) as airflow:
            airflow.start_run("catalog_assets", folder=str(tmp_path / "out"))
            for dag_id in ids:
                airflow.until(lambda dag_id=dag_id: airflow.runs(dag_id))
                [run_id] = airflow.runs(dag_id)
                airflow.until(lambda dag_id=dag_id, run_id=run_id: airflow.has_ended(dag_id, run_id))
                assert airflow.state(dag_id, run_id) == "success"
            report = airflow.xcom(airflow.tasks(dag_id, run_id)["report", -1])
            events = {event["uri"]: event for event in airflow.get("/api/v2/assets/events")["asset_events"]}

    row_count = pq.read_metadata(file).num_rows
    assert report == {"paths": [str(file)], "rows": row_count, "bytes": file.stat().st_size}
    assert row_count > 0
    assert set(events) == {"catalog_orders", file.as_uri()}
    for event in events.values():
        assert event["extra"].keys() - {"from_rest_api", "from_trigger"} == FIGURES
        assert event["extra"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert event["source_task_id"] == "orders"

    assert metrics["airflow.catalog.orders.rows"] == f"{row_count}|c"
    page = (PROJECT / "docs" / "metrics.md").read_text().partition("sensor")[0]
    names = re.findall(r"^\| `catalog\..*\.(\w+)`", page, re.MULTILINE)
    assert metrics.keys() == {f"airflow.catalog.orders.{name}" for name in names}

    told = list(map(json.loads, lineage.read_text().splitlines()))
    whose = ("COMPLETE", "catalog_assets.orders")
    [completed] = [event for event in told if (event["eventType"], event["job"]["name"]) == whose]
    [source] = completed["inputs"]
    assert (source["namespace"], source["name"]) == (catalog.url, "orders")
    [output] = [output for output in completed["outputs"] if output["namespace"] == "file"]
    assert output["name"] == str(file)
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == row_count
    assert [field["name"] for field in output["facets"]["schema"]["fields"]] == pq.read_schema(file).names

    log = "".join(path.read_text() for path in home.glob("logs/dag_id=catalog_assets/**/*.log"))
    assert "Catalog orders:" in log
    emails = set(pq.read_table(file)["student_email"].to_pylist()) - {None}
    assert emails
    said = json.dumps([events, told]) + log
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
