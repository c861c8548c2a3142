"""The parts of the demo that can go wrong unseen; that it works as a whole, ``make demo`` tells by its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.example_dags.conftest import PROJECT


@pytest.fixture
def local_airflow(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    import local_airflow

    return local_airflow


@pytest.fixture
def demo(local_airflow, monkeypatch, tmp_path):
    import demo

    monkeypatch.setattr(demo, "DEMO", tmp_path)
    monkeypatch.setattr(demo, "HOME", tmp_path / "airflow")
    return demo


# Like Airflow: a leader whose child has a process group of its own, and here even ignores being told to end.
STUBBORN = """
import os, signal, sys, time
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_nothing_is_left_running(local_airflow, monkeypatch):
    monkeypatch.setattr(local_airflow, "GRACE", 0.2)
    handler = signal.getsignal(signal.SIGINT)
    command = [sys.executable, "-c", STUBBORN]
    leader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    with leader.stdout:
        assert os.getsid(int(leader.stdout.readline())) == leader.pid
    local_airflow.stop([leader])
    assert leader.returncode is not None
    assert local_airflow.members({leader.pid}) == []
    assert signal.getsignal(signal.SIGINT) is handler


def test_airflow_of_the_demo_knows_nothing_of_another_one(local_airflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production/airflow")
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", "{}")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com")
    environment = local_airflow.environment(Path("/home"), Path("/dags"), "http://127.0.0.1:1234")
    assert not {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_PRODUCTION"} & environment.keys()
    assert environment["NO_PROXY"] == environment["no_proxy"] == "*"
    assert (environment["AIRFLOW__API__HOST"], environment["AIRFLOW__API__PORT"]) == ("127.0.0.1", "1234")
    assert environment["PATH"] == os.environ["PATH"]


def test_a_part_of_airflow_that_fails_ends_the_demo_with_the_end_of_its_log(local_airflow, tmp_path):
    variables = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "nosuchdatabase:///x"}
    arguments = {"home": tmp_path, "dags_folder": tmp_path, "dag_ids": [], "variables": variables, "limit": 60}
    with pytest.raises(local_airflow.LocalAirflowError, match=r"ended with status 1:\n(.*\n)*.*nosuchdatabase"):
        with local_airflow.LocalAirflow(**arguments, say=lambda line: None):
            pass


def test_the_demo_does_not_run_twice_at_once_and_its_folder_is_new_and_private(demo, local_airflow, tmp_path):
    (tmp_path / "from last time").touch()
    with demo.only_one():
        with pytest.raises(local_airflow.LocalAirflowError, match="the demo is already running"), demo.only_one():
            pass
        demo.make_folder()
    assert [path.name for path in tmp_path.iterdir()] == ["airflow"]
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_failed_task_ends_the_demo_with_the_end_of_its_log(demo, local_airflow, tmp_path):
    log = tmp_path / "airflow/logs/dag_id=load/run_id=night-1/task_id=orders/map_index=3/attempt=1.log"
    log.parent.mkdir(parents=True)
    failure = {"level": "error", "event": "Task failed", "error_detail": [{"exc_type": "E", "exc_value": "no"}]}
    log.write_text("cut off\n" + "not JSON\n" * 24 + json.dumps(failure))
    tasks = [{"task_id": "orders", "state": state, "map_index": 3} for state in ("success", "failed")]
    with pytest.raises(local_airflow.LocalAirflowError) as raised:
        demo.check_tasks("load", "night-1", tasks)
    first, *lines = str(raised.value).splitlines()
    assert first == "task orders of load failed:"
    assert lines == [*["    not JSON"] * 24, "    ERROR   Task failed", "    E: no"]


@pytest.mark.parametrize("table", [{1: ("USD", 1000), 2: ("EUR", 500)}, {1: ("USD", 1000)}], ids=["a cent", "an order"])
def test_a_table_that_differs_from_the_catalog_fails_the_demo(demo, local_airflow, table):
    with pytest.raises(local_airflow.LocalAirflowError, match=r"differ in 1 orders"):
        demo.compare(table, {1: ("USD", 1000), 2: ("EUR", 499)})
