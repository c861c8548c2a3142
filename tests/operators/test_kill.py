"""A task that Airflow ends: what is under way ends, and the file that was there stays."""

from __future__ import annotations

import logging
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.airflow_names import AirflowTaskTimeout, timeout
from tests.catalog_server import Pages
from tests.tasks import operator, signalled

IN_FLIGHT = 4
ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(200)]


@pytest.fixture(params=["first", "body", "later"])
def stalled(request, serve):
    """A Catalog that stalls before the first page, in its body, or before all others; waiting takes ten minutes."""
    pages = Pages(ROWS)

    def stalling(asked):
        reply = pages(asked)
        if request.param == "body":
            reply.stall = 50
        elif request.param == "first" or asked.page:
            reply.stall = -1
        return reply

    with serve(stalling, timeout=600, max_concurrency=IN_FLIGHT) as catalog:
        catalog.is_waited_for = lambda: catalog.waiting >= (IN_FLIGHT if request.param == "later" else 1)
        yield catalog


@pytest.fixture
def earlier(tmp_path):
    """A file that has to be as it was in the end, and alone."""
    path = tmp_path / "rows"
    path.write_text("earlier")
    yield path
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rows", "earlier")]


@pytest.mark.parametrize("suffix", [None, "jsonl", "csv", "parquet"])
def test_cleared_or_marked_while_it_reads(stalled, earlier, suffix, caplog):
    pull = operator(output_path=suffix and earlier, output_format=suffix)
    with signalled(pull.on_kill, stalled.is_waited_for):
        with pytest.raises(SystemExit, match="Catalog orders: Airflow has ended the task"):
            pull.execute({})
    ours = [record for record in caplog.records if record.name.startswith("airflow_provider_catalog")]
    assert not [record for record in ours if record.levelno >= logging.WARNING], "nobody tries again"


def test_execution_timeout(stalled, earlier):
    pull, limit = operator(output_path=earlier, output_format="csv"), timeout(600)
    with signalled(lambda: limit.handle_timeout(signal.SIGALRM, None), stalled.is_waited_for):
        with pytest.raises(AirflowTaskTimeout), limit:
            pull.execute({})
    pull.on_kill()  # as Airflow does then: there is nothing left to end


def test_while_it_writes(serve, earlier, monkeypatch):
    """Whatever the task does at that moment, it does not go on to publish."""
    from airflow_provider_catalog.output.columnar import ColumnarFile

    pull, finish = operator(output_path=earlier, output_format="parquet"), ColumnarFile.finish

    def interrupted(table):
        signal.raise_signal(signal.SIGTERM)
        finish(table)

    monkeypatch.setattr(ColumnarFile, "finish", interrupted)
    handler = signal.signal(signal.SIGTERM, lambda *_: pull.on_kill())
    try:
        with serve(ROWS), pytest.raises(SystemExit):
            pull.execute({})
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_a_second_signal_does_not_disturb_the_tidying_up(stalled, monkeypatch, tmp_path):
    from airflow_provider_catalog.output.temporary import TemporaryFile

    close = TemporaryFile.close
    pull = operator(output_path=tmp_path / "rows.jsonl")
    monkeypatch.setattr(TemporaryFile, "close", lambda file: (stalled.requests and pull.on_kill(), close(file)))
    with signalled(pull.on_kill, stalled.is_waited_for), pytest.raises(SystemExit):
        pull.execute({})
    assert list(tmp_path.iterdir()) == []


def test_in_another_thread_or_when_the_task_does_not_run_nothing_is_raised(serve):
    """Airflow calls it in the task's own thread; raised in another one, the error would be somebody else's."""
    operator(catalog_conn_id="not_there").on_kill()
    pull, pages = operator(), Pages(ROWS)

    def answer(request):
        with ThreadPoolExecutor() as pool:
            pool.submit(pull.on_kill).result()
        return pages(request)

    with serve(answer):
        assert pull.execute({}) == ROWS
    pull.on_kill()
