"""Every filter of every endpoint, against a plain Python filter over all the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest

from airflow_provider_catalog.sandbox import sandbox

Row = dict[str, Any]
ALL = {"per_page": 100_000}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


def look_up(row: Row, path: str) -> Any:
    return reduce(lambda value, key: None if value is None else value[key], path.split("."), row)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def day(text: str | None) -> str:
    return f"{instant(text):%Y-%m-%d}" if text else ""


def middle(rows: list[Row], path: str) -> Any:
    values = sorted(value for row in rows if (value := look_up(row, path)) is not None)
    return values[len(values) // 2]


# The filter, or what it is called before _from and _to or _min and _max → the field of a row that it looks at; with
# more, the words that are asked for; or a value and which rows pass it.
PRODUCT = {
    "account_ids": "account_id",
    "product_ids": "product.id",
    "product_statuses": ("product_status", "CLOSED", "DELETED"),
}
STUDENT = {"student_ids": "student.id", "student_canvas_user_ids": "student.canvas_user_id"}
FILTERS: dict[str, dict[str, Any]] = {
    "products": {
        **PRODUCT,
        "creation_date": "created_at",
        "enrollment_count": "enrollment_count",
        "completion_count": "completion_count",
        "dropped_count": "dropped_count",
        "listing_price": "list_price",
        "promo_codes": (["APPLIED"], lambda row: row["promo_codes"]),
        "revenue": "revenue",
        "certificate_offered": (True, lambda row: row["certificate_offered"]),
    },
    "enrollments": {
        **PRODUCT,
        **STUDENT,
        "enrollment_date": "enrollment_date",
        "enrollment_statuses": ("enrollment_status", "ACTIVE", "CONCLUDED"),
        "completion_date": "completion_date",
    },
    "orders": {
        **PRODUCT,
        **STUDENT,
        "purchaser_ids": "purchaser.id",
        "purchaser_canvas_user_ids": "purchaser.canvas_user_id",
        "listing_price": "list_price",
        "promo_codes": (["NOT_APPLIED"], lambda row: not row["promo_codes"]),
        "revenue": "revenue",
        "bulk_purchases_only": (True, lambda row: row["bulk_purchase"]),
        "purchase_date": "purchase_date",
        "order_fee": (["FREE"], lambda row: row["revenue"] == 0),
    },
    "users": {
        **STUDENT,
        "account_ids": "account_id",
        "enrollment_count": "enrollment_count",
        "last_enrollment_date": "last_enrollment_date",
        "registration_date": "registration_date",
        "registered_through": ("registered_through", "CANVAS"),
    },
}


def tries(rows: list[Row], name: str, how: Any) -> Iterator[tuple[str, Any, Callable[[Row], Any]]]:
    """Yield filters, with a value that tells rows apart and which rows pass it."""
    if isinstance(how, tuple) and callable(how[1]):
        yield name, *how
    elif isinstance(how, tuple):
        yield name, list(how[1:]), lambda row: row[how[0]] in how[1:]
    elif name.endswith("_ids"):
        ids = [middle(rows, how), middle(rows[: len(rows) // 3], how)]
        yield name, ids, lambda row: look_up(row, how) in ids
    elif name.endswith("_date"):
        date = day(middle(rows, how))
        yield f"{name}_from", date, lambda row: day(row[how]) >= date
        yield f"{name}_to", date, lambda row: row[how] and day(row[how]) <= date
    else:
        number = middle(rows, how)
        yield f"{name}_min", number, lambda row: row[how] >= number
        yield f"{name}_max", number, lambda row: row[how] <= number


def as_form(name: str, value: Any, suffix: str) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [(name + suffix, str(item)) for item in value]
    return [(name, json.dumps(value) if isinstance(value, bool) else str(value))]


@pytest.mark.parametrize(("endpoint", "count"), [("products", 17), ("enrollments", 10), ("orders", 16), ("users", 10)])
def test_each_filter_selects_exactly_the_rows_that_match(endpoint, count, catalog, all_rows, post) -> None:
    rows = all_rows[endpoint]
    tried = [each for name, how in FILTERS[endpoint].items() for each in tries(rows, name, how)]
    assert len(tried) == count, "so many are documented"
    for name, value, passes in tried:
        expected = [row for row in rows if passes(row)]
        assert 0 < len(expected) < len(rows), name
        for sent in (
            {"filters": {name: value}},
            {"data": as_form(name, value, "")},
            {"data": as_form(name, value, "[]")},
        ):
            response = post(catalog, endpoint, params=ALL, **sent)
            assert response.status_code == 200, response.text
            assert response.json()[endpoint] == expected, sent


def test_filters_combine_with_and(catalog, all_rows, post) -> None:
    filters = {"product_statuses": ["OPEN"], "enrollment_statuses": ["COMPLETED"], "account_ids": [3, 4]}
    rows = post(catalog, "enrollments", filters, params=ALL).json()["enrollments"]
    assert rows == [
        row
        for row in all_rows["enrollments"]
        if row["product_status"] == "OPEN" and row["enrollment_status"] == "COMPLETED" and row["account_id"] in (3, 4)
    ]
    assert rows


def test_flags_that_are_false(catalog, all_rows, post) -> None:
    everything = post(catalog, "orders", {"bulk_purchases_only": False}, params=ALL)
    assert everything.json()["orders"] == all_rows["orders"]
    without = post(catalog, "products", {"certificate_offered": False}, params=ALL)
    assert without.json()["products"] == [row for row in all_rows["products"] if not row["certificate_offered"]]


@pytest.mark.parametrize(
    ("least", "expected"), [(19.99, 1999), (19.991, 2000), (0, 0), (-5, 0), (1e300, math.inf), ("19.99", 1999)]
)
def test_amounts_compare_to_the_cent(least, expected, catalog, all_rows, post) -> None:
    filters = {"data" if isinstance(least, str) else "filters": {"revenue_min": least}}
    rows = post(catalog, "orders", params=ALL, **filters).json()["orders"]
    assert rows == [row for row in all_rows["orders"] if round(row["revenue"] * 100) >= expected]


@pytest.mark.parametrize("kind", ["filters", "data"])
def test_dates_in_every_form_name_the_same_instant(kind, catalog, all_rows, post) -> None:
    rows = all_rows["users"]
    moment = instant(middle(rows, "registration_date"))
    expected = [row for row in rows if instant(row["registration_date"]) >= moment]
    for layout, hours in (
        ("%Y-%m-%dT%H:%M:%S.%fZ", 0), ("%Y-%m-%d %H:%M:%S.%f", 0),
        ("%Y-%m-%dT%H:%M:%S.%f+02:00", 2), ("%Y-%m-%d %H:%M:%S.%f +0200", 2),
    ):  # fmt: skip
        filters = {"registration_date_from": f"{moment + timedelta(hours=hours):{layout}}"}
        assert post(catalog, "users", params=ALL, **{kind: filters}).json()["users"] == expected, layout


@pytest.mark.parametrize("date_to", ["inclusive", "exclusive"])
def test_whether_the_end_of_a_range_belongs_to_it(date_to, post) -> None:
    with sandbox(products=0, users=50, enrollments=0, as_of="2026-07-01", date_to=date_to) as catalog:

        def dates_to(text: str) -> list[str]:
            response = post(catalog, "users", {"registration_date_to": text}, params={"per_page": 100})
            return [row["registration_date"] for row in response.json()["users"]]

        every = dates_to("9999-12-31")
        assert len(every) == 50
        moment = sorted(every)[25]
        assert (moment in dates_to(moment)) is (date_to == "inclusive")
        assert (moment in dates_to(moment[:10])) is (date_to == "inclusive")
        end = moment[:10] if date_to == "inclusive" else f"{instant(moment) + timedelta(days=1):%Y-%m-%d}"
        assert dates_to(end) == [text for text in every if text[:10] <= moment[:10]]


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
def test_what_the_api_would_refuse_is_refused_by_name(headers, body, told, catalog, post) -> None:
    response = post(catalog, "products", data=body, headers=headers)
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(f"{told} ")


def test_every_mistake_is_told(catalog, post) -> None:
    errors = post(catalog, "products", {"nonsense": 1, "revenue_min": "much"}).json()["errors"]
    assert errors == ["nonsense is not a filter of products", "revenue_min should be a valid number"]


def test_a_body_without_a_type_is_json(catalog, post) -> None:
    assert post(catalog, "orders", data=b'{"account_ids": [3.0]}').json()["orders"]
