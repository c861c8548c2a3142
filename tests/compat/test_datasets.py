"""What Airflow 3 calls assets are datasets in Airflow 2: their events have the same figures."""

from __future__ import annotations

import pytest

from tests.airflow_names import AIRFLOW
from tests.tasks import operator


@pytest.mark.skipif(AIRFLOW >= (3, 0), reason="for Airflow 2; tests/lineage has Airflow 3's")
def test_a_dataset_and_an_alias_get_the_figures(serve, tmp_path):
    from airflow.datasets import Dataset, DatasetAlias
    from airflow.utils.context import OutletEventAccessors

    dataset, alias, events = Dataset("x-rows://all"), DatasetAlias("files"), OutletEventAccessors()
    with serve([{"id": n} for n in range(25)]):
        task = operator(outlets=[dataset, alias], output_path=tmp_path / "a b.csv")
        manifest = task.execute({"outlet_events": events})
    assert events[dataset].extra["row_count"] == 25
    [event] = events[alias].dataset_alias_events
    assert event["dest_dataset_uri"] == f"file://{tmp_path}/a%20b.csv"
    assert event["extra"]["sha256"] == manifest["sha256"]
