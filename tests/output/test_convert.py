from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.convert import check_field_types, convert


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("timestamp", "2023-06-05T14:46:59.944581+02:00", utc(2023, 6, 5, 12, 46, 59, 944581)),
        ("timestamp", "2025/06/10 13:42:06 +0000", utc(2025, 6, 10, 13, 42, 6)),
        ("timestamp", "2025/06/10 13:42:06 -0330", utc(2025, 6, 10, 17, 12, 6)),
        ("timestamp", "2025-06-10 13:42:06 UTC", utc(2025, 6, 10, 13, 42, 6)),
        ("timestamp", "2024-04-11T15:33:45.503Z", utc(2024, 4, 11, 15, 33, 45, 503000)),
        ("timestamp", "2024-04-11T15:33:45.123456789Z", utc(2024, 4, 11, 15, 33, 45, 123456)),
        ("timestamp", "2024-04-11T15:33:45", utc(2024, 4, 11, 15, 33, 45)),
        ("timestamp", "2024-04-11", utc(2024, 4, 11)),
        ("timestamp", "2024/04/11", utc(2024, 4, 11)),
        ("date", "2024-04-11", date(2024, 4, 11)),
        ("date", "2024-04-11T00:30:00+02:00", date(2024, 4, 10)),
        ("int64", 7, 7),
        ("int64", "7", 7),
        ("int64", "-7", -7),
        ("int64", 7.0, 7),
        ("int64", 2**63 - 1, 2**63 - 1),
        ("float64", 7, 7.0),
        ("float64", 7.5, 7.5),
        ("float64", "7.5e1", 75.0),
        ("float64", 2**60, float(2**60)),
        ("bool", True, True),
        ("bool", False, False),
        ("bool", "true", True),
        ("bool", "false", False),
        ("string", "x", "x"),
        ("string", 7, "7"),
        ("string", 7.5, "7.5"),
        ("string", True, "true"),
        ("string", [1, None], "[1,null]"),
        ("decimal(12,2)", 100, Decimal("100.00")),
        ("decimal(12,2)", "100.0", Decimal("100.00")),
        ("decimal(12,2)", 0.1, Decimal("0.10")),
        ("decimal(12, 2)", ".5", Decimal("0.50")),
        ("decimal(12,2)", "0.125", Decimal("0.12")),
        ("decimal(12,2)", 0.135, Decimal("0.14")),
        ("decimal(12,2)", "1e3", Decimal("1000.00")),
        ("decimal(2,2)", "0.99", Decimal("0.99")),
        ("list<string>", ["a", None, 1], ["a", None, "1"]),
        ("list<string>", [], []),
    ],
)
def test_values_that_fit(type_name, value, expected):
    (converted,) = convert([value], type_name, "c", 1)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("timestamp", "soon-ish"),
        ("timestamp", 1700000000),
        ("timestamp", "2024-02-30"),
        ("timestamp", "0001-01-01T00:00:00+02:00"),
        ("date", "soon-ish"),
        ("int64", 7.5),
        ("int64", "7.0"),
        ("int64", " 7"),
        ("int64", "\u0667"),
        ("int64", True),
        ("int64", 2**63),
        ("int64", "9" * 5000),
        ("int64", [7]),
        ("float64", 2**53 + 1),
        ("float64", 10**400),
        ("float64", "1e999"),
        ("float64", "nan"),
        ("float64", "1_0"),
        ("float64", False),
        ("bool", 1),
        ("bool", "True"),
        ("bool", "yes"),
        ("decimal(4,2)", "100"),
        ("decimal(4,2)", "99.995"),
        ("decimal(4,2)", "1e999999999999999999999"),
        ("decimal(4,2)", "NaN"),
        ("decimal(4,2)", True),
        ("decimal(4,2)", [1]),
        ("list<string>", "a"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_column_type_and_row_never_shown(type_name, value):
    good = {"list<string>": ["x"], "bool": True, "timestamp": "2024-01-01", "date": "2024-01-01"}.get(type_name, 1)
    with pytest.raises(CatalogParameterError) as caught:
        convert([None, good, value], type_name, "price", 11)
    assert str(caught.value) == (
        f"row 13: the value of column 'price' does not fit its type '{type_name}'; "
        "keep the column as text with field_types={'price': 'string'}"
    )
    # Nor would a traceback show it.
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("field_types", "message"),
    [
        ({"a": "datetime"}, "'a' has the type 'datetime', which does not exist; did you mean 'timestamp'"),
        ({"a": "Int64"}, "did you mean 'int64'"),
        ({"a": "integer"}, "did you mean 'int64'"),
        ({"a": "zzz"}, "which does not exist; use one of 'string', .*'decimal\\(12,2\\)'"),
        ({"a": "decimal"}, "which does not exist; use one of"),
        ({"a": "decimal(39,2)"}, "precision up to 38"),
        ({"a": "decimal(0,0)"}, "precision up to 38"),
        ({"a": "decimal(2,3)"}, "which does not exist"),
        ({"a": "list<int64>"}, "which does not exist"),
        ({"a.b": "int64", "a_b": "string"}, "'a.b' is the same column as 'a_b'"),
        ({"a": int}, "which is not a string"),
        ({5: "int64"}, "the column 5 must be a string"),
        (["a"], "must be a dict .* not list"),
    ],
)
def test_types_that_do_not_exist(field_types, message):
    with pytest.raises(CatalogParameterError, match=f"field_types.*{message}"):
        check_field_types(field_types)


@pytest.mark.parametrize("type_name", ["timestamp", "date", "int64", "float64", "bool", "decimal(12,2)"])
def test_an_empty_text_is_null_where_it_cannot_be_a_value(type_name):
    assert convert(["", None], type_name, "c", 1) == [None, None]
    assert convert(["", None], "string", "c", 1) == ["", None]
