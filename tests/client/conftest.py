from __future__ import annotations

from contextlib import closing

import pytest

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.settings import CatalogSettings
from tests.catalog_server import TOKEN


@pytest.fixture(scope="session")
def read():
    """Return a function that reads all rows, without Airflow."""

    def read_all(url: str, endpoint: str = "orders", filters: dict | None = None, **settings) -> list[dict]:
        with closing(CatalogClient(CatalogSettings.parse(base_url=url, token=TOKEN, **settings))) as client:
            return list(client.iter_rows(ENDPOINTS[endpoint], filters or {}))

    return read_all
