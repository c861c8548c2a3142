from __future__ import annotations

import pytest

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.settings import CatalogSettings
from tests.catalog_server import TOKEN
from tests.certificates import make_certificate


@pytest.fixture
def connect():
    """Return a function that makes a client for a URL; the clients are closed after the test."""
    clients = []

    def connect_to(url: str, **settings) -> CatalogClient:
        clients.append(CatalogClient(CatalogSettings.parse(base_url=url, token=TOKEN, **settings)))
        return clients[-1]

    yield connect_to
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return the CA bundle of a self-signed certificate, and a server's context with it."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
