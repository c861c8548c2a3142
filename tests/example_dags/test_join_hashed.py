"""The example that joins orders to users by hashes: the right sums, and nobody to be told from what it leaves."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.example_dags.conftest import json_rows, keyed_hash
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() warns of


@pytest.fixture(scope="module")
def run(run_example):
    finished = run_example("catalog_join_hashed")
    assert finished.state == "success"
    return finished


def rows_of(run, name):
    return json_rows(run.folder / "hashed" / f"{name}.jsonl")


def test_the_sums_are_those_of_a_join_by_ids(run, all_rows):
    registered = {row["student"]["id"]: row["registered_through"] for row in all_rows("users")}
    expected = Counter()
    for order in all_rows("orders"):
        who = order["student"] or order["purchaser"]
        expected[registered[who["id"]], order["currency"]] += order["revenue"]

    found = run.xcoms["revenue_by_registration"]
    assert {registration: set(sums) for registration, sums in found.items()} == {
        registration: {currency for other, currency in expected if other == registration}
        for registration in ("CANVAS", "CATALOG")
    }
    for (registration, currency), revenue in expected.items():
        assert found[registration][currency] == pytest.approx(revenue)


def test_equal_ids_have_equal_hashes_in_both_files(run, all_rows):
    users = {keyed_hash(row["student"]["id"]) for row in all_rows("users")}
    assert {row["student"]["id"] for row in rows_of(run, "users")} == users
    hashed = [(row.get("student") or row["purchaser"])["id"] for row in rows_of(run, "orders")]
    assert hashed == [keyed_hash((row["student"] or row["purchaser"])["id"]) for row in all_rows("orders")]
    assert set(hashed) < users


def test_nobody_is_in_what_is_left(run, all_rows):
    left = json.dumps(run.xcoms) + "".join(path.read_text() for path in run.folder.rglob("*.jsonl"))
    students = [row["student"] for row in all_rows("users")]
    assert len(students) == 80
    for student in students:
        for name in ("name", "email", "id", "canvas_user_id"):
            assert student[name] is None or f'"{student[name]}' not in left
            assert student[name] is None or f" {student[name]}" not in left
