"""Any filter value is sent as it was meant, as JSON and as a form, or refused with a message."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from operator import itemgetter
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.filter_check import check_filters
from airflow_provider_catalog.errors import CatalogFilterError
from tests.catalog_server import Answer, catalog_server
from tests.client.test_filters import CHOICES, DOCUMENTED, kind_of

# Of each kind of filter, values that are right, each with what the API has to be told.
integers = st.integers(-(2**63), 2**63) | st.integers()
written = st.sampled_from([lambda value: value, str, lambda value: f" {value} "])
days = st.dates(date(1900, 1, 1)).map(lambda day: (day, day.isoformat()))
moments = st.datetimes(
    datetime(1900, 1, 1),
    datetime(2200, 1, 1),
    timezones=st.none() | st.sampled_from([UTC, timezone(timedelta(hours=-3.5)), timezone(timedelta(hours=14))]),
)


def as_second_in_utc(moment):
    """A time without a zone is UTC; what the API documents has no fractions of a second."""
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_kept_by_a_float(number):
    return Decimal(float(number)) == number or Decimal(repr(float(number))) == number


numbers = st.one_of(
    integers,
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**9), 10**9, places=2).filter(is_kept_by_a_float),
)
id_lists = st.lists(integers, min_size=1, max_size=4)
RIGHT = {
    "ids": st.tuples(id_lists, st.sampled_from([list, tuple, str, lambda ids: ", ".join(map(str, ids))])).map(
        lambda pair: (pair[1](pair[0]), pair[0])
    ),
    "count": st.tuples(st.integers(0), written).map(lambda pair: (pair[1](pair[0]), pair[0])),
    "number": st.tuples(numbers, written).map(lambda pair: (pair[1](pair[0]), pair[0])),
    "flag": st.tuples(st.booleans(), written).map(lambda pair: (pair[1](pair[0]), pair[0])),
    "date": days | moments.map(lambda moment: (moment, as_second_in_utc(moment))) | days.map(lambda day: (day[1],) * 2),
}


def right(name):
    if name in CHOICES:
        words = st.lists(st.sampled_from(CHOICES[name]), min_size=1, max_size=4)
        return st.tuples(words, st.sampled_from([list, ",".join, lambda each: ", ".join(each).lower()])).map(
            lambda pair: (pair[1](pair[0]), pair[0])
        )
    return RIGHT[kind_of(name)]


# An open range or window: its two ends can't be the wrong way round.
@st.composite
def right_filters(draw):
    endpoint = draw(st.sampled_from(list(DOCUMENTED)))
    names = draw(st.lists(st.sampled_from(DOCUMENTED[endpoint]), max_size=5, unique=True))
    names = [name for name in names if not (name.endswith(("_max", "_to")))]
    return endpoint, {name: draw(right(name)) for name in names}


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
    sent = check_filters(ENDPOINTS[endpoint], {name: given for name, (given, _) in filters.items()})
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
        elif kind == "flag":
            yield plain, {"true": True, "false": False}[text]
        else:
            yield plain, text


@given(
    st.sampled_from([(endpoint, name) for endpoint, names in DOCUMENTED.items() for name in names]),
    nothing_like_it,
)
def test_anything_else_is_refused_with_a_message_or_sent_as_the_api_takes_it(ask, filter_, value):
    endpoint, name = filter_
    try:
        sent = check_filters(ENDPOINTS[endpoint], {name: value})
    except CatalogFilterError as error:
        assert f"filter {name!r} is " in str(error)
        assert "allowed: " in str(error)
        assert len(str(error)) < 600
        return
    assert set(sent) <= {name}
    assert ask("json", endpoint, sent) == sent
    ask("form", endpoint, sent)
    for what in sent.values():
        kinds = {"ids": list, "choice": list, "count": int, "number": int | float, "flag": bool, "date": str}
        assert isinstance(what, kinds[kind_of(name)])
    assert check_filters(ENDPOINTS[endpoint], sent) == sent, "what is sent is a right value itself"


@pytest.mark.parametrize("name", ["account_ids", "listing_price_min", "purchase_date_from", "order_fee"])
@pytest.mark.parametrize("value", [10**5000, [10**5000], {"a": 10**5000}], ids=["alone", "in a list", "in a dict"])
def test_an_integer_that_python_does_not_print(name, value):
    with pytest.raises(CatalogFilterError, match=f"filter '{name}' is a very large|its item a very large"):
        check_filters(ENDPOINTS["orders"], {name: value})


@given(nothing_like_it | st.text().map(lambda text: f"{{{text}}}"), st.sampled_from(list(ENDPOINTS)))
def test_whatever_stands_for_all_filters(filters, endpoint):
    try:
        check_filters(ENDPOINTS[endpoint], filters)
    except CatalogFilterError as error:
        assert str(error)


@given(st.text() | st.integers() | st.just("x" * 100_000))
def test_any_name(name):
    with pytest.raises(CatalogFilterError, match="has no filter") as caught:
        check_filters(ENDPOINTS["orders"], {name: 1})
    assert len(str(caught.value)) < 600
