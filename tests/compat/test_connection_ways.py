"""The same connection from every way there is to make one, in this version of Airflow, gives the same settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from airflow_provider_catalog.sandbox import sandbox

EXTRA = {"timeout": 30, "page_size": 7, "max_concurrency": 2, "hash_key": "a hash key that is long"}
ADD = ["airflow", "connections", "add"]
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
    secrets = (found.token.get_secret_value(), found.hash_key.get_secret_value())
    print(conn_id, found.base_url, found.timeout, found.page_size, found.max_concurrency, *secrets, sep="|")
"""


@pytest.fixture(scope="module")
def catalog():
    with sandbox(products=3, users=5, enrollments=10) as running:
        yield running


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run commands with a metadata database of their own; return what they print."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }

    def run_command(*command: str, codes: Collection[int] = (0,), **variables: str) -> str:
        program = [sys.executable, "-W", "error:::airflow_provider_catalog"]
        program += ["-m", *command] if command[0] == "airflow" else command
        done = subprocess.run(
            program, env=environment | variables, capture_output=True, text=True, check=False, cwd=Path.cwd()
        )
        assert done.returncode in codes, done.stdout + done.stderr
        return done.stdout

    run_command("airflow", "db", "migrate")
    return run_command


def test_every_way_gives_the_same_settings(run, catalog):
    port = catalog.url.rpartition(":")[2]
    fields = {"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}
    uri = (
        f"instructure-catalog://:{catalog.token}@127.0.0.1:{port}/http?timeout=30&page_size=7&max_concurrency=2"
        "&hash_key=a+hash+key+that+is+long"
    )
    as_json = json.dumps(fields | {"extra": EXTRA})
    run(
        *ADD, "by_flags", "--conn-type", fields["conn_type"], "--conn-host", catalog.url,
        "--conn-password", catalog.token, "--conn-extra", json.dumps(EXTRA),
    )  # fmt: skip
    run(*ADD, "by_uri", "--conn-uri", uri)
    run(*ADD, "by_json", "--conn-json", as_json)
    variables = {"AIRFLOW_CONN_ENV_JSON": as_json, "AIRFLOW_CONN_ENV_URI": uri}
    ways = ["by_flags", "by_uri", "by_json", "env_json", "env_uri"]
    printed = run("-c", SHOW, *ways, **variables)
    found = dict(line.split("|", 1) for line in printed.splitlines() if line.partition("|")[0] in ways)
    assert list(found) == ways
    same = f"{catalog.url}|30.0|7|2|{catalog.token}|{EXTRA['hash_key']}"
    assert set(found.values()) == {same}


@pytest.mark.parametrize("is_right", [True, False])
def test_the_command_line_tests_it(run, catalog, is_right):
    """``airflow connections test``: what remains where the web interface's button is disabled, as it is by default."""
    connection = json.loads(catalog.connection_json) | ({} if is_right else {"password": "a-wrong-token"})
    variables = {"AIRFLOW_CONN_CATALOG_CLI": json.dumps(connection)}
    # Airflow 3.3 exits with 1 when the test fails, earlier versions with 0.
    printed = run("airflow", "connections", "test", "catalog_cli", codes=(0,) if is_right else (0, 1), **variables)
    assert ("Connection success!" if is_right else "Connection failed!") in printed
    assert is_right or "refuses the API token" in printed
