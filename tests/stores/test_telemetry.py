"""Metrics and lineage of a real task run arrive where they are sent: at a StatsD server, in a file of OpenLineage."""

from __future__ import annotations

import asyncio
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
from tests.lineage.real_run import real_run
from tests.lineage.test_assets import TestTheExample  # noqa: F401 - tests of the same run
from tests.operators.conftest import OPERATORS
from tests.sensors.conftest import SENSORS
from tests.stand_in import Answer, Paging, paged, stand_in

pytest.importorskip("statsd", reason="statsd is not installed: make test-stores")
pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is not installed: make test-stores")

pytestmark = pytest.mark.takes(seconds=45)
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Run the example; return the run, the metrics and the events that it has sent."""
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


def test_metrics(told):
    run, metrics, _ = told
    rows = pq.read_metadata(run.file).num_rows
    assert metrics["airflow.catalog.orders.rows"] == f"{rows}|c"
    pages = -(-rows // 100)
    assert pages > 1
    # The first page is asked for twice, and the last one where there are others in between.
    assert metrics["airflow.catalog.orders.requests"] == f"{pages + 1 + (pages > 2)}|c"
    assert metrics["airflow.catalog.orders.retries"] == "0|c"
    assert float(metrics["airflow.catalog.orders.throttled"].removesuffix("|ms")) == 0
    assert 1 < float(metrics["airflow.catalog.orders.duration"].removesuffix("|ms")) < 60_000
    page = (PROJECT / "docs" / "metrics.md").read_text().partition("sensor")[0]
    assert metrics.keys() == {
        f"airflow.catalog.orders.{name}" for name in re.findall(r"^\| `catalog\..*\.(\w+)`", page, re.MULTILINE)
    }


@pytest.fixture
def run(told):
    """Let this run, in which more is listened to, be the one of the tests of the example's assets, too."""
    return told[0]


@pytest.fixture
def completed(told):
    _, _, events = told
    [event] = [
        event
        for event in events
        if event["eventType"] == "COMPLETE" and event["job"]["name"] == "catalog_assets.orders"
    ]
    return event


def test_lineage_says_from_where_to_where(told, completed):
    run, _, _ = told
    [source] = completed["inputs"]
    assert (source["namespace"], source["name"]) == (run.catalog_url, "orders")
    [output] = [output for output in completed["outputs"] if output["namespace"] == "file"]
    assert output["name"] == str(run.file)
    statistics = output["outputFacets"]["outputStatistics"]
    assert statistics["rowCount"] == pq.read_metadata(run.file).num_rows
    assert statistics["size"] == run.file.stat().st_size
    fields = output["facets"]["schema"]["fields"]
    assert [field["name"] for field in fields] == pq.read_schema(run.file).names
    assert "int64" in {field["type"] for field in fields}


def test_lineage_has_no_student_and_no_token(told):
    run, _, events = told
    emails = set(pq.read_table(run.file).column("student_email").to_pylist()) - {None}
    text = json.dumps(events)
    assert not [email for email in emails if email in text]
    assert "Token token" not in text


@pytest.fixture
def metrics_of(connection):
    """Return a function that runs a task against a Catalog, and returns what a StatsD server was sent."""
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
    from airflow.sdk.observability import stats
    from statsd import StatsClient

    def run(endpoint, answer, task=None) -> dict[str, str]:
        with statsd_server() as (port, metrics), stand_in(answer) as catalog:
            client = StatsClient("127.0.0.1", port)
            stats.initialize(factory=lambda: SafeStatsdLogger(client), export_legacy_names=False)
            connection(catalog.url)
            try:
                if task:
                    task()
                else:
                    OPERATORS[endpoint](task_id="pull").execute({})
            except CatalogAuthError:
                metrics["failed"] = "yes"
            finally:
                client.close()
        return metrics

    yield run
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


@pytest.mark.parametrize("endpoint", OPERATORS)
def test_retries_and_waiting_are_told_by_endpoint(metrics_of, endpoint):
    pages = paged([{"id": n} for n in range(25)], Paging(most=10), endpoint)
    failures = iter([Answer(status=429, headers={"Retry-After": "0.3"})])
    metrics = metrics_of(endpoint, lambda request: next(failures, None) or pages(request))
    assert metrics[f"catalog.{endpoint}.rows"] == "25|c"
    assert metrics[f"catalog.{endpoint}.requests"] == "6|c"
    assert metrics[f"catalog.{endpoint}.retries"] == "1|c"
    assert 290 < float(metrics[f"catalog.{endpoint}.throttled"].removesuffix("|ms")) < 310
    assert 300 < float(metrics[f"catalog.{endpoint}.duration"].removesuffix("|ms")) < 10_000


def test_a_task_that_fails_tells_what_it_has_cost(metrics_of):
    metrics = metrics_of("orders", lambda request: Answer(status=401))
    assert metrics["failed"] == "yes"
    assert metrics["catalog.orders.rows"] == "0|c"
    assert metrics["catalog.orders.requests"] == "1|c"


@pytest.mark.parametrize("endpoint", OPERATORS)
def test_a_poke_tells_what_it_has_cost(metrics_of, endpoint):
    pages = paged([{"id": n} for n in range(25)], Paging(most=10), endpoint)
    metrics = metrics_of(endpoint, pages, lambda: SENSORS[endpoint](task_id="wait", min_rows=26).poke({}))
    assert metrics == {f"catalog.{endpoint}.polls": "1|c", f"catalog.{endpoint}.requests": "2|c"}


def test_a_poke_without_an_answer(metrics_of):
    throttled = Answer(status=429, headers={"Retry-After": "7"})
    metrics = metrics_of("orders", lambda request: throttled, lambda: SENSORS["orders"](task_id="wait").poke({}))
    assert metrics.pop("catalog.orders.throttled").startswith("7000")
    assert metrics == {
        "catalog.orders.polls": "1|c", "catalog.orders.polls_failed": "1|c", "catalog.orders.requests": "1|c",
    }  # fmt: skip


@pytest.mark.parametrize("endpoint", OPERATORS)
def test_polls_of_triggers_are_told_too(metrics_of, endpoint):
    shared_catalog.cache_clear()
    trigger = CatalogAnalyticsTrigger("catalog_default", endpoint)
    metrics = metrics_of(
        endpoint, lambda request: Answer({endpoint: [{"id": 1}]}), lambda: asyncio.run(anext(trigger.run()))
    )
    assert metrics == {f"catalog.{endpoint}.polls": "1|c", f"catalog.{endpoint}.requests": "1|c"}
