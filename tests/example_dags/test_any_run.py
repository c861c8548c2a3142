"""The example that works for runs without dates, too."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import macros

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from tests.example_dags.conftest import PROJECT, load_dag
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() warns of

PAGE = (PROJECT / "docs" / "dates.md").read_text()
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def busy_day(all_rows) -> str:
    """Return the local day of an order in the first hours of it, when it is another day in UTC."""
    instants = [datetime.fromisoformat(row["purchase_date"]) for row in all_rows("orders")]
    local = ((at, at.astimezone(BERLIN).date()) for at in instants if at.year >= 2026)  # the DAG begins then
    return next(str(day) for at, day in local if at.date() != day)


def test_a_run_with_a_data_interval(run_example, all_rows, busy_day):
    after = datetime.fromisoformat(f"{busy_day}T12:00").replace(tzinfo=BERLIN) + timedelta(days=1)
    run = run_example("catalog_any_run", after.astimezone(UTC))
    assert run.state == "success"
    assert run.xcoms["whole_day"]["day"] == busy_day
    table = pq.read_table(run.folder / "local" / "orders" / f"day={busy_day}" / "orders.parquet")
    bought = {row["order_id"]: datetime.fromisoformat(row["purchase_date"]) for row in all_rows("orders")}
    of_that_day = {key for key, at in bought.items() if str(at.astimezone(BERLIN).date()) == busy_day}
    # An order of the next midnight sharp would be there, too: the API does not say whether "to" is inclusive.
    assert of_that_day
    assert set(table["order_id"].to_pylist()) == of_that_day


def test_a_run_without_a_logical_date(run_example):
    """What Airflow gives an asset's run, and the REST API one with ``"logical_date": null``."""
    run = run_example("catalog_any_run", None)
    assert run.state == "success"
    yesterday = {
        str(at.date() - timedelta(days=1)) for at in (datetime.now(BERLIN), datetime.now(BERLIN) - timedelta(hours=1))
    }
    assert run.xcoms["whole_day"]["day"] in yesterday
    assert run.xcoms["orders"]["path"].endswith(f"/day={run.xcoms['whole_day']['day']}/orders.parquet")


@pytest.mark.parametrize("ends", [None, datetime(2026, 6, 30, tzinfo=UTC)])
def test_the_window_that_the_page_shows_for_every_run(ends):
    [code] = [each for each in re.findall(r"```python\n(filters = .*?)```", PAGE, re.DOTALL) if "run_after" in each]
    names: dict = {}
    exec(code, names)  # noqa: S102 - our own page
    pull = CatalogOrdersAnalyticsOperator(task_id="pull", filters=names["filters"])
    run = SimpleNamespace(data_interval_end=ends, run_after=datetime(2026, 6, 30, tzinfo=UTC))
    with DAG("dag", schedule=None) as dag:
        pull.render_template_fields({"dag_run": run, "macros": macros}, dag.get_template_env())
    assert pull.filters == {
        "purchase_date_from": "2026-06-28T00:00:00+00:00",
        "purchase_date_to": "2026-06-30T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("context", "day", "start", "end"),
    [
        ({"partition_date": datetime(2026, 6, 29, 22, tzinfo=UTC)}, "2026-06-30", "2026-06-29T22", "2026-06-30T22"),
        ({"run_after": datetime(2026, 6, 30, 23, tzinfo=UTC)}, "2026-06-30", "2026-06-29T22", "2026-06-30T22"),
        ({"run_after": datetime(2026, 6, 30, 21, tzinfo=UTC)}, "2026-06-29", "2026-06-28T22", "2026-06-29T22"),
        ({"run_after": datetime(2026, 3, 30, 9, tzinfo=UTC)}, "2026-03-29", "2026-03-28T23", "2026-03-29T22"),
        ({"run_after": datetime(2026, 10, 26, 9, tzinfo=UTC)}, "2026-10-25", "2026-10-24T22", "2026-10-25T23"),
    ],
    ids=["a partition", "late in the day", "early", "the clocks go forward", "the clocks go back"],
)
def test_the_day(context, day, start, end):
    whole_day = load_dag("catalog_any_run").get_task("whole_day").python_callable
    dag_run = SimpleNamespace(data_interval_end=None, run_after=context.get("run_after"))
    found = whole_day(dag_run=dag_run, partition_date=context.get("partition_date"))
    assert found == {"day": day, "from": f"{start}:00:00Z", "to": f"{end}:00:00Z"}
