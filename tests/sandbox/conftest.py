from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from airflow_provider_catalog.sandbox import ENDPOINTS, SandboxCatalog, sandbox

SMALL = {"products": 45, "users": 45, "enrollments": 90, "as_of": "2026-07-01"}
EMPTY = {"products": 0, "users": 0, "enrollments": 0}
LARGE = {"params": {"per_page": 100_000}}


@pytest.fixture(scope="session")
def post():
    """Ask an analytics endpoint of a sandbox; filters go as JSON unless `data` is given."""
    with requests.Session() as session:
        session.trust_env = False

        def ask(catalog: SandboxCatalog, endpoint: str, filters=None, *, token=None, headers=(), **more):
            headers = {"Authorization": f'Token token="{token or catalog.token}"', **dict(headers)}
            if "data" not in more:
                more["json"] = filters or {}
            return session.post(
                f"{catalog.url}/api/v1/analytics/{endpoint}", headers=headers, **{"timeout": 10, **more}
            )

        yield ask


@pytest.fixture(scope="session")
def read(post):
    """Return a function that gives every row of every endpoint of a sandbox that gives large pages."""
    return lambda catalog: {each: post(catalog, each, **LARGE).json()[each] for each in ENDPOINTS}


@pytest.fixture(scope="session")
def catalog() -> Iterator[SandboxCatalog]:
    """A sandbox that gives all its rows in one page, when asked to."""
    with sandbox(products=60, users=150, enrollments=1_500, max_per_page=100_000, as_of="2026-07-01") as running:
        yield running


@pytest.fixture(scope="session")
def all_rows(catalog, read):
    return read(catalog)
