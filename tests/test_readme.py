"""The tables of README and reference pages say what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from airflow_provider_catalog import errors
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.filter_check import filter_names
from airflow_provider_catalog.get_provider_info import get_provider_info
from airflow_provider_catalog.hooks.catalog import EXTRAS
from airflow_provider_catalog.operators import analytics as operators
from airflow_provider_catalog.sensors import analytics as sensors
from airflow_provider_catalog.transfers import analytics_to_sql as transfers
from tests.compat import matrix

ROOT = Path(__file__).parent.parent


def table(page: str, header: str) -> list[list[str]]:
    """Return the rows of the table whose header begins so, header first; the line below it is left out."""
    [text] = re.findall(
        rf"^{re.escape(header)}.*?(?=\n[^|]|\n\n|\Z)", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return rows[:1] + rows[2:]


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_filters(endpoint):
    header, *rows = table("docs/filters.md", "| filter")
    ticked = [name for row in rows if row[header.index(endpoint)] == "✓" for name in names(row[0])]
    assert sorted(ticked) == filter_names(ENDPOINTS[endpoint])


def test_operators():
    _, *rows = table("docs/operators.md", "| | products")
    for (first, *cells), module in zip(rows, (operators, transfers, sensors), strict=True):
        assert f"`{module.__name__.removeprefix('airflow_provider_catalog.')}`" in first
        assert [getattr(module, name).endpoint for cell in cells for name in names(cell)] == list(ENDPOINTS)


def test_parameters():
    _, *rows = table("docs/operators.md", "| parameter")
    defaults = {name: row[1] for row in rows for name in names(row[0])}
    signature = inspect.signature(inspect.unwrap(operators.CatalogAnalyticsBaseOperator.__init__)).parameters
    assert set(defaults) == set(signature) - {"self", "kwargs"}
    for name in ("catalog_conn_id", "on_empty"):
        assert defaults[name] == f'`"{signature[name].default}"`'
    assert defaults["max_xcom_bytes"] == f"{signature['max_xcom_bytes'].default:,}"


def test_connection():
    tables = [
        table("docs/connection.md", header)[1:] for header in ("| field | meaning", "| field | in extra", "| in extra")
    ]
    form, on_form, not_on_form = tables
    assert {name for row in on_form for name in names(row[1])} | {names(row[0])[0] for row in not_on_form} == set(
        EXTRAS
    )
    [connection_type] = get_provider_info()["connection-types"]
    labels = {field["label"] for field in connection_type["conn-fields"].values()}
    assert {row[0] for row in on_form} == labels
    assert set(connection_type["ui-field-behaviour"]["relabeling"].values()) <= {row[0] for row in form}


def test_errors():
    _, *rows = table("docs/errors.md", "| error")
    listed = {name: row[2] for row in rows for name in names(row[0])}
    kinds = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.CatalogError)]
    assert listed == {
        each.__name__: "yes" if each.retryable else "no" for each in kinds if each is not errors.CatalogError
    }


def test_versions():
    page = (ROOT / "docs" / "versions.md").read_text()
    assert f"| Apache Airflow | 2.11, and 3.0 and later | {', '.join(reversed(matrix.PYTHONS))} |" in page
    newest, oldest = (", ".join(matrix.PYTHONS[airflow]) for airflow in (matrix.NEWEST, matrix.OLDEST))
    assert f"| Python | 3.11 and later | {newest}; on Airflow 2.11 {oldest} |" in page


def test_a_stranger_sees_what_it_is_within_one_screen_of_text():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "has not yet been run against a live Catalog" in " ".join(text.split())
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (ROOT / picture).is_file()
