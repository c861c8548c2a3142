"""Code on the pages: what is marked ``python run`` runs, and what is quoted of the examples is what the tests run."""

from __future__ import annotations

import importlib.util
import json
import re
import textwrap

import pytest

from tests.example_dags.conftest import BUNDLES, DAG_IDS, EXAMPLES, PROJECT
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() warns of

PAGES = {
    name: (PROJECT / name).read_text()
    for name in ["README.md", *sorted(f"docs/{page.name}" for page in (PROJECT / "docs").glob("*.md"))]
}
RUN = {name: re.findall(r"```python run\n(.*?)```", text, re.DOTALL) for name, text in PAGES.items()}
QUOTES = [
    (name, *quote)
    for name, text in PAGES.items()
    for quote in re.findall(r"<!-- (howto_\w+) -->\n+```python\n(.*?)```", text, re.DOTALL)
]


@pytest.mark.parametrize("name", [name for name, blocks in RUN.items() if blocks])
def test_the_code_of_a_page(name, airflow_database, catalog, tmp_path, monkeypatch):
    """In order, against a sandbox; its DAGs succeed."""
    bundle = {**BUNDLES[0], "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    for number, block in enumerate(RUN[name]):
        file = tmp_path / f"block_{number}.py"
        file.write_text(block.replace("/tmp/", f"{tmp_path}/"))  # noqa: S108 - where the page writes, a user may, too
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if dag := getattr(module, "dag", None):
            assert dag.test().state == "success"


@pytest.mark.parametrize(("page", "name", "quoted"), QUOTES, ids=[f"{page}-{name}" for page, name, _ in QUOTES])
def test_a_quote(page, name, quoted):
    """To the letter, but for blank lines: formatters want more of them on a page."""
    examples = "".join((EXAMPLES / f"{dag_id}.py").read_text() for dag_id in DAG_IDS)
    region = re.search(rf" *# \[START {name}\]\n(.*?) *# \[END {name}\]", examples, re.DOTALL)[1]
    assert [*filter(None, quoted.splitlines())] == [*filter(None, textwrap.dedent(region).splitlines())]


def test_there_is_such_code():
    assert RUN["docs/first-steps.md"]
    assert RUN["README.md"]
    assert {"howto_hash_fields", "howto_join_by_hash"} <= {name for _, name, _ in QUOTES}


@pytest.mark.parametrize("page", PAGES)
def test_other_python_is_at_least_python(page):
    for block in re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL):
        compile(f"def f(*arguments, **named): ...\n{block}", page, "exec", dont_inherit=True)
