"""Any JSON rows into each format and back: what comes back is what was sent, as docs/storage.md says."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from tests.output.conftest import write

TIMES = {
    "2026-06-30": datetime(2026, 6, 30, tzinfo=UTC),
    "2026-06-30T02:00:00.5+02:00": datetime(2026, 6, 30, microsecond=500_000, tzinfo=UTC),
}
DOCUMENTED = ENDPOINTS["products"].columns
# Some of them meet in one column: "a_b" and "b" within "a".
KEYS = ["id", "a_id", "at", "price", "a", "b", "a_b", "_", "", "é", "a.b", "../c", "d\n", 'e"', "\0", "=f"]

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["=1+1", "", "null", "1", "12.50", *TIMES])
keys = st.sampled_from(KEYS) | texts
floats = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-9, 9) | st.integers() | st.integers(-(10**45), 10**45)
values = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
pages_of_rows = st.lists(st.lists(st.dictionaries(keys, values, max_size=4), max_size=4), max_size=3)


@contextmanager
def saved(pages, suffix, **options):
    """Save pages of rows, and give what is told of the file, and its bytes; what was packed is unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        path, before = Path(folder, f"out{suffix}"), json.dumps(pages)
        info = write(path, *pages, **options)
        assert json.dumps(pages) == before, "the writer changed what it was given"
        yield info, gzip.decompress(path.read_bytes()) if suffix.endswith(".gz") else path.read_bytes()


def table(info, content: bytes, suffix: str) -> dict[str, list[Any]]:
    """Return column → values of a file."""
    if suffix == ".parquet":
        return pq.read_table(io.BytesIO(content)).to_pydict()
    header, *lines = csv.reader(io.StringIO(content.decode(), newline=""))
    return {name: [of_cell(line[n], info.columns[name]) for line in lines] for n, name in enumerate(header)}


def of_cell(cell: str, type_name: str) -> Any:
    """Return what a cell of CSV says; a null and an empty text look alike."""
    if type_name == "string" or not cell:
        return cell or None
    if type_name.startswith("decimal"):
        assert "." in cell
        return Decimal(cell)
    return datetime.fromisoformat(cell) if type_name == "timestamp" else json.loads(cell)


def leaves(row: dict[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values of a row that are no objects, with the keys that lead to them."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from leaves(value, (*parents, key))
        else:
            yield (*parents, key), value


def holds(found: Any, value: Any, type_name: str) -> bool:
    """Tell whether a column of the type has a value as it was sent."""
    if value is None or (value == "" and type_name != "string"):
        return found is None
    if type_name == "list<string>":
        return len(found) == len(value) and all(map(holds, found, value, repeat("string")))
    if type_name == "timestamp":
        return found == TIMES.get(value, found)
    if type_name.startswith("decimal"):
        return abs(found - Decimal(str(value))) <= Decimal("5e-10")
    if type_name == "string":
        return found == value if isinstance(value, str) else same(json.loads(found), value)
    if isinstance(value, str):
        value = value == "true" if type_name == "bool" else float(value)
    return same(found, value)


def same(found: Any, value: Any) -> bool:
    """Tell whether values are equal and of one kind; an integer may stand in a column of floats."""
    if isinstance(value, list) and isinstance(found, list):
        return len(found) == len(value) and all(map(same, found, value))
    if isinstance(value, dict) and isinstance(found, dict):
        return found.keys() == value.keys() and all(same(found[key], value[key]) for key in value)
    if isinstance(value, float) and isinstance(found, float):
        return repr(found) == repr(value)
    are_numbers = {type(found), type(value)} == {int, float}
    return (are_numbers or type(found) is type(value)) and found == value


@given(pages_of_rows)
def test_jsonl(pages):
    rows = [row for page in pages for row in page]
    with saved(pages, ".jsonl") as (info, content):
        *lines, end = content.decode().split("\n")
    assert end == ""
    assert same([json.loads(line) for line in lines], rows)
    assert list(info.columns) == list(dict.fromkeys(key for row in rows for key in row))


@given(pages=pages_of_rows, suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_columns(pages, suffix):
    rows = [dict(leaves(row)) for page in pages for row in page]
    paths = list(dict.fromkeys(path for row in rows for path in row))
    filled = [path for path in paths if any(row.get(path) is not None for row in rows)]
    try:
        with saved(pages, suffix) as (info, content):
            found = table(info, content, suffix)
    except CatalogError as error:
        told = str(error)
        assert share_a_column(paths) if "would both be the column" in told else filled == [], told
        return
    assert not share_a_column(filled)
    assert info.row_count == len(rows)
    assert list(found) == list(info.columns)
    names = list(map("_".join, filled))
    assert [name for name in found if name in names] == names, "in the order in which they turned up"
    assert {*found} <= {*map("_".join, paths)}
    for name, column in found.items():
        sent = [None] * len(rows)
        for path in filled:
            if "_".join(path) == name:
                sent = [row.get(path) for row in rows]
        if suffix != ".parquet":
            sent = [None if value == "" else value for value in sent]
        assert len(column) == len(sent)
        assert all(map(holds, column, sent, repeat(info.columns[name]))), (name, info.columns[name])


def share_a_column(paths: list[tuple[str, ...]]) -> bool:
    """Tell whether several fields would be one column; case makes no difference."""
    return len({"_".join(path).casefold() for path in paths}) < len(paths)


@given(st.sampled_from(list(DOCUMENTED)), values.filter(lambda value: not isinstance(value, dict)))
def test_a_value_of_a_documented_column_is_what_was_sent_or_refused_never_another(path, value):
    name, type_name = path.replace(".", "_"), DOCUMENTED[path]
    row = {"product": {path.removeprefix("product."): value}} if path.startswith("product.") else {path: value}
    try:
        with saved([[row]], ".parquet", endpoint="products") as (info, content):
            [found] = table(info, content, ".parquet")[name]
    except CatalogParameterError as error:
        assert f"'{name}' does not fit its type" in str(error)
        assert type_name != "string", "text takes everything"
    else:
        assert holds(found, value, type_name)
