"""The made-up data agrees with itself, is the same every time, and changes as time passes."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
import requests

from airflow_provider_catalog.sandbox import ENDPOINTS, sandbox
from tests.sandbox.conftest import EMPTY

KEYS = {
    "products": lambda row: row["product"]["id"],
    "enrollments": lambda row: row["enrollment_id"],
    "orders": lambda row: row["order_id"],
    "users": lambda row: row["student"]["id"],
}
SIZES = {"products": 40, "users": 200, "enrollments": 2_000}


@pytest.fixture(scope="session")
def rows_of(read):
    """Return a function that gives the rows of every endpoint of a new sandbox, by their key."""

    def run(**options):
        with sandbox(**options, max_per_page=100_000) as catalog:
            return {endpoint: by_key(endpoint, rows) for endpoint, rows in read(catalog).items()}

    return run


def by_key(endpoint, rows):
    return {KEYS[endpoint](row): row for row in rows}


def cents(amount):
    return round(amount * 100)


def check_agreement(all_rows):
    """Sums are those of the rows, and rows refer to rows that are there."""
    statuses, seats, enrolled = defaultdict(Counter), defaultdict(list), defaultdict(list)
    users = {row["student"]["id"]: row for row in all_rows["users"]}
    products = {row["product"]["id"]: row for row in all_rows["products"]}
    for row in all_rows["enrollments"]:
        statuses[row["product"]["id"]][row["enrollment_status"]] += 1
        seats[row["order_id"]].append(row)
        enrolled[row["student"]["id"]].append(row["enrollment_date"])
        assert row["student"] == users[row["student"]["id"]]["student"]
        assert row["custom_fields"] == users[row["student"]["id"]]["custom_fields"]
        assert row["enrollment_date"] >= users[row["student"]["id"]]["registration_date"]
        assert (row["completion_date"] is not None) == (row["enrollment_status"] == "COMPLETED")
        assert row["completion_date"] is None or row["completion_date"] > row["enrollment_date"]
    revenue, discount, codes = Counter(), Counter(), defaultdict(set)
    for row in all_rows["orders"]:
        product = products[row["product"]["id"]]
        shared = ("product", "product_status", "list_price", "currency", "account_id", "account_name")
        assert {key: row[key] for key in shared} == {key: product[key] for key in shared}
        assert datetime.fromisoformat(row["purchase_date"]) >= datetime.fromisoformat(product["created_at"])
        assert row["purchaser"] == users[row["purchaser"]["id"]]["student"]
        of_order = seats.pop(row["order_id"])
        assert row["seats"] == len(of_order)
        assert row["bulk_purchase"] == (len(of_order) > 1)
        assert row["student"] == (of_order[0]["student"] if len(of_order) == 1 else None)
        assert {seat["product"]["id"] for seat in of_order} == {row["product"]["id"]}
        price = cents(row["list_price"]) * len(of_order) - cents(row["discount"])
        assert cents(row["revenue"]) in (price, price - price // 2, price - price * 90 // 100)  # or less a refund
        revenue[row["product"]["id"]] += cents(row["revenue"])
        discount[row["product"]["id"]] += cents(row["discount"])
        codes[row["product"]["id"]].update(row["promo_codes"])
    assert not seats, "enrollments without an order"
    for product_id, row in products.items():
        counts = statuses[product_id]
        assert row["enrollment_count"] == counts.total()
        assert row["completion_count"] == counts["COMPLETED"]
        assert row["dropped_count"] == counts["DROPPED"]
        assert (cents(row["revenue"]), cents(row["discount"])) == (revenue[product_id], discount[product_id])
        assert row["promo_codes"] == sorted(codes[product_id])
    for user_id, row in users.items():
        assert row["enrollment_count"] == len(enrolled[user_id])
        assert row["last_enrollment_date"] == max(enrolled[user_id], default=None)


def test_the_data_has_the_cases_that_matter(all_rows):
    def values(endpoint, key):
        return {row[key] for row in all_rows[endpoint]}

    assert values("products", "product_status") == {"OPEN", "CLOSED", "DELETED"}
    assert values("enrollments", "enrollment_status") == {"ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"}
    assert values("users", "registered_through") == {"CANVAS", "CATALOG"}
    assert values("products", "certificate_offered") == values("orders", "bulk_purchase") == {True, False}
    assert values("products", "currency") == {"USD", "EUR"}
    assert {type(price) for price in values("products", "list_price")} == {int, float}
    assert {0} < values("orders", "revenue")
    assert {0} < values("orders", "discount")
    assert {len(row["promo_codes"]) for row in all_rows["orders"]} == {0, 1, 2}
    for sometimes_null in (
        *(values("products", key) for key in ("canvas_course_id", "credits")),
        *(values("enrollments", key) for key in ("canvas_section_id", "requirement_completion")),
        values("users", "last_enrollment_date"),
    ):
        assert {None} < sometimes_null
    assert {None} < {row["product"]["sku"] for row in all_rows["products"]}
    assert {None} < {row["student"]["canvas_user_id"] for row in all_rows["users"]}
    assert any(not row["student"]["name"].isascii() for row in all_rows["users"])
    assert all(row["student"]["email"].endswith("@example.edu") for row in all_rows["users"])


def test_products_look_like_the_documented_example(all_rows):
    documented = (
        "account_id account_name product product_status created_at canvas_course_id enrollment_count dropped_count "
        "completion_count currency list_price promo_codes discount revenue credits certificate_offered"
    )
    row = all_rows["products"][0]
    assert list(row) == documented.split()
    assert list(row["product"]) == ["name", "id", "url", "sku"]


def test_the_same_options_give_the_same_data_on_every_machine(rows_of):
    # A change of this digest is a change of everybody's expected values: say so in the changelog.
    rows = rows_of(products=20, users=40, enrollments=300, as_of="2026-07-01")
    digest = hashlib.sha256(json.dumps([list(each.values()) for each in rows.values()]).encode()).hexdigest()
    assert digest.startswith("85582f81dcc3")
    assert rows_of(products=20, users=40, enrollments=300, as_of="2026-07-01", seed=2) != rows


@pytest.mark.parametrize(("size", "enrollments"), [(0, 0), (1, 1), (1, 333), (2, 7), (3, 0), (7, 7), (33, 333)])
def test_there_are_as_many_rows_as_asked_for(size, enrollments, rows_of):
    rows = rows_of(products=size, users=size, enrollments=enrollments)
    assert [len(rows[endpoint]) for endpoint in ("products", "users", "enrollments")] == [size, size, enrollments]
    assert bool(enrollments) <= len(rows["orders"]) <= enrollments


def test_data_goes_back_two_years_from_the_last_midnight(rows_of):
    with sandbox(**SIZES) as catalog:
        assert catalog.now == datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with sandbox(**SIZES, live=True) as catalog:
        assert timedelta() < datetime.now(UTC) - catalog.now < timedelta(minutes=2)
    bought = sorted(datetime.fromisoformat(row["purchase_date"]) for row in rows_of(**SIZES)["orders"].values())
    assert timedelta(days=725) < datetime.now(UTC) - bought[0] < timedelta(days=745)
    assert timedelta() < datetime.now(UTC) - bought[-1] < timedelta(days=7)


@pytest.mark.parametrize(
    "as_of", ["2026-07-01T02:00+02:00", datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 1).date()]
)
def test_a_time_may_be_given_in_many_ways(as_of):
    with sandbox(**EMPTY, as_of=as_of) as catalog:
        assert catalog.now == datetime(2026, 7, 1, tzinfo=UTC)


def test_a_row_is_the_same_today_and_tomorrow_but_for_what_happened(rows_of):
    today, later = (rows_of(**SIZES, as_of=day) for day in ("2026-06-30", "2026-07-30"))
    changing = {
        "products": {"product_status", "enrollment_count", "completion_count", "dropped_count", "revenue", "discount"}
        | {"promo_codes"},
        "enrollments": {"product_status", "enrollment_status", "completion_date", "requirement_completion"},
        "orders": {"product_status", "revenue"},
        "users": {"enrollment_count", "last_enrollment_date"},
    }
    for endpoint, fields in changing.items():
        both = today[endpoint].keys() & later[endpoint].keys()
        assert len(both) > 0.9 * len(today[endpoint])
        for key in both:
            kept = today[endpoint][key].keys() - fields
            assert {name: today[endpoint][key][name] for name in kept} == {
                name: later[endpoint][key][name] for name in kept
            }


def test_time_passes_in_steps_or_at_once(read):
    options = {**SIZES, "enrollments": 6_000, "as_of": "2026-06-01", "max_per_page": 100_000}
    with sandbox(**options) as slow, sandbox(**options) as fast:
        before = read(slow)
        for day in range(1, 31):
            assert slow.advance() == slow.now == datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=day)
        asked = requests.post(f"{fast.url}/sandbox/advance?days=30", timeout=10)  # as another process does
        assert asked.json() == {"now": "2026-07-01T00:00:00+00:00"}
        after = read(slow)
        assert after == read(fast)
        assert slow.row_counts == {endpoint: len(rows) for endpoint, rows in after.items()}
    check_agreement(after)
    rows = {endpoint: [by_key(endpoint, each[endpoint]) for each in (before, after)] for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        old, new = rows[endpoint]
        assert old.keys() < new.keys(), endpoint  # new rows, and none is gone
        assert max(old) < min(new.keys() - old.keys()), "new rows come last"
    old, new = rows["enrollments"]
    ended = Counter(new[key]["enrollment_status"] for key in old if new[key] != old[key])
    assert ended.keys() >= {"COMPLETED", "DROPPED", "CONCLUDED"}
    assert all(row["enrollment_status"] == "ACTIVE" for key, row in old.items() if new[key] != row)
    old, new = rows["orders"]
    refunded = [key for key in old if new[key]["revenue"] != old[key]["revenue"]]
    assert refunded, "or another month has to be taken"
    assert all(0 < new[key]["revenue"] < old[key]["revenue"] for key in refunded)
    assert min(old[key]["purchase_date"] for key in refunded) < "2026-05-20", "a refund may be late"


def test_a_live_catalog_goes_on_by_itself(post):
    with sandbox(**SIZES, live=True, day_length=0.05) as catalog:
        started, count = catalog.now, catalog.row_count("orders")
        deadline = time.monotonic() + 30
        while catalog.row_count("orders") == count and time.monotonic() < deadline:
            assert post(catalog, "orders").status_code == 200
            time.sleep(0.1)
        assert catalog.row_count("orders") > count
        assert catalog.now > started


@pytest.mark.parametrize("days", [-1, 4_000, float("nan")])
def test_time_goes_only_forward(days):
    with sandbox(**EMPTY) as catalog, pytest.raises(ValueError, match=f"days={days}"):
        catalog.advance(days)
