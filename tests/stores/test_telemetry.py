"""Events, metrics and lineage of tasks, where they are sent: Airflow's API, a StatsD server, a file of OpenLineage."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.errors import CatalogAuthError
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.catalog_server import Answer, Pages, catalog_server
from tests.lineage.test_assets import FIGURES
from tests.stores.real_run import real_run
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
def told(tmp_path_factory):
    """Run the example; return the run, the metrics and the events of OpenLineage that it has sent."""
    folder = tmp_path_factory.mktemp("telemetry")
    lineage = folder / "lineage.jsonl"
    transport = {"type": "file", "log_file_path": str(lineage), "append": True}
    with statsd_server() as (port, metrics):
        run = real_run(
            folder,
            AIRFLOW__METRICS__STATSD_ON="True",
            AIRFLOW__METRICS__STATSD_HOST="127.0.0.1",
            AIRFLOW__METRICS__STATSD_PORT=str(port),
            AIRFLOW__METRICS__STATSD_PREFIX="airflow",
            AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport),
            AIRFLOW__OPENLINEAGE__NAMESPACE="test",
        )
    return run, metrics, [json.loads(line) for line in lineage.read_text().splitlines()]


class TestTheExample:
    """``catalog_assets`` in a real Airflow, and the DAG that its events start."""

    @pytest.fixture
    def run(self, told):
        return told[0]

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

    def test_metrics(self, told):
        run, metrics, _ = told
        assert metrics["airflow.catalog.orders.rows"] == f"{pq.read_metadata(run.file).num_rows}|c"
        page = (PROJECT / "docs" / "metrics.md").read_text().partition("sensor")[0]
        assert metrics.keys() == {
            f"airflow.catalog.orders.{name}" for name in re.findall(r"^\| `catalog\..*\.(\w+)`", page, re.MULTILINE)
        }

    def test_lineage_says_from_where_to_where(self, told):
        run, _, events = told
        [completed] = [
            event
            for event in events
            if event["eventType"] == "COMPLETE" and event["job"]["name"] == "catalog_assets.orders"
        ]
        [source] = completed["inputs"]
        assert (source["namespace"], source["name"]) == (run.catalog_url, "orders")
        [output] = [output for output in completed["outputs"] if output["namespace"] == "file"]
        assert output["name"] == str(run.file)
        assert output["outputFacets"]["outputStatistics"]["rowCount"] == pq.read_metadata(run.file).num_rows
        assert [field["name"] for field in output["facets"]["schema"]["fields"]] == pq.read_schema(run.file).names

    def test_no_student_and_no_token_is_in_any_of_it(self, told):
        run, _, lineage = told
        emails = set(pq.read_table(run.file).column("student_email").to_pylist()) - {None}
        assert emails
        assert "Catalog orders:" in run.log
        said = json.dumps([run.events, lineage]) + run.log
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


def test_retries_and_waiting_are_told(metrics_of):
    pages = Pages(ROWS)
    failures = iter([Answer(status=429, headers={"Retry-After": "0.3"})])
    metrics = metrics_of(lambda request: next(failures, None) or pages(request), pull)
    assert metrics["catalog.orders.rows"] == "25|c"
    assert metrics["catalog.orders.retries"] == "1|c"
    assert metrics["catalog.orders.throttled"] != "0.000000|ms"


def test_a_task_that_fails_tells_what_it_has_cost(metrics_of):
    def fails():
        with pytest.raises(CatalogAuthError):
            pull()

    metrics = metrics_of(lambda request: Answer(status=401), fails)
    assert (metrics["catalog.orders.rows"], metrics["catalog.orders.requests"]) == ("0|c", "1|c")


def poke():
    SENSORS["orders"](task_id="wait", min_rows=26).poke({})


def poll():
    shared_catalog.cache_clear()
    asyncio.run(anext(CatalogAnalyticsTrigger("catalog_default", "orders", min_rows=25).run()))


@pytest.mark.parametrize("task", [poke, poll])
def test_a_poll_tells_what_it_has_cost(metrics_of, task):
    metrics = metrics_of(Pages(ROWS), task)
    assert metrics == {"catalog.orders.polls": "1|c", "catalog.orders.requests": "2|c"}


def test_a_poke_without_an_answer(metrics_of):
    throttled = Answer(status=429, headers={"Retry-After": "7"})
    metrics = metrics_of(lambda request: throttled, poke)
    assert metrics.pop("catalog.orders.throttled")
    assert metrics == {
        "catalog.orders.polls": "1|c", "catalog.orders.polls_failed": "1|c", "catalog.orders.requests": "1|c",
    }  # fmt: skip
