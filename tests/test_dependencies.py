"""What the package imports is what its metadata asks for: nothing comes along by way of another package's needs."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

import airflow_provider_catalog

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
