"""``airflow connections test``: what remains where the web interface's button is disabled, as it is by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.airflow_names import AIRFLOW

pytestmark = pytest.mark.takes(seconds=20)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Return a function that runs Airflow's command line, with a database of its own."""
    home = tmp_path_factory.mktemp("airflow")

    def run(*arguments: str, **variables: str) -> tuple[int, str]:
        own = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__UNIT_TEST_MODE": "False"}
        command = [sys.executable, "-W", "error:::airflow_provider_catalog", "-m", "airflow", *arguments]
        done = subprocess.run(command, env=os.environ | own | variables, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run("db", "migrate")[0] == 0
    return run


@pytest.mark.parametrize(
    ("token", "says", "code"),
    [
        ("sandbox-token", ["Connection success!"], 0),
        ("wrong", ["Connection failed!", "refuses the API token"], 1 if AIRFLOW >= (3, 3) else 0),
    ],
)
def test_the_command_line_tests_a_connection(airflow, token, says, code):
    with sandbox(products=3, users=5, enrollments=10) as catalog:
        connection = json.dumps(json.loads(catalog.connection_json) | {"password": token})
        variables = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", "AIRFLOW_CONN_SOME": connection}
        returned, said = airflow("connections", "test", "some", **variables)
    assert all(each in said for each in says), said
    assert returned == code
