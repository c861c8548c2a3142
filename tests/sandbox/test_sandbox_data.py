"""The made-up data agrees with itself, and is the same every time."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_catalog.sandbox import Options
from airflow_provider_catalog.sandbox.store import Store

ENDPOINTS = ("products", "enrollments", "orders", "users")


def digest(**options: Any) -> str:
    store = Store(Options(**options))
    try:
        rows = [row for endpoint in ENDPOINTS for row in store.rows(endpoint, store.matching(endpoint))]
    finally:
        store.close()
    return hashlib.sha256(b"\n".join(rows)).hexdigest()


def cents(amount: float) -> int:
    return round(amount * 100)


def test_a_product_sums_up_its_enrollments_and_orders(all_rows) -> None:
    statuses: dict[int, Counter[str]] = defaultdict(Counter)
    for row in all_rows["enrollments"]:
        statuses[row["product"]["id"]][row["enrollment_status"]] += 1
    revenue, discount, codes = Counter[int](), Counter[int](), defaultdict(set)
    for row in all_rows["orders"]:
        product_id = row["product"]["id"]
        revenue[product_id] += cents(row["revenue"])
        discount[product_id] += cents(row["discount"])
        codes[product_id].update(row["promo_codes"])
    for row in all_rows["products"]:
        product_id = row["product"]["id"]
        counts = statuses[product_id]
        assert row["enrollment_count"] == counts.total()
        assert row["completion_count"] == counts["COMPLETED"]
        assert row["dropped_count"] == counts["DROPPED"]
        assert cents(row["revenue"]) == revenue[product_id]
        assert cents(row["discount"]) == discount[product_id]
        assert row["promo_codes"] == sorted(codes[product_id])
        assert cents(row["list_price"]) * counts.total() == revenue[product_id] + discount[product_id]
    assert sum(revenue.values()) > 0
    assert sum(discount.values()) > 0


def test_a_user_sums_up_their_enrollments(all_rows) -> None:
    dates = defaultdict(list)
    for row in all_rows["enrollments"]:
        dates[row["student"]["id"]].append(row["enrollment_date"])
    for row in all_rows["users"]:
        own = dates.pop(row["student"]["id"], [])
        assert row["enrollment_count"] == len(own)
        assert row["last_enrollment_date"] == max(own, default=None)
    assert not dates, "an enrollment of nobody"
    assert any(row["last_enrollment_date"] is None for row in all_rows["users"])


def test_orders_and_enrollments_refer_to_each_other(all_rows) -> None:
    users = {row["student"]["id"]: row for row in all_rows["users"]}
    products = {row["product"]["id"]: row for row in all_rows["products"]}
    of_order = defaultdict(list)
    for row in all_rows["enrollments"]:
        of_order[row["order_id"]].append(row)
        assert row["student"] == users[row["student"]["id"]]["student"]
        assert row["custom_fields"] == users[row["student"]["id"]]["custom_fields"]
        assert row["enrollment_date"] >= users[row["student"]["id"]]["registration_date"]
        assert (row["completion_date"] is not None) == (row["enrollment_status"] == "COMPLETED")
        assert row["completion_date"] is None or row["completion_date"] > row["enrollment_date"]
    for row in all_rows["orders"]:
        product = products[row["product"]["id"]]
        shared = ("product", "product_status", "list_price", "currency", "account_id", "account_name")
        assert {key: row[key] for key in shared} == {key: product[key] for key in shared}
        assert datetime.fromisoformat(row["purchase_date"]) >= datetime.fromisoformat(product["created_at"])
        assert row["purchaser"] == users[row["purchaser"]["id"]]["student"]
        seats = of_order.pop(row["order_id"])
        assert row["seats"] == len(seats)
        assert row["bulk_purchase"] == (len(seats) > 1)
        assert row["student"] == (seats[0]["student"] if len(seats) == 1 else None)
        assert {seat["product"]["id"] for seat in seats} == {row["product"]["id"]}
        assert cents(row["revenue"]) == cents(row["list_price"]) * len(seats) - cents(row["discount"])
    assert not of_order, "enrollments without an order"


def test_the_data_has_the_cases_that_matter(all_rows) -> None:
    def values(endpoint: str, key: str) -> set[Any]:
        return {row[key] for row in all_rows[endpoint]}

    assert values("products", "product_status") == {"OPEN", "CLOSED", "DELETED"}
    assert values("enrollments", "enrollment_status") == {"ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"}
    assert values("users", "registered_through") == {"CANVAS", "CATALOG"}
    assert values("products", "certificate_offered") == {True, False}
    assert {type(price) for price in values("products", "list_price")} == {int, float}
    assert values("orders", "bulk_purchase") == {True, False}
    assert {0} < values("orders", "revenue")
    assert {0} < values("orders", "discount")
    assert any(len(row["promo_codes"]) > 1 for row in all_rows["orders"])
    for endpoint, path in (
        ("products", ("canvas_course_id",)),
        ("products", ("credits",)),
        ("products", ("product", "sku")),
        ("enrollments", ("canvas_section_id",)),
        ("enrollments", ("requirement_completion",)),
        ("users", ("student", "canvas_user_id")),
    ):
        found = set()
        for row in all_rows[endpoint]:
            value = row[path[0]] if len(path) == 1 else row[path[0]][path[1]]
            found.add(value is None)
        assert found == {True, False}, path
    assert any(not name.isascii() for row in all_rows["users"] for name in [row["student"]["name"]])
    assert all(row["student"]["email"].endswith("@example.edu") for row in all_rows["users"])


def test_products_look_like_the_documented_example(all_rows) -> None:
    documented = (
        "account_id account_name product product_status created_at canvas_course_id enrollment_count dropped_count "
        "completion_count currency list_price promo_codes discount revenue credits certificate_offered"
    )
    for row in all_rows["products"]:
        assert list(row) == documented.split()
        assert list(row["product"]) == ["name", "id", "url", "sku"]


def test_the_same_options_give_the_same_data_on_every_machine() -> None:
    # A change of this digest is a change of everybody's expected values: say so in the changelog.
    small = {"products": 20, "users": 40, "enrollments": 300}
    assert digest(**small).startswith("ed9c9efd705d")
    assert digest(**small, seed=2) != digest(**small)


@pytest.mark.parametrize("enrollments", [0, 1, 7, 333])
def test_there_are_as_many_rows_as_asked_for(enrollments) -> None:
    store = Store(Options(products=1, users=1, enrollments=enrollments))
    try:
        assert store.row_count("enrollments") == enrollments
        assert (store.row_count("products"), store.row_count("users")) == (1, 1)
        assert 0 <= store.row_count("orders") <= enrollments
    finally:
        store.close()
