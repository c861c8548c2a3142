"""Sensors and triggers in a real Airflow: scheduler, triggerer, API server, SQLite."""

from __future__ import annotations

import hmac

import pytest

from tests.live import cases
from tests.stand_in import TOKEN


@pytest.fixture(scope="module")
def tasks(live):
    return live.tasks("live_sensors", live.sensors_run)


def hashed(number):
    return hmac.new(b"a-hash-key-of-the-tests", f"s{number}@example.edu".encode(), "sha256").hexdigest()


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


def test_nothing_private_is_in_any_log(live):
    logs = live.logs()
    assert "rows match so far" in logs, "there is something to search"
    for private in (
        "example.edu",
        "Student 1",
        TOKEN,
        "a-bad-token-of-the-tests",
        "a-hash-key-of-the-tests",
        hashed(1),
    ):
        assert private not in logs
