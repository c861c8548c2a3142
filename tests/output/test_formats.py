"""How CSV and Parquet are written, for those who read them."""

from __future__ import annotations

import sys

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog import __version__
from tests.processes import python

PRODUCT = {
    "account_id": 3, "account_name": "Sub-Account 1", "product_status": "OPEN", "canvas_course_id": 11,
    "product": {"name": "Course 1", "id": 5, "url": "https://catalog.example.edu/1", "sku": "sku"},
    "created_at": "2023-06-05T14:46:59.944581+02:00", "currency": "USD", "certificate_offered": True,
    "enrollment_count": 7, "dropped_count": 3, "completion_count": 2, "credits": 5,
    "list_price": 10, "discount": 10, "revenue": 60, "promo_codes": ["PROMO1", "PROMO2"],
}  # fmt: skip
PRODUCT_TYPES = {
    "int64": {"account_id", "product_id", "canvas_course_id", "enrollment_count", "dropped_count", "completion_count"},
    "string": {"account_name", "product_name", "product_url", "product_sku", "product_status", "currency"},
    "decimal128(38, 9)": {"list_price", "discount", "revenue"},
    "timestamp[us, tz=UTC]": {"created_at"},
    "double": {"credits"},
    "bool": {"certificate_offered"},
    "list<element: string>": {"promo_codes"},
}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (" é\0 ", " é\0 "),
        ('say "x", y', '"say ""x"", y"'),
        ("a\nb", '"a\nb"'),
        ("x" * 200_000, "x" * 200_000),
        (True, "true"),
        (1234567890123456789, "1234567890123456789"),
        (10**60, "1" + "0" * 60),
        (["a", 1, None, {"a": "é"}], '"[""a"",1,null,{""a"":""é""}]"'),
    ],
)
def test_cells_of_csv(save, value, cell):
    path, _ = save([{"a": value, "id": 1}], name="out.csv")
    assert path.read_bytes().decode() == f"a,id\r\n{cell},1\r\n"


def test_a_column_of_csv_is_written_alike_whatever_the_values_of_the_day(save):
    """So that a reader that guesses types guesses the same for each file."""
    rows = [
        {"price": 10, "at": "2025/06/10 13:42:06 +0000", "day": "2025/06/10 13:42:06 +0000", "n": 5, "ok": "true"},
        {"price": "100.125", "at": "2025-06-10T14:46:59.5+02:00", "n": 5.5, "whole": "7"},
        {"price": -0.5},
    ]
    types = {"day": "date", "ok": "bool", "whole": "decimal(5,0)"}
    assert save(rows, name="out.csv", field_types=types)[0].read_bytes().decode().split("\r\n") == [
        "price,at,day,n,ok,whole",
        "10.00,2025-06-10T13:42:06Z,2025-06-10,5.0,true,",
        "100.125,2025-06-10T12:46:59.500000Z,,5.5,,7",
        "-0.50,,,,,",
        "",
    ]


def test_only_nulls_in_a_single_column_of_csv_still_count_as_rows(save):
    assert save([{"a": None}, {"a": None}], name="out.csv")[0].read_bytes() == b'a\r\n""\r\n""\r\n'


def test_csv_for_excel(save):
    path, _ = save([{"name": "Zoë"}, {"name": "=1+1"}], name="out.csv", csv_for_excel=True)
    assert path.read_bytes() == "\ufeffname\r\nZoë\r\n'=1+1\r\n".encode()


def test_csv_needs_no_pyarrow(save, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path, _ = save([{"t": "2024-04-11"}], name="out.csv", field_types={"t": "timestamp"})
    assert path.read_bytes() == b"t\r\n2024-04-11T00:00:00Z\r\n"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [PRODUCT] * 12_000,
        [dict.fromkeys(PRODUCT)],
        [PRODUCT | {"list_price": "100.0", "credits": "2.5", "account_id": "3", "account_name": 5}, PRODUCT],
    ],
)
def test_documented_columns_have_fixed_types_whatever_the_rows(save, rows):
    path, _ = save(rows, endpoint="products")
    types = {}
    for field in pq.read_schema(path):
        types.setdefault(str(field.type), set()).add(field.name)
    assert types == PRODUCT_TYPES
    assert pq.read_table(path).num_rows == len(rows)


@pytest.mark.parametrize("compression", [None, "snappy", "gzip", "none"])
def test_compression_and_metadata_of_parquet(save, compression):
    metadata = pq.read_metadata(save([{"a": 1}], compression=compression)[0])
    expected = {None: "ZSTD", "none": "UNCOMPRESSED"}.get(compression, str(compression).upper())
    assert metadata.row_group(0).column(0).compression == expected
    assert metadata.metadata[b"provider_version"] == __version__.encode()
    assert metadata.metadata[b"endpoint"] == b"orders"


@pytest.mark.parametrize(("size", "groups"), [(0, [100_000, 5_000]), (100_000, [140, 140, 20])])
def test_row_groups_are_bounded_in_rows_and_bytes(save, size, groups):
    path, _ = save({"a": number, "text": "x" * size} for number in range(sum(groups)))
    metadata = pq.read_metadata(path)
    found = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert found == groups
    assert pq.read_table(path)["a"].to_pylist() == list(range(sum(groups)))


def test_pandas_is_not_imported_where_it_is_installed(tmp_path):
    """pyarrow.array would, which takes a second and 60 MB."""
    pytest.importorskip("pandas")
    script = """
import sys
from tests.output.conftest import write
row = {"product": {"id": 1, "name": "x"}, "created_at": "2023-06-05T14:46:59Z", "revenue": 1.5, "day": "2026-01-01"}
rows = [row, {**row, "other": True, "list_price": "10.0", "created_at": "2023-06-05", "promo_codes": ["A"]}]
info = write(sys.argv[1], rows, endpoint="products", field_types={"day": "date"})
print(info.row_count, "pandas" in sys.modules)
"""
    assert python(script, tmp_path / "out.parquet") == "2 False\n"
