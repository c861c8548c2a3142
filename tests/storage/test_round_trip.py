"""Arbitrary JSON into each format and back."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.api.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.rows import RowTransform
from airflow_provider_catalog.storage.convert import to_text
from airflow_provider_catalog.storage.destination import Destination
from airflow_provider_catalog.storage.output import OutputFile

texts = st.text(st.characters(codec="utf-8"), max_size=8)
# Without "_", no two paths share a column.
keys = st.sampled_from(["a", "b", "é", "", "../c", "d\n", 'e"'])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.integers(-(10**45), 10**45),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)
rows_of_json = st.lists(st.dictionaries(keys, values, max_size=4), max_size=6)
quickly = settings(max_examples=120, deadline=None)


def flat(row, parents=()):
    """Return a row's leaves by column name: the rule, in the plainest way."""
    leaves = {}
    for key, value in row.items():
        if isinstance(value, dict):
            leaves |= flat(value, (*parents, key))
        else:
            leaves["_".join((*parents, key))] = value
    return leaves


def save(rows, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"out{suffix}")
        with OutputFile(Destination.parse(path), ENDPOINTS["users"], RowTransform()) as output:
            # The writer may change nothing of what it is given.
            before = msgspec.json.encode(rows)
            output.write(rows)
            info = output.publish()
            assert msgspec.json.encode(rows) == before
        return info, path.read_bytes()


def save_columns(rows, suffix):
    """Save rows; where nothing is left to be a column, it is refused, for the rows would be lost."""
    try:
        return save(rows, suffix)
    except CatalogParameterError:
        assert rows
        assert not any(value is not None for row in rows for value in flat(row).values())
        return None, b""


@quickly
@given(rows_of_json)
def test_jsonl(rows):
    info, content = save(rows, ".jsonl")
    assert msgspec.json.Decoder().decode_lines(content) == rows
    assert set(info.columns) == {key for row in rows for key in row}


@quickly
@given(rows_of_json)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv(suffix, rows):
    info, content = save_columns(rows, suffix)
    if info is None:
        return
    text = (gzip.decompress(content) if suffix.endswith("gz") else content).decode()
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert header == info.columns
    leaves = [flat(row) for row in rows]
    with_values = {name for row in leaves for name, value in row.items() if value is not None}
    assert with_values <= set(header) <= {name for row in leaves for name in row}
    assert len(lines) == len(rows)
    for line, expected in zip(lines, leaves, strict=False):
        for name, cell in zip(header, line, strict=True):
            assert is_cell_of(expected.get(name), cell)


def is_cell_of(value, cell):
    if value is None:
        return cell == ""
    if isinstance(value, str):
        return cell == value
    return msgspec.json.decode(cell) == value and cell[0] not in " +"


@quickly
@given(rows_of_json)
def test_parquet(rows):
    info, content = save_columns(rows, ".parquet")
    if info is None:
        return
    table = pq.read_table(io.BytesIO(content))
    leaves = [flat(row) for row in rows]
    with_values = {name for row in leaves for name, value in row.items() if value is not None}
    assert with_values <= set(table.column_names) <= {name for row in leaves for name in row}
    assert table.column_names == info.columns
    for name in table.column_names:
        is_text = str(table.schema.field(name).type) == "string"
        expected = [row.get(name) for row in leaves]
        if is_text:
            expected = [None if value is None else to_text(value) for value in expected]
        found = table.column(name).to_pylist()
        assert found == expected
        assert [is_number(value) for value in found] == [is_number(value) for value in expected]


def is_number(value):
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
