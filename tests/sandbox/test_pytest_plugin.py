"""The fixture for tests of DAGs, as pytest finds it; and the page about it, whose code is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing-your-dags.md"


def run_pytest(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
    command += ["-p", "no:schemathesis", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_code_of_the_page_runs(tmp_path):
    blocks = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    for name, code in blocks:
        with (tmp_path / name).open("a") as file:
            file.write(code + "\n\n")
    passed = re.findall(r"^PASSED .*::(\w+)", run_pytest(tmp_path, "-rA"), re.MULTILINE)
    assert {name for _, code in blocks for name in re.findall(r"def (test_\w+)", code)} <= set(passed)


def test_the_plugin_costs_nothing_where_it_is_not_used(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_loaded():\n"
        "    assert 'airflow_provider_catalog.sandbox.pytest_plugin' in sys.modules\n"
        "    assert not {'airflow', 'fastapi', 'uvicorn', 'pydantic', 'requests'} & set(sys.modules)\n"
    )
    run_pytest(tmp_path, "-p", "no:hypothesispytest", "-p", "no:anyio")
