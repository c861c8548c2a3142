"""The command line: options, exit statuses, connections, and what is printed where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_catalog.probe.__main__ import main
from airflow_provider_catalog.sandbox import sandbox
from tests.catalog_server import TOKEN, catalog_server
from tests.probe.conftest import fake_catalog

SECRET = "canary-secret"
PAGE = Path(__file__).parents[2] / "docs" / "probe.md"


@pytest.fixture(scope="module")
def catalog():
    with sandbox(products=30, users=30, enrollments=60) as running:
        yield running


def run(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_the_text(catalog, capsys, monkeypatch):
    monkeypatch.setenv("CATALOG_TOKEN", catalog.token)
    assert main(["--url", catalog.url]) == 0
    printed = capsys.readouterr()
    for words in (
        "host: this machine",
        "/api/v1/analytics/orders",
        "student.email                    string",
        "keys that are not shown",
        'The connection\'s extra: {"request_encoding": "json", "pagination": "auto"}',
        "nothing to do",
    ):
        assert words in printed.out
    assert f"Asking {catalog.url}, at most 100 requests" in printed.err
    assert catalog.url not in printed.out


def test_the_text_says_what_to_do_and_that_it_is_not_complete(capsys, monkeypatch):
    monkeypatch.setenv("CATALOG_TOKEN", TOKEN)
    with catalog_server(fake_catalog(paths={"orders": "/api/v2/analytics/orders"})) as catalog:
        assert main(["--url", catalog.url, "--max-requests", "9"]) == 1
    printed = capsys.readouterr().out
    assert 'DO: set `paths` in the connection\'s extra to {"orders": "/api/v2/analytics/orders"}' in printed
    assert "Stopped after 9 requests; ask more with --max-requests." in printed


def test_airflow_is_not_imported_for_a_url(catalog):
    code = """
import sys
from airflow_provider_catalog.probe.__main__ import main
sys.exit(main(sys.argv[1:]) or any(name.split(".")[0] == "airflow" for name in sys.modules))
"""
    done = run(code, "--url", catalog.url, "--json", "--token-env", "OTHER", OTHER=catalog.token)
    assert json.loads(done.stdout)["complete"]


def test_a_connection_in_airflows_database_and_one_that_is_nowhere(catalog, tmp_path):
    code = """
import contextlib, json, sys
with contextlib.redirect_stdout(sys.stderr):
    from airflow import settings
    from airflow.models import Connection
    from airflow.models.base import Base
    Base.metadata.create_all(settings.engine)
    session = settings.Session()
    session.add(Connection(conn_id="in_database", **json.loads(sys.argv[1])))
    session.commit()
from airflow_provider_catalog.probe.__main__ import main
sys.exit(main(["--conn-id", "in_database", "--json"]) or main(["--conn-id", "nowhere"]) - 2)
"""
    database = f"sqlite:///{tmp_path}/airflow.db"
    done = run(code, catalog.connection_json, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database, AIRFLOW_HOME=str(tmp_path))
    # Airflow's own logs went elsewhere: standard output is the report alone.
    assert json.loads(done.stdout)["complete"]
    assert catalog.token not in done.stdout + done.stderr
    assert "no such connection" in done.stderr


def test_a_connection_with_paths_and_encoding(found_in):
    extra = {"paths": {"orders": "/x/orders"}, "request_encoding": "form"}
    found = found_in(fake_catalog(paths={"orders": "/x/orders"}), extra=extra)
    assert (found.status, found["orders"]["path"]) == (1, "/x/orders")
    assert found.to_do == 'set `request_encoding` in the connection\'s extra to "json"'


URL = ["--url", "https://x.example.com"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "http://catalog.example.com"], "in the clear"),
        (["--url", f"https://someone:{SECRET}@catalog.example.com"], "user info"),
        (["--url", f"https://catalog.example.com/?token={SECRET}"], "more than a host"),
        (["--url", ""], "empty"),
        ([*URL, "--token-env", SECRET], "is not set"),
        ([*URL, "--path", f"{SECRET}=/x"], "--path takes"),
        ([*URL, "--path", f"orders={SECRET}"], "starts with /"),
        ([*URL, "--path", "orders"], "starts with /"),
        ([*URL, "--verify", "/no/such/file"], "CA bundle"),
        ([], "CATALOG_TOKEN=... python -m airflow_provider_catalog.probe --url https://"),
        *(([*URL, *more], "missing or wrong") for more in (["--token", SECRET], [SECRET], ["--max-requests", "0"])),
        *(([*URL, name, SECRET], "missing or wrong") for name in ("--max-requests", "--conn-id")),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked(arguments, words, capsys, monkeypatch):
    monkeypatch.setenv("CATALOG_TOKEN", SECRET)
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert SECRET not in printed.err + printed.out


@pytest.mark.parametrize(("scheme", "most"), [("http", "1"), ("http", "100"), ("https", "100")])
def test_what_is_not_reached(catalog, probe, no_backoff, scheme, most):
    url = "http://127.0.0.1:1" if scheme == "http" else catalog.url.replace("http:", "https:")
    found = probe(url, "--max-requests", most)
    assert (found.status, found.report) == (3, {})
    assert ("The Catalog is not reached" if scheme == "http" else "speaks plain http") in found.told


def test_the_page_and_the_help_name_every_exit_status_and_everything_that_is_told(catalog, probe, capsys):
    page = PAGE.read_text(encoding="utf-8")
    found = probe(catalog.url, token=catalog.token)
    table = page.partition("| in the report | question |")[2]
    told = {name for row in table.splitlines() if "|" in row for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == {*found["orders"], *found.report} - {"provider", "python", "date", "host", "endpoints"}
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for status in "01234":
        assert f"\n| {status} | " in page
        assert f"\n  {status}  " in text
