"""The fixture for tests of DAGs, as pytest finds it; and the page about it, whose code is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing-your-dags.md"


def run_pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_code_of_the_page_runs(tmp_path) -> None:
    blocks = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    for name, code in blocks:
        with (tmp_path / name).open("a") as file:
            file.write(code + "\n\n")
    status, output = run_pytest(tmp_path, "-rA", "-p", "no:schemathesis")
    assert status == 0, output
    tests = {name for _, code in blocks for name in re.findall(r"def (test_\w+)", code)}
    assert tests <= set(re.findall(r"^PASSED .*::(\w+)", output, re.MULTILINE))


def test_the_plugin_costs_nothing_where_it_is_not_used(tmp_path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_loaded():\n"
        "    assert 'airflow_provider_catalog.sandbox.pytest_plugin' in sys.modules\n"
        "    assert not {'airflow', 'fastapi', 'uvicorn', 'pydantic', 'requests'} & set(sys.modules)\n"
    )
    status, output = run_pytest(tmp_path, "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio")
    assert status == 0, output
