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
from tests.probe.fake_catalog import fake_catalog
from tests.stand_in import TOKEN, stand_in

SECRET = "canary-secret"


@pytest.fixture(scope="module")
def catalog():
    with sandbox(products=30, users=30, enrollments=60) as running:
        yield running


def run(*arguments: str, code: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "airflow_provider_catalog.probe"]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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
    with stand_in(fake_catalog(paths={"orders": "/api/v2/analytics/orders"})) as catalog:
        assert main(["--url", catalog.url, "--max-requests", "9"]) == 1
    printed = capsys.readouterr().out
    assert 'DO: set `paths` in the connection\'s extra to {"orders": "/api/v2/analytics/orders"}' in printed
    assert "Stopped after 9 requests; ask more with --max-requests." in printed


def test_without_arguments_it_says_what_to_type(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "CATALOG_TOKEN=... python -m airflow_provider_catalog.probe --url https://" in told
    assert "python -m airflow_provider_catalog.probe --conn-id catalog_default" in told


def test_airflow_is_not_imported_for_a_url(catalog):
    code = """
import sys
from pathlib import Path
from airflow_provider_catalog.probe.__main__ import main
status = main(sys.argv[1:])
sys.exit(status or any(name.split(".")[0] == "airflow" for name in sys.modules))
"""
    done = run("--url", catalog.url, "--json", "--token-env", "OTHER", code=code, OTHER=catalog.token)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"]


IN_DATABASE = """
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


def test_a_connection_in_airflows_database_and_one_that_is_nowhere(catalog, tmp_path):
    done = run(
        json.dumps({"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}),
        code=IN_DATABASE,
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{tmp_path}/airflow.db",
        AIRFLOW_HOME=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    # Airflow's own logs went elsewhere: standard output is the report alone.
    assert json.loads(done.stdout)["complete"]
    assert catalog.token not in done.stdout + done.stderr
    assert "no such connection" in done.stderr


def test_a_connection_of_the_environment_with_paths_and_encoding(tmp_path):
    extra = {"paths": {"orders": "/x/orders"}, "request_encoding": "form"}
    with stand_in(fake_catalog(paths={"orders": "/x/orders"})) as catalog:
        connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN, "extra": extra}
        done = run("--conn-id", "here", "--json", AIRFLOW_CONN_HERE=json.dumps(connection), AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["endpoints"]["orders"]["path"] == "/x/orders"
    assert report["to_do"] == ['set `request_encoding` in the connection\'s extra to "json"']


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "http://catalog.example.com"],
        ["--url", f"https://someone:{SECRET}@catalog.example.com"],
        ["--url", f"https://catalog.example.com/?token={SECRET}"],
        ["--url", ""],
        ["--url", "https://catalog.example.com", "--token-env", SECRET],
        ["--url", "https://catalog.example.com", "--path", f"{SECRET}=/x"],
        ["--url", "https://catalog.example.com", "--path", f"orders={SECRET}"],
        ["--url", "https://catalog.example.com", "--path", "orders"],
        ["--url", "https://catalog.example.com", "--verify", "/no/such/file"],
    ],
)  # fmt: skip
def test_wrong_settings(arguments, capsys, monkeypatch):
    monkeypatch.setenv("CATALOG_TOKEN", SECRET)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.strip()
    assert SECRET not in printed.err + printed.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "https://x.example.com", "--token", SECRET], "unknown or wrong"),
        (["--url", "https://x.example.com", SECRET], "unknown or wrong"),
        (["--url", "https://x.example.com", "--max-requests", SECRET], "unknown or wrong"),
        (["--url", "https://x.example.com", "--max-requests", "0"], "unknown or wrong"),
        (["--url", "https://x.example.com", "--conn-id", SECRET], "unknown or wrong"),
    ],
)  # fmt: skip
def test_wrong_options(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert SECRET not in printed.err + printed.out


def test_help_says_what_the_exit_statuses_mean():
    done = run("--help")
    assert done.returncode == 0
    assert "exit status:" in done.stdout
    for status in "01234":
        assert f"\n  {status}  " in done.stdout


@pytest.mark.parametrize("most", ["1", "100"])
def test_nobody_is_there(probe, no_backoff, most):
    found = probe("http://127.0.0.1:1", "--max-requests", most, token=TOKEN)
    assert (found.status, found.report) == (3, {})
    assert "The Catalog is not reached" in found.told


def test_tls_that_fails(probe):
    with stand_in(fake_catalog()) as catalog:  # a plain server, asked over TLS
        found = probe(catalog.url.replace("http:", "https:"), token=TOKEN)
    assert (found.status, found.report) == (3, {})
    assert "speaks plain http" in found.told


def test_the_page_names_every_exit_status_and_everything_that_is_told(catalog, probe):
    page = (Path(__file__).parents[2] / "docs" / "probe.md").read_text(encoding="utf-8")
    found = probe(catalog.url, token=catalog.token)
    table = page.partition("| in the report | question |")[2]
    told = {name for row in table.splitlines() if "|" in row for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == {*found["orders"], *found.report} - {"provider", "python", "date", "host", "endpoints"}
    for status in "01234":
        assert f"\n| {status} | " in page
