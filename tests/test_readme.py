"""What the README says is so."""

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
from airflow_provider_catalog.operators import analytics
from tests.compat import matrix

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def table(after: str) -> list[list[str]]:
    """Return the cells of the first table after a line that begins so."""
    lines = README[README.index(after) :].splitlines()
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows


def test_the_dag_is_one():
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace: dict = {}
    exec(compile(code.replace("\n):\n", "\n) as dag:\n"), "README.md", "exec"), namespace)  # noqa: S102 - our own README
    assert namespace["dag"].task_ids == ["orders"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_table_of_filters(endpoint):
    header, _, *rows = table("## Filters")
    column = header.index(endpoint)
    ticked = [name for row in rows if row[column] == "✓" for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(ticked) == filter_names(ENDPOINTS[endpoint])


def test_the_table_of_operators():
    _, _, operators, *_ = table("More of them")
    names = [cell.strip("`") for cell in operators[1:]]
    assert [getattr(analytics, name).endpoint for name in names] == list(ENDPOINTS)


def test_the_table_of_parameters():
    rows = table("All operators take the same parameters")[2:]
    named = {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    signature = inspect.signature(inspect.unwrap(analytics.CatalogAnalyticsBaseOperator.__init__)).parameters
    assert set(named) == set(signature) - {"self", "kwargs"}
    for name in ("catalog_conn_id", "on_empty"):
        assert named[name] == f'`"{signature[name].default}"`'
    assert named["max_xcom_bytes"] == f"{signature['max_xcom_bytes'].default:,}"


def test_the_table_of_the_connection():
    text = "\n".join(" | ".join(row) for row in table("| form field"))
    assert all(f"`{name}`" in text for name in EXTRAS)
    [connection_type] = get_provider_info()["connection-types"]
    labels = {field["label"] for field in connection_type["conn-fields"].values()}
    labels |= set(connection_type["ui-field-behaviour"]["relabeling"].values())
    assert {row[0] for row in table("| form field")[2:] if row[0]} == labels


def test_the_table_of_errors():
    text = README[README.index("## Errors") :]
    public = [name for name, value in vars(errors).items() if inspect.isclass(value)]
    assert all(name in text for name in public if name not in ("CatalogError", "CatalogDataMovedError"))


def test_the_versions_that_are_tested():
    page = (ROOT / "docs" / "versions.md").read_text()
    assert f"| Apache Airflow | 3.0 and later | {', '.join([*matrix.OLDER, matrix.NEWEST])} |" in page
    assert f"| Python | 3.11 and later | {', '.join(matrix.PYTHONS)} |" in page


def test_links_lead_somewhere():
    for page in [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
        *(ROOT / "docs").glob("*.md"),
    ]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
