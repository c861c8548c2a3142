"""Which columns a flat file has, in which order; the same for CSV and Parquet."""

from __future__ import annotations

import copy
import csv

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output import spool as spool_module

DOCUMENTED = [column.path.replace(".", "_") for column in ENDPOINTS["products"].columns]


@pytest.fixture(params=["csv", "parquet"])
def columns_of(request, save):
    """Return the columns of a file with some rows, as a reader sees them."""

    def columns(*pages, **options):
        path, info = save(*pages, name=f"out.{request.param}", **options)
        if request.param == "csv":
            with path.open(newline="", encoding="utf-8") as file:
                names = next(csv.reader(file))
        else:
            import pyarrow.parquet as pq

            names = pq.read_schema(path).names
        assert names == info.columns
        return names

    return columns


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"a": 1, "b": 2}], ["a", "b"]),
        ([{"a": 1}, {"c": 1, "a": 2}, {"b": 1}], ["a", "c", "b"]),
        ([{"a": {"x": 1, "y": {"z": 2}}, "b": 3}], ["a_x", "a_y_z", "b"]),
        ([{"a": None}], ["a"]),
        ([{"a": None, "b": 1}, {"a": {"x": 1}}], ["b", "a_x"]),
        ([{"a": {"x": 1}}, {"a": None}], ["a_x"]),
        ([{"a": {"x": None}}], ["a_x"]),
        ([{"a": {}, "b": 1}], ["b"]),
        ([{"a": {}, "b": 1}, {"a": None}], ["b"]),
        ([{"a": 5}, {"a": {"x": 1}}], ["a", "a_x"]),
        ([{"a": []}, {"a": [{"x": 1}]}], ["a"]),
        ([{"../b": 1, "a\nb": {"": 2}, "\0": 3, 'q"': 4}], ["../b", "a\nb_", "\0", 'q"']),
    ],
)
def test_columns_are_the_union_over_all_rows(columns_of, rows, expected):
    assert columns_of(rows) == expected
    assert columns_of(*([row] for row in rows)) == expected
    # However far apart the rows are.
    assert columns_of([row for row in rows for _ in range(spool_module.BATCH_ROWS)]) == expected


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
        (["product"], [], ["product_name", "product_id", "product_url", "product_sku"]),
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


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": {"b": 1}, "a_b": 2}],
        [{"a": {"b": 1}}, {"a_b": 2}],
    ],
)
def test_two_fields_for_one_column_are_an_error_with_both_names(columns_of, rows):
    with pytest.raises(CatalogParameterError) as caught:
        columns_of(copy.deepcopy(rows))
    assert str(caught.value) == (
        "the fields 'a.b' and 'a_b' would both be the column 'a_b'; "
        "leave one of them out, for example drop_fields=['a_b'], or choose with fields"
    )
    assert columns_of(copy.deepcopy(rows), drop_fields=["a_b"]) == ["a_b"]
    assert columns_of(rows, fields=["a_b"]) == ["a_b"]


def test_a_null_that_turns_out_to_be_an_object_is_no_second_field(columns_of):
    assert columns_of([{"a_b": None, "a": {"b": 1}}] * 600, [{"a_b": {}}]) == ["a_b"]
    assert columns_of([{"a": {"b": 1}}, {"a_b": None}]) == ["a_b"]


def test_two_fields_for_one_column_are_told_long_before_the_last_row(save):
    def rows():
        yield from [{"a": {"b": 1}, "a_b": 2}] * 600
        pytest.fail("read on")

    with pytest.raises(CatalogParameterError, match="would both be"):
        save(rows())
