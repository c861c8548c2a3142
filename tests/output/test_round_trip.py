"""Any JSON rows into each format and back; what comes back is held against ``flat_rules``."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from tests.output import flat_rules as rules
from tests.output.conftest import new_output

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["=1+1", "-5", "", "null", "1", "\0", "12.50", *rules.TIMES]
)
# Some of them meet in one column: "a_b" and "b" within "a".
keys = (
    st.sampled_from(
        ["id", "a_id", "at", "price", "a", "b", "a_b", "_", "", "é", "a.b", "../c", "d\n", 'e"', "\0", "=f"]
    )
    | texts
)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.integers(-(10**45), 10**45), st.integers(), floats, texts
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)
pages_of_rows = st.lists(st.lists(st.dictionaries(keys, values, max_size=4), max_size=4), max_size=3)


@contextmanager
def saved(pages, suffix, **options):
    """Save pages of rows, and give what is told of the file, and its bytes; what was packed is unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"out{suffix}")
        before = json.dumps(pages)
        with new_output(path, **options) as output:
            for page in pages:
                output.write(page)
            info = output.publish()
        assert json.dumps(pages) == before, "the writer changed what it was given"
        content = path.read_bytes()
        yield info, gzip.decompress(content) if suffix.endswith(".gz") else content


def as_columns(pages, suffix, **options):
    """
    Save pages as a table, and return what is told of it and its bytes.

    ``None`` where it was refused, which may be only because two fields want to be one column, or no column is left.
    """
    rows = [row for page in pages for row in page]
    try:
        with saved(pages, suffix, **options) as (info, content):
            assert not rules.shared_columns(rows, filled=True)
            assert info.row_count == len(rows)
            return info, content
    except CatalogError as error:
        if "would both be the column" in str(error):
            assert rules.shared_columns(rows, filled=False)
        else:
            assert not rules.columns(rows), str(error)
        return None


def check_names(found, rows):
    """Columns that hold anything are there in order; others only where a field was null."""
    expected = rules.columns(rows)
    assert [name for name in found if name in expected] == expected
    assert set(found) - set(expected) <= rules.null_columns(rows)
    assert len(set(found)) == len(found)


@given(pages_of_rows)
def test_jsonl(pages):
    rows = [row for page in pages for row in page]
    with saved(pages, ".jsonl") as (info, content):
        lines = content.decode().split("\n")
        assert lines.pop() == ""
        assert len(lines) == len(rows)
        assert all(rules.same(json.loads(line), row) for line, row in zip(lines, rows, strict=True))
    assert info.columns == list(dict.fromkeys(key for row in rows for key in row))


@example(pages=[[{"a": 1e-05, "b": [1e-05, " "], "c": [{"d e": None}]}]], suffix=".csv")
@given(pages=pages_of_rows, suffix=st.sampled_from([".csv", ".csv.gz"]))
def test_csv(pages, suffix):
    if saved_csv := as_columns(pages, suffix):
        info, content = saved_csv
        header, *lines = csv.reader(io.StringIO(content.decode(), newline=""))
        assert header == info.columns
        check_csv(header, lines, [row for page in pages for row in page])


def check_csv(header, lines, rows):
    check_names(header, rows)
    assert len(lines) == len(rows)
    flat, paths = rules.table(rows), rules.paths(rows)
    for index, name in enumerate(header):
        sent = [row.get(name) for row in flat]
        type_name = rules.parquet_type(paths[name], sent) if name in paths else "string"
        for line, value in zip(lines, sent, strict=True):
            assert rules.holds(of_cell(line[index], value, type_name), value, type_name)


def of_cell(cell, value, type_name):
    """Return what a cell says in a column of the type; a null and an empty text look alike."""
    if cell == "":
        return value if value == "" and type_name == "string" else None
    if type_name.startswith("timestamp"):
        return datetime.fromisoformat(cell)
    if type_name.startswith("decimal"):
        assert "." in cell
        return Decimal(cell)
    return cell if type_name == "string" else json.loads(cell)


@given(pages=pages_of_rows, suffix=st.sampled_from([".csv", ".csv.gz"]))
def test_csv_without_formulas(pages, suffix):
    escaped, plain = (as_columns(pages, suffix, csv_escape_formulas=choice) for choice in (True, False))
    if not (escaped and plain):
        return
    found, expected = (list(csv.reader(io.StringIO(each[1].decode(), newline=""))) for each in (escaped, plain))
    assert found[0] == escaped[0].columns
    assert len(found) == len(expected)
    for line, original in zip(found, expected, strict=True):
        for cell, text in zip(line, original, strict=True):
            assert cell in (text, f"'{text}")
            if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")):
                float(cell)  # nothing but a number


@given(pages_of_rows)
def test_parquet(pages):
    if saved_parquet := as_columns(pages, ".parquet"):
        info, content = saved_parquet
        table = pq.read_table(io.BytesIO(content))
        rows = [row for page in pages for row in page]
        assert table.column_names == info.columns
        check_names(table.column_names, rows)
        flat, paths = rules.table(rows), rules.paths(rows)
        for index, name in enumerate(table.column_names):
            sent = [row.get(name) for row in flat]
            type_name = str(table.schema.field(index).type)
            assert type_name == (rules.parquet_type(paths[name], sent) if name in paths else "string"), name
            found = table.column(index).to_pylist()
            assert all(rules.holds(one, value, type_name) for one, value in zip(found, sent, strict=True)), name


DOCUMENTED = {column.path: column.type for column in ENDPOINTS["products"].columns}


@given(st.sampled_from(list(DOCUMENTED)), values.filter(lambda value: not isinstance(value, dict)))
def test_a_value_is_what_was_sent_or_refused_never_another(name, value):
    """Whatever turns up in a documented column."""
    row = {"product": {name.removeprefix("product."): value}} if name.startswith("product.") else {name: value}
    try:
        with saved([[row]], ".parquet", endpoint="products") as (_, content):
            [found] = pq.read_table(io.BytesIO(content)).column(name.replace(".", "_")).to_pylist()
    except CatalogParameterError as error:
        assert f"'{name.replace('.', '_')}' does not fit its type" in str(error)
        assert DOCUMENTED[name] != "string", "text takes everything"
        return
    if value is None or (value == "" and DOCUMENTED[name] != "string"):
        assert found is None
    elif DOCUMENTED[name] == "string":
        assert found == value if isinstance(value, str) else rules.is_json_of(found, value)
    elif DOCUMENTED[name].startswith("decimal"):
        assert abs(found - Decimal(str(value))) <= Decimal("5e-10"), "rounded to nine places"
    elif name == "promo_codes":
        assert [rules.holds(one, item, "string") for one, item in zip(found, value, strict=True)] == [True] * len(found)
    else:
        assert isinstance(value, str) or found == value
