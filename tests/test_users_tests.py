"""What people do in tests of their own DAGs: replay a recorded Catalog, stop the clock."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from tests.catalog_server import TOKEN
from tests.processes import python

vcr = pytest.importorskip("vcr", reason="vcrpy is not installed")
pytest.importorskip("time_machine", reason="time-machine is not installed")

ROWS = [{"id": n} for n in range(35)]


def test_a_cassette_of_vcrpy_is_replayed(serve, tmp_path):
    """Frozen in a file with the first run, the Catalog is not asked in the second."""
    recorder = vcr.VCR(filter_headers=["authorization"], cassette_library_dir=str(tmp_path))
    pull = CatalogOrdersAnalyticsOperator(task_id="pull", max_concurrency=1)
    with serve(ROWS) as catalog:
        with recorder.use_cassette("orders.yaml", record_mode="once"):
            assert pull.execute({}) == ROWS
        asked = len(catalog.requests)
        assert asked
        with recorder.use_cassette("orders.yaml", record_mode="none"):
            assert CatalogOrdersAnalyticsOperator(task_id="pull", max_concurrency=1).execute({}) == ROWS
        assert len(catalog.requests) == asked
    assert TOKEN not in (tmp_path / "orders.yaml").read_text()


FROZEN = """
import datetime, os
import time_machine
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from tests.catalog_server import Answer, Pages, catalog_server

good, answers = Pages([{"id": n} for n in range(35)]), []

def answer(request):
    answers.append(request)
    return Answer(status=503) if len(answers) in (2, 3) else good(request)

with catalog_server(answer) as catalog:
    os.environ["AIRFLOW_CONN_CATALOG_DEFAULT"] = catalog.connection()
    with time_machine.travel(datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC), tick=False):
        assert len(CatalogOrdersAnalyticsOperator(task_id="pull").execute({})) == 35
        assert CatalogOrdersAnalyticsSensor(task_id="wait").poke({}).is_done
print("ended")
"""


def test_a_clock_that_stands_still_is_no_endless_wait():
    assert python(FROZEN).endswith("ended\n")
