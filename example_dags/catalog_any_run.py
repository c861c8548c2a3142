"""
### The last whole day, whatever starts the run.

Loads the orders of one day into a Parquet file. A run that a schedule starts has a data interval; one that an asset's
event, a partition timetable or the REST API with `"logical_date": null` starts has none, and a template with `{{ ds }}`
or `{{ data_interval_start }}` fails there: `'data_interval_start' is undefined`. This DAG works for all of them: its
first task works out the day, from what the run has.

The day is a local one, from midnight to midnight in `TIME_ZONE`, also when the clocks change: 23 or 25 hours then. The
Catalog is asked with instants in UTC. (`{{ data_interval_start | ds }}` would be the day in UTC, which is the day
before where a day begins in Berlin.)
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, Param, task
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator

# [START howto_any_run]
TIME_ZONE = "Europe/Berlin"


@task
def whole_day(dag_run: Any = None, partition_date: datetime | None = None) -> dict[str, str]:
    """
    Return the day of the run's partition, or the last one before the run, and the instants when it begins and ends.

    :param dag_run: filled in by Airflow, as below.
    :param partition_date: of a run that a partition timetable has started.
    """
    zone = ZoneInfo(TIME_ZONE)
    if partition_date:
        day = partition_date.astimezone(zone).date()
    else:
        end: datetime = dag_run.data_interval_end or dag_run.run_after
        day = end.astimezone(zone).date() - timedelta(days=1)
    first, after = (datetime.combine(each, time.min, zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return {"day": str(day), "from": f"{first:%Y-%m-%dT%H:%M:%SZ}", "to": f"{after:%Y-%m-%dT%H:%M:%SZ}"}


with DAG(
    dag_id="catalog_any_run",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronDataIntervalTimetable("0 0 * * *", timezone=TIME_ZONE), assets=[Asset("catalog_orders_wanted")]
    ),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"folder": Param("~/catalog", type="string", description="Where the files go: a folder or a URL")},
    tags=["catalog", "example"],
) as dag:
    day = whole_day()
    CatalogOrdersAnalyticsOperator(
        task_id="orders",
        filters={"purchase_date_from": day["from"], "purchase_date_to": day["to"]},
        output_path="{{ params.folder }}/local/orders/day={{ ti.xcom_pull('whole_day')['day'] }}/orders.parquet",
    )
    # [END howto_any_run]


if __name__ == "__main__":
    dag.test()
