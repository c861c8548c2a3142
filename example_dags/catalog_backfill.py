"""
### Years of orders, month by month.

A first load, or the periodic full load that catches what a daily window never sees. One mapped task loads each
month into a CSV file, and a last one checks that together they hold as many rows as the Catalog has.

A month that failed is repeated alone, by clearing its mapped task: it replaces its own file and nothing else.

The windows touch: one ends at the instant at which the next begins. It is not documented whether a `..._to` filter
includes that instant. If it does, an order of midnight sharp is in two files, and the check says how many there are;
windows with a gap between them would lose rows without a word.

(Airflow's own `airflow backfill create` runs `catalog_daily_load` for each day of a range: as many runs as days.)
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator

with DAG(
    dag_id="catalog_backfill",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={
        "folder": Param("~/catalog", type="string", description="Where the files go: a folder or a URL"),
        "first_day": Param("2026-01-01", type="string", format="date", description="The first day to load"),
        "end_day": Param("2026-07-01", type="string", format="date", description="The day after the last one"),
    },
    tags=["catalog", "example"],
) as dag:
    # [START howto_backfill]
    @task
    def months(folder: str, first_day: str, end_day: str) -> list[dict[str, Any]]:
        """
        Return the arguments of one load for each month.

        :param folder: where the files go.
        :param first_day: the first day to load, as YYYY-MM-DD.
        :param end_day: the day after the last one.
        """
        start, end = date.fromisoformat(first_day), date.fromisoformat(end_day)
        loads = []
        while start < end:
            next_month = (start.replace(day=1) + timedelta(days=31)).replace(day=1)
            loads.append(
                {
                    "filters": {
                        "purchase_date_from": f"{start}T00:00:00Z",
                        "purchase_date_to": f"{min(next_month, end)}T00:00:00Z",
                    },
                    "output_path": f"{folder}/orders_by_month/month={start:%Y-%m}/orders.csv",
                }
            )
            start = next_month
        return loads

    orders = CatalogOrdersAnalyticsOperator.partial(
        task_id="orders",
        max_active_tis_per_dag=4,  # the Catalog has other users, too
    ).expand_kwargs(months("{{ params.folder }}", "{{ params.first_day }}", "{{ params.end_day }}"))
    # [END howto_backfill]

    # [START howto_hook_count]
    @task
    def check(manifests: list[dict[str, Any]], first_day: str, end_day: str) -> dict[str, int]:
        """
        Compare what was loaded with what the Catalog says there is.

        :param manifests: the XComs of the mapped tasks.
        :param first_day: the first day that was loaded, as YYYY-MM-DD.
        :param end_day: the day after the last one.
        :raises ValueError: when rows are missing.
        """
        loaded = sum(manifest["row_count"] for manifest in manifests)
        there = CatalogHook().count_rows(
            "orders", {"purchase_date_from": f"{first_day}T00:00:00Z", "purchase_date_to": f"{end_day}T00:00:00Z"}
        )
        if loaded < there:
            raise ValueError(f"the files have {loaded:,} rows, the Catalog has {there:,}: run the DAG again")
        return {"rows": loaded, "in_two_files": loaded - there}

    check(orders.output, "{{ params.first_day }}", "{{ params.end_day }}")
    # [END howto_hook_count]


if __name__ == "__main__":
    dag.test()
