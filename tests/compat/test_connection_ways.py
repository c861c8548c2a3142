"""The same connection from every way there is to make one, in this version of Airflow, gives the same settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.airflow_names import AIRFLOW

EXTRA = {"timeout": 30, "page_size": 7, "max_concurrency": 2, "hash_secret": "a hash key that is long"}
ADD = ["connections", "add"]
# Each as if it were alone on a command line; but Airflow is imported once, which takes longer than any of them.
COMMANDS = """
import json, sys
from airflow.__main__ import main
for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        main()
        code = 0
    except SystemExit as error:
        code = error.code or 0
    print("exit code", code, flush=True)
"""
SHOW = """
import sys
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow.models.connection import Connection
from airflow.utils.session import create_session
for conn_id in sys.argv[1:]:
    with create_session() as session:
        connection = session.query(Connection).filter_by(conn_id=conn_id).one_or_none()
    hook = CatalogHook(conn_id)
    if connection:  # from the database, where a task gets it from the API server
        hook.get_connection = lambda conn_id: connection
    found = hook.settings
    secrets = (found.token.get_secret_value(), found.hash_secret.get_secret_value())
    print(conn_id, found.base_url, found.timeout, found.page_size, found.max_concurrency, *secrets, sep="|")
"""

pytestmark = pytest.mark.takes(seconds=20)


@pytest.fixture(scope="module")
def catalog():
    with sandbox(products=3, users=5, enrollments=10) as running:
        yield running


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a script with a metadata database of its own; return what it prints."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }

    def run_script(script: str, *arguments: str, **variables: str) -> str:
        program = [sys.executable, "-W", "error:::airflow_provider_catalog", "-c", script, *arguments]
        done = subprocess.run(
            program, env=environment | variables, capture_output=True, text=True, check=False, cwd=Path.cwd()
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_script


@pytest.fixture(scope="module")
def airflow(run):
    """Run ``airflow`` commands one after the other; return what each prints, and its exit code."""

    def run_commands(*commands: list[str], **variables: str) -> list[tuple[str, int]]:
        printed = run(COMMANDS, json.dumps(commands), **variables)
        found = re.findall(r"(.*?)^exit code (\d+)$", printed, re.DOTALL | re.MULTILINE)
        assert len(found) == len(commands), printed
        return [(text, int(code)) for text, code in found]

    return run_commands


def test_every_way_gives_the_same_settings(run, airflow, catalog):
    port = catalog.url.rpartition(":")[2]
    fields = {"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}
    uri = (
        f"instructure-catalog://:{catalog.token}@127.0.0.1:{port}/http?timeout=30&page_size=7&max_concurrency=2"
        "&hash_secret=a+hash+key+that+is+long"
    )
    as_json = json.dumps(fields | {"extra": EXTRA})
    by_flags = ["--conn-type", fields["conn_type"], "--conn-host", catalog.url, "--conn-password", catalog.token]
    outcomes = airflow(
        ["db", "migrate"],
        [*ADD, "by_flags", *by_flags, "--conn-extra", json.dumps(EXTRA)],
        [*ADD, "by_uri", "--conn-uri", uri],
        [*ADD, "by_json", "--conn-json", as_json],
    )
    assert [code for _, code in outcomes] == [0, 0, 0, 0], outcomes
    variables = {"AIRFLOW_CONN_ENV_JSON": as_json, "AIRFLOW_CONN_ENV_URI": uri}
    ways = ["by_flags", "by_uri", "by_json", "env_json", "env_uri"]
    printed = run(SHOW, *ways, **variables)
    found = dict(line.split("|", 1) for line in printed.splitlines() if line.partition("|")[0] in ways)
    assert list(found) == ways
    same = f"{catalog.url}|30.0|7|2|{catalog.token}|{EXTRA['hash_secret']}"
    assert set(found.values()) == {same}


def test_the_command_line_tests_it(airflow, catalog):
    """``airflow connections test``: what remains where the web interface's button is disabled, as it is by default."""
    right = json.loads(catalog.connection_json)
    variables = {
        "AIRFLOW_CONN_RIGHT": json.dumps(right),
        "AIRFLOW_CONN_WRONG": json.dumps(right | {"password": "a-wrong-token"}),
    }
    test = ["connections", "test"]
    (works, code), (fails, code_of_failure) = airflow([*test, "right"], [*test, "wrong"], **variables)
    assert "Connection success!" in works
    assert code == 0
    assert "Connection failed!" in fails
    assert "refuses the API token" in fails
    assert code_of_failure == (1 if AIRFLOW >= (3, 3) else 0)
