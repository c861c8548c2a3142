"""A mapped backfill on two Celery workers, one of which dies: every window's file is there once, and whole."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest

pytest.importorskip("airflow.providers.celery", reason="Celery is not installed: make test-distributed")

from scripts.celery_airflow import ServiceMissingError
from tests.distributed.play import DATES, IN_FLIGHT, LOADS, MONTHS, POOL_SLOTS, Load, played
from tests.stores.servers import BUCKET

IDS = {
    "products": ("product_id", lambda row: row["product"]["id"]),
    "enrollments": ("enrollment_id", lambda row: row["enrollment_id"]),
    "orders": ("order_id", lambda row: row["order_id"]),
    "users": ("student_id", lambda row: row["student"]["id"]),
}
"""endpoint → the column that tells rows apart, and where a row of the API has it."""


@pytest.fixture(scope="module")
def backfill(tmp_path_factory):
    try:
        with played(tmp_path_factory.mktemp("airflow")) as backfill:
            yield backfill
    except ServiceMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def tasks(backfill):
    return backfill.tasks()


def test_the_run_succeeds_with_all_loads(backfill, tasks):
    assert backfill.airflow.state("catalog_backfill", backfill.run_id) == "success"
    assert len(tasks) == len(LOADS) == 4 * MONTHS
    assert {task["state"] for task in tasks.values()} == {"success"}
    assert {task["rendered_map_index"] for task in tasks.values()} == {f"month={load.month}" for load in LOADS}


def test_what_the_killed_worker_was_at_is_tried_again(backfill, tasks):
    assert backfill.killed, "a worker was killed in the middle of a load"
    assert all(tasks[load]["try_number"] > 1 for load in backfill.killed)


def test_each_file_is_there_once_and_nothing_else(backfill):
    found = backfill.store.extra["client"].list_objects_v2(Bucket=BUCKET)["Contents"]
    types = [f"by_month/{endpoint}.schema.json" for endpoint in DATES]
    assert sorted(each["Key"] for each in found) == sorted([*types, *(load.key for load in LOADS)])
    assert backfill.store.unfinished() == []


@pytest.mark.parametrize("load", LOADS, ids="-".join)
def test_a_file_is_whole(backfill, tasks, load: Load):
    manifest = backfill.airflow.xcom(tasks[load])
    content = backfill.store.read(load.key)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))

    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["size_bytes"] == len(content)
    assert manifest["row_count"] == len(rows)
    column, of_row = IDS[load.endpoint]
    assert [row[column] for row in rows] == [str(of_row(row)) for row in backfill.expected[load]]


@pytest.mark.parametrize("endpoint", DATES)
def test_the_sum_of_rows_is_exact(backfill, endpoint):
    counted = backfill.airflow.xcom(backfill.airflow.tasks("catalog_backfill", backfill.run_id)["check", -1])
    rows = sum(len(backfill.expected[load]) for load in LOADS if load.endpoint == endpoint)

    assert rows > 0
    assert counted[endpoint] == {"rows": rows, "in_two_files": 0}


def test_the_pool_bounds_what_the_catalog_has_to_do_at_once(backfill, tasks):
    assert {task["pool"] for task in tasks.values()} == {"catalog"}, "by the policy, for the DAG names none"
    assert max(request.in_flight for request in backfill.catalog.requests) <= POOL_SLOTS * IN_FLIGHT


def test_the_worker_that_goes_on_leaves_no_temporary_files(backfill):
    """The one that was killed does, until it runs the next task."""
    assert backfill.airflow.temporary_files("second") == []
