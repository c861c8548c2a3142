"""All 53 filters: names when a DAG is parsed, values when they are rendered, and what is sent of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from operator import itemgetter
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.nativetypes import NativeEnvironment

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.filter_check import check_filters, filter_names
from airflow_provider_catalog.errors import CatalogFilterError
from tests.catalog_server import Answer, catalog_server

# Their names are held against the documentation by tests/test_readme.py.
EVERY_FILTER = [(endpoint, name) for endpoint, spec in ENDPOINTS.items() for name in filter_names(spec)]
CHOICES = {
    "product_statuses": ["OPEN", "CLOSED", "DELETED"],
    "promo_codes": ["APPLIED", "NOT_APPLIED"],
    "enrollment_statuses": ["ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"],
    "order_fee": ["FREE", "PAID"],
    "registered_through": ["CANVAS", "CATALOG"],
}
NAN = [float("nan"), float("inf"), "nan", "1_0", True, [1]]
# Of each kind: values as people, templates and XComs give them, with what is sent; and what is no value of it.
KINDS = {
    "ids": (
        [(value, [1, 2]) for value in ("1,2", "[1, 2]", "1, 2 ", (1, "2"), ["1", "2"], range(1, 3), [1.0, Decimal(2)])]
        + [(value, [7]) for value in (7, "7", [7], "[7]", "(7,)")],
        [[], "[]", "1,,2", "1,x", [None], 1.5, True, [[1]], "[1", float("nan"), "1_0", "9" * 5000, "(" * 300],
    ),
    "count": ([(7, 7), ("7", 7), (7.0, 7), (" 7 ", 7), (0, 0)], [-1, "-1", 1.5, *NAN]),
    "number": (
        [("19.5", 19.5), (19.5, 19.5), (Decimal("19.5"), 19.5), ("7", 7), (7, 7), ("-1", -1)],
        ["١٢", "-Infinity", Decimal("NaN"), Decimal("sNaN"), *NAN],
    ),
    "flag": ([("true", True), (True, True), ("False", False), ("0", False), (1, True)], [2, [True], "maybe"]),
    "date": (
        [
            (date(2026, 1, 31), "2026-01-31"),
            (datetime(2026, 1, 31, 12, 30, 5, 999), "2026-01-31T12:30:05Z"),
            (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T10:00:00Z"),
            ("2026-01-31", "2026-01-31"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00+02:00"),
            ("2026-01-31 12:00:00+00:00", "2026-01-31 12:00:00+00:00"),
            ("20260131T120000", "20260131T120000"),
            (" 2026-01-31T12:00:00.123456Z ", "2026-01-31T12:00:00.123456Z"),
        ],
        [1, True, "2026-13-01", "01/31/2026", ["2026-01-01"]],
    ),
    "choice": ([], [1, [], [None], "OPEN;CLOSED", True]),
}


def kind_of(name):
    if name in CHOICES:
        return "choice"
    if name in ("certificate_offered", "bulk_purchases_only"):
        return "flag"
    by_end = {"ids": "ids", "from": "date", "to": "date"}
    return "count" if "_count_" in name else by_end.get(name.rpartition("_")[2], "number")


def check(endpoint, filters):
    return check_filters(ENDPOINTS[endpoint], filters)


def refused(endpoint, filters) -> str:
    with pytest.raises(CatalogFilterError) as caught:
        check(endpoint, filters)
    assert isinstance(caught.value, ValueError)
    assert caught.value.endpoint == endpoint
    assert len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.parametrize(("endpoint", "name"), EVERY_FILTER)
def test_every_filter(endpoint, name):
    """It takes what a template or an XCom gives, and refuses what is no value of its kind."""
    right, wrong = KINDS[kind_of(name)]
    if name in CHOICES:
        first, *_, last = CHOICES[name]
        right = [(first.lower(), [first]), (CHOICES[name], CHOICES[name])]
        right += [(each, [first, last]) for each in (f"{first},{last.title()}", str([first, last]))]
    for value, sent in right:
        found = check(endpoint, {name: value})
        assert found == {name: sent}
        assert type(found[name]) is type(sent)
    for nothing in (None, "", "  "):
        assert check(endpoint, {name: nothing}) == {}
    for value in [{"a": 1}, b"1", "word", object(), *wrong]:
        message = refused(endpoint, {name: value})
        assert f"filter {name!r} is " in message
        assert "allowed: " in message


NONE = "write {{ params.x or '' }} in the template"
SAME_INSTANT = "data_interval_start == data_interval_end", "CronDataIntervalTimetable"
MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)


def window(start, end):
    return {"purchase_date_from": start, "purchase_date_to": end}


@pytest.mark.parametrize(
    ("endpoint", "filters", "says"),
    [
        *((endpoint, {name: 1}, [f"{endpoint} has no filter '{name}'; did you mean 'account_ids'"])
          for endpoint in ENDPOINTS for name in ("acount_ids", "ACCOUNT_IDS", "account_id")),
        ("users", {"purchase_date_from": "2026-01-01"}, ["it is a filter of orders", "registration_date_from"]),
        ("users", {"zzz": 1}, filter_names(ENDPOINTS["users"])),
        ("orders", {"order_fee": "x" * 1000}, ["x" * 50]),
        ("orders", {"order_fee": "gratis", "purchaser_ids": "x"}, ["order_fee", "FREE, PAID", "purchaser_ids"]),
        ("products", {"account_ids": [1, "x", 3]}, ["(its item 'x' is not allowed"]),
        ("products", {"account_ids": []}, ["(an empty list; leave the filter out"]),
        ("products", {"revenue_min": "0.12345678901234567890"}, ["(more digits than a float holds"]),
        *(("orders", {name: value}, [f"filter '{name}' is ", "very large"])
          for name in ("account_ids", "listing_price_min", "purchase_date_from", "order_fee")
          for value in (10**5000, [10**5000], {"a": 10**5000})),  # more digits than Python prints
        *(("orders", {"account_ids": nothing}, [NONE]) for nothing in ("None", "null", " None ")),
        *(("orders", nothing, [f"orders: {NONE} of filters"]) for nothing in ("None", "null", " None ")),
        *(("orders", wrong, ["allowed: a dict"])
          for wrong in ("{{ oops", "[1]", "[]", "False", "0", 5, [("account_ids", 1)])),
        ("orders", window(date(2026, 2, 1), date(2026, 1, 31)), ["purchase_date_from", "later than"]),
        ("orders", window(MIDNIGHT + timedelta(seconds=1), MIDNIGHT), ["purchase_date_from", "later than"]),
        ("orders", window(MIDNIGHT, MIDNIGHT), SAME_INSTANT),
        ("orders", window(MIDNIGHT.replace(tzinfo=None), "2026-01-31T02:00:00+02:00"), SAME_INSTANT),
        ("orders", window("2026-01-31T00:00", "20260131T000000Z"), SAME_INSTANT),
    ],
)  # fmt: skip
def test_what_is_said_of_a_mistake(endpoint, filters, says):
    message = refused(endpoint, filters)
    assert all(each in message for each in says), message


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2026, 1, 31), date(2026, 1, 31)),  # a day to the same day is that whole day
        (MIDNIGHT, date(2026, 1, 31)),
        (date(2026, 1, 31), MIDNIGHT + timedelta(hours=1)),
        (MIDNIGHT, MIDNIGHT + timedelta(seconds=1)),
    ],
)
def test_windows(start, end):
    assert check("orders", window(start, end)).keys() == window(start, end).keys()


@pytest.mark.parametrize(("endpoint", "name"), [each for each in EVERY_FILTER if each[1].endswith(("_min", "_from"))])
def test_the_ends_of_ranges_and_windows(endpoint, name):
    values, end = ("3", "10"), name.replace("_min", "_max")
    if name.endswith("_from"):
        values, end = ("2026-01-31", "2026-02-01"), name.replace("_from", "_to")
    assert check(endpoint, {name: values[0], end: values[1]}).keys() == {name, end}
    assert check(endpoint, {name: values[0], end: values[0]}).keys() == {name, end}
    assert f"{name!r} is {values[1]}, which is " in refused(endpoint, {name: values[1], end: values[0]})


@pytest.mark.parametrize(
    ("filters", "sent"),
    [*((nothing, {}) for nothing in (None, "", {})), ("{'account_ids': [3]}", {"account_ids": [3]}),
     ('{"account_ids": [3]}', {"account_ids": [3]})],
)  # fmt: skip
def test_all_filters_from_one_template(filters, sent):
    assert check("orders", filters) == sent


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("account_ids", text) for text in ("1,2", "[1, 2]", "7")),
        *(("purchase_date_from", text) for text in ("2026-01-31", "20260131", "2026-01-31T00:00:00+00:00")),
        ("revenue_min", "19.5"), ("bulk_purchases_only", "True"), ("bulk_purchases_only", "true"),
        ("order_fee", "FREE"), ("product_statuses", "['OPEN', 'CLOSED']"),
    ],
)  # fmt: skip
def test_native_values_of_a_template_are_sent_as_its_text_is(name, text):
    """With ``render_template_as_native_obj``, Airflow makes Python values of what templates give."""
    native = NativeEnvironment().from_string("{{ value }}").render(value=text)
    assert check("orders", {name: native}) == check("orders", {name: text})


# --- Any value --------------------------------------------------------------------------------------------------------

integers = st.integers(-(2**63), 2**63) | st.integers()
written = st.sampled_from([lambda value: value, str, lambda value: f" {value} "])
days = st.dates(date(1900, 1, 1)).map(lambda day: (day, day.isoformat()))
zones = st.none() | st.sampled_from([UTC, timezone(timedelta(hours=-3.5)), timezone(timedelta(hours=14))])
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones)
numbers = st.one_of(
    integers,
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**9), 10**9, places=2).filter(
        lambda number: Decimal(float(number)) == number or Decimal(repr(float(number))) == number  # a float keeps it
    ),
)


def as_second_in_utc(moment):
    """A time without a zone is UTC; what the API documents has no fractions of a second."""
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def given_and_meant(meant, forms):
    """Values, as people give them, each with what the API has to be told."""
    return st.tuples(meant, forms).map(lambda pair: (pair[1](pair[0]), pair[0]))


RIGHT = {
    "ids": given_and_meant(
        st.lists(integers, min_size=1, max_size=4),
        st.sampled_from([list, tuple, str, lambda ids: ", ".join(map(str, ids))]),
    ),
    "count": given_and_meant(st.integers(0), written),
    "number": given_and_meant(numbers, written),
    "flag": given_and_meant(st.booleans(), written),
    "date": days | moments.map(lambda moment: (moment, as_second_in_utc(moment))) | days.map(lambda day: (day[1],) * 2),
}


@st.composite
def right_filters(draw):
    """Of ranges and windows one end: they can't be the wrong way round."""
    endpoint, filters = draw(st.sampled_from(list(ENDPOINTS))), {}
    names = [name for name in filter_names(ENDPOINTS[endpoint]) if not name.endswith(("_max", "_to"))]
    for name in draw(st.lists(st.sampled_from(names), max_size=5, unique=True)):
        words = st.lists(st.sampled_from(CHOICES.get(name, [""])), min_size=1, max_size=4)
        forms = st.sampled_from([list, ",".join, lambda each: ", ".join(each).lower()])
        filters[name] = draw(given_and_meant(words, forms) if name in CHOICES else RIGHT[kind_of(name)])
    return endpoint, filters


nothing_like_it = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(), st.binary(), st.dates(),
        st.datetimes(), st.sampled_from(["9" * 5000, Decimal("1e999999999"), "\ud800"]),
        st.sampled_from(["2026-01-31\ud80012:00", "2026-01-31x12:00", "[1, 2", "[{[]: 1}]", "{}", "nan", "1e400"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def ask(read):
    """Return a function that asks for rows and returns the content of the body that the server got."""
    with catalog_server(lambda request: Answer({"data": []})) as catalog:

        def ask_server(encoding, endpoint, filters):
            catalog.requests.clear()
            assert read(catalog.url, endpoint, filters, request_encoding=encoding) == []
            [request] = catalog.requests
            if encoding == "json":
                return json.loads(request.body)
            return parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(request.body))

        yield ask_server


@given(right_filters())
def test_what_is_right_is_sent_as_it_was_meant(ask, drawn):
    endpoint, filters = drawn
    sent = check(endpoint, {name: given for name, (given, _) in filters.items()})
    meant = {name: meaning for name, (_, meaning) in filters.items()}
    as_json = ask("json", endpoint, sent)
    assert as_json == {name: float(m) if isinstance(m, Decimal) else m for name, m in meant.items()}
    assert {type(value) for value in as_json.values()} <= {int, float, bool, str, list}
    form = [(name, each) for name, m in meant.items() for each in (m if isinstance(m, list) else [m])]
    received = read_form(ask("form", endpoint, sent), meant)
    assert sorted(form, key=itemgetter(0)) == sorted(received, key=itemgetter(0))


def read_form(pairs, meant):
    """Yield the fields of a form as values, the way that a server reads them that knows the filters."""
    for name, text in pairs:
        plain = name.removesuffix("[]")
        assert name.endswith("[]") is isinstance(meant[plain], list)
        kind = kind_of(plain)
        if kind in ("ids", "count"):
            yield plain, int(text)
        elif kind == "number":
            assert "e" not in text.lower(), "plain digits, which every reader of forms knows"
            # The sender knows floats, so a number is told as exactly as a float tells it.
            yield plain, Decimal(text) if isinstance(meant[plain], Decimal) else type(meant[plain])(text)
        else:
            yield plain, {"true": True, "false": False}[text] if kind == "flag" else text


@given(st.sampled_from(EVERY_FILTER), nothing_like_it)
def test_anything_else_is_refused_with_a_message_or_sent_as_the_api_takes_it(ask, filter_, value):
    endpoint, name = filter_
    try:
        sent = check(endpoint, {name: value})
    except CatalogFilterError as error:
        assert f"filter {name!r} is " in str(error)
        assert "allowed: " in str(error)
        assert len(str(error)) < 600
        return
    assert ask("json", endpoint, sent) == sent
    ask("form", endpoint, sent)
    kinds = {"ids": list, "choice": list, "count": int, "number": int | float, "flag": bool, "date": str}
    assert all(isinstance(what, kinds[kind_of(name)]) for what in sent.values())
    assert check(endpoint, sent) == sent, "what is sent is a right value itself"


@given(nothing_like_it | st.text().map(lambda text: f"{{{text}}}"), st.sampled_from(list(ENDPOINTS)))
def test_whatever_stands_for_all_filters(filters, endpoint):
    try:
        check(endpoint, filters)
    except CatalogFilterError as error:
        assert str(error)


@given(st.text() | st.integers() | st.just("x" * 100_000))
def test_any_name(name):
    assert "has no filter" in refused("orders", {name: 1})
