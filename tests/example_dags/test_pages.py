"""Code on the pages that is marked ``python run`` runs, in order, and its DAGs succeed, against a sandbox."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

from tests.example_dags.conftest import BUNDLES, PROJECT
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() warns of

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
CODE = {
    str(page.relative_to(PROJECT)): re.findall(r"```python run\n(.*?)```", page.read_text(), re.DOTALL)
    for page in PAGES
}


@pytest.mark.parametrize("name", [name for name, blocks in CODE.items() if blocks])
def test_the_code_of_a_page(name, airflow_database, catalog, tmp_path, monkeypatch):
    bundle = {**BUNDLES[0], "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    for number, block in enumerate(CODE[name]):
        file = tmp_path / f"block_{number}.py"
        file.write_text(block.replace("/tmp/", f"{tmp_path}/"))  # noqa: S108 - where the page writes, a user may, too
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if dag := getattr(module, "dag", None):
            assert dag.test().state == "success"


def test_there_is_such_code():
    assert CODE["docs/first-steps.md"]
    assert CODE["README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_python_is_at_least_python(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        compile(f"def f(*arguments, **named): ...\n{block}", page.name, "exec", dont_inherit=True)
