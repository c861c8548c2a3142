"""All 53 filters: names when a DAG is parsed, values when they are rendered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from jinja2.nativetypes import NativeEnvironment

from airflow_provider_catalog.client.endpoints import ENDPOINTS, get_endpoint
from airflow_provider_catalog.client.filter_check import check_filter_names, check_filters, filter_names
from airflow_provider_catalog.errors import CatalogFilterError

# Written out here once more, from the API's documentation, so that a filter that gets lost is noticed.
IDS = [
    "account_ids",
    "product_ids",
    "student_ids",
    "student_canvas_user_ids",
    "purchaser_ids",
    "purchaser_canvas_user_ids",
]
COUNTS = [f"{kind}_count_{end}" for kind in ("enrollment", "completion", "dropped") for end in ("min", "max")]
NUMBERS = ["listing_price_min", "listing_price_max", "revenue_min", "revenue_max"]
FLAGS = ["certificate_offered", "bulk_purchases_only"]
DATES = [
    f"{kind}_date_{end}"
    for kind in ("creation", "enrollment", "completion", "purchase", "last_enrollment", "registration")
    for end in ("from", "to")
]
CHOICES = {
    "product_statuses": ["OPEN", "CLOSED", "DELETED"],
    "promo_codes": ["APPLIED", "NOT_APPLIED"],
    "enrollment_statuses": ["ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"],
    "order_fee": ["FREE", "PAID"],
    "registered_through": ["CANVAS", "CATALOG"],
}
DOCUMENTED = {
    "products": [
        "account_ids", "product_ids", "product_statuses", "creation_date_from", "creation_date_to", *COUNTS, *NUMBERS,
        "promo_codes", "certificate_offered",
    ],
    "enrollments": [
        "account_ids", "product_ids", "product_statuses", "student_ids", "student_canvas_user_ids",
        "enrollment_date_from", "enrollment_date_to", "enrollment_statuses", "completion_date_from",
        "completion_date_to",
    ],
    "orders": [
        *IDS, "product_statuses", *NUMBERS, "promo_codes", "bulk_purchases_only", "purchase_date_from",
        "purchase_date_to", "order_fee",
    ],
    "users": [
        "account_ids", "student_ids", "student_canvas_user_ids", "enrollment_count_min", "enrollment_count_max",
        "last_enrollment_date_from", "last_enrollment_date_to", "registration_date_from", "registration_date_to",
        "registered_through",
    ],
}  # fmt: skip
EVERY_FILTER = [(endpoint, name) for endpoint, names in DOCUMENTED.items() for name in names]
NAN = [float("nan"), float("inf"), "nan", "1_0", True, [1]]
# Of each kind: values as people, templates and XComs give them, with what is sent; and what is no value of it.
KINDS = {
    "ids": (
        IDS,
        [(value, [1, 2]) for value in ("1,2", "[1, 2]", "1, 2 ", (1, "2"), ["1", "2"], range(1, 3), [1.0, Decimal(2)])]
        + [(value, [7]) for value in (7, "7", [7], "[7]", "(7,)")],
        [[], "[]", "1,,2", "1,x", [None], 1.5, True, [[1]], "[1", float("nan"), "1_0", "9" * 5000, "(" * 300],
    ),
    "count": (COUNTS, [(7, 7), ("7", 7), (7.0, 7), (" 7 ", 7), (0, 0)], [-1, "-1", 1.5, *NAN]),
    "number": (
        NUMBERS,
        [("19.5", 19.5), (19.5, 19.5), (Decimal("19.5"), 19.5), ("7", 7), (7, 7), ("-1", -1)],
        ["١٢", "-Infinity", Decimal("NaN"), Decimal("sNaN"), *NAN],
    ),
    "flag": (
        FLAGS,
        [("true", True), (True, True), ("False", False), ("0", False), (1, True)],
        [2, [True], "maybe"],
    ),
    "date": (
        DATES,
        [(date(2026, 1, 31), "2026-01-31")],
        [1, True, "2026-13-01", "01/31/2026", ["2026-01-01"]],
    ),
    "choice": ([*CHOICES], [], [1, [], [None], "OPEN;CLOSED", True]),
}


def kind_of(name):
    return next(kind for kind, (names, _, _) in KINDS.items() if name in names)


def check(endpoint, **filters):
    return check_filters(ENDPOINTS[endpoint], filters)


def refused(endpoint, **filters) -> str:
    with pytest.raises(CatalogFilterError) as caught:
        check(endpoint, **filters)
    assert isinstance(caught.value, ValueError)
    assert caught.value.endpoint == endpoint
    return str(caught.value)


def test_the_names_are_those_of_the_documentation():
    assert {name: filter_names(endpoint) for name, endpoint in ENDPOINTS.items()} == {
        name: sorted(names) for name, names in DOCUMENTED.items()
    }
    assert len(EVERY_FILTER) == 53


@pytest.mark.parametrize(("endpoint", "name"), EVERY_FILTER)
def test_every_filter_takes_what_a_template_or_an_xcom_gives(endpoint, name):
    for nothing in (None, "", "  "):
        assert check(endpoint, **{name: nothing}) == {}
    _, right, _ = KINDS[kind_of(name)]
    if name in CHOICES:
        first, *_, last = CHOICES[name]
        right = [(first.lower(), [first]), (CHOICES[name], CHOICES[name])]
        right += [(each, [first, last]) for each in (f"{first},{last.title()}", str([first, last]))]
    for value, sent in right:
        found = check(endpoint, **{name: value})
        assert found == {name: sent}
        assert type(found[name]) is type(sent)


@pytest.mark.parametrize(("endpoint", "name"), EVERY_FILTER)
def test_every_filter_refuses_what_is_no_value_of_its_kind(endpoint, name):
    for value in [{"a": 1}, b"1", "word", object(), *KINDS[kind_of(name)][2]]:
        message = refused(endpoint, **{name: value})
        assert f"filter {name!r} is " in message
        assert "allowed: " in message
        assert len(message) < 500


@pytest.mark.parametrize("value", ["word", "x" * 1000])
def test_an_error_shows_the_value_but_not_all_of_a_long_one(value):
    assert value[:50] in refused("orders", order_fee=value)


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"account_ids": [1, "x", 3]}, "its item 'x' is not allowed"),
        ({"account_ids": []}, "an empty list; leave the filter out"),
        ({"revenue_min": "0.12345678901234567890"}, "more digits than a float holds"),
    ],
)
def test_an_error_says_what_is_wrong_where_the_value_alone_does_not(filters, says):
    assert f"({says}" in refused("products", **filters)


def test_several_errors_are_told_at_once():
    message = refused("orders", order_fee="gratis", purchaser_ids="x")
    assert "order_fee" in message
    assert "FREE, PAID" in message
    assert "purchaser_ids" in message


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", ["acount_ids", "ACCOUNT_IDS", "account_id"])
def test_an_unknown_name_gets_the_nearest_right_one(endpoint, name):
    with pytest.raises(CatalogFilterError, match=f"{endpoint} has no filter '{name}'; did you mean 'account_ids'"):
        check_filter_names(ENDPOINTS[endpoint], {name: 1})
    refused(endpoint, **{name: 1})


def test_a_filter_of_another_endpoint():
    message = refused("users", purchase_date_from="2026-01-01")
    assert "it is a filter of orders" in message
    assert "registration_date_from" in message


def test_an_unknown_name_with_nothing_near_lists_them_all():
    message = refused("users", zzz=1)
    assert all(name in message for name in DOCUMENTED["users"])


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (datetime(2026, 1, 31, 12, 30, 5, 999), "2026-01-31T12:30:05Z"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T10:00:00Z"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00+02:00"),
        ("2026-01-31 12:00:00+00:00", "2026-01-31 12:00:00+00:00"),
        ("20260131T120000", "20260131T120000"),
        (" 2026-01-31T12:00:00.123456Z ", "2026-01-31T12:00:00.123456Z"),
    ],
)
def test_dates(value, sent):
    assert check("orders", purchase_date_from=value) == {"purchase_date_from": sent}


def windows(endpoint):
    return [name.removesuffix("_from") for name in DOCUMENTED[endpoint] if name.endswith("_from")]


@pytest.mark.parametrize(("endpoint", "window"), [(e, w) for e in ENDPOINTS for w in windows(e)])
def test_windows(endpoint, window):
    def filters(start, end):
        return {f"{window}_from": start, f"{window}_to": end}

    midnight = datetime(2026, 1, 31, tzinfo=UTC)
    for start, end in [
        (date(2026, 1, 31), date(2026, 1, 31)),  # a day to the same day is that whole day
        (midnight, date(2026, 1, 31)),
        (date(2026, 1, 31), midnight + timedelta(hours=1)),
        (midnight, midnight + timedelta(seconds=1)),
    ]:
        assert set(check(endpoint, **filters(start, end))) == set(filters(start, end))
    for start, end in [(date(2026, 2, 1), date(2026, 1, 31)), (midnight + timedelta(seconds=1), midnight)]:
        message = refused(endpoint, **filters(start, end))
        assert f"{window}_from" in message
        assert "later than" in message
    for start, end in [
        (midnight, midnight),
        (midnight.replace(tzinfo=None), "2026-01-31T02:00:00+02:00"),
        ("2026-01-31T00:00", "20260131T000000Z"),
    ]:
        message = refused(endpoint, **filters(start, end))
        assert "data_interval_start == data_interval_end" in message
        assert "CronDataIntervalTimetable" in message


def ranges(endpoint):
    return [name.removesuffix("_min") for name in DOCUMENTED[endpoint] if name.endswith("_min")]


@pytest.mark.parametrize(("endpoint", "quantity"), [(e, r) for e in ENDPOINTS for r in ranges(e)])
def test_ranges(endpoint, quantity):
    assert check(endpoint, **{f"{quantity}_min": "3", f"{quantity}_max": 3}) == {
        f"{quantity}_min": 3, f"{quantity}_max": 3,
    }  # fmt: skip
    message = refused(endpoint, **{f"{quantity}_min": "10", f"{quantity}_max": 9})
    assert f"{quantity}_min" in message
    assert "more than" in message


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_no_filters(nothing):
    assert check_filters(ENDPOINTS["orders"], nothing) == {}


@pytest.mark.parametrize("nothing", ["None", "null", " None "])
def test_a_template_that_gave_none_is_told(nothing):
    assert "write {{ params.x or '' }} in the template" in refused("orders", account_ids=nothing)
    with pytest.raises(CatalogFilterError, match=r"orders: write \{\{ params.x or '' \}\} in the template of filters"):
        check_filters(ENDPOINTS["orders"], nothing)  # it would ask for all rows


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("account_ids", "1,2"),
        ("account_ids", "[1, 2]"),
        ("account_ids", "7"),
        ("purchase_date_from", "2026-01-31"),
        ("purchase_date_from", "20260131"),
        ("purchase_date_from", "2026-01-31T00:00:00+00:00"),
        ("revenue_min", "19.5"),
        ("bulk_purchases_only", "True"),
        ("bulk_purchases_only", "true"),
        ("order_fee", "FREE"),
        ("product_statuses", "['OPEN', 'CLOSED']"),
    ],
)
def test_native_values_of_a_template_are_sent_as_its_text_is(name, text):
    """With ``render_template_as_native_obj``, Airflow makes Python values of what templates give."""
    native = NativeEnvironment().from_string("{{ value }}").render(value=text)
    assert check("orders", **{name: native}) == check("orders", **{name: text})


def test_filters_that_one_template_made():
    assert check_filters(ENDPOINTS["orders"], "{'account_ids': [3]}") == {"account_ids": [3]}
    assert check_filters(ENDPOINTS["orders"], '{"account_ids": [3]}') == {"account_ids": [3]}
    for wrong in ("{{ oops", "[1]", "[]", "False", "0", 5, [("account_ids", 1)]):
        with pytest.raises(CatalogFilterError, match="allowed: a dict"):
            check_filters(ENDPOINTS["orders"], wrong)


def test_an_unknown_endpoint():
    with pytest.raises(ValueError, match="'order' is not one of products, enrollments, orders, users"):
        get_endpoint("order")
