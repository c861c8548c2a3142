"""Every filter of every endpoint, against a plain Python filter over all the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple

import pytest

from airflow_provider_catalog.sandbox import sandbox

Row = dict[str, Any]


def look_up(row: Row, path: str) -> Any:
    return reduce(lambda value, key: None if value is None else value[key], path.split("."), row)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Case(NamedTuple):
    """How a filter is tried: a value made from the rows, and whether a row passes it."""

    value: Callable[[list[Row]], Any]
    passes: Callable[[Row, Any], bool]


def middle(rows: list[Row], path: str) -> Any:
    values = sorted(value for row in rows if (value := look_up(row, path)) is not None)
    return values[len(values) // 2]


def some(path: str) -> Case:
    return Case(
        lambda rows: [middle(rows, path), look_up(rows[0], path) or middle(rows[1:], path)],
        lambda row, wanted: look_up(row, path) in wanted,
    )


def words(path: str, *wanted: str) -> Case:
    return Case(lambda _: list(wanted), lambda row, wanted: look_up(row, path) in wanted)


def word(value: str, passes: Callable[[Row], bool]) -> Case:
    return Case(lambda _: [value], lambda row, _: passes(row))


def numbers(name: str, path: str) -> dict[str, Case]:
    def value(rows: list[Row]) -> Any:
        return middle(rows, path)

    return {
        f"{name}_min": Case(value, lambda row, least: look_up(row, path) >= least),
        f"{name}_max": Case(value, lambda row, most: look_up(row, path) <= most),
    }


def dates(name: str, path: str) -> dict[str, Case]:
    def value(rows: list[Row]) -> str:
        return instant(middle(rows, path)).strftime("%Y-%m-%d")

    def day(row: Row) -> str | None:
        text = look_up(row, path)
        return None if text is None else instant(text).strftime("%Y-%m-%d")

    return {
        f"{name}_from": Case(value, lambda row, first: (day(row) or "") >= first),
        f"{name}_to": Case(value, lambda row, last: (day(row) or "9999") <= last),
    }


PRODUCT = {
    "account_ids": some("account_id"),
    "product_ids": some("product.id"),
    "product_statuses": words("product_status", "CLOSED", "DELETED"),
}
STUDENT = {
    "student_ids": some("student.id"),
    "student_canvas_user_ids": some("student.canvas_user_id"),
}
CASES: dict[str, dict[str, Case]] = {
    "products": {
        **PRODUCT,
        **dates("creation_date", "created_at"),
        **numbers("enrollment_count", "enrollment_count"),
        **numbers("completion_count", "completion_count"),
        **numbers("dropped_count", "dropped_count"),
        **numbers("listing_price", "list_price"),
        "promo_codes": word("APPLIED", lambda row: bool(row["promo_codes"])),
        **numbers("revenue", "revenue"),
        "certificate_offered": Case(lambda _: True, lambda row, _: row["certificate_offered"] is True),
    },
    "enrollments": {
        **PRODUCT,
        **STUDENT,
        **dates("enrollment_date", "enrollment_date"),
        "enrollment_statuses": words("enrollment_status", "ACTIVE", "CONCLUDED"),
        **dates("completion_date", "completion_date"),
    },
    "orders": {
        **PRODUCT,
        **numbers("listing_price", "list_price"),
        "promo_codes": word("NOT_APPLIED", lambda row: row["promo_codes"] == []),
        **numbers("revenue", "revenue"),
        **STUDENT,
        "purchaser_ids": some("purchaser.id"),
        "purchaser_canvas_user_ids": some("purchaser.canvas_user_id"),
        "bulk_purchases_only": Case(lambda _: True, lambda row, _: row["bulk_purchase"]),
        **dates("purchase_date", "purchase_date"),
        "order_fee": word("FREE", lambda row: row["revenue"] == 0),
    },
    "users": {
        "account_ids": some("account_id"),
        **numbers("enrollment_count", "enrollment_count"),
        **STUDENT,
        **dates("last_enrollment_date", "last_enrollment_date"),
        **dates("registration_date", "registration_date"),
        "registered_through": words("registered_through", "CANVAS"),
    },
}
ALL = [(endpoint, name) for endpoint, cases in CASES.items() for name in cases]


def as_form(name: str, value: Any, suffix: str) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [(name + suffix, str(item)) for item in value]
    return [(name, json.dumps(value) if isinstance(value, bool) else str(value))]


def test_every_documented_filter_is_tried() -> None:
    assert len(ALL) == 53


@pytest.mark.parametrize("filter_", ALL, ids="-".join)
def test_filter_selects_exactly_the_rows_that_match(filter_, catalog, all_rows, post) -> None:
    endpoint, name = filter_
    rows = all_rows[endpoint]
    case = CASES[endpoint][name]
    value = case.value(rows)
    expected = [row for row in rows if case.passes(row, value)]
    assert 0 < len(expected) < len(rows), "the value must tell rows apart"
    for sent in ({"filters": {name: value}}, {"data": as_form(name, value, "")}, {"data": as_form(name, value, "[]")}):
        response = post(catalog, endpoint, params={"per_page": 100_000}, **sent)
        assert response.status_code == 200, response.text
        assert response.json()[endpoint] == expected


def test_filters_combine_with_and(catalog, all_rows, post) -> None:
    filters = {"product_statuses": ["OPEN"], "enrollment_statuses": ["COMPLETED"], "account_ids": [3, 4]}
    rows = post(catalog, "enrollments", filters, params={"per_page": 100_000}).json()["enrollments"]
    assert rows == [
        row
        for row in all_rows["enrollments"]
        if row["product_status"] == "OPEN" and row["enrollment_status"] == "COMPLETED" and row["account_id"] in (3, 4)
    ]
    assert rows


def test_flags_that_are_false(catalog, all_rows, post) -> None:
    everything = post(catalog, "orders", {"bulk_purchases_only": False}, params={"per_page": 100_000})
    assert everything.json()["orders"] == all_rows["orders"]
    without = post(catalog, "products", {"certificate_offered": False}, params={"per_page": 1_000})
    assert without.json()["products"] == [row for row in all_rows["products"] if not row["certificate_offered"]]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("least", "expected"),
    [(19.99, 1999), (19.991, 2000), (0, 0), (-5, 0), (1e300, None), ("19.99", 1999)],
)
def test_amounts_compare_to_the_cent(least, expected, catalog, all_rows, post) -> None:
    def cents(row: Row) -> int:
        return round(row["revenue"] * 100)

    filters = {"data": {"revenue_min": least}} if isinstance(least, str) else {"filters": {"revenue_min": least}}
    rows = post(catalog, "orders", params={"per_page": 100_000}, **filters).json()["orders"]
    assert rows == [row for row in all_rows["orders"] if expected is not None and cents(row) >= expected]


def test_dates_in_every_form_name_the_same_instant(catalog, all_rows, post) -> None:
    rows = all_rows["users"]
    moment = instant(middle(rows, "registration_date"))
    east = moment + timedelta(hours=2)
    forms = [
        moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        moment.strftime("%Y-%m-%d %H:%M:%S.%f"),
        east.strftime("%Y-%m-%dT%H:%M:%S.%f+02:00"),
        east.strftime("%Y-%m-%d %H:%M:%S.%f +0200"),
    ]
    expected = [row for row in rows if instant(row["registration_date"]) >= moment]
    for form in forms:
        for sent in ({"filters": {"registration_date_from": form}}, {"data": {"registration_date_from": form}}):
            response = post(catalog, "users", params={"per_page": 1_000}, **sent)
            assert response.json()["users"] == expected, form


@pytest.mark.parametrize("date_to", ["inclusive", "exclusive"])
def test_whether_the_end_of_a_range_belongs_to_it(date_to, post) -> None:
    with sandbox(
        products=0, users=50, enrollments=0, as_of="2026-07-01", date_to=date_to, max_per_page=1_000
    ) as catalog:

        def dates_to(text: str) -> list[str]:
            response = post(catalog, "users", {"registration_date_to": text}, params={"per_page": 1_000})
            return [row["registration_date"] for row in response.json()["users"]]

        every = dates_to("9999-12-31")
        assert len(every) == 50
        moment = sorted(every)[25]
        assert (moment in dates_to(moment)) is (date_to == "inclusive")
        assert (moment in dates_to(moment[:10])) is (date_to == "inclusive")
        day = moment[:10] if date_to == "inclusive" else f"{instant(moment) + timedelta(days=1):%Y-%m-%d}"
        assert dates_to(day) == [text for text in every if text[:10] <= moment[:10]]


WRONG = [
    ("products", {"updated_at_from": "2024-01-01"}),
    ("products", {"student_ids": [1]}),
    ("users", {"product_ids": [1]}),
    *(("products", {"account_ids": value}) for value in (3, [], ["3"], [True], [3.5], [2**63], None, [1e300])),
    *(("products", {"product_statuses": value}) for value in (["open"], "OPEN", [["OPEN"]], ["\ud800"])),
    ("orders", {"promo_codes": ["SPRING50"]}),
    *(("products", {"enrollment_count_min": value}) for value in (1.5, "1", 10**30)),
    *(("products", {"listing_price_min": value}) for value in ("10", True, math.inf)),
    *(("products", {"certificate_offered": value}) for value in ("true", 1)),
    *(
        ("products", {"creation_date_to": value})
        for value in ("yesterday", "2024-02-30", "20240101", "2024-01-01\n", 1_700_000_000, "\ud800")
    ),
    ("products", {"creation_date_to": "0001-01-01T00:00:00+02:00"}),
    ("products", {"\ud800": 1}),
]


@pytest.mark.parametrize(("endpoint", "filters"), WRONG)
def test_what_the_api_would_refuse_is_refused_by_name(endpoint, filters, catalog, post) -> None:
    body = json.dumps(filters).replace("Infinity", "1e400")
    response = post(catalog, endpoint, data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(f"{next(iter(filters))} ")


def test_every_mistake_is_told(catalog, post) -> None:
    errors = post(catalog, "products", {"nonsense": 1, "revenue_min": "much"}).json()["errors"]
    assert errors == ["nonsense is not a filter of products", "revenue_min must be a number"]


def test_numbers_may_be_written_in_many_ways(catalog, post) -> None:
    for body in (b'{"account_ids": [3.0]}', b'{"revenue_min": 0.0, "revenue_max": 1%s}' % (b"0" * 400)):
        assert post(catalog, "orders", data=body, headers={"Content-Type": "application/json"}).json()["orders"]


@pytest.mark.parametrize(
    "form",
    [
        *("account_ids=three", "account_ids=", "account_ids[0]=1", "product_statuses=OPENED", "creation_date_from="),
        *("enrollment_count_min=1&enrollment_count_min=2", "enrollment_count_min=1.5", "certificate_offered=yes"),
        *("revenue_min=much", "revenue_min=nan", "revenue_min=" + "[" * 100_000),
    ],
)
def test_wrong_forms_are_refused(form, catalog, post) -> None:
    response = post(catalog, "products", data=form, headers=FORM)
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(form.partition("=")[0] + " ")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "{"),
        ("application/json", "[" * 100_000),
        ("application/json", "[]"),
        ("application/json", '{"revenue_min": NaN}'),
        ("application/json", b"\xff"),
        ("application/x-www-form-urlencoded", "{}"),
        ("application/x-www-form-urlencoded", "account_ids=%ff"),
        ("text/csv", "account_ids"),
    ],
)
def test_unreadable_bodies_are_refused(content_type, body, catalog, post) -> None:
    response = post(catalog, "products", data=body, headers={"Content-Type": content_type})
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 1


def test_a_body_without_a_type_is_json(catalog, post) -> None:
    response = post(catalog, "products", data=b'{"account_ids": [3]}')
    assert {row["account_id"] for row in response.json()["products"]} == {3}
