from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_catalog.sandbox import ENDPOINTS, SandboxCatalog, sandbox

Post = Callable[..., requests.Response]
SMALL = {"products": 45, "users": 45, "enrollments": 90, "as_of": "2026-07-01"}


@pytest.fixture(scope="session")
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
def read(post) -> Callable[[SandboxCatalog], dict[str, list[dict[str, Any]]]]:
    """Return a function that gives every row of every endpoint of a sandbox that gives large pages."""
    large = {"params": {"per_page": 100_000}}
    return lambda catalog: {each: post(catalog, each, **large).json()[each] for each in ENDPOINTS}


@pytest.fixture(scope="session")
def catalog() -> Iterator[SandboxCatalog]:
    """A sandbox that gives all its rows in one page, when asked to."""
    with sandbox(products=60, users=150, enrollments=1_500, max_per_page=100_000, as_of="2026-07-01") as running:
        yield running


@pytest.fixture(scope="session")
def all_rows(catalog, read) -> dict[str, list[dict[str, Any]]]:
    """Every row of every endpoint."""
    return read(catalog)
