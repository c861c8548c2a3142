"""Every example DAG does what it says, when a real Airflow runs it against the sandbox."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.example_dags.conftest import DAG_IDS, EXAMPLES, json_rows, keyed_hash, load_dag
from tests.processes import python

# What dag.test() itself warns of, in 3.3, 3.1, 3.0 and 3.0.
pytestmark = [
    pytest.mark.takes(seconds=20),
    *(
        pytest.mark.filterwarnings(f"ignore:{message}")
        for message in (
            "Using `httpx` with `starlette.testclient` is deprecated",
            "'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated",
            "Using Connection.get_connection_from_secrets from `airflow.models` is deprecated",
            "fully NULL primary key identity cannot load any object",
        )
    ),
]

PARSE = """
import json, os, runpy, socket, sys, warnings
import airflow.sdk, airflow.timetables.interval

def refuse(*arguments):
    raise AssertionError("parsing a DAG file must not open a connection")

socket.socket.connect = refuse
for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[name]
warnings.simplefilter("error")
parsed = {}
for path in sys.argv[1:]:
    dag = runpy.run_path(path)["dag"]
    parsed[dag.dag_id] = dag.doc_md
print(json.dumps({"parsed": parsed, "heavy": sorted({"pyarrow", "pandas", "requests"} & set(sys.modules))}))
"""


@pytest.fixture(scope="module")
def parsed():
    """Parse all examples in a process that has imported nothing else and knows no connection."""
    return json.loads(python(PARSE, *(EXAMPLES / f"{dag_id}.py" for dag_id in DAG_IDS)).splitlines()[-1])


def test_examples_are_parsed_without_a_warning_a_connection_or_anything_heavy(parsed):
    assert sorted(parsed["parsed"]) == DAG_IDS
    assert parsed["heavy"] == []


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_an_example_explains_itself(dag_id, parsed):
    assert (EXAMPLES / f"{dag_id}.py").read_text().startswith(f'"""{parsed["parsed"][dag_id]}"""')
    assert len(parsed["parsed"][dag_id]) > 300


# --- catalog_daily_load ---------------------------------------------------------------------------------------------

DATE_FIELDS = {"orders": "purchase_date", "enrollments": "enrollment_date", "users": "registration_date"}


@pytest.fixture(scope="module")
def busy_day(all_rows) -> str:
    """Return a day on which somebody registered, enrolled and bought."""
    days = [{row[field][:10] for row in all_rows(endpoint)} for endpoint, field in DATE_FIELDS.items()]
    return max(set.intersection(*days))


def run_of(day: str) -> datetime:
    """Return the logical date by hand that loads a day: the run takes the last whole day before it."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)


@pytest.fixture(scope="module")
def daily_run(run_example, busy_day):
    run = run_example("catalog_daily_load", run_of(busy_day))
    assert run.state == "success"
    return run


def read_day(run, endpoint, day):
    return pq.read_table(run.folder / endpoint / f"day={day}" / f"{endpoint}.parquet", partitioning=None)


def test_a_daily_load_writes_the_rows_of_its_day(daily_run, all_rows, busy_day):
    keys = {"orders": "order_id", "enrollments": "enrollment_id", "users": "student.id"}
    for endpoint, field in DATE_FIELDS.items():
        table = read_day(daily_run, endpoint, busy_day)
        of_the_day = [row for row in all_rows(endpoint) if row[field].startswith(busy_day)]
        outer, _, inner = keys[endpoint].partition(".")
        assert of_the_day
        assert table[keys[endpoint].replace(".", "_")].to_pylist() == [
            row[outer][inner] if inner else row[outer] for row in of_the_day
        ]
        assert daily_run.xcoms[endpoint]["row_count"] == len(of_the_day)


def test_a_daily_load_takes_a_snapshot_of_all_products(daily_run, all_rows, catalog, busy_day):
    table = read_day(daily_run, "products", busy_day)
    assert table.num_rows == catalog.row_count("products")
    revenue = sum(row["revenue"] for row in all_rows("products"))
    assert float(sum(table["revenue"].to_pylist())) == pytest.approx(revenue)


def test_the_best_products_are_computed_from_the_file(daily_run, all_rows):
    best = sorted(all_rows("products"), key=lambda row: row["revenue"], reverse=True)[:10]
    assert daily_run.xcoms["top_products"] == [
        {
            "product": row["product"]["name"],
            "currency": row["currency"],
            "revenue": pytest.approx(row["revenue"]),
            "completion_rate": pytest.approx(row["completion_count"] / row["enrollment_count"]),
        }
        for row in best
    ]


def test_what_is_not_known_of_a_product_is_not_made_up(tmp_path):
    columns = {
        "product_name": ["unsold", "unknown", "uncounted", "new"],
        "currency": ["USD"] * 4,
        "revenue": [0.0, None, 2.0, 3.0],
        "enrollment_count": [4, 1, 2, 0],
        "completion_count": [1, 1, None, 0],
    }
    pq.write_table(pa.table(columns), tmp_path / "products.parquet")
    top_products = load_dag("catalog_daily_load").get_task("top_products").python_callable
    answer = top_products({"path": str(tmp_path / "products.parquet")})
    best = [("new", 3.0, None), ("uncounted", 2.0, None), ("unsold", 0.0, 0.25)]
    assert [(row["product"], row["revenue"], row["completion_rate"]) for row in answer] == best


# --- catalog_to_xcom ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def xcom_run(run_example):
    run = run_example("catalog_to_xcom", enrollment_count_min=50)
    assert run.state == "success"
    return run


def test_each_product_in_xcom_gets_a_file_of_its_enrollments(xcom_run, all_rows):
    there, enrollments = all_rows("products"), all_rows("enrollments")
    products = [row for row in there if row["product_status"] == "OPEN" and row["enrollment_count"] >= 50]
    assert len(products) > 1
    assert xcom_run.xcoms["products"] == [
        {"product": {"id": row["product"]["id"], "name": row["product"]["name"]}} for row in products
    ]
    written = {path.parent.name: json_rows(path) for path in xcom_run.folder.rglob("*.jsonl")}
    assert {folder: [row["enrollment_id"] for row in rows] for folder, rows in written.items()} == {
        f"product={row['product']['id']}": [
            other["enrollment_id"] for other in enrollments if other["product"]["id"] == row["product"]["id"]
        ]
        for row in products
    }
    assert xcom_run.xcoms["add_up"] == {
        "files": len(products),
        "rows": sum(row["enrollment_count"] for row in products),
    }


def test_no_student_can_be_told_from_the_files(xcom_run, all_rows):
    students = {row["enrollment_id"]: row["student"] for row in all_rows("enrollments")}
    rows = [row for path in xcom_run.folder.rglob("*.jsonl") for row in json_rows(path)]
    assert rows
    for row in rows:
        student = students[row["enrollment_id"]]
        assert "custom_fields" not in row
        assert row["student"] == {
            name: None if student[name] is None else keyed_hash(student[name])
            for name in ("id", "canvas_user_id", "email")
        }


def test_without_products_nothing_is_loaded(run_example):
    run = run_example("catalog_to_xcom", enrollment_count_min=1_000_000)
    assert run.state == "success"
    assert run.xcoms["products"] == []
    assert run.tasks["enrollments"] == {"skipped"}
    assert list(run.folder.iterdir()) == []


# --- catalog_backfill ---------------------------------------------------------------------------------------------


WINDOW_FIELDS = {"products": "created_at", **DATE_FIELDS}


def when(endpoint: str, row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row[WINDOW_FIELDS[endpoint]]).astimezone(UTC)


def test_a_backfill_writes_a_file_a_month_and_misses_nothing(run_example, all_rows):
    start, end = datetime(2025, 1, 15, tzinfo=UTC), datetime(2025, 2, 20, tzinfo=UTC)
    wanted = {
        endpoint: [row for row in all_rows(endpoint) if start <= when(endpoint, row) < end]
        for endpoint in WINDOW_FIELDS
    }

    run = run_example("catalog_backfill", first_day="2025-01-15", end_day="2025-02-20")
    assert run.state == "success"
    assert run.xcoms["check"] == {endpoint: {"rows": len(rows), "in_two_files": 0} for endpoint, rows in wanted.items()}
    files = sorted((run.folder / "by_month").rglob("*.csv"))
    found = {
        path.relative_to(run.folder / "by_month").as_posix(): [*csv.DictReader(path.read_text().splitlines())]
        for path in files
    }
    assert {name: [row["account_id"] for row in rows] for name, rows in found.items()} == {
        f"{endpoint}/month={month:%Y-%m}/{endpoint}.csv": [
            str(row["account_id"]) for row in rows if when(endpoint, row).month == month.month
        ]
        for endpoint, rows in wanted.items()
        for month in (start, end)
    }
    orders = [row for name, rows in found.items() if name.startswith("orders/") for row in rows]
    assert [row["order_id"] for row in orders] == [
        str(row["order_id"]) for row in sorted(wanted["orders"], key=lambda row: when("orders", row).month)
    ]
    revenue = sum(row["revenue"] for row in wanted["orders"])
    assert sum(float(row["revenue"]) for row in orders) == pytest.approx(revenue)


@pytest.mark.parametrize(
    ("first_day", "end_day", "months"),
    [
        ("2025-11-01", "2026-02-01", ["2025-11", "2025-12", "2026-01"]),
        ("2024-01-31", "2024-03-01", ["2024-01", "2024-02"]),
        ("2026-03-05", "2026-03-05", []),
    ],
)
def test_the_windows_of_a_backfill_touch_and_end_where_they_should(first_day, end_day, months):
    windows = load_dag("catalog_backfill").get_task("months").python_callable("s3://aws@bucket", first_day, end_day)
    assert [window["month"] for window in windows] == months
    assert {window["folder"] for window in windows} <= {"s3://aws@bucket"}
    starts, ends = ([window[name] for window in windows] for name in ("from", "to"))
    assert [*starts, f"{end_day}T00:00:00Z"] == [f"{first_day}T00:00:00Z", *ends]


@pytest.mark.parametrize("too_many", [1, -1])
def test_the_check_of_a_backfill_counts_rows(all_rows, too_many):
    """Rows that are in two files are told; rows that are missing fail it."""
    counts = {endpoint: len(all_rows(endpoint)) for endpoint in WINDOW_FIELDS}
    written = {endpoint: [{"row_count": count}] for endpoint, count in counts.items()}
    written["orders"].append({"row_count": too_many})
    check = partial(load_dag("catalog_backfill").get_task("check").python_callable, written, "2020-01-01", "2026-07-01")
    there = counts["orders"]
    if too_many < 0:
        with pytest.raises(ValueError, match=f"orders: the files have {there - 1:,} rows, the Catalog has {there:,}"):
            check()
    else:
        right = {endpoint: {"rows": count, "in_two_files": 0} for endpoint, count in counts.items()}
        assert check() == right | {"orders": {"rows": there + 1, "in_two_files": 1}}


# --- catalog_sensors and catalog_on_new_orders -----------------------------------------------------------------------


def test_the_day_is_loaded_once_it_is_there(run_example, all_rows):
    waited = run_example("catalog_sensors", logical_date=datetime(2026, 3, 12, tzinfo=UTC))
    of_the_day = [row for row in all_rows("enrollments") if row["enrollment_date"].startswith("2026-03-11")]
    assert of_the_day, "or another day has to be taken"
    assert load_dag("catalog_sensors").get_task("wait").deferrable, "it waits in the triggerer"
    assert waited.state == "success"
    assert waited.xcoms["wait"]["row_count"] == len(of_the_day)
    assert waited.xcoms["wait"]["rows"] == [{"enrollment_id": row["enrollment_id"]} for row in of_the_day[:100]]
    assert waited.xcoms["check"] == 0
    [path] = waited.folder.rglob("*.parquet")
    assert pq.read_table(path).num_rows == len(of_the_day)


def test_new_orders_by_hand(run_example):
    run = run_example("catalog_on_new_orders")
    assert run.state == "success"
    assert run.xcoms["what_is_new"] == {"new_rows": 0, "filters": {}}
    assert len(list(run.folder.rglob("orders.parquet"))) == 1
    assert set(run.xcoms["orders"]["filters"]) == {"order_fee", "purchase_date_from"}


# --- catalog_join_hashed ----------------------------------------------------------------------------------------------


def test_a_join_by_hashes_has_the_sums_of_one_by_ids_and_leaves_nobody_behind(run_example, all_rows):
    registered = {row["student"]["id"]: row["registered_through"] for row in all_rows("users")}
    expected = Counter()
    for order in all_rows("orders"):
        who = order["student"] or order["purchaser"]
        expected[registered[who["id"]], order["currency"]] += order["revenue"]
    run = run_example("catalog_join_hashed")
    assert run.state == "success"
    found = run.xcoms["revenue_by_registration"]
    found = {(how, currency): revenue for how, sums in found.items() for currency, revenue in sums.items()}
    assert found == pytest.approx(dict(expected))
    left = json.dumps(run.xcoms) + "".join(path.read_text() for path in run.folder.rglob("*.jsonl"))
    students = [row["student"] for row in all_rows("users")]
    assert len(students) == 80
    for student in students:
        assert keyed_hash(student["id"]) in left
        for value in (student[name] for name in ("name", "email", "id", "canvas_user_id")):
            assert value is None or not (f'"{value}' in left or f" {value}" in left)
