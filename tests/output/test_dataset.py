"""One table over all days: what is written on 150 of them, as those who use it read it."""

from __future__ import annotations

import json
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.output.columns import WORDS
from tests.output.conftest import new_output, write

duckdb = pytest.importorskip("duckdb")  # neither is there with the lowest dependencies
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pytestmark = pytest.mark.takes(seconds=20)

DOCS = (Path(__file__).parents[2] / "docs/storage.md").read_text()
FIRST_DAY, DAYS, LATE = date(2026, 1, 1), 150, 100
"""From the day ``LATE`` on, rows may have another column."""
TYPES = {
    "order_id": "int64",
    "list_price": "decimal(38,9)",
    "student_id": "int64",
    "student_name": "string",
    "purchase_date": "timestamp",
    "order_fee": "string",
    "score": "float64",
}
ARROW = {"int64": pa.int64(), "decimal(38,9)": pa.decimal128(38, 9), "string": pa.string(), "float64": pa.float64()}
ARROW["timestamp"] = pa.timestamp("us", tz="UTC")


def rows_of(day: int, *, late: bool = False) -> list[dict]:
    """Return a day's rows: whole amounts, cents, text, nulls, an object that is null, or none at all."""
    kind, name, source = day % 7, day_name(day), random.Random(day)  # noqa: S311 - no secrets
    rows = []
    for number in range(source.randint(1, 5) if kind != 5 else 0):
        cents = source.randint(0, 99_999)
        price = [cents // 100, cents / 100, f"{cents / 100:.2f}", None, cents // 100, None, cents / 100][kind]
        row = {
            "order_id": day * 100 + number,
            "list_price": price,
            "student": None if kind in (3, 4) else {"id": number, "name": f"Made-up {number}"},
            "purchase_date": f"{name}T10:00:00.5+02:00" if kind % 2 else f"{name} 08:00:00 UTC",
            "order_fee": "PAID" if cents else "FREE",
            "score": [5, 5.5][day % 2],
            "comment": None,
        }
        rows.append(row | ({"refund": cents // 100} if late and day >= LATE else {}))
    return rows


def day_name(day: int) -> str:
    return (FIRST_DAY + timedelta(days=day)).isoformat()


def write_day(folder, day: int, rows: list[dict], suffix: str = "parquet", **options):
    return write(folder / "orders" / f"day={day_name(day)}" / f"orders.{suffix}", rows, **options)


def written(folder, suffix="parquet", *, late=False) -> list[dict]:
    """Write all days in random order; those who need it look at a page of the first rows. Return all rows."""
    days = {day: rows_of(day, late=late) for day in range(DAYS)}
    rows = [row for day in days.values() for row in day]
    for day in random.Random(7).sample(range(DAYS), DAYS):  # noqa: S311 - no secrets
        write_day(folder, day, days[day], suffix, sample=lambda: rows[:100])
    return rows


def remembered(folder, name="orders.parquet"):
    return json.loads((folder / "orders.schema.json").read_text())[name]["columns"]


def meant(row: dict) -> tuple:
    """Return what a row says, as values of the right types."""
    price = None if row["list_price"] is None else Decimal(str(row["list_price"]))
    day = FIRST_DAY + timedelta(days=row["order_id"] // 100)
    time = datetime(day.year, day.month, day.day, 8, 0, 0, 500_000 if "." in row["purchase_date"] else 0, tzinfo=UTC)
    return row["order_id"], price, time


def check(table, rows):
    """Check an Arrow table: types, each row, and sums to the cent."""
    for name, type_name in TYPES.items():
        found = table.schema.field(name).type
        assert found == ARROW[type_name] or str(found) in ("large_string", "string_view", "timestamp[us, tz=Etc/UTC]")
    names = ("order_id", "list_price", "purchase_date")
    assert sorted(tuple(row[name] for name in names) for row in table.to_pylist()) == sorted(map(meant, rows))
    if any("refund" in row for row in rows):
        assert sum(filter(None, table["refund"].to_pylist())) == sum(row.get("refund", 0) for row in rows)


def by_duckdb(folder, options=""):
    return duckdb.sql(f"FROM read_parquet('{folder}/orders/*/*.parquet' {options})").to_arrow_table()


def by_duckdb_by_name(folder):
    return by_duckdb(folder, ", union_by_name = true")


def by_polars_diagonally(folder):
    files = sorted((folder / "orders").rglob("*.parquet"))
    return pl.concat([pl.scan_parquet(path) for path in files], how="diagonal").collect().to_arrow()


def by_pyarrow_with_all_schemas(folder):
    schemas = [fragment.physical_schema for fragment in ds.dataset(folder / "orders").get_fragments()]
    return ds.dataset(folder / "orders", schema=pa.unify_schemas(schemas)).to_table()


READERS = {
    "DuckDB": by_duckdb,
    "Polars": lambda folder: pl.scan_parquet(folder / "orders", hive_partitioning=True).collect().to_arrow(),
    "pandas": lambda folder: pa.Table.from_pandas(pd.read_parquet(folder / "orders", dtype_backend="pyarrow")),
    "pyarrow": lambda folder: ds.dataset(folder / "orders", partitioning="hive").to_table(),
    "pyarrow's Parquet": lambda folder: pq.read_table(folder / "orders"),
}


@pytest.fixture(scope="module")
def half_a_year(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    return folder, written(folder)


@pytest.mark.parametrize("reader", READERS)
def test_half_a_year_reads_as_one_table(half_a_year, reader):
    folder, rows = half_a_year
    check(READERS[reader](folder), rows)


def test_the_memory_is_beside_the_folder_and_tells_the_types(half_a_year):
    folder, _ = half_a_year
    assert sorted(path.name for path in folder.iterdir()) == ["orders", "orders.schema.json"]
    assert remembered(folder) == TYPES, "and nothing of what is null on all days"
    for path in (folder / "orders").rglob("*.parquet"):
        assert set(pq.read_schema(path).names) == set(TYPES)


def test_a_column_that_turns_up_later(tmp_path):
    rows = written(tmp_path, late=True)
    assert remembered(tmp_path) == TYPES | {"refund": "decimal(38,9)"}
    for read in (by_duckdb_by_name, by_polars_diagonally, by_pyarrow_with_all_schemas):
        check(read(tmp_path), rows)


def test_the_same_in_csv(tmp_path):
    rows = written(tmp_path, "csv", late=True)
    types = remembered(tmp_path, "orders.csv")
    assert types == TYPES | {"refund": "decimal(38,9)"}
    sql = {"timestamp": "TIMESTAMPTZ", "float64": "DOUBLE", "int64": "BIGINT", "string": "VARCHAR"}
    columns = {name: sql.get(type_name, type_name) for name, type_name in types.items()}
    query = f"FROM read_csv('{tmp_path}/orders/*/*.csv', union_by_name = true, types = {columns})"
    check(duckdb.sql(query).to_arrow_table(), rows)
    frames = [pd.read_csv(path) for path in (tmp_path / "orders").rglob("*.csv")]
    assert all(set(TYPES) <= set(frame.columns) for frame in frames), "a header each, without rows too"


def test_a_first_day_that_lacks_columns_learns_them_from_a_page_of_other_days(tmp_path):
    info = write_day(tmp_path, 3, rows_of(3), sample=lambda: rows_of(1))
    assert info.columns == TYPES
    assert info.null_columns == ["comment"]
    info = write_day(tmp_path, 5, [], sample=lambda: pytest.fail("asked"))
    assert info.columns == TYPES, "what was learned is known without asking again"


@pytest.mark.parametrize("name", ["orders/day=1/orders.parquet", "orders.parquet", "orders.csv"])
def test_a_file_without_rows_learns_its_columns_too_or_is_not_written(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(CatalogError, match=r"^set on_empty='skip', or name columns with field_types") as caught:
        write(path, [], sample=list)
    assert caught.value.retryable
    assert list(tmp_path.iterdir()) == []
    assert write(path, [], field_types={"id": "int64"}, sample=list).columns == {"id": "int64"}
    assert duckdb.sql(f"FROM '{path}'").columns[0] == "id"
    info = write(path, [], sample=lambda: [{"id": 1}], drop_fields=["student"])
    assert info.columns == {"id": "int64"}


@pytest.mark.parametrize(
    ("first", "later", "unfit"),
    [
        ({"price": 5}, {"price": "a lot"}, "price"),
        ({"id": 5}, {"id": "p-5"}, "id"),
        ({"score": 5.5}, {"score": [1]}, "score"),
        ({"created_at": "2026-01-01"}, {"created_at": "soon"}, "created_at"),
        ({"ok": True}, {"ok": 1}, "ok"),
    ],
)
def test_a_value_of_another_kind_than_on_earlier_days_is_an_error_and_changes_nothing(tmp_path, first, later, unfit):
    write_day(tmp_path, 0, [first])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CatalogParameterError, match=f"^row 2: the value of column '{unfit}'"):
        write_day(tmp_path, 1, [first, later | {"new": 1}])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_column_of_earlier_days_in_another_case_is_an_error(tmp_path):
    write_day(tmp_path, 0, [{"name": "x"}])
    with pytest.raises(CatalogParameterError, match=r"would both be the column .*differ in case alone"):
        write_day(tmp_path, 1, [{"Name": "y"}])


def test_text_stays_text(tmp_path):
    write_day(tmp_path, 0, [{"note": "x"}])
    write_day(tmp_path, 1, [{"note": 5}, {"note": ["y"]}])
    assert pq.read_table(tmp_path / "orders")["note"].to_pylist() == ["x", "5", '["y"]']


def test_people_pin_what_no_file_has_yet_and_an_edit_that_contradicts_the_files_is_told(tmp_path):
    write_day(tmp_path, 0, [{"id": 1}])
    memory = tmp_path / "orders.schema.json"
    before = json.loads(memory.read_text())["orders.parquet"]
    for edit, says in (
        ({"id": "string"}, "set 'id' of 'orders.parquet' back to 'int64', the type that the files"),
        ({"refund": "money"}, "'refund' has the type 'money', which does not exist"),
        ([], "has no objects"),
    ):
        memory.write_text(json.dumps({"orders.parquet": before | {"columns": edit}}))
        with pytest.raises(CatalogParameterError, match=says):
            write_day(tmp_path, 1, [{"id": 2}])
    for broken in ("{", "[]"):
        memory.write_text(broken)
        with pytest.raises(CatalogParameterError, match=r"is (no JSON|not a JSON object of file names) any more; mend"):
            write_day(tmp_path, 1, [{"id": 2}])
    memory.write_text(json.dumps({"orders.parquet": before | {"columns": {"id": "int64", "refund": "decimal(12,2)"}}}))
    info = write_day(tmp_path, 1, [{"a": 1, "refund": 5, "id": 2}])
    assert list(info.columns.items()) == [("id", "int64"), ("refund", "decimal(12,2)"), ("a", "float64")]


def unread():
    pytest.fail("asked for rows")
    yield {}


@pytest.mark.parametrize(
    ("folder", "says", "rows", "options"),
    [
        ("Revenue=5", r"Revenue=\.\.\. something", unread(), {"endpoint": "products"}),
        ("id=5", r"id=\.\.\. something", unread(), {"field_types": {"id": "int64"}}),
        ("student_id=5", r"student_id=\.\.\. something", unread(), {"fields": ["student.id"]}),
        ("order_id=5", r"order_id=\.\.\. something", unread(), {"sample": lambda: [{"order_id": 5}]}),
        ("day=5", r"day=\.\.\. something", [{"Day": 5}], {}),
        ("_day=5", r"day=\.\.\., not", unread(), {}),
        (".day=5", r"day=\.\.\., not", unread(), {}),
    ],
)
def test_a_hive_key_that_is_a_column_or_that_readers_skip_is_told_early(tmp_path, folder, says, rows, options):
    path = tmp_path / "orders" / "year=1" / folder / "rows.csv"
    with pytest.raises(CatalogParameterError, match=f"call the folder {says}"):
        write(path, rows, **options)
    assert not path.exists()
    assert write(path.with_suffix(".jsonl"), []).row_count == 0, "which is no table"


def test_a_memory_is_of_one_name_of_files_whatever_the_digits_in_it(tmp_path):
    for name in ("orders-2026-01-01.csv", "orders-2026-01-02.csv", "users.csv"):
        write(tmp_path / "orders" / "day=1" / name, [{"id": 1, name[:-4]: 1}])
    assert remembered(tmp_path, "orders-*-*-*.csv").keys() == {"id", "orders-2026-01-01", "orders-2026-01-02"}
    assert remembered(tmp_path, "users.csv").keys() == {"id", "users"}


def write_side_by_side(folder, rows):
    """Let each row be a day's pull; all of them read the memory before the first one changes it. Return the errors."""
    barrier = threading.Barrier(len(rows))

    def run(day, row):
        with new_output(folder / "orders" / f"day={day}" / "orders.parquet") as output:
            output.write([row])
            barrier.wait()
            output.publish()

    with ThreadPoolExecutor(len(rows)) as pool:
        pulls = [pool.submit(run, *each) for each in enumerate(rows)]
    return [error for pull in pulls if (error := pull.exception())]


def test_pulls_at_once_lose_no_column(tmp_path):
    assert write_side_by_side(tmp_path, [{"id": 1, f"c{day}": "x", "n": None} for day in range(8)]) == []
    assert set(remembered(tmp_path)) == {"id", *(f"c{day}" for day in range(8))}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders", "orders.schema.json"]
    assert files_of_one_type_a_column(tmp_path) == 8


def test_pulls_at_once_agree_on_the_type_of_a_new_column(tmp_path):
    """The first to give it a type wins; what does not fit is an error."""
    errors = write_side_by_side(tmp_path, [{"a": "x"}, {"a": 5}, {"a": True}, {"a": "y"}])
    assert all("does not fit its type" in str(error) for error in errors)
    files = files_of_one_type_a_column(tmp_path)
    assert files + len(errors) == 4
    assert files >= 1


def files_of_one_type_a_column(folder) -> int:
    types, paths = {}, list(folder.rglob("*.parquet"))
    for path in paths:
        for field in pq.read_schema(path):
            assert types.setdefault(field.name, field.type) == field.type
    return len(paths)


def test_the_documented_way_to_rewrite_a_folder(tmp_path, monkeypatch):
    days = {
        "2025-12-29": {"list_price": pa.array([10]), "purchase_date": ["2025-12-29T10:00:00Z"], "id": pa.array([1])},
        "2025-12-30": {"list_price": pa.array([0.1]), "purchase_date": ["2025-12-30T10:00:00+02:00"]},
        "2025-12-31": {"list_price": pa.array(["1.05"]), "new": pa.nulls(1), "id": pa.array([2])},
    }
    for day, columns in days.items():
        folder = tmp_path / "catalog" / "orders" / f"day={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / "orders.parquet")
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", DOCS[DOCS.index("### Rewrite a folder") :], re.DOTALL)
    exec(compile(code, "docs/storage.md", "exec"), {})  # noqa: S102 - our own docs
    write_day(tmp_path / "catalog", 0, [{"id": 3, "list_price": "2.20", "purchase_date": "2026-01-01 10:00:00 UTC"}])
    table = by_duckdb(tmp_path / "catalog")
    assert sum(table.column("list_price").to_pylist()) == Decimal("13.35")
    assert [row["id"] for row in table.to_pylist()] == [1, None, 2, 3]
    assert str(table.schema.field("purchase_date").type).startswith("timestamp[us, tz=")
    assert files_of_one_type_a_column(tmp_path) == 4


@pytest.mark.parametrize("type_name", WORDS)
def test_the_table_of_words_in_the_docs(type_name):
    [row] = [line for line in DOCS.splitlines() if "the last word" in line and f"| `{type_name}`" in line]
    assert set(re.findall("`([a-z]+)`", row.rpartition("|")[0].rpartition("|")[0])) == set(WORDS[type_name])


values = st.sampled_from([None, 5, 2.5, "x", "5", "2026-01-01", True, ["a"], 2**60 + 1, {"a": 1}, {"b": None}, ""])
rows = st.dictionaries(st.sampled_from(["id", "price", "at", "name", "a", "student"]), values, max_size=4)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.lists(rows, max_size=3)), max_size=6), rows)
def test_any_pulls_in_any_order_leave_one_type_a_column_or_an_error(tmp_path_factory, pulls, other):
    folder = tmp_path_factory.mktemp("any")
    for day, pulled in pulls:
        try:
            write_day(folder, day, pulled, sample=lambda: [dict(other)])
        except CatalogError as error:
            assert any(part in str(error) for part in ("does not fit", "would both be", "no field", "no row"))
    if files_of_one_type_a_column(folder):
        assert {*by_duckdb_by_name(folder).column_names} - {"day"} <= {*remembered(folder)}
