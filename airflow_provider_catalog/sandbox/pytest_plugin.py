"""A pytest fixture that starts a sandbox; pytest finds it by itself once the provider is installed.

Nothing but this file's few lines is loaded where no test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_catalog.sandbox import SandboxCatalog

__all__ = ["catalog_sandbox", "pytest_configure"]

SIZES = {"products": 30, "users": 80, "enrollments": 500}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "catalog_sandbox(**options): options of the test's catalog_sandbox, such as products=5 or faults=..."
    )


@pytest.fixture
def catalog_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxCatalog]:
    """
    Run a sandbox during the test, to which the Airflow connection ``catalog_default`` leads.

    It has ``url`` and ``token``, ``requests``, ``advance()`` and ``set_faults()``. Its options are those of
    :class:`airflow_provider_catalog.sandbox.Options`, given by ``@pytest.mark.catalog_sandbox(enrollments=2_000)``;
    it is small unless told otherwise.
    """
    from airflow_provider_catalog.sandbox import sandbox

    marker = request.node.get_closest_marker("catalog_sandbox")
    with sandbox(**{**SIZES, **(marker.kwargs if marker else {})}) as catalog:
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", catalog.connection_json)
        yield catalog
