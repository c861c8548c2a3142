"""
### Orders joined to users, without a name in sight.

How much do those spend who came through the Catalog itself, and how much those who came by way of Canvas? Orders know
the student and the revenue, users know where they registered. Both are loaded with the student's id hashed, and the
hash is what joins them: `hash_fields` is an HMAC with the connection's *Hash key*, so the same id has the same hash
whichever endpoint it comes from, today and next year, and nobody without the key can tell whose it is.

`fields` is the stricter half of it: only what it names is kept, so no name, e-mail or custom field reaches the disk,
not even one that the Catalog adds one day. The columns of orders and users are not documented: check those of your own
Catalog first.

An order of several seats has no student of its own (`student` is `null`): it is joined by who bought it.

**What a hash is not.** Whoever has the key can test guesses, and rows that belong to one person still hang together:
hashed data is pseudonymous, not anonymous. Keep the key from those who read the files, and never change it, or new
files will not join old ones.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_catalog.operators.analytics import (
    CatalogOrdersAnalyticsOperator,
    CatalogUsersAnalyticsOperator,
)

with DAG(
    dag_id="catalog_join_hashed",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"folder": Param("~/catalog", type="string", description="Where the files go: a folder or a URL")},
    tags=["catalog", "example"],
) as dag:
    # [START howto_hash_fields]
    orders = CatalogOrdersAnalyticsOperator(
        task_id="orders",
        fields=["student.id", "purchaser.id", "revenue", "currency"],
        hash_fields=["student.id", "purchaser.id"],
        output_path="{{ params.folder }}/hashed/orders.jsonl",
    )

    users = CatalogUsersAnalyticsOperator(
        task_id="users",
        fields=["student.id", "registered_through"],
        hash_fields=["student.id"],
        output_path="{{ params.folder }}/hashed/users.jsonl",
    )
    # [END howto_hash_fields]

    # [START howto_join_by_hash]
    @task
    def revenue_by_registration(orders_file: dict[str, Any], users_file: dict[str, Any]) -> dict[str, dict[str, float]]:
        """
        Return what those spent who registered in each way, by currency.

        :param orders_file: the manifest of the orders' file.
        :param users_file: the manifest of the users' file.
        """

        def rows(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
            with ObjectStoragePath(manifest["path"]).open() as file:
                yield from map(json.loads, file.readlines())

        registered = {user["student"]["id"]: user["registered_through"] for user in rows(users_file)}
        revenue: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for order in rows(orders_file):
            who = (order.get("student") or order["purchaser"])["id"]
            revenue[registered.get(who, "unknown")][order["currency"]] += order["revenue"]
        return {through: {currency: round(sums[currency], 2) for currency in sums} for through, sums in revenue.items()}

    revenue_by_registration(orders.output, users.output)
    # [END howto_join_by_hash]


if __name__ == "__main__":
    dag.test()
