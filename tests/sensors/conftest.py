from __future__ import annotations

import logging

import pytest

from airflow_provider_catalog.sensors.analytics import (
    CatalogEnrollmentsAnalyticsSensor,
    CatalogOrdersAnalyticsSensor,
    CatalogProductsAnalyticsSensor,
    CatalogUsersAnalyticsSensor,
)
from tests.operators.conftest import connection, serve  # noqa: F401 - fixtures

SENSORS = {
    "products": CatalogProductsAnalyticsSensor,
    "enrollments": CatalogEnrollmentsAnalyticsSensor,
    "orders": CatalogOrdersAnalyticsSensor,
    "users": CatalogUsersAnalyticsSensor,
}


@pytest.fixture(params=SENSORS)
def endpoint(request) -> str:
    return request.param


@pytest.fixture
def sensor(endpoint):
    """Return a function that makes the endpoint's sensor."""

    def make(**parameters):
        return SENSORS[endpoint](**{"task_id": "wait", "poke_interval": 0.05, "timeout": 20, **parameters})

    return make


@pytest.fixture
def lines(caplog):
    """Return a function that gives the provider's log lines at INFO and above."""
    caplog.set_level(logging.INFO, logger="airflow_provider_catalog")

    def provider_lines() -> list[tuple[str, str]]:
        return [
            (record.levelname, record.getMessage())
            for record in caplog.records
            if record.name.startswith("airflow_provider_catalog")
        ]

    return provider_lines
