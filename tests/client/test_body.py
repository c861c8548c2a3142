"""Bodies of any size: a large one is cut into pieces, and must give the same rows as a small one."""

from __future__ import annotations

import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.client import body as body_module
from airflow_provider_catalog.client import large_body
from airflow_provider_catalog.client.body import NotJsonError, new_body, read_rows
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogResponseError

ORDERS = ENDPOINTS["orders"]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), max_size=30)


def received(content: bytes):
    body = new_body()
    body.write(content)
    return body


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Take the way of small bodies, then, with limits of a few bytes, the way of large ones."""
    if request.param == "large":
        monkeypatch.setattr(body_module, "MEMORY_LIMIT", 0)
        monkeypatch.setattr(large_body, "PIECE", 16)
        monkeypatch.setattr(large_body, "_HEAD", 256)


@pytest.fixture
def tiny_pieces(monkeypatch):
    monkeypatch.setattr(body_module, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(large_body, "PIECE", 7)


@given(rows=rows, indent=st.sampled_from([None, 0, 3]), after=st.dictionaries(st.just("meta"), values, max_size=1))
@settings(deadline=None, max_examples=150)
def test_any_rows_come_out_of_tiny_pieces(rows, indent, after):
    content = json.dumps({"before": [1, {"orders": [{}]}], "orders": rows} | after, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_module, "MEMORY_LIMIT", 0)
        patch.setattr(large_body, "PIECE", 7)
        result = read_rows(received(content), ORDERS)
        expected = [msgspec.json.decode(json.dumps(row)) for row in rows]
        assert list(result.rows) == expected
        assert list(result.rows) == expected, "rows may be asked for again"
        assert result.count == len(rows)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"orders": []}, []),
        ({"orders": [{"a": 1}]}, [{"a": 1}]),
        ({"total": 1, "orders": [{"a": "}, {"}]}, [{"a": "}, {"}]),
        ({"orders": [{"a": [{"b": 1}, {"b": 2}]}] * 9}, [{"a": [{"b": 1}, {"b": 2}]}] * 9),
        ({"warnings": ["x"], "orders": [{"é": "ü€😀"}] * 5}, [{"é": "ü€😀"}] * 5),
        ({"orders": [{}, {}]}, [{}, {}]),
    ],
)
def test_rows(document, expected):
    for ascii_only in (True, False):
        content = json.dumps(document, ensure_ascii=ascii_only).encode()
        result = read_rows(received(content), ORDERS)
        assert list(result.rows) == expected
        assert result.count == len(expected)


def test_a_large_list_under_another_key(monkeypatch):
    monkeypatch.setattr(body_module, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(large_body, "PIECE", 64)
    monkeypatch.setattr(large_body, "_HEAD", 256)
    rows = [{"n": n, "text": "x" * 20} for n in range(50)]
    assert list(read_rows(received(json.dumps({"data": rows, "total": 50}).encode()), ORDERS).rows) == rows
    with pytest.raises(CatalogResponseError, match="data, more"):
        read_rows(received(json.dumps({"data": rows, "more": [1]}).encode()), ORDERS)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    "content",
    [
        b'{"orders": [{"a": 1}',
        b'{"orders": [{"a": 1}]',
        b'{"orders": [{"a": 1}]} x',
        b'{"orders": [{"a": 1}, {"b": }]}',
        b'{"orders": [{"a": "\xff"}]}',
        b'{"orders": [{"a": NaN}]}',
        b"<html>",
        b"",
    ],
)
def test_what_is_not_json(content):
    with pytest.raises(NotJsonError):
        read_rows(received(content), ORDERS)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("document", [{"orders": [1]}, {"orders": [{}, []]}, {"a": [], "b": []}, {"orders": {}}])
def test_json_without_rows(document):
    with pytest.raises(CatalogResponseError, match="orders"):
        read_rows(received(json.dumps(document).encode()), ORDERS)


def test_nesting_without_end():
    with pytest.raises((CatalogResponseError, NotJsonError)):
        read_rows(received(b'{"orders": [{"a": ' + b"[" * 100_000), ORDERS)


def test_a_value_too_large_for_memory(monkeypatch, tiny_pieces):
    monkeypatch.setattr(large_body, "LARGEST_ROW", 10_000)
    content = json.dumps({"orders": [{"a": "x" * 20_000}, {"a": 1}]}).encode()
    with pytest.raises(CatalogResponseError, match="MiB"):
        read_rows(received(content), ORDERS)


def test_a_large_body_needs_little_memory():
    row = {"name": "x" * 500, "list": [1, 2, 3], "nested": {"a": 1.5, "b": None}}
    count = 60_000
    body = new_body()
    body.write(b'{"orders": [')
    for number in range(count):
        body.write((b"," if number else b"") + json.dumps({"id": number, **row}).encode())
    body.write(b"]}")
    assert body.tell() > 3 * body_module.MEMORY_LIMIT
    tracemalloc.start()
    result = read_rows(body, ORDERS)
    assert result.count == count
    assert [row["id"] for row in result.rows] == list(range(count))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000


def test_fingerprints_tell_rows_apart(tiny_pieces):
    first, again, other = (
        read_rows(received(json.dumps({"orders": [{"a": n}] * 20}).encode()), ORDERS).fingerprint for n in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.usefixtures("size")
def test_a_number_beyond_all_range():
    """Its syntax is right, so that of a large body it shows only when its row is decoded."""
    content = b'{"orders": [{"a": 1}, {"a": 2}, {"secret": 1e999}, {"a": 3}, {"a": 4}]}'
    with pytest.raises(CatalogResponseError, match="orders") as caught:
        list(read_rows(received(content), ORDERS).rows)
    assert "secret" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\ud800x", "\\ud800\\ud800", "\\uD83D\\n"])
def test_half_of_a_surrogate_pair(place, half):
    rows = ['{"a":"\\ud83d\\ude00"}'] * 5
    rows[place] = f'{{"a":"secret{half}"}}'
    with pytest.raises(CatalogResponseError, match="half of a surrogate pair") as caught:
        list(read_rows(received(f'{{"orders":[{",".join(rows)}]}}'.encode()), ORDERS).rows)
    assert "secret" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("end", ["", '","b":', '\\\\ud800"', "\\ud83d", "\\ud83d\\", "\\ud83d\\ud"])
def test_a_body_that_breaks_off_is_not_taken_for_half_of_a_surrogate_pair(end):
    """For it is asked again."""
    rows = ['{"a":"x\\ud83d\\ude00"}'] * 50
    for padding in range(16):
        with pytest.raises(NotJsonError):
            read_rows(received((f'{{"orders":[{" " * padding}{",".join(rows)},{{"a":"{end}').encode()), ORDERS)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("name", ["orders", "data"])
def test_two_lists_of_rows(name):
    """A decoder would take the last one, and drop the other without a word."""
    rows = ",".join(['{"orders":1}'] * 40)
    for content in (f'{{"{name}":[{rows}],"{name}":[{rows}]}}', f'{{"{name}":[],"x":{{}},"{name}":[]}}'):
        with pytest.raises((CatalogResponseError, NotJsonError)) as caught:
            list(read_rows(received(content.encode()), ORDERS).rows)
        assert "two lists of rows" in str(caught.value) or "its keys are: data, x, data" in str(caught.value)
    nested = [{"orders": [1], name: "orders", "n": n} for n in range(40)]
    result = read_rows(received(json.dumps({name: nested, "x": {name: 1}}).encode()), ORDERS)
    assert list(result.rows) == nested


@pytest.mark.usefixtures("size")
def test_rows_full_of_objects():
    """So many that no guess where a row ends is right."""
    rows = [{"n": n, "list": [{"i": i} for i in range(50)]} for n in range(20)]
    result = read_rows(received(json.dumps({"orders": rows}).encode()), ORDERS)
    assert list(result.rows) == rows
    assert result.count == 20


@pytest.mark.usefixtures("tiny_pieces")
def test_a_long_way_to_the_rows(monkeypatch):
    monkeypatch.setattr(large_body, "_HEAD", 1024)
    with pytest.raises(CatalogResponseError, match="does not begin within"):
        read_rows(received(json.dumps({"x": "y" * 3000, "orders": []}).encode()), ORDERS)


def test_pieces_are_cut_wherever_a_row_ends(monkeypatch):
    """Also where none does in the last part of a piece."""
    monkeypatch.setattr(body_module, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(large_body, "PIECE", 512)
    monkeypatch.setattr(large_body, "_END", 16)
    rows = [{"n": n, "text": "x" * (n % 90)} for n in range(100)]
    assert list(read_rows(received(json.dumps({"orders": rows}).encode()), ORDERS).rows) == rows
