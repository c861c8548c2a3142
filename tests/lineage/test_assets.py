"""A storage task's outlets carry the manifest's figures, and a DAG that waits for them reads them."""

from __future__ import annotations

import json
from collections import defaultdict
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.utils.openlineage import dataset_name
from tests.airflow_names import AirflowSkipException
from tests.tasks import operator

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(25)]
FIGURES = {
    "endpoint", "path", "format", "row_count", "size_bytes", "sha256", "pages", "started_at", "finished_at",
}  # fmt: skip


@pytest.fixture
def pull(serve, tmp_path):
    """Return a function that runs a task with outlets, and returns its manifest and their events."""

    def run(*outlets, rows=ROWS, events=None, **parameters):
        context = {"outlet_events": OutletEventAccessors() if events is None else events}
        with serve(rows):
            parameters = {"output_path": tmp_path / "a b.csv", "filters": {"account_ids": [77]}, **parameters}
            return operator(outlets=list(outlets), **parameters).execute(context), context["outlet_events"]

    return run


def test_an_asset(pull):
    asset = Asset("rows", uri="x-rows://all")
    manifest, events = pull(asset)
    assert events[asset].extra == {name: manifest[name] for name in FIGURES}
    assert "77" not in json.dumps({**events[asset].extra, "sha256": "", "started_at": "", "finished_at": ""})


def test_what_is_on_an_event_already_stays(pull):
    asset, events = Asset("rows"), OutletEventAccessors()
    events[asset].extra["mine"] = 1
    pull(asset, events=events)
    assert events[asset].extra["mine"] == 1
    assert events[asset].extra["row_count"] == 25


def test_an_asset_by_its_name(pull):
    """Which one it is, Airflow asks its server; here its place is taken by a plain mapping."""
    reference, events = Asset.ref(name="rows"), defaultdict(lambda: SimpleNamespace(extra={}))
    pull(reference, events=events)
    assert events[reference].extra["row_count"] == 25


def test_an_alias_gets_the_file_as_an_asset(pull, tmp_path):
    alias = AssetAlias("files")
    manifest, events = pull(alias)
    [event] = events[alias].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{tmp_path}/a%20b.csv"
    assert event.extra["path"] == manifest["path"]


def test_what_is_no_asset_and_rows_in_xcom_have_no_figures(pull):
    for outlet, parameters in (("something else", {}), (Asset("rows"), {"output_path": None})):
        _, events = pull(outlet, **parameters)
        assert len(events) == 0


def test_skipping_leaves_no_figures(pull):
    events = OutletEventAccessors()
    with pytest.raises(AirflowSkipException):
        pull(Asset("rows"), rows=[], events=events, on_empty="skip")
    assert len(events) == 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/a b/ä#1.csv", ("file", "/data/a b/ä#1.csv")),
        ("s3://conn@bucket/day=1/b.csv", ("s3://bucket", "day=1/b.csv")),
        ("gs://bucket/b c.csv", ("gs://bucket", "b c.csv")),
        ("abfs://conn@box/100%.csv", ("abfs://box", "100%.csv")),
    ],
)
def test_openlineage_s_name_of_a_file(path, expected):
    assert dataset_name(Destination.parse(path).uri) == expected
