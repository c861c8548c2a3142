"""A storage task's outlets carry the manifest's figures, and a DAG that waits for them reads them."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.utils.openlineage import dataset_name
from tests.operators.conftest import OPERATORS, connection, no_litter, serve  # noqa: F401 - fixtures

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(25)]
FIGURES = {
    "endpoint", "path", "format", "row_count", "size_bytes", "sha256", "pages", "started_at", "finished_at",
}  # fmt: skip


@pytest.fixture
def pull(serve, tmp_path):  # noqa: F811
    """Return a function that runs a task with outlets, and returns its manifest and its context."""
    from airflow.sdk.execution_time.context import OutletEventAccessors

    def run(*outlets, context=None, **parameters):
        context = context or {"outlet_events": OutletEventAccessors()}
        with serve(ROWS, "orders"):
            task = OPERATORS["orders"](
                task_id="pull",
                outlets=list(outlets),
                filters={"account_ids": [77]},
                **{"output_path": tmp_path / "a b.csv", **parameters},
            )
            return task.execute(context), context["outlet_events"]

    return run


def test_an_asset(pull):
    asset = Asset("rows", uri="x-rows://all")
    manifest, events = pull(asset)
    assert events[asset].extra == {name: manifest[name] for name in FIGURES}
    assert "77" not in json.dumps({**events[asset].extra, "sha256": "", "started_at": "", "finished_at": ""})


def test_what_is_on_an_event_already_stays(pull):
    from airflow.sdk.execution_time.context import OutletEventAccessors

    asset, events = Asset("rows"), OutletEventAccessors()
    events[asset].extra["mine"] = 1
    pull(asset, context={"outlet_events": events})
    assert events[asset].extra["mine"] == 1
    assert events[asset].extra["row_count"] == 25


def test_an_asset_by_its_name(pull, monkeypatch):
    """Airflow asks its server for the asset that is meant; here the answer is given."""
    from airflow.sdk.definitions.asset import AssetUniqueKey
    from airflow.sdk.execution_time.context import OutletEventAccessors

    reference = Asset.ref(name="rows")
    resolved = AssetUniqueKey("rows", "rows")
    monkeypatch.setattr(OutletEventAccessors, "_resolve_asset_ref", lambda self, ref: (resolved, {}), raising=True)
    _, events = pull(reference)
    assert events[Asset("rows")].extra["row_count"] == 25


def test_an_alias_gets_the_file_as_an_asset(pull, tmp_path):
    alias = AssetAlias("files")
    manifest, events = pull(alias)
    [event] = events[alias].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{tmp_path}/a%20b.csv"
    assert event.extra["path"] == manifest["path"]


def test_what_is_no_asset_is_left_alone(pull):
    _, events = pull("something else")
    assert len(events) == 0


def test_rows_in_xcom_have_no_figures(pull):
    asset = Asset("rows")
    rows, events = pull(asset, output_path=None)
    assert len(rows) == 25
    assert len(events) == 0


def test_skipping_leaves_no_figures(serve, tmp_path):  # noqa: F811
    from airflow.sdk.execution_time.context import OutletEventAccessors

    from tests.airflow_names import AirflowSkipException

    events = OutletEventAccessors()
    with serve([], "orders"), pytest.raises(AirflowSkipException):
        OPERATORS["orders"](
            task_id="pull", output_path=tmp_path / "rows.csv", on_empty="skip", outlets=[Asset("rows")]
        ).execute({"outlet_events": events})
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
