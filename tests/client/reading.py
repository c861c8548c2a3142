"""Rows of shapes that no documentation shows, and a way to read them."""

from __future__ import annotations

from airflow_provider_catalog.client.endpoints import ENDPOINTS


def made_up_rows(count: int) -> list[dict]:
    return [{"größe": n, "deep": {"er": [n, None, {"x": str(n)}]}, "flag": n % 2 == 0} for n in range(count)]


def read(client, endpoint="orders", filters=None, **kwargs) -> list[dict]:
    return list(client.iter_rows(ENDPOINTS[endpoint], filters or {}, **kwargs))
