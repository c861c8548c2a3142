"""A real Airflow, a sandbox for its Catalog, and a Chromium without a window to look at it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox
from tests.real_airflow import RealAirflow

DAGS = Path(__file__).parent / "dags"
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder that keeps the screenshots, such as docs/images; none are made where it is not set."""


@pytest.fixture(scope="module")
def chromium() -> str:
    pytest.importorskip("playwright", reason="no Playwright here: pip install playwright")
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here: on Debian, apt-get install chromium")


@pytest.fixture(scope="module")
def catalog() -> Iterator[SandboxCatalog]:
    with sandbox(products=30, users=60, enrollments=300) as running:
        yield running


@pytest.fixture(scope="module")
def airflow(chromium, tmp_path_factory) -> Iterator[RealAirflow]:
    with RealAirflow(
        home=tmp_path_factory.mktemp("airflow"),
        dags_folder=DAGS,
        dag_ids=["catalog_in_a_browser"],
        variables={"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"},
        limit=400,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, airflow):
    """A page of Airflow's web interface."""
    page = browser.new_page(base_url=airflow.url, viewport={"width": 1250, "height": 1000}, locale="en-US")
    page.set_default_timeout(30_000)
    yield page
    page.close()


@pytest.fixture
def screenshot() -> Callable[..., None]:
    """Return a function that keeps a picture of what is seen, for the documentation and for a person to check."""

    def take(seen, name: str) -> None:
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            seen.screenshot(path=f"{SCREENSHOTS}/{name}.png", animations="disabled")

    return take
