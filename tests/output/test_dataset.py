"""One table over all days: what is written on 150 of them, as those who use it read it."""

from __future__ import annotations

import json
import random
import re
import threading
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
from airflow_provider_catalog.output.transform import RowTransform
from tests.output.conftest import new_output, write
from tests.output.drift import DAYS, meant, rows_of, write_all, write_day

duckdb = pytest.importorskip("duckdb")  # neither is there with the lowest dependencies
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pytestmark = pytest.mark.takes(seconds=30)

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


def remembered(folder, name="orders.parquet"):
    return json.loads((folder / "orders.schema.json").read_text())[name]["columns"]


def shuffled(days):
    order = list(days)
    random.Random(7).shuffle(order)  # noqa: S311 - no secrets
    return {day: days[day] for day in order}


@pytest.fixture(scope="module")
def half_a_year(tmp_path_factory):
    """Files of 150 days, written in random order; and their rows."""
    folder = tmp_path_factory.mktemp("catalog")
    days = {day: rows_of(day) for day in range(DAYS)}
    write_all(folder, shuffled(days))
    return folder, [row for rows in days.values() for row in rows]


def check(table, rows):
    """Check an Arrow table: types, each row, and the sum to the cent."""
    for name, type_name in TYPES.items():
        found = table.schema.field(name).type
        assert found == ARROW[type_name] or str(found) in ("large_string", "string_view", "timestamp[us, tz=Etc/UTC]")
    found = sorted(
        (row["order_id"], row["list_price"], row["purchase_date"])
        for row in table.select(["order_id", "list_price", "purchase_date"]).to_pylist()
    )
    expected = sorted(map(meant, rows))
    assert found == expected
    assert sum(row[1] for row in found if row[1]) == sum(row[1] for row in expected if row[1])


def duckdb_table(options=""):
    def read(folder):
        return duckdb.sql(f"FROM read_parquet('{folder}/orders/*/*.parquet' {options})").to_arrow_table()

    return read


READERS = {
    "DuckDB": duckdb_table(),
    "DuckDB by name": duckdb_table(", union_by_name = true"),
    "Polars": lambda folder: pl.scan_parquet(folder / "orders", hive_partitioning=True).collect().to_arrow(),
    "pandas": lambda folder: pa.Table.from_pandas(pd.read_parquet(folder / "orders", dtype_backend="pyarrow")),
    "pyarrow": lambda folder: ds.dataset(folder / "orders", partitioning="hive").to_table(),
    "pyarrow's Parquet": lambda folder: pq.read_table(folder / "orders"),
}


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


@pytest.mark.parametrize("is_backfill", [False, True])
def test_a_column_that_turns_up_later(tmp_path, is_backfill):
    days = {day: rows_of(day, late=True) for day in range(DAYS)}
    write_all(tmp_path, shuffled(days) if is_backfill else days)
    rows = [row for each in days.values() for row in each]
    refunds = sum(row.get("refund", 0) for row in rows)
    assert remembered(tmp_path) == TYPES | {"refund": "decimal(38,9)"}
    by_name = duckdb_table(", union_by_name = true")(tmp_path)
    files = sorted((tmp_path / "orders").rglob("*.parquet"))
    polars = pl.concat([pl.scan_parquet(path) for path in files], how="diagonal").collect().to_arrow()
    fragments = ds.dataset(tmp_path / "orders").get_fragments()
    schema = pa.unify_schemas([fragment.physical_schema for fragment in fragments])
    arrow = ds.dataset(tmp_path / "orders", schema=schema).to_table()
    for table in (by_name, polars, arrow):
        check(table, rows)
        assert sum(value for value in table.column("refund").to_pylist() if value) == refunds


@pytest.mark.parametrize("late", [False, True])
def test_the_same_in_csv(tmp_path, late):
    days = {day: rows_of(day, late=late) for day in range(DAYS)}
    write_all(tmp_path, shuffled(days), "csv")
    rows = [row for each in days.values() for row in each]
    types = remembered(tmp_path, "orders.csv")
    assert types == TYPES | ({"refund": "decimal(38,9)"} if late else {})
    sql = {"timestamp": "TIMESTAMPTZ", "float64": "DOUBLE", "int64": "BIGINT", "string": "VARCHAR"}
    columns = {name: sql.get(type_name, type_name) for name, type_name in types.items()}
    query = f"FROM read_csv('{tmp_path}/orders/*/*.csv', union_by_name = true, types = {columns})"
    check(duckdb.sql(query).to_arrow_table(), rows)
    frames = [pd.read_csv(path) for path in (tmp_path / "orders").rglob("*.csv")]
    assert all(set(TYPES) <= set(frame.columns) for frame in frames), "a header each, without rows too"
    total = sum(price for row in rows if (price := meant(row)[1]))
    assert round(pd.concat(frames).list_price.sum(), 2) == float(total)


def test_a_first_day_that_lacks_columns_learns_them_from_a_page_of_other_days(tmp_path):
    info = write_day(tmp_path, 3, rows_of(3), sample=lambda: rows_of(1))
    assert info.types == TYPES
    assert info.null_columns == ["comment"]
    info = write_day(tmp_path, 5, [], sample=lambda: pytest.fail("asked"))
    assert info.types == TYPES, "what was learned is known without asking again"


def test_a_file_without_rows_learns_its_columns_too(tmp_path):
    path, transform = tmp_path / "orders.parquet", RowTransform(drop_fields=["student"])
    assert write(path, [], transform=transform, sample=lambda: [{"id": 1}]).types == {"id": "int64"}
    assert duckdb.sql(f"FROM '{path}'").fetchall() == []


@pytest.mark.parametrize("name", ["orders/day=1/orders.parquet", "orders.parquet", "orders.csv"])
def test_a_file_without_columns_is_not_written(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(CatalogError, match=r"^set on_empty='skip', or name columns with field_types") as caught:
        write(path, [], sample=list)
    assert caught.value.retryable
    assert list(tmp_path.iterdir()) == []
    assert write(path, [], field_types={"id": "int64"}, sample=list).columns == ["id"]
    assert duckdb.sql(f"FROM '{path}'").columns[0] == "id"


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


def test_text_stays_text(tmp_path):
    write_day(tmp_path, 0, [{"note": "x"}])
    write_day(tmp_path, 1, [{"note": 5}, {"note": ["y"]}])
    found = pq.read_table(tmp_path / "orders").column("note").to_pylist()
    assert found == ["x", "5", '["y"]']


def edit_memory(folder, edit):
    memory = folder / "orders.schema.json"
    content = json.loads(memory.read_text())
    content["orders.parquet"]["columns"] = edit
    memory.write_text(json.dumps(content))


def test_people_pin_what_no_file_has_yet(tmp_path):
    write_day(tmp_path, 0, [{"id": 1}])
    edit_memory(tmp_path, {"id": "int64", "refund": "decimal(12,2)"})
    info = write_day(tmp_path, 1, [{"id": 2, "refund": 5}])
    assert info.types == {"id": "int64", "refund": "decimal(12,2)"}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"id": "string"}, "set 'id' of 'orders.parquet' back to 'int64', the type that the files"),
        ({"refund": "money"}, "'refund' has the type 'money', which does not exist"),
        ([], "has no objects"),
    ],
)
def test_an_edit_that_contradicts_the_files_is_told(tmp_path, edit, says):
    write_day(tmp_path, 0, [{"id": 1}])
    edit_memory(tmp_path, edit)
    with pytest.raises(CatalogParameterError, match=says):
        write_day(tmp_path, 1, [{"id": 2}])
    (tmp_path / "orders.schema.json").write_text("{")
    with pytest.raises(CatalogParameterError, match="is no JSON any more"):
        write_day(tmp_path, 1, [{"id": 2}])


def test_field_types_that_contradict_the_files_are_told_before_there_are_rows(tmp_path):
    write_day(tmp_path, 0, [{"a": {"price": 1}}], field_types={"a.price": "decimal(12, 2)"})
    write_day(tmp_path, 1, [{"a": {"price": 1}}], field_types={"a_price": "decimal(12,2)"})
    for name in ("a.price", "a_price"):
        with pytest.raises(CatalogParameterError, match=rf"^field_types: leave out '{name}', or rewrite .*decimal\(12"):
            write_day(tmp_path, 2, [], field_types={name: "string"})


def no_rows_yet(path, **options):
    with new_output(path, **options):
        pass


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("Revenue=5", {"endpoint": "products"}),
        ("id=5", {"field_types": {"id": "int64"}}),
        ("student_id=5", {"transform": RowTransform(fields=["student.id"])}),
        ("order_id=5", {"sample": lambda: [{"order_id": 5}]}),
    ],
)
def test_a_hive_key_that_is_a_column_is_told_before_there_are_rows(tmp_path, suffix, folder, options):
    with pytest.raises(CatalogParameterError, match=rf"call the folder {folder.partition('=')[0]}=\.\.\. something"):
        no_rows_yet(tmp_path / "orders" / "day=1" / folder / f"rows.{suffix}", **options)


def test_a_hive_key_that_is_a_column_of_earlier_files_or_of_the_rows(tmp_path):
    with pytest.raises(CatalogParameterError, match="call the folder day="):
        write_day(tmp_path, 0, [{"Day": 5}])
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("key", ["_day", ".day"])
def test_a_hive_key_that_readers_skip(tmp_path, key):
    with pytest.raises(CatalogParameterError, match=r"call the folder day=\.\.\., not"):
        no_rows_yet(tmp_path / "orders" / f"{key}=1" / "rows.parquet")
    no_rows_yet(tmp_path / "orders" / f"{key}=1" / "rows.jsonl")


def test_a_memory_is_of_one_name_of_files_whatever_the_digits_in_it(tmp_path):
    for name in ("orders-2026-01-01.csv", "orders-2026-01-02.csv", "users.csv"):
        write(tmp_path / "orders" / "day=1" / name, [{"id": 1, name[:-4]: 1}])
    assert remembered(tmp_path, "orders-*-*-*.csv").keys() == {"id", "orders-2026-01-01", "orders-2026-01-02"}
    assert remembered(tmp_path, "users.csv").keys() == {"id", "users"}


def write_side_by_side(writers):
    """Let all of them read the memory before the first one changes it."""
    barrier = threading.Barrier(len(writers))
    errors = []

    def run(path, rows):
        try:
            with new_output(path) as output:
                output.write(rows)
                barrier.wait()
                output.publish()
        except CatalogError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=writer) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_pulls_at_once_lose_no_column(tmp_path):
    writers = [
        (tmp_path / "orders" / f"day=2026-01-{day:02}" / "orders.parquet", [{"id": 1, f"c{day}": "x", "n": None}])
        for day in range(1, 9)
    ]
    assert write_side_by_side(writers) == []
    assert set(remembered(tmp_path)) == {"id", *(f"c{day}" for day in range(1, 9))}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders", "orders.schema.json"]
    check_one_type_a_column(tmp_path)


def test_pulls_at_once_agree_on_the_type_of_a_new_column(tmp_path):
    """The first to give it a type wins; what does not fit is an error."""
    kinds = [{"a": "x"}, {"a": 5}, {"a": True}, {"a": "y"}]
    writers = [(tmp_path / "orders" / f"day={n}" / "orders.parquet", [row]) for n, row in enumerate(kinds)]
    errors = write_side_by_side(writers)
    assert all("does not fit its type" in str(error) for error in errors)
    files = check_one_type_a_column(tmp_path)
    assert files + len(errors) == len(kinds)
    assert files >= 1


def check_one_type_a_column(folder):
    types = {}
    paths = list(folder.rglob("*.parquet"))
    for path in paths:
        for field in pq.read_schema(path):
            assert types.setdefault(field.name, field.type) == field.type
    return len(paths)


DOCS = (Path(__file__).parents[2] / "docs/storage.md").read_text()


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
    table = duckdb_table()(tmp_path / "catalog")
    assert sum(table.column("list_price").to_pylist()) == Decimal("13.35")
    assert [row["id"] for row in table.to_pylist()] == [1, None, 2, 3]
    assert str(table.schema.field("purchase_date").type).startswith("timestamp[us, tz=")
    check_one_type_a_column(tmp_path)


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
    if check_one_type_a_column(folder):
        table = duckdb.sql(f"FROM read_parquet('{folder}/orders/*/*.parquet', union_by_name = true)").to_arrow_table()
        assert {*table.column_names} - {"day"} <= {*remembered(folder)}
