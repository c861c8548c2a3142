from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox

Post = Callable[..., requests.Response]


@pytest.fixture
def post() -> Iterator[Post]:
    """Ask an analytics endpoint of a sandbox; filters go as JSON unless `data` is given."""
    with requests.Session() as session:
        session.trust_env = False

        def ask(
            catalog: SandboxCatalog, endpoint: str, filters: Any = None, *, token: str | None = None, **more: Any
        ) -> requests.Response:
            headers = {"Authorization": f'Token token="{token or catalog.token}"'}
            if "data" not in more:
                more["json"] = {} if filters is None else filters
            url = f"{catalog.url}/api/v1/analytics/{endpoint}"
            more.setdefault("timeout", 10)
            return session.post(url, headers=headers | more.pop("headers", {}), **more)

        yield ask


@pytest.fixture(scope="session")
def catalog() -> Iterator[SandboxCatalog]:
    """A sandbox that gives all its rows in one page, when asked to."""
    with sandbox(products=60, users=150, enrollments=1_500, max_per_page=100_000) as running:
        yield running


@pytest.fixture(scope="session")
def all_rows(catalog: SandboxCatalog) -> dict[str, list[dict[str, Any]]]:
    """Every row of every endpoint."""
    rows = {}
    for endpoint in ("products", "enrollments", "orders", "users"):
        response = requests.post(
            f"{catalog.url}/api/v1/analytics/{endpoint}?per_page=100000",
            headers={"Authorization": f'Token token="{catalog.token}"'},
            timeout=10,
        )
        rows[endpoint] = response.json()[endpoint]
    return rows
