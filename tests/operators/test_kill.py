"""A task that Airflow ends: what is under way ends, and the file that was there stays."""

from __future__ import annotations

import logging
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.airflow_names import AirflowTaskTimeout, timeout
from tests.catalog_server import Paging, catalog_server, paged
from tests.operators.conftest import signalled

IN_FLIGHT = 4
ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(200)]


@pytest.fixture(params=["first", "body", "later"])
def stalled(request, connection):
    """A Catalog that stalls before the first page, in its body, or before all others; waiting takes ten minutes."""
    answer = paged(ROWS, Paging(most=10), "orders")

    def stalling(asked):
        reply = answer(asked)
        if request.param == "body":
            reply.stall = 50
        elif request.param == "first" or asked.page:
            reply.stall = -1
        return reply

    with catalog_server(stalling) as catalog:
        catalog.is_waited_for = lambda: catalog.waiting >= (IN_FLIGHT if request.param == "later" else 1)
        connection(catalog.url, timeout=600, max_concurrency=IN_FLIGHT)
        yield catalog


@pytest.mark.parametrize("suffix", [None, "jsonl", "csv", "parquet"])
def test_cleared_or_marked_while_it_reads(operator, stalled, tmp_path, suffix, caplog):
    path = tmp_path / f"rows.{suffix}" if suffix else None
    if path:
        path.write_text("earlier")
    pull = operator(output_path=path)
    with signalled(pull.on_kill, stalled.is_waited_for):
        with pytest.raises(SystemExit, match="Catalog orders: Airflow has ended the task"):
            pull.execute({})
    assert [found.name for found in tmp_path.iterdir()] == ([path.name] if path else [])
    assert not path or path.read_text() == "earlier"
    ours = [record for record in caplog.records if record.name.startswith("airflow_provider_catalog")]
    assert not [record for record in ours if record.levelno >= logging.WARNING], "nobody tries again"


def test_execution_timeout(operator, stalled, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("earlier")
    pull, limit = operator(output_path=path), timeout(600)
    with signalled(lambda: limit.handle_timeout(signal.SIGALRM, None), stalled.is_waited_for):
        with pytest.raises(AirflowTaskTimeout), limit:
            pull.execute({})
    pull.on_kill()  # as Airflow does then: there is nothing left to end
    assert [found.name for found in tmp_path.iterdir()] == ["rows.csv"]
    assert path.read_text() == "earlier"


def test_while_it_writes(operator, endpoint, serve, tmp_path, monkeypatch):
    """Whatever the task does at that moment, it does not go on to publish."""
    from airflow_provider_catalog.output.table import TableFile

    path = tmp_path / "rows.parquet"
    path.write_text("earlier")
    pull = operator(output_path=path)
    finish = TableFile.finish

    def interrupted(table):
        signal.raise_signal(signal.SIGTERM)
        finish(table)

    monkeypatch.setattr(TableFile, "finish", interrupted)
    handler = signal.signal(signal.SIGTERM, lambda *_: pull.on_kill())
    try:
        with serve([{"id": n} for n in range(25)], endpoint), pytest.raises(SystemExit):
            pull.execute({})
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert [found.name for found in tmp_path.iterdir()] == ["rows.parquet"]
    assert path.read_text() == "earlier"


def test_it_needs_no_connection_and_changes_nothing_when_the_task_does_not_run(operator, endpoint, serve):
    pull = operator(catalog_conn_id="not_there")
    pull.on_kill()
    with serve([{"id": 1}], endpoint):
        pull = operator()
        assert pull.execute({}) == [{"id": 1}]
        pull.on_kill()


def test_a_second_signal_does_not_disturb_the_tidying_up(operator, stalled, monkeypatch, tmp_path):
    from airflow_provider_catalog.output.temporary import TemporaryFile

    close = TemporaryFile.close
    pull = operator(output_path=tmp_path / "rows.jsonl")
    monkeypatch.setattr(TemporaryFile, "close", lambda file: (stalled.requests and pull.on_kill(), close(file)))
    with signalled(pull.on_kill, stalled.is_waited_for), pytest.raises(SystemExit):
        pull.execute({})
    assert list(tmp_path.iterdir()) == []


def test_in_another_thread_nothing_is_raised(operator, endpoint, connection):
    """Airflow calls it in the task's own thread; raised in another one, the error would be somebody else's."""
    pull = operator()

    def answer(request):
        with ThreadPoolExecutor() as pool:
            pool.submit(pull.on_kill).result()
        return paged([{"id": 1}], Paging(), endpoint)(request)

    with catalog_server(answer) as catalog:
        connection(catalog.url)
        assert pull.execute({}) == [{"id": 1}]
