"""How well a server is used that allows so many requests a second; it is the project's sandbox, with ``rate_limit``."""

from __future__ import annotations

import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.sandbox import sandbox

PAGE_ROWS = 10


def used(rate: int, latency: float, *, seconds: float = 40, in_flight: int = 8) -> dict[str, Any]:
    """Pull for about so many seconds; return how much of the rate was used, less the burst that is allowed at first."""
    logging.getLogger("airflow_provider_catalog").setLevel(logging.ERROR)
    rows = int(rate * seconds) * PAGE_ROWS
    with sandbox(enrollments=rows, products=50, users=100, rate_limit=rate, latency=latency) as catalog:
        client = CatalogClient(CatalogSettings.parse(base_url=catalog.url, token=catalog.token))
        started = time.monotonic()
        rows_read = client.iter_rows(ENDPOINTS["enrollments"], {}, page_size=PAGE_ROWS, max_concurrency=in_flight)
        ids = [row["enrollment_id"] for row in rows_read]
        took = time.monotonic() - started
        statuses = Counter(request.status for request in catalog.requests)
        if ids != sorted(set(ids)) or len(ids) != rows:
            raise RuntimeError(f"{rate} requests a second: rows were lost, doubled or out of order")
        result = {
            "rate": rate,
            "latency": latency,
            "requests_per_second": rows / PAGE_ROWS / took,
            "used": (rows / PAGE_ROWS - rate) / (rate * took),
            "refused": statuses[429],
            "throttled_seconds": client.take_throttled_seconds(),
        }
        client.close()
    return result


def workers(count: int, *, rate: int = 60, latency: float = 0.2, pages: int = 300) -> dict[str, Any]:
    """Pull with several clients that know nothing of one another, as mapped tasks do."""
    logging.getLogger("airflow_provider_catalog").setLevel(logging.ERROR)
    rows = pages * PAGE_ROWS
    with sandbox(enrollments=rows, products=50, users=100, rate_limit=rate, latency=latency) as catalog:

        def pull(_worker: int) -> int:
            client = CatalogClient(CatalogSettings.parse(base_url=catalog.url, token=catalog.token))
            read = client.iter_rows(ENDPOINTS["enrollments"], {}, page_size=PAGE_ROWS, max_concurrency=4)
            ids = [row["enrollment_id"] for row in read]
            client.close()
            return len(set(ids))

        started = time.monotonic()
        with ThreadPoolExecutor(count) as pool:
            if set(pool.map(pull, range(count))) != {rows}:
                raise RuntimeError(f"{count} workers: rows were lost or doubled")
        took = time.monotonic() - started
        refused = Counter(request.status for request in catalog.requests)[429]
    return {"workers": count, "requests_per_second": count * pages / took, "refused": refused}
