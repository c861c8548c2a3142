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
    "wtforms": "only Airflow 3.0 and 3.1 ask for the form's widgets, and they bring it or a stand-in",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, set[str]]:
    """Return which files import each top-level package, less Python's own and ours."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(path.relative_to(PACKAGE)))
    return {name: files for name, files in found.items() if name not in {*sys.stdlib_module_names, PACKAGE.name}}


def required() -> set[str]:
    return {normal(re.match(r"[\w.-]+", each)[0]) for each in requires("airflow-provider-catalog")}


IMPORTED = imported()


@pytest.mark.parametrize("name", sorted(IMPORTED.keys() - WITHOUT))
def test_it_is_a_dependency(name):
    distributions = {normal(each) for each in packages_distributions()[name]}
    if name == "airflow":  # its namespace has many distributions; the one that is asked for brings them
        distributions = {"apache-airflow"}
    assert distributions & required(), f"imported by {IMPORTED[name]}"


@pytest.mark.parametrize("name", WITHOUT)
def test_what_it_does_without(name):
    assert name in IMPORTED, "or it need not be excused"
