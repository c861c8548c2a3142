"""The sandbox does what its OpenAPI page says, whatever is asked: held against it by Schemathesis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_catalog.sandbox import sandbox

EXAMPLES = os.environ.get("CATALOG_SCHEMATHESIS_EXAMPLES", "25")
"""Random requests for each endpoint and kind of body, beside those that are made from the page one by one."""
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


def test_schemathesis_finds_nothing(tmp_path) -> None:
    command = Path(sys.executable).with_name("schemathesis")
    if not command.exists():
        pytest.skip("schemathesis is not installed")
    with sandbox(products=20, users=40, enrollments=200, as_of="2026-07-01") as catalog:
        token = f'Authorization: Token token="{catalog.token}"'
        run = [command, "run", f"{catalog.url}/openapi.json", "-H", token, "--phases", "coverage,fuzzing"]
        run += ["--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
        done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert len({request.path for request in catalog.requests}) == 4
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert "No issues found" in done.stdout
