"""What the pages quote of the example DAGs is what the tests run, to the letter (but for blank lines)."""

from __future__ import annotations

import re
import textwrap

import pytest

from tests.example_dags.conftest import DAG_IDS, EXAMPLES, PROJECT

QUOTE = re.compile(r"<!-- (howto_\w+) -->\n+```python\n(.*?)```", re.DOTALL)
QUOTES = [
    (path.name, *quote)
    for path in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
    for quote in QUOTE.findall(path.read_text())
]


def region(name: str) -> str:
    for dag_id in DAG_IDS:
        text = (EXAMPLES / f"{dag_id}.py").read_text()
        if found := re.search(rf" *# \[START {name}\]\n(.*?) *# \[END {name}\]", text, re.DOTALL):
            return textwrap.dedent(found[1])
    raise AssertionError(f"no example has a region {name}")


def lines(code: str) -> list[str]:
    return [line for line in code.splitlines() if line]


@pytest.mark.parametrize(("page", "name", "quoted"), QUOTES, ids=[f"{page}-{name}" for page, name, _ in QUOTES])
def test_a_quote(page, name, quoted):
    # Formatters want more of them on a page, where a function is no longer within a block.
    assert lines(quoted) == lines(region(name))


def test_there_are_quotes():
    assert {"howto_hash_fields", "howto_join_by_hash"} <= {name for _, name, _ in QUOTES}
