"""The command line."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import fields

import pytest
import requests

from airflow_provider_catalog.sandbox import Options
from airflow_provider_catalog.sandbox.__main__ import main, parse_options
from airflow_provider_catalog.sandbox.__main__ import is_loopback
from scripts.local_airflow import free_port

EMPTY = ["--products", "0", "--users", "0", "--enrollments", "0"]
COMMAND = [sys.executable, "-m", "airflow_provider_catalog.sandbox"]


@pytest.fixture
def start():
    """Start the command, and give the process and what it printed until it was ready."""
    running = []

    def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        running.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        return process, "".join(lines)

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_it_starts_in_under_two_seconds_and_tells_how_to_connect(start) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Without the measuring of coverage, which would count as time to start.
    process, greeting = start(
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    )
    assert "300 products, 10,000 enrollments" in greeting
    assert "2,000 users" in greeting
    name, value = re.search(r"export (\w+)=(.*)", greeting).groups()
    connection = json.loads(shlex.split(value)[0])
    assert name == "AIRFLOW_CONN_CATALOG_DEFAULT"
    assert value.startswith('\'{"conn_type": "instructure_catalog", "host": "http://127.0.0.1:')
    answer = requests.get(
        connection["host"] + "/api/v1/courses",
        headers={"Authorization": f'Token token="{connection["password"]}"'},
        timeout=10,
    )
    assert answer.status_code == 200
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")
    # Time on the processor: a busy machine must not fail this.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_ctrl_c_ends_it(start) -> None:
    process, _ = start(*EMPTY, "--token", "it's")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])  # noqa: S104
def test_a_signal_ends_it_cleanly(host, warned, capsys) -> None:
    port = free_port()

    def end() -> None:
        # By the time that it answers, it has long taken charge of the signal.
        url = f"http://127.0.0.1:{port}/nowhere"
        while True:
            try:
                requests.get(url, timeout=10)
            except requests.exceptions.ConnectionError:
                time.sleep(0.01)
            else:
                break
        os.kill(os.getpid(), signal.SIGTERM)

    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    try:
        assert main(["--host", host, "--port", str(port), *EMPTY, "--seed", "5"]) == 0
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        thread.join()
    output, errors = capsys.readouterr()
    assert f"Catalog sandbox at http://127.0.0.1:{port} " in output
    assert "(seed 5, paging link)" in output
    assert errors.startswith("WARNING: 0.0.0.0 can be reached from other machines") is warned


def test_a_port_in_use_is_one_line(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert re.fullmatch(
        rf"can't listen on 127\.0\.0\.1 port {port}: .+; choose another with --host and --port\n", errors
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("10.0.0.1", False),
    ],
)
def test_which_hosts_only_this_machine_can_reach(host, expected) -> None:
    assert is_loopback(host) is expected


def test_every_option_is_explained_and_keeps_its_default(capsys) -> None:
    assert parse_options([]) == Options(port=8474)
    with pytest.raises(SystemExit) as ended:
        parse_options(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in fields(Options):
        assert re.search(rf"^  --{option.name.replace('_', '-')}\b.*\n? +\w", text, re.MULTILINE), option.name


def test_options_are_read() -> None:
    line = """--host localhost --port 1 --token a --token-without-analytics b --seed 7 --products 1 --users 2
        --enrollments 3 --latency 0.5 --paging none --first-page 0 --max-per-page 9 --links relative
        --fault-rate 0.1 --fault-kinds 500 --fault-seed 8 --faults 503@2x3 --rate-limit 4 --date-to exclusive --gzip"""
    options = parse_options(line.split())
    assert options == Options(
        host="localhost",
        port=1,
        token="a",
        token_without_analytics="b",
        seed=7,
        products=1,
        users=2,
        enrollments=3,
        latency=0.5,
        paging="none",
        first_page=0,
        max_per_page=9,
        links="relative",
        fault_rate=0.1,
        fault_kinds="500",
        fault_seed=8,
        faults="503@2x3",
        rate_limit=4,
        date_to="exclusive",
        gzip=True,
    )


WRONG = [
    ({"port": 70_000}, "port=70000 is not between 0 and 65535"),
    ({"latency": -1}, "latency=-1"),
    ({"latency": float("nan")}, "latency=nan"),
    ({"fault_rate": 1.5}, "fault_rate=1.5"),
    ({"max_per_page": 0}, "max_per_page=0"),
    ({"rate_limit": -1}, "rate_limit=-1"),
    ({"paging": "pages"}, "paging='pages' is not one of link, next-only, page-only, none"),
    ({"links": "none"}, "links='none'"),
    ({"date_to": "both"}, "date_to='both'"),
    ({"products": 0}, "enrollments need at least one product and one user"),
    ({"users": 0}, "enrollments need at least one product and one user"),
    ({"token": ""}, "token must not be empty"),
    ({"token_without_analytics": 'a"b'}, "token_without_analytics must not"),
    ({"token_without_analytics": "sandbox-token"}, "token_without_analytics must differ"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_that_can_not_work_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Options(**options)


def test_a_wrong_option_on_the_command_line(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--fault-rate", "2"])
    assert ended.value.code == 2
    assert "error: fault_rate=2.0 is not between 0 and 1" in capsys.readouterr().err
