"""A person adds a connection in the browser, tests it, mends it, and runs a DAG with it; the same Airflow all along."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install playwright").expect

DAG_ID = "catalog_in_a_browser"
HASH_SECRET = "a hash secret that is long enough"
LABELS = ["Description", "Catalog URL", "API token", "Port"]
EXTRA_LABELS = ["Request timeout (s)", "Page size", "Concurrent requests", "Hash secret"]
HELP = [
    "Seconds to wait for the Catalog's answer before asking again: 1 to 3600.",
    "Rows asked for in one request: 1 to 100, the API's maximum.",
    "Requests that one task makes at the same time: 1 to 32.",
    "For hash_fields: a random text of 16 characters or more. Keep it: another one, other hashes.",
]

pytestmark = pytest.mark.takes(seconds=70)


@pytest.fixture
def form(page):
    """The form for a new connection, with the type chosen."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").fill("Instr")
    page.get_by_role("option", name="Instructure Catalog").click()
    return form


def open_section(form, name: str):
    form.get_by_role("button", name=name, exact=True).click()


def expect_labels(form, labels: list[str]):
    """Wait until these are the fields that are shown; a required one is marked by a star."""
    always = [re.compile(r"^Connection ID\s*\*$"), re.compile(r"^Connection Type\s*\*$")]
    expect(form.locator("label:visible")).to_have_text(
        [*always, *(re.compile(f"^{re.escape(each)}\\s*$") for each in labels)]
    )


def press_test(page) -> tuple[bool, str]:
    """Press the button in the connection's row, and return what Airflow answers."""
    with page.expect_response(re.compile("/connections/test$")) as response:
        page.get_by_role("button", name="Test Connection").click()
    answer = response.value.json()
    return answer["status"], answer["message"]


def save(form):
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="hidden")


def test_the_form_asks_for_what_is_needed_and_for_nothing_else(form, screenshot):
    expect_labels(form, LABELS)
    expect(form.locator("input[name=host]")).to_have_attribute("placeholder", "https://NAME.catalog.instructure.com")
    expect(form.locator("input[name=password]")).to_have_attribute("placeholder", "made at https://HOST/admin/api_keys")
    expect(form.locator("input[name=password]")).to_have_attribute("type", "password")
    expect(form.locator("input[name=port]")).to_have_attribute("type", "number")
    screenshot(form, "connection-form")

    open_section(form, "Extra Fields")
    expect_labels(form, EXTRA_LABELS)
    for text in HELP:
        expect(form.get_by_text(text)).to_be_visible()
    expect(form.locator("input[name=element_hash_secret]")).to_have_attribute("type", "password")
    screenshot(form, "connection-extra-fields")
    for name, default, most in (("timeout", 60, 3600), ("page_size", 100, 100), ("max_concurrency", 4, 32)):
        number = form.locator(f"input[name=element_{name}]")
        expect(number).to_have_role("spinbutton")
        expect(number).to_have_value(str(default))
        for typed, kept in ((0, 1), (most + 1, most)):
            number.fill(str(typed))
            number.blur()
            expect(number).to_have_value(str(kept))


def test_a_person_sets_up_a_connection_and_runs_a_dag(page, form, airflow, catalog, screenshot, tmp_path):
    # A new connection, with a token that is wrong.
    form.locator("input[name=connection_id]").fill("catalog_default")
    form.locator("input[name=host]").fill(catalog.url)
    form.locator("input[name=password]").fill("a-wrong-token")
    form.locator("input[name=port]").fill(catalog.url.rpartition(":")[2])
    open_section(form, "Extra Fields")
    form.locator("input[name=element_hash_secret]").fill(HASH_SECRET)
    save(form)

    works, message = press_test(page)
    assert not works
    assert message.startswith(f"make an API token at {catalog.url}/admin/api_keys")
    assert message.endswith(f"{catalog.url} is reached, but refuses the API token")
    page.get_by_text("refuses the API token").wait_for()
    screenshot(page, "connection-test-failed")

    # The right token; the hash secret is not touched, and shown to nobody.
    page.get_by_role("button", name="Edit Connection").click()
    expect(form.locator("input[name=password]")).to_have_value("***")
    form.locator("input[name=password]").fill(catalog.token)
    open_section(form, "Extra Fields")
    expect(form.locator("input[name=element_hash_secret]")).to_have_value("***")
    save(form)
    works, message = press_test(page)
    assert works
    assert message == f"{catalog.url} accepts the token; analytics of products, enrollments, orders, users can be read"

    # Something else is changed: the masked token stays what it was.
    page.get_by_role("button", name="Edit Connection").click()
    form.locator("textarea[name=description]").fill("Our Catalog")
    expect(form.locator("input[name=password]")).to_have_value("***")
    save(form)
    assert press_test(page)[0]
    stored = airflow.get("/api/v2/connections/catalog_default")
    assert (stored["description"], stored["password"]) == ("Our Catalog", "***")
    assert json.loads(stored["extra"]) == {"timeout": 60, "page_size": 100, "max_concurrency": 4, "hash_secret": "***"}

    # A DAG runs with it, and its task's page shows what a person looks for.
    run_id = airflow.start_run(DAG_ID, folder=str(tmp_path))
    airflow.until(lambda: airflow.has_ended(DAG_ID, run_id))
    assert airflow.state(DAG_ID, run_id) == "success"
    rows = (tmp_path / "products.csv").read_text().splitlines()
    assert 1 < len(rows) <= catalog.row_count("products")
    look_at_the_task(page, catalog, f"/dags/{DAG_ID}/runs/{run_id}/tasks/products", screenshot)


def test_a_connection_without_a_port(page, form, catalog):
    """Two versions of Airflow refuse to test any, which docs/connection.md and the field's placeholder tell of."""
    form.locator("input[name=connection_id]").fill("no_port")
    form.locator("input[name=host]").fill(catalog.url)
    form.locator("input[name=password]").fill(catalog.token)
    save(form)
    with page.expect_response(re.compile("/connections/test$")) as response:
        page.get_by_role("row", name="no_port").get_by_role("button", name="Test Connection").click()
    assert response.value.status == (400 if version("apache-airflow") in ("3.3.1", "3.3.2") else 200)


def look_at_the_task(page, catalog, address: str, screenshot) -> None:
    page.goto(address)
    page.get_by_text(f"Catalog products: asking {catalog.url}, filters: product_statuses, revenue_min").wait_for()
    page.get_by_text(re.compile(r"Catalog products: \d+ rows, \d+ bytes to .*products\.csv")).wait_for()
    screenshot(page, "task-log")
    page.goto(f"{address}/rendered_templates")
    page.get_by_text('"product_statuses"').wait_for()
    screenshot(page, "task-rendered-templates")
    page.goto(f"{address}/details")
    link = page.get_by_role("link", name="Catalog analytics")
    expect(link).to_have_attribute("href", f"{catalog.url}/new_analytics/products")
    screenshot(page, "task-details")
