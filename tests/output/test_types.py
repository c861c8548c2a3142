"""Which type a column has: by its name, the kinds of its values, and what is known of it."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.spool import RowSpool
from airflow_provider_catalog.output.transform import RowTransform

MONEY = "decimal(38,9)"


@pytest.fixture
def types_of(tmp_path):
    """Return column → type of some rows."""

    def types(*rows, endpoint="orders", field_types=None, known=None, **transform):
        keep = RowTransform(**transform)
        with RowSpool(tmp_path) as spool:
            for row in rows:
                spool.write([row])
            columns = spool.columns(ENDPOINTS[endpoint], keep, field_types, known)
            return {column.name: column.type or None for column in columns}

    return types


@pytest.mark.parametrize(
    ("key", "values", "type_name"),
    [
        ("created_at", ["2023-06-05T14:46:59.944581+02:00", "2025/06/10 13:42:06 +0000", None], "timestamp"),
        ("purchase_date", ["2026-06-30"], "timestamp"),
        ("startsOn", ["2026-06-30T00:00:00Z", ""], "timestamp"),
        ("created_at", ["2023-06-05T14:46:59Z", "soon"], "string"),
        ("created_at", ["2023-06-05T14:46:59Z", 5], "string"),
        ("created_at", [1700000000], "float64"),
        ("created_at", ["0001-01-01T00:00:00+02:00"], "string"),
        ("completion_time", [35], "float64"),
        ("state", ["2026-06-30"], "string"),
        ("data", ["2026-06-30"], "string"),
        ("id", [1, -(2**63), 2**63 - 1], "int64"),
        ("id", [2**63 + 1], "string"),
        ("id", [1, 2.5], "float64"),
        ("id", ["p-5"], "string"),
        ("id", ["5", 5], "string"),
        ("id", [True], "bool"),
        ("seats", [5], "int64"),
        ("void", [5], "float64"),
        ("price", [10], MONEY),
        ("list_price", [10, 10.5, "10.25", None, ""], MONEY),
        ("revenue", ["100.0"], MONEY),
        ("orderTotal", [5], MONEY),
        ("order_fee", ["FREE", "PAID"], "string"),
        ("fee", [5, "FREE"], "string"),
        ("fee", [2**100], "float64"),
        ("fee", [10**29 + 1], "string"),
        ("tax", [True], "bool"),
        ("price", [""], None),
        ("price", [None], None),
        ("other", [5], "float64"),
        ("other", [5, 5.5], "float64"),
        ("other", [5, 2**53 + 1], "int64"),
        ("other", [2**53 + 1, 5.5], "string"),
        ("other", [10**400], "string"),
        ("other", ["5"], "string"),
        ("other", [""], "string"),
        ("other", ["x", 5], "string"),
        ("other", [True, None, False], "bool"),
        ("other", [True, 1], "string"),
        ("other", [["a"], []], "string"),
        ("other", [[]], "string"),
        ("", [5], "float64"),
        ("_", ["x"], "string"),
    ],
)
def test_the_type_follows_from_name_and_values(types_of, key, values, type_name):
    assert types_of(*({key: value} for value in values)).get(key) == type_name


@pytest.mark.parametrize("name", ["custom_fields", "customFields"])
def test_people_name_custom_fields_so_their_names_say_nothing(types_of, name):
    row = {name: {"start_date": "2026-06-30", "employee_id": 7, "fee": "5"}}
    assert list(types_of(row).values()) == ["string", "float64", "string"]
    assert types_of({name: "x"}) == {name: "string"}


def test_documented_types_whatever_the_values(types_of):
    row = {"product": {"id": "5"}, "promo_codes": ["A"], "revenue": "x"}
    documented = {column.path.replace(".", "_"): column.type for column in ENDPOINTS["products"].columns}
    assert types_of(row, endpoint="products") == documented
    hashed = types_of(row, endpoint="products", hash_fields=["product.id", "promo_codes"], hash_secret="k")
    assert hashed == documented | {"product_id": "string"}


def test_a_hash_is_text_although_its_name_suggests_another_type(types_of):
    assert types_of({"a": {"id": None}}, hash_fields=["a.id"], hash_secret="key") == {"a_id": "string"}


def test_field_types_take_columns_and_paths_and_make_columns(types_of):
    pins = {"a.b": "int64", "c_d": "date", "e.f": "bool", "g_h": "decimal(5,2)", "i.j": "float64"}
    assert types_of({"a": {"b": "5"}, "c": {"d": None}, "i.j": 5}, field_types=pins) == {
        "a_b": "int64",
        "c_d": "date",
        "i.j": "float64",
        "e_f": "bool",
        "g_h": "decimal(5,2)",
    }
    assert types_of({}, field_types={"a.b": "int64"}, drop_fields=["a"]) == {}
    assert types_of({"a": {"b": 1}}, field_types={"c": "int64"}, fields=["a"]) == {"a_b": "float64"}


def test_what_is_known_goes_first(types_of):
    row = {"id": 5, "a": 5, "b": 5, "product": {"id": 5}}
    pins = {"a": "string", "b": "string"}
    assert types_of(row, field_types=pins, known={"id": "string", "a": "float64", "other": "bool"}) == {
        "id": "string",
        "a": "float64",
        "other": "bool",
        "b": "string",
        "product_id": "int64",
    }


def test_columns_of_nulls_alone_are_told_apart(tmp_path):
    with RowSpool(tmp_path) as spool:
        spool.write([{"a": 1, "b": None, "c": None, "student": None, "d": {"e": None}}, {"d": {}}])
        arguments = (ENDPOINTS["orders"], RowTransform(), {"c": "date"}, {"student_name": "string"})
        types = {column.name: column.type for column in spool.columns(*arguments)}
    assert types == {"student_name": "string", "a": "float64", "b": "", "c": "date", "d_e": ""}


@pytest.mark.parametrize("row", [{"Name": 1, "name": 2}, {"a": {"B": 1}, "A_b": 2}])
def test_columns_that_differ_in_case_alone_are_an_error(types_of, row):
    with pytest.raises(CatalogParameterError, match=r"would both be the column .*differ in case alone"):
        types_of(row)
