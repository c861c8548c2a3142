"""A task that Airflow ends: what is under way ends, and the file that was there stays."""

from __future__ import annotations

import logging
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.catalog_server import catalog_server
from tests.kills.signals import IN_FLIGHT, ended_by, requests_under_way, stalls, timed_out

LIMIT = 300.0
"""Seconds, half the time-out of a request: so none of them was waited for."""


@pytest.mark.parametrize("where", ["first", "body", "later"])
@pytest.mark.parametrize("suffix", [None, "jsonl", "csv", "parquet"])
def test_cleared_or_marked_while_it_reads(operator, endpoint, connection, tmp_path, where, suffix, caplog):
    path = tmp_path / f"rows.{suffix}" if suffix else None
    if path:
        path.write_text("earlier")
    with catalog_server(stalls(endpoint, where)) as catalog:
        connection(catalog.url, timeout=600, max_concurrency=IN_FLIGHT)
        pull = operator(output_path=path)
        with ended_by(signal.SIGTERM, pull.on_kill, catalog, requests_under_way(where)) as seconds:
            with pytest.raises(SystemExit, match=f"Catalog {endpoint}: Airflow has ended the task"):
                pull.execute({})
            assert seconds() < LIMIT
    assert [found.name for found in tmp_path.iterdir()] == ([path.name] if path else [])
    assert not path or path.read_text() == "earlier"
    ours = [record for record in caplog.records if record.name.startswith("airflow_provider_catalog")]
    assert not [record for record in ours if record.levelno >= logging.WARNING], "nobody tries again"


@pytest.mark.parametrize("where", ["first", "body", "later"])
def test_execution_timeout(operator, endpoint, connection, tmp_path, where):
    path = tmp_path / "rows.csv"
    path.write_text("earlier")
    with catalog_server(stalls(endpoint, where)) as catalog:
        connection(catalog.url, timeout=600, max_concurrency=IN_FLIGHT)
        pull = operator(output_path=path)
        assert timed_out(lambda: pull.execute({}), catalog, requests_under_way(where)) < LIMIT
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


def test_a_second_signal_does_not_disturb_the_tidying_up(operator, endpoint, connection, monkeypatch, tmp_path):
    from airflow_provider_catalog.output.temporary import TemporaryFile

    close = TemporaryFile.close
    pull = operator(output_path=tmp_path / "rows.jsonl")
    with catalog_server(stalls(endpoint, "later")) as catalog:
        monkeypatch.setattr(TemporaryFile, "close", lambda file: (catalog.requests and pull.on_kill(), close(file)))
        connection(catalog.url, max_concurrency=IN_FLIGHT)
        with ended_by(signal.SIGTERM, pull.on_kill, catalog, IN_FLIGHT), pytest.raises(SystemExit):
            pull.execute({})
    assert list(tmp_path.iterdir()) == []


def test_in_another_thread_nothing_is_raised(operator, endpoint, serve):
    """Airflow calls it in the task's own thread; raised in another one, the error would be somebody else's."""
    pull = operator()
    collect = pull._collect

    def collect_while_killed(*args):
        with ThreadPoolExecutor() as pool:
            pool.submit(pull.on_kill).result()
        return collect(*args)

    pull._collect = collect_while_killed
    with serve([{"id": 1}], endpoint):
        assert pull.execute({}) == [{"id": 1}]
