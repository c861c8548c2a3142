"""A storage task's outlets carry the manifest's figures, and a DAG that waits for them reads them."""

from __future__ import annotations

import hashlib
import json

import pyarrow.parquet as pq
import pytest
from airflow.sdk import Asset, AssetAlias

from tests.lineage.real_run import real_run
from tests.operators.conftest import OPERATORS, connection, no_litter, serve  # noqa: F401 - fixtures

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(25)]
FIGURES = {
    "endpoint", "path", "format", "row_count", "size_bytes", "sha256", "pages", "started_at", "finished_at",
}  # fmt: skip

pytestmark = pytest.mark.takes(seconds=45)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return real_run(tmp_path_factory.mktemp("airflow"))


class TestTheExample:
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

    def test_no_student_is_in_an_event_or_in_the_log(self, run):
        emails = set(pq.read_table(run.file).column("student_email").to_pylist()) - {None}
        assert emails
        said = json.dumps(run.events) + run.log
        assert "Catalog orders:" in run.log
        assert not [email for email in emails if email in said]


@pytest.fixture
def pull(serve, tmp_path):  # noqa: F811
    """Return a function that runs a task with outlets, and returns its manifest and its context."""
    from airflow.sdk.execution_time.context import OutletEventAccessors

    def run(endpoint, *outlets, context=None, **parameters):
        context = context or {"outlet_events": OutletEventAccessors()}
        with serve(ROWS, endpoint):
            task = OPERATORS[endpoint](
                task_id="pull",
                outlets=list(outlets),
                filters={"account_ids": [77]},
                **{"output_path": tmp_path / "a b.csv", **parameters},
            )
            return task.execute(context), context["outlet_events"]

    return run


@pytest.mark.parametrize("endpoint", OPERATORS)
def test_an_asset(pull, endpoint):
    asset = Asset("rows", uri="x-rows://all")
    manifest, events = pull(endpoint, asset)
    assert events[asset].extra == {name: manifest[name] for name in FIGURES}
    assert "77" not in json.dumps({**events[asset].extra, "sha256": "", "started_at": "", "finished_at": ""})


def test_what_is_on_an_event_already_stays(pull):
    from airflow.sdk.execution_time.context import OutletEventAccessors

    asset, events = Asset("rows"), OutletEventAccessors()
    events[asset].extra["mine"] = 1
    pull("orders", asset, context={"outlet_events": events})
    assert events[asset].extra["mine"] == 1
    assert events[asset].extra["row_count"] == 25


def test_an_asset_by_its_name(pull, monkeypatch):
    """Airflow asks its server for the asset that is meant; here the answer is given."""
    from airflow.sdk.definitions.asset import AssetUniqueKey
    from airflow.sdk.execution_time.context import OutletEventAccessors

    reference = Asset.ref(name="rows")
    resolved = AssetUniqueKey("rows", "rows")
    monkeypatch.setattr(OutletEventAccessors, "_resolve_asset_ref", lambda self, ref: (resolved, {}), raising=True)
    _, events = pull("orders", reference)
    assert events[Asset("rows")].extra["row_count"] == 25


def test_an_alias_gets_the_file_as_an_asset(pull, tmp_path):
    alias = AssetAlias("files")
    manifest, events = pull("users", alias)
    [event] = events[alias].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{tmp_path}/a%20b.csv"
    assert event.extra["path"] == manifest["path"]


def test_what_is_no_asset_is_left_alone(pull):
    _, events = pull("orders", "something else")
    assert len(events) == 0


def test_rows_in_xcom_have_no_figures(pull):
    asset = Asset("rows")
    rows, events = pull("orders", asset, output_path=None)
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
