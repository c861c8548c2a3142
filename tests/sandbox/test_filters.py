"""Every filter of every endpoint, against a plain Python filter over all the rows."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
import requests

from tests.sandbox.conftest import LARGE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
# The field that a filter looks at, where it has another name than the filter without its last part.
FIELDS = {
    "account_ids": "account_id", "product_ids": "product.id", "student_ids": "student.id",
    "student_canvas_user_ids": "student.canvas_user_id", "purchaser_ids": "purchaser.id",
    "purchaser_canvas_user_ids": "purchaser.canvas_user_id", "creation_date": "created_at",
    "listing_price": "list_price",
}  # fmt: skip
# Of the others, a value and which rows pass it.
OTHERS = {
    "product_statuses": (["CLOSED", "DELETED"], lambda row: row["product_status"] != "OPEN"),
    "enrollment_statuses": (
        ["ACTIVE", "CONCLUDED"], lambda row: row["enrollment_status"] in ("ACTIVE", "CONCLUDED"),
    ),
    "registered_through": (["CANVAS"], lambda row: row["registered_through"] == "CANVAS"),
    "promo_codes": (["NOT_APPLIED"], lambda row: not row["promo_codes"]),
    "certificate_offered": (True, lambda row: row["certificate_offered"]),
    "bulk_purchases_only": (True, lambda row: row["bulk_purchase"]),
    "order_fee": (["FREE"], lambda row: row["revenue"] == 0),
}  # fmt: skip


def look_up(row, path):
    return reduce(lambda value, key: None if value is None else value[key], path.split("."), row)


def instant(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def day(text):
    return f"{instant(text):%Y-%m-%d}" if text else ""


def middle(rows, path):
    values = sorted(value for row in rows if (value := look_up(row, path)) is not None)
    return values[len(values) // 2]


def value_and_rows(rows, name):
    """Return a value of the filter that tells rows apart, and those that pass it."""
    if name in OTHERS:
        value, passes = OTHERS[name]
    elif name.endswith("_ids"):
        field = FIELDS[name]
        value = [middle(rows, field), middle(rows[: len(rows) // 3], field)]
        passes = lambda row: look_up(row, field) in value  # noqa: E731
    else:
        quantity, _, end = name.rpartition("_")
        field = FIELDS.get(quantity, quantity)
        of = day if quantity.endswith("_date") else lambda number: number
        value = of(middle(rows, field))
        if end in ("from", "min"):
            passes = lambda row: of(row[field]) >= value  # noqa: E731
        else:
            passes = lambda row: row[field] is not None and of(row[field]) <= value  # noqa: E731
    return value, [row for row in rows if passes(row)]


def as_form(name, value, suffix):
    if isinstance(value, list):
        return [(name + suffix, str(item)) for item in value]
    return [(name, json.dumps(value) if isinstance(value, bool) else str(value))]


@pytest.mark.parametrize(("endpoint", "count"), [("products", 17), ("enrollments", 10), ("orders", 16), ("users", 10)])
def test_each_filter_selects_exactly_the_rows_that_match(endpoint, count, catalog, all_rows, post):
    page = requests.get(f"{catalog.url}/openapi.json", timeout=10).json()["paths"][f"/api/v1/analytics/{endpoint}"]
    names = page["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert len(names) == count, "so many are documented"
    for name in names:
        value, expected = value_and_rows(all_rows[endpoint], name)
        assert 0 < len(expected) < len(all_rows[endpoint]), name
        for sent in (
            {"filters": {name: value}},
            {"data": as_form(name, value, "")},
            {"data": as_form(name, value, "[]")},
        ):
            response = post(catalog, endpoint, **LARGE, **sent)
            assert response.status_code == 200, response.text
            assert response.json()[endpoint] == expected, sent


def test_filters_combine_with_and(catalog, all_rows, post):
    filters = {"product_statuses": ["OPEN"], "enrollment_statuses": ["COMPLETED"], "account_ids": [3, 4]}
    rows = post(catalog, "enrollments", filters, **LARGE).json()["enrollments"]
    assert rows == [
        row
        for row in all_rows["enrollments"]
        if row["product_status"] == "OPEN" and row["enrollment_status"] == "COMPLETED" and row["account_id"] in (3, 4)
    ]
    assert rows


def test_flags_that_are_false(catalog, all_rows, post):
    everything = post(catalog, "orders", {"bulk_purchases_only": False}, **LARGE)
    assert everything.json()["orders"] == all_rows["orders"]
    without = post(catalog, "products", {"certificate_offered": False}, **LARGE)
    assert without.json()["products"] == [row for row in all_rows["products"] if not row["certificate_offered"]]


@pytest.mark.parametrize(
    ("least", "expected"), [(19.99, 1999), (19.991, 2000), (0, 0), (-5, 0), (1e300, math.inf), ("19.99", 1999)]
)
def test_amounts_compare_to_the_cent(least, expected, catalog, all_rows, post):
    filters = {"data" if isinstance(least, str) else "filters": {"revenue_min": least}}
    rows = post(catalog, "orders", **LARGE, **filters).json()["orders"]
    assert rows == [row for row in all_rows["orders"] if round(row["revenue"] * 100) >= expected]


@pytest.mark.parametrize("kind", ["filters", "data"])
@pytest.mark.parametrize(
    ("layout", "hours"),
    [("%Y-%m-%dT%H:%M:%S.%fZ", 0), ("%Y-%m-%d %H:%M:%S.%f", 0), ("%Y-%m-%dT%H:%M:%S.%f+02:00", 2),
     ("%Y-%m-%d %H:%M:%S.%f +0200", 2)],
)  # fmt: skip
def test_dates_in_every_form_name_the_same_instant(kind, layout, hours, catalog, all_rows, post):
    moment = instant(middle(all_rows["users"], "registration_date"))
    filters = {"registration_date_from": f"{moment + timedelta(hours=hours):{layout}}"}
    assert post(catalog, "users", **LARGE, **{kind: filters}).json()["users"] == [
        row for row in all_rows["users"] if instant(row["registration_date"]) >= moment
    ]


# Beside what Schemathesis makes up, which does not look at whose name is told.
WRONG = [
    ("updated_at_from", "2024-01-01"), ("student_ids", [1]), ("promo_codes", ["SPRING50"]),
    *(("account_ids", value) for value in (3, [], ["3"], [True], [3.5], [2**63], None, [1e300])),
    *(("product_statuses", value) for value in (["open"], "OPEN", [["OPEN"]])),
    *(("enrollment_count_min", value) for value in (1.5, "1", 10**30)),
    *(("listing_price_min", value) for value in ("10", True, math.inf)),
    *(("certificate_offered", value) for value in ("true", 1)),
    *(("creation_date_to", value) for value in ("yesterday", "2024-02-30", "20240101", "2024-01-01\n", 1_700_000_000)),
    ("creation_date_to", "0001-01-01T00:00:00+02:00"),
]  # fmt: skip
WRONG_FORMS = (
    *("account_ids=three", "account_ids=", "account_ids[0]=1", "product_statuses=OPENED", "creation_date_from="),
    *("enrollment_count_min=1&enrollment_count_min=2", "enrollment_count_min=1.5", "certificate_offered=?"),
    *("revenue_min=much", "revenue_min=nan", "revenue_min=" + "[" * 100_000),
)
UNREADABLE = ("{", "[" * 100_000, "[]", '{"revenue_min": NaN}', '{"\\ud800": 1}', b"\xff")


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        *((JSON, json.dumps({name: value}).replace("Infinity", "1e400"), name) for name, value in WRONG),
        *((FORM, form, form.partition("=")[0]) for form in WRONG_FORMS),
        *((JSON, body, "the body") for body in UNREADABLE),
        *((FORM, body, "the body") for body in ("{}", "account_ids=%ff")),
        ({"Content-Type": "text/csv"}, "account_ids", "the Content-Type"),
    ],
)
def test_what_the_api_would_refuse_is_refused_by_name(headers, body, told, catalog, post):
    response = post(catalog, "products", data=body, headers=headers)
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(f"{told} ")


def test_every_mistake_is_told(catalog, post):
    errors = post(catalog, "products", {"nonsense": 1, "revenue_min": "much"}).json()["errors"]
    assert errors == ["nonsense is not a filter of products", "revenue_min should be a valid number"]


def test_a_body_without_a_type_is_json(catalog, post):
    assert post(catalog, "orders", data=b'{"account_ids": [3.0]}').json()["orders"]
