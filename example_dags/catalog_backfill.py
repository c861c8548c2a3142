"""
### Years of everything, month by month.

A first load, or the periodic full load that catches what a daily window never sees. For each of the four endpoints, a
mapped task loads each month into a CSV file, and a last task checks that together they hold as many rows as the Catalog
has.

A month that failed is repeated alone, by clearing its mapped task: it replaces its own file and nothing else. At most
four tasks of a run are at work at once, on one laptop or spread over many workers; a worker that dies costs a retry.

The windows touch: one ends at the instant at which the next begins. It is not documented whether a `..._to` filter
includes that instant. If it does, a row of midnight sharp is in two files, and the check says how many there are;
windows with a gap between them would lose rows without a word.

(Airflow's own `airflow backfill create` runs `catalog_daily_load` for each day of a range: as many runs as days.)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.analytics import (
    CatalogEnrollmentsAnalyticsOperator,
    CatalogOrdersAnalyticsOperator,
    CatalogProductsAnalyticsOperator,
    CatalogUsersAnalyticsOperator,
)

# Each endpoint's operator, and the filters that say of when its rows are.
ENDPOINTS: dict[str, tuple[Any, str]] = {
    "products": (CatalogProductsAnalyticsOperator, "creation_date"),
    "enrollments": (CatalogEnrollmentsAnalyticsOperator, "enrollment_date"),
    "orders": (CatalogOrdersAnalyticsOperator, "purchase_date"),
    "users": (CatalogUsersAnalyticsOperator, "registration_date"),
}

with DAG(
    dag_id="catalog_backfill",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_tasks=4,  # the Catalog has other users, too
    default_args={"retries": 2},
    params={
        "folder": Param("~/catalog", type="string", description="Where the files go: a folder or a URL"),
        "first_day": Param("2026-01-01", type="string", format="date", description="The first day to load"),
        "end_day": Param("2026-07-01", type="string", format="date", description="The day after the last one"),
    },
    tags=["catalog", "example"],
) as dag:
    # [START howto_backfill]
    @task
    def months(folder: str, first_day: str, end_day: str) -> list[dict[str, str]]:
        """
        Return the windows: one for each month.

        :param folder: where the files go.
        :param first_day: the first day to load, as YYYY-MM-DD.
        :param end_day: the day after the last one.
        """
        start, end = date.fromisoformat(first_day), date.fromisoformat(end_day)
        windows = []
        while start < end:
            next_month = (start.replace(day=1) + timedelta(days=31)).replace(day=1)
            windows.append(
                {
                    "folder": folder,
                    "month": f"{start:%Y-%m}",
                    "from": f"{start}T00:00:00Z",
                    "to": f"{min(next_month, end)}T00:00:00Z",
                }
            )
            start = next_month
        return windows

    def load_of(endpoint: str, when: str) -> Callable[[dict[str, str]], dict[str, Any]]:
        """Return a function that gives the arguments of an endpoint's load for a window."""

        def arguments(window: dict[str, str]) -> dict[str, Any]:
            return {
                "filters": {f"{when}_from": window["from"], f"{when}_to": window["to"]},
                "output_path": f"{window['folder']}/by_month/{endpoint}/month={window['month']}/{endpoint}.csv",
            }

        return arguments

    windows = months("{{ params.folder }}", "{{ params.first_day }}", "{{ params.end_day }}")
    loads = {
        endpoint: operator.partial(
            task_id=endpoint,
            map_index_template="{{ task.output_path.split('/')[-2] }}",  # its name in the UI: month=2026-01
        ).expand_kwargs(windows.map(load_of(endpoint, when)))
        for endpoint, (operator, when) in ENDPOINTS.items()
    }
    # [END howto_backfill]

    # [START howto_hook_count]
    @task
    def check(manifests: dict[str, list[dict[str, Any]]], first_day: str, end_day: str) -> dict[str, dict[str, int]]:
        """
        Compare what was loaded with what the Catalog says there is.

        :param manifests: the XComs of the mapped tasks, by endpoint.
        :param first_day: the first day that was loaded, as YYYY-MM-DD.
        :param end_day: the day after the last one.
        :raises ValueError: when rows are missing.
        """
        hook = CatalogHook()
        counted = {}
        for endpoint, (_, when) in ENDPOINTS.items():
            filters = {f"{when}_from": f"{first_day}T00:00:00Z", f"{when}_to": f"{end_day}T00:00:00Z"}
            there = hook.count_rows(endpoint, filters)
            loaded = sum(manifest["row_count"] for manifest in manifests[endpoint])
            if loaded < there:
                raise ValueError(
                    f"{endpoint}: the files have {loaded:,} rows, the Catalog has {there:,}: run the DAG again"
                )
            counted[endpoint] = {"rows": loaded, "in_two_files": loaded - there}
        return counted

    outputs = {endpoint: load.output for endpoint, load in loads.items()}
    check(outputs, "{{ params.first_day }}", "{{ params.end_day }}")
    # [END howto_hook_count]


if __name__ == "__main__":
    dag.test()
