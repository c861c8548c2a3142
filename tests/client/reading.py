"""Rows of shapes that no documentation shows, and a way to read them."""

from __future__ import annotations

from contextlib import closing

from airflow_provider_catalog.client.endpoints import ENDPOINTS


def made_up_rows(count: int) -> list[dict]:
    return [{"größe": n, "deep": {"er": [n, None, {"x": str(n)}]}, "flag": n % 2 == 0} for n in range(count)]


def read(client, endpoint="orders", filters=None, **kwargs) -> list[dict]:
    with closing(client.read_pages(ENDPOINTS[endpoint], filters or {}, **kwargs)) as pages:
        return [row for page in pages for row in page.rows]
