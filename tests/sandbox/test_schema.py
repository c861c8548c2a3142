"""The sandbox does what its OpenAPI page says, whatever is asked: held against it by Schemathesis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_catalog.sandbox import sandbox

EXAMPLES = os.environ.get("CATALOG_SCHEMATHESIS_EXAMPLES", "10")
"""Random requests for each endpoint and kind of body, beside those that are made from the page one by one."""
# A form has only text, in which many wrong ones can't be told from a right one.
HOOKS = """
import schemathesis

@schemathesis.hook
def filter_case(context, case):
    is_form = case.media_type == "application/x-www-form-urlencoded"
    return not (is_form and case.meta and case.meta.generation.mode.is_negative)
"""


def test_schemathesis_finds_nothing(tmp_path):
    command = Path(sys.executable).with_name("schemathesis")
    if not command.exists():
        pytest.skip("schemathesis is not installed")
    (tmp_path / "hooks.py").write_text(HOOKS)
    with sandbox(products=20, users=40, enrollments=200, as_of="2026-07-01") as catalog:
        token = f'Authorization: Token token="{catalog.token}"'
        run = [command, "run", f"{catalog.url}/openapi.json", "-H", token, "--phases", "coverage,fuzzing"]
        run += ["--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": str(tmp_path / "hooks.py")}
        done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert len({request.path for request in catalog.requests}) == 4
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert "No issues found" in done.stdout
