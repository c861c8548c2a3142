from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog import __version__
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output import write_parquet as parquet_module
from tests.output.conftest import write

TIME = datetime(2023, 6, 5, 12, 46, 59, 944581, tzinfo=UTC)
PRODUCT = {
    "account_id": 3,
    "account_name": "Sub-Account 1",
    "product": {"name": "Course 1", "id": 5, "url": "https://catalog.example.edu/1", "sku": "sku"},
    "product_status": "OPEN",
    "created_at": "2023-06-05T14:46:59.944581+02:00",
    "canvas_course_id": 11,
    "enrollment_count": 7,
    "dropped_count": 3,
    "completion_count": 2,
    "currency": "USD",
    "list_price": 10,
    "promo_codes": ["PROMO1", "PROMO2"],
    "discount": 10,
    "revenue": 60,
    "credits": 5,
    "certificate_offered": True,
}
PRODUCT_SCHEMA = {
    "account_id": "int64",
    "account_name": "string",
    "product_name": "string",
    "product_id": "int64",
    "product_url": "string",
    "product_sku": "string",
    "product_status": "string",
    "created_at": "timestamp[us, tz=UTC]",
    "canvas_course_id": "int64",
    "enrollment_count": "int64",
    "dropped_count": "int64",
    "completion_count": "int64",
    "currency": "string",
    "list_price": "decimal128(38, 9)",
    "promo_codes": "list<element: string>",
    "discount": "decimal128(38, 9)",
    "revenue": "decimal128(38, 9)",
    "credits": "double",
    "certificate_offered": "bool",
}


def types_of(path):
    return {field.name: str(field.type) for field in pq.read_schema(path)}


def column(path, name):
    return pq.read_table(path).column(name).to_pylist()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [PRODUCT] * 12_000,
        [{}],
        [dict.fromkeys(PRODUCT)],
        [PRODUCT | {"list_price": "100.0", "revenue": 0.1, "discount": 99999999999999999999, "account_id": "3"}],
        [PRODUCT | {"created_at": "2025-06-10", "canvas_course_id": 11.0, "credits": 5.5}],
        [PRODUCT | {"promo_codes": [], "certificate_offered": "false", "account_name": 5}],
        [PRODUCT | {"promo_codes": [None, 5], "credits": "2.5", "created_at": "2025-06-10T00:00:00"}, PRODUCT],
    ],
)
def test_documented_columns_have_fixed_types_whatever_the_rows(save, rows):
    path, _ = save(rows, endpoint="products")
    assert types_of(path) == PRODUCT_SCHEMA
    assert pq.read_table(path).num_rows == len(rows)


@pytest.mark.parametrize(
    ("name", "value"),
    [("account_id", "five"), ("created_at", 1700000000), ("revenue", 10**30), ("promo_codes", "PROMO1")],
)
def test_a_value_that_does_not_fit_is_told_and_text_is_the_remedy(save, tmp_path, name, value):
    rows = [PRODUCT] * 5_600 + [PRODUCT | {name: value}]
    with pytest.raises(CatalogParameterError, match=f"^row 5601: the value of column '{name}'") as caught:
        save(rows, endpoint="products")
    assert f"field_types={{'{name}': 'string'}}" in str(caught.value)
    assert caught.value.__context__ is None
    assert list(tmp_path.iterdir()) == []
    path, _ = save(rows, endpoint="products", field_types={name: "string"})
    assert types_of(path) == PRODUCT_SCHEMA | {name: "string"}


def test_a_hashed_column_is_text(save):
    path, _ = save(
        [PRODUCT] * 2,
        endpoint="products",
        hash_fields=["account_id", "product.*", "promo_codes", "created_at"],
        hash_secret="key",
    )
    hashed = {"account_id": "string", "product_id": "string", "created_at": "string"}
    assert types_of(path) == PRODUCT_SCHEMA | hashed
    assert len(column(path, "account_id")[0]) == 64
    assert [len(code) for code in column(path, "promo_codes")[0]] == [64, 64]


def test_the_type_is_that_of_all_rows_not_of_the_first(save):
    path, _ = save([{"a": 1}] * 11_000 + [{"a": "x"}] + [{"a": 1, "b": 2}] * 11_000)
    assert types_of(path) == {"a": "string", "b": "double"}
    assert column(path, "a") == ["1"] * 11_000 + ["x"] + ["1"] * 11_000
    assert column(path, "b") == [None] * 11_001 + [2] * 11_000


@pytest.mark.parametrize("compression", [None, "snappy", "gzip", "none"])
def test_compression_and_metadata(tmp_path, compression):
    write(tmp_path / "out.parquet", [{"a": 1}], compression=compression)
    metadata = pq.read_metadata(tmp_path / "out.parquet")
    expected = {None: "ZSTD", "none": "UNCOMPRESSED"}.get(compression, str(compression).upper())
    assert metadata.row_group(0).column(0).compression == expected
    assert metadata.metadata[b"provider_version"] == __version__.encode()
    assert metadata.metadata[b"endpoint"] == b"orders"


def test_field_types(save):
    cases = {
        "timestamp": ("2023-06-05T14:46:59.944581+02:00", "timestamp[us, tz=UTC]", TIME),
        "date": ("2025/06/10 13:42:06 +0000", "date32[day]", date(2025, 6, 10)),
        "decimal(12,2)": ("0.135", "decimal128(12, 2)", Decimal("0.14")),
        "int64": ("7", "int64", 7),
        "float64": ("7.5", "double", 7.5),
        "string": (7, "string", "7"),
        "bool": ("true", "bool", True),
        "list<string>": (["a", None], "list<element: string>", ["a", None]),
    }
    row = {name: value for name, (value, _, _) in cases.items()}
    path, _ = save([row, dict.fromkeys(row), row], field_types={name: name for name in cases})
    assert types_of(path) == {name: arrow_type for name, (_, arrow_type, _) in cases.items()}
    for name, (_, _, expected) in cases.items():
        assert column(path, name) == [expected, None, expected]


@pytest.mark.parametrize(("name", "limit"), [("ROW_GROUP_ROWS", 10_000), ("ROW_GROUP_BYTES", 10_000 * 8)])
def test_row_groups_are_bounded_in_rows_and_bytes(save, monkeypatch, name, limit):
    monkeypatch.setattr(parquet_module, name, limit)
    path, _ = save([{"a": number} for number in range(25_000)])
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [10_000, 10_000, 5_000]
    assert column(path, "a") == list(range(25_000))


def test_pyarrows_own_conversions_agree_with_the_others(save):
    """What one value that takes more care changes is the way of conversion, never its result."""
    prices = [0.1, 2, "3.5", 1e22, 1e-7, -0.0, "1e3"]
    rows = [{"list_price": price, "created_at": "2024-04-11T15:33:45.5Z"} for price in prices]
    careful = [*rows, {"list_price": 1 / 3, "created_at": "2024-04-11"}]
    fields = ["list_price", "created_at"]
    fast = pq.read_table(save(rows, endpoint="products", fields=fields)[0])
    slow = pq.read_table(save(careful, endpoint="products", fields=fields, name="slow.parquet")[0])
    assert isinstance(fast, pa.Table)
    assert slow.slice(0, len(rows)).to_pylist() == fast.to_pylist()


def test_pandas_is_not_imported_where_it_is_installed(tmp_path):
    """pyarrow.array would, which takes a second and 60 MB."""
    import subprocess
    import sys

    pytest.importorskip("pandas")
    script = """
import sys
from tests.output.conftest import write
row = {"product": {"id": 1, "name": "x"}, "created_at": "2023-06-05T14:46:59Z", "revenue": 1.5, "day": "2026-01-01"}
rows = [row, {**row, "other": True, "list_price": "10.0", "created_at": "2023-06-05", "promo_codes": ["A"]}]
info = write(sys.argv[1], rows, endpoint="products", field_types={"day": "date"})
print(info.row_count, "pandas" in sys.modules)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "out.parquet")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "2 False\n"
