"""
### Waits for the day's enrollments, then loads them.

How far Catalog analytics lag behind the courses is not documented. So this DAG does not trust the clock: it starts
at midnight, waits until at least one enrollment of the day is there, and only then loads the day into a Parquet file.

The sensor is deferrable: while it waits, the triggerer asks every five minutes, and no worker slot is taken. After six
hours it gives up; `soft_fail` skips the day then, with what follows, for a day without any enrollment is no failure.

The load asks again rather than take the rows of the sensor's XCom: these are those of the first page only. What the
XCom is good for is its `row_count`, the exact number, with which the last task checks the file.

To try it by hand, give a logical date: the run waits for the last whole day before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_catalog.operators.analytics import CatalogEnrollmentsAnalyticsOperator
from airflow_provider_catalog.sensors.analytics import CatalogEnrollmentsAnalyticsSensor

THE_DAY = {
    "enrollment_date_from": "{{ data_interval_start | ts }}",
    "enrollment_date_to": "{{ data_interval_end | ts }}",
}

with DAG(
    dag_id="catalog_sensors",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={"folder": Param("~/catalog", type="string", description="Where the file goes: a folder or a URL")},
    tags=["catalog", "example"],
) as dag:
    # [START howto_sensor]
    wait = CatalogEnrollmentsAnalyticsSensor(
        task_id="wait",
        filters=THE_DAY,
        min_rows=1,
        fields=["enrollment_id"],  # nobody needs a student's name in an XCom
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(hours=6),
        soft_fail=True,
    )
    # [END howto_sensor]

    load = CatalogEnrollmentsAnalyticsOperator(
        task_id="load",
        filters=THE_DAY,
        output_path="{{ params.folder }}/enrollments_waited/day={{ data_interval_start | ds }}/enrollments.parquet",
    )

    # [START howto_sensor_xcom]
    @task
    def check(waited: dict[str, Any], manifest: dict[str, Any]) -> int:
        """
        Return how many enrollments have come since the sensor saw enough.

        :param waited: the sensor's XCom.
        :param manifest: the load's XCom.
        :raises ValueError: when rows have gone meanwhile.
        """
        new = manifest["row_count"] - waited["row_count"]
        if new < 0:
            raise ValueError(f"the file has {-new} rows less than the sensor has seen: run the load again")
        return int(new)

    wait >> load
    check(wait.output, load.output)
    # [END howto_sensor_xcom]


if __name__ == "__main__":
    dag.test()
