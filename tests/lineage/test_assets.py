"""A storage task's outlets carry the manifest's figures, and a DAG that waits for them reads them."""

from __future__ import annotations

import json
from collections import defaultdict
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from tests.airflow_names import AirflowSkipException
from tests.tables.conftest import database  # noqa: F401 - a fixture
from tests.tables.databases import context
from tests.tasks import operator

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(25)]
FIGURES = {
    "endpoint", "path", "format", "row_count", "size_bytes", "sha256", "pages", "started_at", "finished_at",
}  # fmt: skip


@pytest.fixture
def pull(serve, tmp_path):
    """Return a function that runs a task with an outlet, and returns its manifest."""

    def run(outlet, events, rows=ROWS, **parameters):
        parameters = {"output_path": tmp_path / "a b.csv", "filters": {"account_ids": [77]}, **parameters}
        with serve(rows):
            return operator(outlets=[outlet], **parameters).execute({"outlet_events": events})

    return run


def test_an_asset_and_what_is_on_its_event_already(pull):
    asset, events = Asset("rows", uri="x-rows://all"), OutletEventAccessors()
    events[asset].extra["mine"] = 1
    manifest = pull(asset, events)
    assert events[asset].extra == {name: manifest[name] for name in FIGURES} | {"mine": 1}
    assert "77" not in json.dumps({**events[asset].extra, "sha256": "", "started_at": "", "finished_at": ""})


def test_an_asset_by_its_name(pull):
    """Which one it is, Airflow asks its server; here its place is taken by a plain mapping."""
    reference, events = Asset.ref(name="rows"), defaultdict(lambda: SimpleNamespace(extra={}))
    pull(reference, events)
    assert events[reference].extra["row_count"] == 25


def test_an_alias_gets_the_file_as_an_asset(pull, tmp_path):
    alias, events = AssetAlias("files"), OutletEventAccessors()
    manifest = pull(alias, events)
    [event] = events[alias].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{tmp_path}/a%20b.csv"
    assert event.extra["path"] == manifest["path"]


def test_what_is_no_asset_rows_in_xcom_and_a_skipped_task_have_no_figures(pull):
    events = OutletEventAccessors()
    pull("something else", events)
    pull(Asset("rows"), events, output_path=None)
    with pytest.raises(AirflowSkipException):
        pull(Asset("rows"), events, rows=[], on_empty="skip")
    assert len(events) == 0


def test_a_table(database):  # noqa: F811
    asset, alias, events = Asset("orders_rows"), AssetAlias("orders_tables"), OutletEventAccessors()
    task = database.task(outlets=[asset, alias])
    with database.catalog(ROWS):
        manifest = task.execute({**context(), "outlet_events": events})
    assert events[asset].extra.keys() == {
        "endpoint", "table", "write_disposition", "row_count", "inserted", "updated", "deleted", "pages",
        "started_at", "finished_at",
    }  # fmt: skip
    assert events[asset].extra["inserted"] == manifest["inserted"] == 25
    [event] = events[alias].asset_alias_events
    assert event.dest_asset_key.uri.endswith("/orders")
    assert task.operator_extra_links[0].name == "Catalog analytics"
