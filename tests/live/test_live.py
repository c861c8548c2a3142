"""Sensors and triggers in a real Airflow: scheduler, triggerer, API server, SQLite."""

from __future__ import annotations

import hmac
import json

import pytest

from tests.leaks.canaries import HASH_KEY, search
from tests.live import cases, killed
from tests.live.conftest import email

KILLED = "the task shouldn't be running anymore"
"""What Airflow says in a task's log when it sends the signal;"""
ENDED = "Catalog orders: Airflow has ended the task"
"""and what the task says."""

pytestmark = pytest.mark.takes(seconds=110)


@pytest.fixture(scope="module")
def tasks(live):
    return live.tasks("live_sensors", live.sensors_run)


def hashed(number):
    return hmac.new(HASH_KEY.encode(), email(number).encode(), "sha256").hexdigest()


@pytest.mark.parametrize(("endpoint", "mode"), cases.WAIT)
def test_from_no_rows_to_done(live, tasks, endpoint, mode):
    waited = tasks[f"wait_{endpoint}_{mode}", -1]
    assert waited["state"] == "success"
    assert live.xcom(waited) == {
        "row_count": 2,
        "rows": [{"id": n, "student": {"email": hashed(n)}} for n in (0, 1)],
    }
    assert "0 rows match so far, 2 wanted; next poll in " in live.task_log(waited)
    assert "2 rows match so far, 2 wanted" in live.task_log(waited)


@pytest.mark.parametrize("index", range(len(cases.MAPPED)))
def test_mapped(live, tasks, index):
    assert tasks["mapped", index]["state"] == "success"
    assert live.xcom(tasks["mapped", index])["row_count"] == 2


@pytest.mark.parametrize("mode", cases.MODES)
def test_a_timeout(live, tasks, mode):
    timed_out = tasks[f"timeout_{mode}", -1]
    assert timed_out["state"] == "failed"
    assert timed_out["try_number"] == 1, "Airflow does not try again"
    assert "AirflowSensorTimeout" in live.task_log(timed_out)


def test_soft_fail(tasks):
    assert tasks["soft_fail", -1]["state"] == "skipped"


@pytest.mark.parametrize("mode", cases.MODES)
def test_a_bad_token(live, tasks, mode):
    failed = tasks[f"bad_token_{mode}", -1]
    assert failed["state"] == "failed"
    assert failed["try_number"] == 1, "Airflow does not try again"
    assert "CatalogAuthError" in live.task_log(failed)


def test_a_token_that_is_revoked_while_the_triggerer_waits(live, tasks):
    assert tasks["revoked", -1]["state"] == "failed"
    assert tasks["revoked", -1]["try_number"] == 1
    assert "CatalogAuthError" in live.task_log(tasks["revoked", -1])
    assert live.catalog.requests[cases.REVOKED] == 2


def test_a_triggerer_that_is_killed(live):
    tasks = live.tasks("live_restart", live.restart_run)
    assert not live.polls_while_killed, "nobody polls while there is no triggerer"
    assert tasks["goes_on", -1]["state"] == "success"
    assert tasks["goes_on", -1]["try_number"] == 1
    assert tasks["times_out", -1]["state"] == "failed"
    assert "AirflowSensorTimeout" in live.task_log(tasks["times_out", -1])
    assert tasks["times_out", -1]["duration"] > 38, "the deadline is the one from before the restart"


def test_the_watcher(live):
    """Three new orders start a run; two that came while no triggerer ran start another one; and none are told twice."""
    payloads = [
        payload
        for run in live.runs("live_watcher")
        for payload in live.xcom(live.tasks("live_watcher", run["dag_run_id"])["payloads", -1])
    ]
    filters = {"account_ids": [cases.WATCHED]}
    same = {"catalog_conn_id": "catalog_default", "endpoint": "orders", "filters": filters}
    expected = [{**same, "new_rows": 3, "row_count": 3}]
    if cases.AIRFLOW_REMEMBERS:
        expected.append({**same, "new_rows": 2, "row_count": 5})
    assert payloads == expected


LIMIT = 5.0
"""Seconds after which Airflow kills a process that has not ended."""


@pytest.mark.parametrize("how", cases.KILLED_OPERATORS)
def test_an_operator_that_airflow_ends(live, how):
    """Its requests end, by its own doing; the earlier file stays, and nothing beside it."""
    task = live.tasks("live_kills", live.kills_run)[f"operator_{how}", -1]
    log = live.task_log(task)
    told, ended = ("Process timed out", "AirflowTaskTimeout") if how == "timeout" else (KILLED, ENDED)
    assert killed.seconds_under_way(live.catalog, cases.KILLED_OPERATORS[how], log, told) < LIMIT
    assert len(killed.stalled(live.catalog, cases.KILLED_OPERATORS[how])) == killed.IN_FLIGHT, "none was tried again"
    assert ended in log
    [file] = live.folder(f"kills/{how}").iterdir()
    if how == "cleared":
        assert (task["state"], task["try_number"]) == ("success", 2)
        assert len(file.read_text().splitlines()) == 1 + killed.ROWS
    else:
        assert task["state"] == "failed"
        assert file.read_text() == "earlier"


@pytest.mark.parametrize("how", cases.KILLED_SENSORS)
def test_a_sensor_that_airflow_ends(live, how):
    account = cases.KILLED_SENSORS[how]
    task = live.tasks("live_kills", live.kills_run)[f"sensor_{how}", -1]
    log = live.task_log(task)
    assert task["state"] == "failed"
    assert len(killed.stalled(live.catalog, account)) == 1, "it asks no more"
    if how == "deferred":
        [poll] = killed.stalled(live.catalog, account)
        assert poll.ended - live.killed_at < 30, "the triggerer ends the poll when it learns of it, not a minute later"
    else:
        told, ended = ("Process timed out", "AirflowTaskTimeout") if how == "timeout" else (KILLED, ENDED)
        assert killed.seconds_under_way(live.catalog, account, log, told) < LIMIT
        assert ended in log


class TestLeaks:
    """
    The token, the hash key and students, in all that Airflow has written: its folder, its database and its processes.

    All of it logs at DEBUG. Rows are in files and XComs that were asked for, and in the lines in which Airflow itself
    logs the XComs that it stores; nowhere else.
    """

    ASKED = ("asked_for_rows", "mapped", "goes_on")

    def test_there_is_something_to_search(self, live):
        files, database = live.files(), live.database()
        assert "rows match so far" in "".join(files.values())
        assert any("Starting new HTTP connection" in text for text in files.values()), "urllib3 logs at DEBUG"
        assert "CatalogAnalyticsTrigger" in live.while_deferred["trigger"]
        assert "CatalogAnalyticsEventTrigger" in live.while_deferred["trigger"]
        for table, text in {
            "asset_event": "row_count",
            "rendered_task_instance_fields": "account_ids",
            "serialized_dag": "live_leaks",
            "log": "catalog_default",
            "xcom": "sha256",
        }.items():
            assert text in database[table], table
        assert any("scheduler" in command for command in live.commands)
        ended = live.tasks("live_leaks", live.leaks_run)
        states = {task_id: each["state"] for (task_id, _), each in ended.items()}
        assert states.pop("refused") == states.pop("unfit") == "failed"
        assert set(states.values()) == {"success"}
        assert "CatalogRequestError" in live.task_log(ended["refused", -1])
        assert "does not fit its type" in live.task_log(ended["unfit", -1])

    def test_files(self, live):
        files = live.files()
        for name in ("products.jsonl", "enrollments.csv", "users.parquet"):
            assert search({name: files.pop(f"output/{name}")}), "rows were asked for"
        assert not [name for name in files if name.startswith("output")], "what was not is not there"
        lines = files["scheduler.log"].splitlines()
        airflows_own = [line for line in lines if "SetXCom(" in line]
        files["scheduler.log"] = "\n".join(line for line in lines if "SetXCom(" not in line)
        assert search(files) == []
        assert {each.canary for each in search({"": "".join(airflows_own)})}.isdisjoint({"token", "hash key"})

    @pytest.mark.parametrize("when", ["at the end", "while triggers wait"])
    def test_the_database(self, live, when):
        tables = live.database() if when == "at the end" else live.while_deferred
        xcoms = tables.pop("xcom").splitlines()
        asked = [line for line in xcoms if any(f"\t{task_id}\t" in line for task_id in self.ASKED)]
        tables["xcom"] = "\n".join(line for line in xcoms if line not in asked)
        assert search(tables) == []
        if when == "at the end":
            students = {"student's name", "student's surname", "student's local part"}
            assert {each.canary for each in search({"": "\n".join(asked)})} == students

    def test_processes(self, live):
        assert search({"arguments": "\n".join(live.commands)}) == []

    def test_the_connection_as_airflow_shows_it(self, live):
        """As the documentation says, with ``sensitive_var_conn_names``."""
        shown = live.get("/api/v2/connections/catalog_default")
        assert (shown["password"], json.loads(shown["extra"])) == ("***", {"hash_secret": "***"})
