"""Connections that Airflow's command line makes and tests, in this version of Airflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.airflow_names import AIRFLOW

EXTRA = {"timeout": 30, "page_size": 7, "max_concurrency": 2, "hash_secret": "a hash key that is long"}
WAYS = ["by_flags", "by_uri", "by_json"]
# Each command as if it were alone on a command line; but Airflow is imported once, which takes longer than any of them.
SCRIPT = """
import json, sys
from airflow.__main__ import main
commands, ways = map(json.loads, sys.argv[1:])
for arguments in commands:
    sys.argv[1:] = arguments
    try:
        main()
        code = 0
    except SystemExit as error:
        code = error.code or 0
    print("exit code", code, flush=True)

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow.models.connection import Connection
from airflow.utils.session import create_session
for conn_id in ways:
    with create_session() as session:
        connection = session.query(Connection).filter_by(conn_id=conn_id).one()
    hook = CatalogHook(conn_id)
    hook.get_connection = lambda conn_id: connection  # from the database; a task gets it from the API server
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
def played(catalog, tmp_path_factory):
    """Add connections in each way, and test two; return what each command printed, its exit code, and the settings."""
    fields = {"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}
    by_flags = ["--conn-type", fields["conn_type"], "--conn-host", catalog.url, "--conn-password", catalog.token]
    uri = (
        f"instructure-catalog://:{catalog.token}@{catalog.url.removeprefix('http://')}/http?timeout=30&page_size=7"
        "&max_concurrency=2&hash_secret=a+hash+key+that+is+long"
    )
    add, test = ["connections", "add"], ["connections", "test"]
    commands = [
        ["db", "migrate"],
        [*add, "by_flags", *by_flags, "--conn-extra", json.dumps(EXTRA)],
        [*add, "by_uri", "--conn-uri", uri],
        [*add, "by_json", "--conn-json", json.dumps(fields | {"extra": EXTRA})],
        [*test, "right"],
        [*test, "wrong"],
    ]
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),  # with a metadata database of its own
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW_CONN_RIGHT": catalog.connection_json,
        "AIRFLOW_CONN_WRONG": json.dumps(json.loads(catalog.connection_json) | {"password": "a-wrong-token"}),
    }
    program = [sys.executable, "-W", "error:::airflow_provider_catalog", "-c", SCRIPT]
    done = subprocess.run(
        [*program, json.dumps(commands), json.dumps(WAYS)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = re.findall(r"(.*?)^exit code (\d+)$", done.stdout, re.DOTALL | re.MULTILINE)
    found = dict(line.split("|", 1) for line in done.stdout.splitlines() if line.partition("|")[0] in WAYS)
    return [(text, int(code)) for text, code in outcomes], found


def test_every_way_gives_the_same_settings(played, catalog):
    outcomes, found = played
    assert [code for _, code in outcomes[:4]] == [0, 0, 0, 0], outcomes
    assert found == dict.fromkeys(WAYS, f"{catalog.url}|30.0|7|2|{catalog.token}|{EXTRA['hash_secret']}")


def test_the_command_line_tests_it(played):
    """``airflow connections test``: what remains where the web interface's button is disabled, as it is by default."""
    *_, (works, code), (fails, code_of_failure) = played[0]
    assert "Connection success!" in works
    assert code == 0
    assert "Connection failed!" in fails
    assert "refuses the API token" in fails
    assert code_of_failure == (1 if AIRFLOW >= (3, 3) else 0)
