"""What parsing a DAG costs: our own modules, and nothing heavy."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

import airflow_provider_catalog
from tests.processes import python

SCRIPT = """
import sys
from airflow.sdk import BaseOperator, DAG
before = set(sys.modules)
import airflow_provider_catalog.operators.analytics as analytics
analytics.CatalogOrdersAnalyticsOperator(
    task_id="pull", filters={"order_fee": "FREE"}, output_path="/x/{{ ds }}.parquet"
)
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("airflow_provider_catalog")))
"""


def new_modules(script: str) -> set[str]:
    return set(python(script).splitlines()[-1].split())


def test_importing_the_operators_imports_little_else():
    modules = new_modules(SCRIPT)
    heavy = {"requests", "urllib3", "pyarrow", "pandas", "numpy", "s3fs", "gcsfs", "adlfs", "fastapi", "uvicorn"}
    assert not {name.partition(".")[0] for name in modules} & heavy
    assert len(modules) <= 10, "something new is imported when a DAG is parsed; is it cheap?"


def test_the_provider_info_and_the_client_import_nothing_of_airflow():
    script = """
import sys
import airflow_provider_catalog.get_provider_info, airflow_provider_catalog.client.client
print(*sys.modules)
"""
    assert "airflow" not in {name.partition(".")[0] for name in new_modules(script)}


def test_no_module_imports_what_windows_lacks():
    """Editors, type checkers and tests of DAGs run on Windows, too. (Airflow's own imports are Airflow's affair.)"""
    script = """
import builtins, importlib, pkgutil
import airflow_provider_catalog

original = builtins.__import__

def refuse(name, globals=None, *arguments, **named):
    where = (globals or {}).get("__name__", "")
    if name in ("fcntl", "resource", "pwd", "grp", "termios") and where.startswith("airflow_provider_catalog"):
        raise ModuleNotFoundError(f"No module named {name!r}, for {where}")
    return original(name, globals, *arguments, **named)

builtins.__import__ = refuse
for module in pkgutil.walk_packages(airflow_provider_catalog.__path__, "airflow_provider_catalog."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print("all")
"""
    assert new_modules(script) == {"all"}


PACKAGE = Path(airflow_provider_catalog.__file__).parent
WITHOUT = {
    "pytest": "its plugin is loaded by pytest, and by nothing else",
    "wtforms": "only Airflow before 3.2 asks for the form's widgets, and brings it or a stand-in",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """Return the top-level packages that are imported anywhere, less Python's own and ours."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in found} - {*sys.stdlib_module_names, PACKAGE.name}


def test_what_it_does_without_is_still_imported():
    assert imported() >= WITHOUT.keys()


@pytest.mark.parametrize("name", sorted(imported() - WITHOUT.keys()))
def test_what_is_imported_is_a_dependency(name):
    required = {normal(re.match(r"[\w.-]+", each)[0]) for each in requires("airflow-provider-catalog")}
    # Airflow's namespace has many distributions; the one that is asked for brings them.
    distributions = ["apache-airflow"] if name == "airflow" else packages_distributions()[name]
    assert {normal(each) for each in distributions} & required
