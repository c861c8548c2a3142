"""Airflow's HttpOperator with a ``pagination_function``; its result is the XCom, which is written down for checking."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import airflow.sdk.execution_time.supervisor  # noqa: F401 - as for the provider
from airflow.providers.http.operators.http import HttpOperator

from benchmarks.contenders.measured import run

results: list[str] = []


def next_page(response: Any) -> dict[str, Any] | None:
    """Return what the next request differs in."""
    link = response.links.get("next")
    if not link:
        return None
    parts = urlsplit(link["url"])
    query = "&".join(f"{name}={value}" for name, value in parse_qsl(parts.query))
    return {"endpoint": f"{parts.path}?{query}"}


def pull(url: str, path: str) -> int:
    """Run the task."""
    parts = urlsplit(url)
    os.environ["AIRFLOW_CONN_CATALOG"] = json.dumps(
        {"conn_type": "http", "host": parts.hostname, "port": parts.port, "schema": "http"}
    )
    task = HttpOperator(
        task_id="pull",
        http_conn_id="catalog",
        endpoint="api/v1/analytics/enrollments?per_page=100",
        method="POST",
        data="{}",
        headers={"Authorization": 'Token token="token"', "Content-Type": "application/json"},
        pagination_function=next_page,
    )
    results.extend(task.execute({}))
    return len(json.dumps(results))


if __name__ == "__main__":
    import sys

    run(pull)
    with Path(sys.argv[2]).open("w") as file:
        for text in results:
            file.writelines(json.dumps(row) + "\n" for row in json.loads(text)["enrollments"])
