"""Which columns a file has, in which order and of which types, and which values these take."""

from __future__ import annotations

import csv
import io
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogParameterError

DOCUMENTED = [path.replace(".", "_") for path in ENDPOINTS["products"].columns]
MONEY = "decimal(38,9)"


@pytest.fixture(params=["csv", "parquet"])
def columns_of(request, save):
    """Return the columns of a file with some rows, as a reader sees them."""

    def columns(*pages, **options):
        path, info = save(*pages, name=f"out.{request.param}", **options)
        if request.param == "csv":
            names = next(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
        else:
            names = pq.read_schema(path).names
        assert names == list(info.columns)
        return names

    return columns


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"a": 1}, {"c": 1, "a": 2}, {"b": 1}], ["a", "c", "b"]),
        ([{"a": {"x": 1, "y": {"z": 2}}, "b": 3}], ["a_x", "a_y_z", "b"]),
        ([{"a": None}], ["a"]),
        ([{"a": None, "b": 1}, {"a": {"x": 1}}], ["b", "a_x"]),
        ([{"a": {"x": 1}}, {"a": None}], ["a_x"]),
        ([{"a": {"x": None}}], ["a_x"]),
        ([{"a": {}, "b": 1}, {"a": None}], ["b"]),
        ([{"a": 5}, {"a": {"x": 1}}], ["a", "a_x"]),
        ([{"a": []}, {"a": [{"x": 1}]}], ["a"]),
        ([{"../b": 1, "a\nb": {"": 2}, "\0": 3, 'q"': 4}], ["../b", "a\nb_", "\0", 'q"']),
        # A null that turns out to be an object is no second field.
        ([{"a_b": None, "a": {"b": 1}}, {"a_b": {}}], ["a_b"]),
        ([{"a": {"b": 1}}, {"a_b": None}], ["a_b"]),
    ],
)
def test_columns_are_the_union_over_all_rows_however_far_apart(columns_of, rows, expected):
    assert columns_of(rows) == expected
    assert columns_of(*([row] for row in rows)) == expected
    assert columns_of([row for row in rows for _ in range(1000)]) == expected


def test_documented_columns_come_first_and_are_always_there_unless_dropped(columns_of):
    assert columns_of(endpoint="products") == DOCUMENTED
    row = {"new": 1, "revenue": 5, "product": {"new": 2, "id": 3}, "account_name": {"en": "x"}}
    assert columns_of([row], endpoint="products") == [*DOCUMENTED, "new", "product_new", "account_name_en"]
    assert columns_of([{"product": None}], endpoint="products") == DOCUMENTED
    names = columns_of([{"product_id": "flat"}], endpoint="products", drop_fields=["product.url", "*.name", "revenue"])
    assert sorted(names) == sorted({*DOCUMENTED} - {"product_url", "product_name", "revenue"})


@pytest.mark.parametrize(
    ("fields", "rows", "expected"),
    [
        (["revenue", "product.id"], [{"product": {"id": 1}}], ["revenue", "product_id"]),
        (["product"], [{"product": None}], ["product_name", "product_id", "product_url", "product_sku"]),
        (["nowhere", "revenue"], [], ["nowhere", "revenue"]),
        (["nowhere.deep"], [{"nowhere": {"other": 1}}], ["nowhere_deep"]),
        (["custom", "revenue"], [{"revenue": 1, "custom": {"b": 1, "a": 2}}], ["custom_b", "custom_a", "revenue"]),
        (["b.x", "c", "b.y"], [{"b": {"y": 1, "x": 2}, "c": 3}], ["b_x", "c", "b_y"]),
        (["learners.email", "c"], [{"learners": [{"email": "a@example.edu"}]}], ["learners", "c"]),
        (["learners.email", "learners.id"], [{"learners": {"email": 1}}], ["learners_email", "learners_id"]),
    ],
)
def test_fields_are_the_columns_in_that_order_even_those_that_no_row_had(columns_of, fields, rows, expected):
    assert columns_of(rows, endpoint="products", fields=fields) == expected


@pytest.mark.parametrize("rows", [[{"a": {"b": 1}, "a_b": 2}], [{"a": {"b": 1}}, {"a_b": 2}]])
def test_two_fields_for_one_column_are_an_error_with_both_names(columns_of, rows):
    says = r"'a\.b' and 'a_b' would both be the column 'a_b'; leave one .* drop_fields=\['a_b'\], or choose"
    with pytest.raises(CatalogParameterError, match=says):
        columns_of(deepcopy(rows))
    assert columns_of(deepcopy(rows), drop_fields=["a_b"]) == ["a_b"]
    assert columns_of(rows, fields=["a_b"]) == ["a_b"]


@pytest.mark.parametrize("row", [{"Name": 1, "name": 2}, {"a": {"B": 1}, "A_b": 2}])
def test_columns_that_differ_in_case_alone_are_told_long_before_the_last_row(save, row):
    def rows():
        yield from [row] * 600
        pytest.fail("read on")

    with pytest.raises(CatalogParameterError, match=r"would both be the column .*differ in case alone"):
        save(rows())


TYPES = {
    "timestamp": [
        ("created_at", "2023-06-05T14:46:59.944581+02:00", "2025/06/10 13:42:06 +0000", None),
        ("purchase_date", "2026-06-30"), ("startsOn", "2026-06-30T00:00:00Z", ""),
    ],
    "int64": [("id", 1, -(2**63), 2**63 - 1), ("seats", 5), ("other", 5, 2**53 + 1)],
    MONEY: [("list_price", 10, 10.5, "10.25", None, ""), ("revenue", "100.0"), ("orderTotal", 5)],
    "float64": [
        ("created_at", 1700000000), ("completion_time", 35), ("id", 1, 2.5), ("void", 5), ("fee", 2**100),
        ("other", 5), ("other", 5, 5.5), ("", 5),
    ],
    "bool": [("id", True), ("tax", True), ("other", True, None, False)],
    "string": [
        ("created_at", "2023-06-05T14:46:59Z", "soon"), ("created_at", "2023-06-05T14:46:59Z", 5),
        ("created_at", "0001-01-01T00:00:00+02:00"), ("state", "2026-06-30"), ("data", "2026-06-30"),
        ("id", 2**63 + 1), ("id", "p-5"), ("id", "5", 5), ("order_fee", "FREE", "PAID"), ("fee", 5, "FREE"),
        ("fee", 10**29 + 1), ("fee", -(10**29) - 1), ("other", 2**53 + 1, 5.5), ("other", -(2**53) - 1, 5.5),
        ("other", 10**400), ("other", "5"), ("other", ""), ("other", "x", 5), ("other", True, 1), ("other", ["a"], []),
        ("other", []), ("_", "x"),
    ],
    "unknown": [("price", ""), ("price", None)],
}  # fmt: skip
"""Type → the key and the values of columns that have it."""


@pytest.mark.parametrize(
    ("key", "values", "type_name"),
    [(key, values, type_name) for type_name, cases in TYPES.items() for key, *values in cases],
)
def test_the_type_follows_from_name_and_values(save, key, values, type_name):
    _, info = save([{key: value} for value in values])
    assert info.null_columns == [key] * (type_name == "unknown")
    assert info.columns == {key: type_name if type_name != "unknown" else "string"}


def test_the_type_is_that_of_all_rows_not_of_the_first(save):
    path, info = save([{"a": 1}] * 11_000 + [{"a": "x"}] + [{"a": 1, "b": 2}] * 11_000)
    assert info.columns == {"a": "string", "b": "float64"}
    assert pq.read_table(path)["a"].to_pylist() == ["1"] * 11_000 + ["x"] + ["1"] * 11_000
    assert pq.read_table(path)["b"].to_pylist() == [None] * 11_001 + [2] * 11_000


@pytest.mark.parametrize("name", ["custom_fields", "customFields"])
def test_people_name_custom_fields_so_their_names_say_nothing(save, name):
    _, info = save([{name: {"start_date": "2026-06-30", "employee_id": 7, "fee": "5"}}])
    assert list(info.columns.values()) == ["string", "float64", "string"]


def test_a_hash_is_text_although_documentation_or_name_say_another_type(save):
    row = {"account_id": 3, "product": {"id": 5}, "promo_codes": ["A", "B"], "learner": {"id": None}}
    hashed = ["account_id", "product.*", "promo_codes", "learner.id"]
    path, info = save([row], endpoint="products", hash_fields=hashed, hash_secret="key")
    assert [info.columns[name] for name in ("account_id", "product_id", "learner_id")] == ["string"] * 3
    [found] = pq.read_table(path).to_pylist()
    assert list(map(len, [found["account_id"], *found["promo_codes"]])) == [64] * 3
    assert info.columns["enrollment_count"] == "int64"


def test_field_types_take_columns_and_paths_and_make_columns(save):
    pins = {"a.b": "int64", "c_d": "date", "e.f": "bool", "g_h": "decimal(5,2)", "i.j": "float64"}
    _, info = save([{"a": {"b": "5"}, "c": {"d": None}, "i.j": 5, "n": None}], field_types=pins)
    assert info.columns == {
        "a_b": "int64", "c_d": "date", "i.j": "float64", "n": "string", "e_f": "bool", "g_h": "decimal(5,2)",
    }  # fmt: skip
    assert info.null_columns == ["n"]
    assert save([{"x": 1}], field_types={"a.b": "int64"}, drop_fields=["a"])[1].columns == {"x": "float64"}
    assert save([{"a": {"b": 1}}], field_types={"c": "int64"}, fields=["a"])[1].columns == {"a_b": "float64"}


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


FIT = {
    "timestamp": [
        ("2023-06-05T14:46:59.944581+02:00", utc(2023, 6, 5, 12, 46, 59, 944581)),
        ("2025/06/10 13:42:06 +0000", utc(2025, 6, 10, 13, 42, 6)),
        ("2025/06/10 13:42:06 -0330", utc(2025, 6, 10, 17, 12, 6)),
        ("2025-06-10 13:42:06 UTC", utc(2025, 6, 10, 13, 42, 6)),
        ("2024-04-11T15:33:45.123456789Z", utc(2024, 4, 11, 15, 33, 45, 123456)),
        ("2024-04-11T15:33:45", utc(2024, 4, 11, 15, 33, 45)),
        ("2024/04/11", utc(2024, 4, 11)), ("", None),
    ],
    "date": [("2024-04-11", date(2024, 4, 11)), ("2024-04-11T00:30:00+02:00", date(2024, 4, 10)), ("", None)],
    "int64": [(7, 7), ("7", 7), ("-7", -7), (7.0, 7), (2**63 - 1, 2**63 - 1), ("", None)],
    "float64": [(7, 7.0), (7.5, 7.5), ("7.5e1", 75.0), (2**60, float(2**60)), ("", None)],
    "bool": [(True, True), (False, False), ("true", True), ("false", False), ("", None)],
    "string": [("x", "x"), (7, "7"), (7.5, "7.5"), (True, "true"), ([1, None], "[1,null]"), ("", "")],
    "decimal(12,2)": [
        (100, Decimal("100.00")), ("100.0", Decimal("100.00")), (0.1, Decimal("0.10")), (".5", Decimal("0.50")),
        ("0.125", Decimal("0.12")), (0.135, Decimal("0.14")), ("1e3", Decimal("1000.00")), ("", None),
    ],
    "decimal(2, 2)": [("0.99", Decimal("0.99"))],
    "list<string>": [(["a", None, 1], ["a", None, "1"]), ([], [])],
}  # fmt: skip
"""Type → values, and what a column of the type has for them."""
UNFIT = {
    "timestamp": ["soon-ish", 1700000000, "2024-02-30", "0001-01-01T00:00:00+02:00"],
    "date": ["soon-ish"],
    "int64": [7.5, "7.0", " 7", "\u0667", True, 2**63, "9" * 5000, [7]],
    "float64": [2**53 + 1, 10**400, "1e999", "nan", "1_0", False],
    "bool": [1, "True", "yes"],
    "decimal(4,2)": ["100", "99.995", "1e999999999999999999999", "NaN", True, [1]],
    "list<string>": ["a"],
}


@pytest.mark.parametrize("type_name", FIT)
def test_values_that_fit(save, type_name):
    path, info = save([{}, *({"c": value} for value, _ in FIT[type_name])], field_types={"c": type_name})
    assert info.columns == {"c": type_name.replace(" ", "")}
    found, expected = pq.read_table(path)["c"].to_pylist(), [None, *(fitting for _, fitting in FIT[type_name])]
    assert found == expected
    assert [*map(type, found)] == [*map(type, expected)]


@pytest.mark.parametrize(("type_name", "value"), [(name, value) for name, values in UNFIT.items() for value in values])
def test_a_value_that_does_not_fit_is_told_by_column_type_and_row_never_shown(save, tmp_path, type_name, value):
    rows = [{"price": None}] * 1200 + [{"price": value}]
    with pytest.raises(CatalogParameterError) as caught:
        save(rows, field_types={"price": type_name})
    assert str(caught.value) == (
        f"row 1201: the value of column 'price' does not fit its type '{type_name}'; "
        "keep the column as text with field_types={'price': 'string'}"
    )
    assert caught.value.__context__ is caught.value.__cause__ is None, "nor would a traceback show it"
    assert list(tmp_path.iterdir()) == []
