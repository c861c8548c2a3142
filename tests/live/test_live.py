"""Operators, sensors and triggers in a real Airflow: scheduler, triggerer, API server, SQLite."""

from __future__ import annotations

import hmac
import json

import pytest

from tests.leaks.canaries import HASH_KEY, search
from tests.live import cases
from tests.live.conftest import IN_FLIGHT, ROWS, email


@pytest.fixture(scope="module")
def tasks(live):
    """Return a function that gives the task instances of a DAG's run, by task id and map index."""
    return lambda dag_id: live.tasks(dag_id, live.run_ids[dag_id])


def hashed(number):
    return hmac.new(HASH_KEY.encode(), email(number).encode(), "sha256").hexdigest()


@pytest.mark.parametrize("endpoint", [endpoint for endpoint, _ in cases.WAIT])
def test_from_no_rows_to_done(live, tasks, endpoint):
    waited = tasks("live_sensors")[f"wait_{endpoint}", -1]
    assert waited["state"] == "success"
    rows = [{"id": n, "student": {"email": hashed(n)}} for n in (0, 1)]
    assert live.xcom(waited) == {"row_count": 2, "rows": rows}
    assert f"Catalog {endpoint}: 0 of 2 rows" in live.task_log(waited)


def test_mapped(live, tasks):
    for index in range(len(cases.MAPPED)):
        assert live.xcom(tasks("live_sensors")["mapped", index])["row_count"] == 2


@pytest.mark.parametrize(
    ("task_id", "error"),
    [("timeout", "AirflowSensorTimeout"), ("bad_token", "CatalogAuthError"), ("revoked", "CatalogAuthError")],
)
def test_what_fails_is_not_tried_again(live, tasks, task_id, error):
    failed = tasks("live_sensors")[task_id, -1]
    assert (failed["state"], failed["try_number"]) == ("failed", 1), "it has three retries"
    assert error in live.task_log(failed)


def test_a_triggerer_that_is_killed(live, tasks):
    assert not live.polls_while_killed, "nobody polls while there is no triggerer"
    went_on = tasks("live_restart")["goes_on", -1]
    assert (went_on["state"], went_on["try_number"]) == ("success", 1)


def test_the_watcher(live):
    """Three new orders start a run; two that came while no triggerer ran start another one; and none are told twice."""
    payloads = [
        payload
        for run_id in live.runs("live_watcher")
        for payload in live.xcom(live.tasks("live_watcher", run_id)["payloads", -1])
    ]
    same = {"catalog_conn_id": "catalog_default", "endpoint": "orders", "filters": {"account_ids": [cases.WATCHED]}}
    assert payloads == [{**same, "new_rows": 3, "row_count": 3}, {**same, "new_rows": 2, "row_count": 5}]


@pytest.mark.parametrize("how", cases.KILLED_OPERATORS)
def test_an_operator_that_airflow_ends(live, tasks, how):
    """Its requests end, by its own doing; the earlier file stays, and nothing beside it."""
    task = tasks("live_kills")[f"operator_{how}", -1]
    assert "Catalog orders: Airflow has ended the task" in live.task_log(task)
    assert len(live.catalog.stalled(cases.KILLED_OPERATORS[how])) == IN_FLIGHT, "none was tried again"
    [file] = [text for name, text in live.files().items() if name.startswith(f"output/{how}/")]
    if how == "cleared":
        assert (task["state"], task["try_number"]) == ("success", 2)
        assert len(file.splitlines()) == 1 + ROWS
    else:
        assert (task["state"], file) == ("failed", "earlier")


@pytest.mark.parametrize("how", cases.KILLED_SENSORS)
def test_a_sensor_that_airflow_ends(live, tasks, how):
    task = tasks("live_kills")[f"sensor_{how}", -1]
    assert task["state"] == "failed"
    assert len(live.catalog.stalled(cases.KILLED_SENSORS[how])) == 1, "it asks no more"


class TestLeaks:
    """
    All of it logs at DEBUG. Rows are in files and XComs that were asked for, and in the lines in which Airflow itself
    logs the XComs that it stores; nowhere else.
    """

    ASKED = ("asked_for_rows", "mapped", "goes_on")

    def test_there_is_something_to_search(self, live, tasks):
        files, database = live.files(), live.database()
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
        states = {task_id: each["state"] for (task_id, _), each in tasks("live_leaks").items()}
        assert states.pop("refused") == states.pop("unfit") == "failed"
        assert set(states.values()) == {"success"}

    def test_files(self, live):
        files = live.files()
        for name in ("products.jsonl", "enrollments.csv", "users.parquet"):
            assert search({name: files.pop(f"output/loaded/{name}")}), "rows were asked for"
        assert not [name for name in files if name.startswith("output/loaded")], "what was not is not there"
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

    def test_processes_and_the_connection_as_airflow_shows_it(self, live):
        assert search({"arguments": "\n".join(live.commands)}) == []
        shown = live.get("/api/v2/connections/catalog_default")
        assert (shown["password"], json.loads(shown["extra"])) == ("***", {"hash_secret": "***"})
