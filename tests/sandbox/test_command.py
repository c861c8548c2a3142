"""The command line, and what options may be."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import fields

import pytest
import requests

from airflow_provider_catalog.sandbox import Options, sandbox
from airflow_provider_catalog.sandbox.__main__ import parse_options

COMMAND = [sys.executable, "-m", "airflow_provider_catalog.sandbox"]


@pytest.fixture
def start():
    """Start the command, and give the process and what it printed until it was ready."""
    running = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        command = [*COMMAND, "--port", "0", *arguments]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        said = ""
        while "Ctrl-C" not in said:
            said += running[-1].stdout.readline()
        return running[-1], said

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_how_to_connect_and_ends_cleanly(start, sign):
    process, greeting = start("--token", "it's", "--as-of", "2026-07-01", "--seed", "5")
    assert "300 products, 10,000 enrollments" in greeting
    assert "(seed 5, paging link), as of 2026-07-01 00:00 UTC" in greeting
    connection = json.loads(shlex.split(re.search(r"export AIRFLOW_CONN_CATALOG_DEFAULT=(.*)", greeting)[1])[0])
    assert connection["host"].startswith("http://127.0.0.1:")
    headers = {"Authorization": f'Token token="{connection["password"]}"'}
    assert requests.get(connection["host"] + "/api/v1/courses", headers=headers, timeout=10).status_code == 200
    advance = shlex.split(re.search(r"curl (.*?') lets", greeting)[1])[-1]
    assert requests.post(advance, timeout=10).json() == {"now": "2026-07-02T00:00:00+00:00"}
    process.send_signal(sign)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


def test_other_addresses_are_an_opt_in(start):
    process, greeting = start("--host", "0.0.0.0", "--enrollments", "0")  # noqa: S104
    port = re.search(r"http://127\.0\.0\.1:(\d+) ", greeting)[1]
    assert f"http://host.docker.internal:{port}" in greeting
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1].startswith("WARNING: 0.0.0.0 can be reached from other machines")


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, check=False)
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1 port {port}"), sandbox(port=port):
            pass
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"can't listen on 127\.0\.0\.1 port {port}: .+; choose another .+\n", done.stderr)


def test_options(capsys):
    assert parse_options([]) == Options(port=8474)
    line = "--token a --fault-rate 0.1 --first-page 0 --paging none --gzip --as-of 2026-07-01 --live --day-length 60"
    chosen = {"token": "a", "fault_rate": 0.1, "first_page": 0, "paging": "none", "gzip": True, "day_length": 60}
    assert parse_options(line.split()) == Options(port=8474, as_of="2026-07-01", live=True, **chosen)
    with pytest.raises(SystemExit, match="2"):
        parse_options(["--fault-rate", "2"])
    assert "error: fault_rate=2.0 is not between 0 and 1" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        parse_options(["--help"])
    text = capsys.readouterr().out
    for option in fields(Options):
        assert re.search(rf"^  --{option.name.replace('_', '-')}\b.*\n? +\w", text, re.MULTILINE), option.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70_000}, "port=70000 is not between 0 and 65535"),
        ({"latency": float("nan")}, "latency=nan"),
        ({"max_per_page": 0}, "max_per_page=0"),
        ({"as_of": "yesterday"}, "as_of='yesterday' is not a time such as 2026-07-01"),
        ({"as_of": "1999-12-31"}, "as_of='1999-12-31' is not between 2012 and 2200"),
        ({"paging": "pages"}, "paging='pages' is not one of link, next-only, page-only, none"),
        ({"first_page": 2}, "first_page=2 is not one of 1, 0"),
        ({"products": 0}, "enrollments need at least one product and one user"),
        ({"token": ""}, "token must not be empty"),
        ({"token_without_analytics": 'a"b'}, "token_without_analytics must not"),
        ({"token_without_analytics": "sandbox-token"}, "token_without_analytics must differ"),
        ({"faults": "503"}, "faults has '503', which is not FAULT@PAGE or FAULT@PAGExTIMES"),
        ({"faults": "503@2x0"}, "faults has '503@2x0'"),
        ({"faults": "503@1, slow@2"}, "faults has 'slow@2', which is not FAULT@PAGE"),
        ({"fault_kinds": "500,slow"}, "fault_kinds has 'slow', which is not one of 500, 503,"),
    ],
)
def test_options_that_can_not_work_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sandbox(**options)


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_importing_the_sandbox_is_cheap_and_running_it_needs_nothing_of_the_rest():
    said = run("""
import sys
from airflow_provider_catalog.sandbox import sandbox
server = sandbox(products=0, users=0, enrollments=0)
print([name for name in ("airflow", "fastapi", "uvicorn", "pydantic", "requests") if name in sys.modules])
with server:
    own = [name for name in sys.modules if name.startswith("airflow")]
    print([name for name in own if not name.startswith("airflow_provider_catalog.sandbox")])
""")
    assert said.splitlines() == ["[]", "['airflow_provider_catalog']"]


def test_it_says_what_to_install_where_it_has_no_server():
    said = run("""
import sys
sys.modules["uvicorn"] = None
from airflow_provider_catalog.sandbox.__main__ import main
try:
    main(["--port", "0"])
except SystemExit as ended:
    print(ended.code)
""")
    assert said.startswith("install airflow-provider-catalog[sandbox], or ")


def test_it_works_without_speedups_and_without_posix():
    """As on Windows; what it breaks off goes by another class of uvicorn's then."""
    said = run("""
import sys
sys.modules.update(dict.fromkeys(("httptools", "uvloop", "fcntl", "grp", "pwd", "resource", "termios")))
import urllib.request
from airflow_provider_catalog.sandbox import sandbox
def ask(catalog):
    headers = {"Authorization": 'Token token="sandbox-token"'}
    url = catalog.url + "/api/v1/analytics/users"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"", headers)) as response:
            return response.read()
    except Exception as error:
        return type(error).__name__
with sandbox(products=0, users=0, enrollments=0, faults="dropped@1, reset-in-headers@1, cut-off@1") as catalog:
    print([ask(catalog) for _ in range(4)])
""")
    assert said == "['RemoteDisconnected', 'ConnectionResetError', 'IncompleteRead', b'{\"users\":[]}']\n"
