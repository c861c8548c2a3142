"""``airflow connections test``: what remains where the web interface's button is disabled, as it is by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.airflow_names import AIRFLOW

pytestmark = pytest.mark.takes(seconds=15)


@pytest.mark.parametrize(
    ("password", "says", "code"),
    [
        ("sandbox-token", ["Connection success!"], 0),
        ("wrong", ["Connection failed!", "refuses the API token"], 1 if AIRFLOW >= (3, 3) else 0),
    ],
)
def test_the_command_line_tests_a_connection(tmp_path, password, says, code):
    command = [sys.executable, "-W", "error:::airflow_provider_catalog", "-m", "airflow", "connections", "test", "some"]
    with sandbox(products=3, users=5, enrollments=10) as catalog:
        environment = os.environ | {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW_CONN_SOME": json.dumps(json.loads(catalog.connection_json) | {"password": password}),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert all(each in done.stdout for each in says), done.stdout + done.stderr
    assert done.returncode == code
