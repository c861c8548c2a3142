"""What goes over the wire."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from tests.catalog_server import TOKEN, Answer, Pages, catalog_server


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_request(read, endpoint):
    with catalog_server(lambda request: Answer({endpoint: []})) as catalog:
        read(catalog.url, endpoint, {"account_ids": [1, 2]})
    [request] = catalog.requests
    assert (request.method, request.path) == ("POST", f"/api/v1/analytics/{endpoint}")
    assert request.query == {"per_page": "100"}
    assert request.headers["authorization"] == f'Token token="{TOKEN}"'
    assert request.headers["content-type"] == "application/json"
    assert request.body == b'{"account_ids":[1,2]}'
    assert "gzip" in request.headers["accept-encoding"]
    assert request.headers["user-agent"].startswith("airflow-provider-catalog/")


def test_a_form_and_another_path(read):
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        read(catalog.url, filters={"account_ids": [1]}, request_encoding="form", paths={"orders": "/api/v2/orders"})
    [request] = catalog.requests
    assert request.path == "/api/v2/orders"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


def test_no_more_connections_than_requests_at_once(read):
    with catalog_server(Pages([{"n": n} for n in range(300)], size=5)) as catalog:
        assert len(read(catalog.url, max_concurrency=4)) == 300
    assert len({request.client for request in catalog.requests}) <= 4


def test_progress_of_a_long_pull(read, monkeypatch, caplog):
    monkeypatch.setattr("airflow_provider_catalog.client.reading.LOG_INTERVAL", 0.0)
    caplog.set_level(logging.INFO)
    with catalog_server(Pages([{"n": n} for n in range(30)])) as catalog:
        read(catalog.url)
    lines = [record.getMessage() for record in caplog.records if "pages" in record.getMessage()]
    assert lines[0].startswith("Catalog orders: 1 of 3 pages, 10 rows, ")
    assert lines[-1].startswith("Catalog orders: 3 of 3 pages, 30 rows, ")
    assert lines[-1].endswith("rows/s, about 0 s left")
