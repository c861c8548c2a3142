"""The data in SQLite: finds the rows that match and renders them as JSON, without a Python object a value."""

from __future__ import annotations

import json
import sqlite3
import time
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from threading import Lock

from airflow_provider_catalog.sandbox.data import ACCOUNTS, DAY, Data, Row, from_datetime, to_datetime, to_text
from airflow_provider_catalog.sandbox.filters import COMPLETED_AT
from airflow_provider_catalog.sandbox.options import Options

MOST_DAYS = 3_660

TABLES = """
CREATE TABLE accounts (id INTEGER PRIMARY KEY, name);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, account_id, reference, title, status, created_at, created_at_local, closes_at, deletes_at,
    canvas_course_id, currency, list_price, credits, certificate_offered, enrollment_count DEFAULT 0,
    completion_count DEFAULT 0, dropped_count DEFAULT 0, promo_codes DEFAULT '[]', discount DEFAULT 0, revenue DEFAULT 0
);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, account_id, canvas_user_id, reference, registered_at, registered_through, custom_fields,
    enrollment_count DEFAULT 0, last_enrolled_at
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, product_id, student_id, purchaser_id, seats, purchased_at, promo_codes, discount, revenue,
    refund, refunded_at
);
CREATE TABLE enrollments (
    id INTEGER PRIMARY KEY, order_id, product_id, student_id, canvas_section_id, status DEFAULT 'ACTIVE', enrolled_at,
    fate, ends_at, completion_percent
);
"""

# What time does to rows: a function of the time alone, so that it may be done in any number of steps.
CHANGES = """
UPDATE enrollments SET status = fate WHERE status <> fate AND ends_at <= :now;
UPDATE orders SET revenue = revenue - refund, refund = 0 WHERE refund > 0 AND refunded_at <= :now;
UPDATE products SET status = iif(deletes_at <= :now, 'DELETED', iif(closes_at <= :now, 'CLOSED', 'OPEN'));
"""

# A product's and a user's figures are the sums of their orders and enrollments, by construction.
SUMS = """
UPDATE products SET enrollment_count = e.total, completion_count = e.completed, dropped_count = e.dropped
FROM (
    SELECT product_id, count(*) AS total, sum(status = 'COMPLETED') AS completed,
        sum(status = 'DROPPED') AS dropped
    FROM enrollments GROUP BY product_id
) AS e WHERE e.product_id = products.id;
UPDATE products SET discount = o.discount, revenue = o.revenue
FROM (
    SELECT product_id, sum(discount) AS discount, sum(revenue) AS revenue FROM orders GROUP BY product_id
) AS o WHERE o.product_id = products.id;
UPDATE products SET promo_codes = c.codes
FROM (
    SELECT product_id, json_group_array(code) AS codes FROM (
        SELECT DISTINCT product_id, value AS code FROM orders, json_each(orders.promo_codes)
        WHERE promo_codes <> '[]' ORDER BY product_id, code
    ) GROUP BY product_id
) AS c WHERE c.product_id = products.id;
UPDATE users SET enrollment_count = e.total, last_enrolled_at = e.last
FROM (
    SELECT student_id, count(*) AS total, max(enrolled_at) AS last FROM enrollments GROUP BY student_id
) AS e WHERE e.student_id = users.id;
"""


def _money(cents: str) -> str:
    return f"iif({cents} % 100, {cents} / 100.0, {cents} / 100)"


def _flag(condition: str) -> str:
    return f"json(iif({condition}, 'true', 'false'))"


_OF_A_PRODUCT = "'product', json(p.reference), 'product_status', p.status"

# What a row shows: names and SQL in turns. The columns reference, custom_fields and promo_codes hold JSON.
ROWS = {
    "products": f"""'account_id', a.id, 'account_name', a.name, {_OF_A_PRODUCT}, 'created_at', p.created_at_local,
        'canvas_course_id', p.canvas_course_id, 'enrollment_count', p.enrollment_count,
        'dropped_count', p.dropped_count, 'completion_count', p.completion_count, 'currency', p.currency,
        'list_price', {_money("p.list_price")}, 'promo_codes', json(p.promo_codes),
        'discount', {_money("p.discount")}, 'revenue', {_money("p.revenue")}, 'credits', json(p.credits),
        'certificate_offered', {_flag("p.certificate_offered")}""",
    "enrollments": f"""'account_id', a.id, 'account_name', a.name, {_OF_A_PRODUCT},
        'canvas_course_id', p.canvas_course_id, 'canvas_section_id', e.canvas_section_id, 'enrollment_id', e.id,
        'order_id', e.order_id, 'enrollment_status', e.status, 'enrollment_date', e.enrolled_at,
        'completion_date', {COMPLETED_AT}, 'certificate_offered', {_flag("p.certificate_offered")},
        'requirement_completion', iif(e.status = 'COMPLETED', 0 * e.completion_percent + 100, e.completion_percent),
        'student', json(s.reference), 'custom_fields', json(s.custom_fields)""",
    "orders": f"""'account_id', a.id, 'account_name', a.name, 'order_id', o.id, {_OF_A_PRODUCT},
        'student', json(s.reference), 'purchaser', json(b.reference), 'bulk_purchase', {_flag("o.seats > 1")},
        'seats', o.seats, 'purchase_date', o.purchased_at, 'promo_codes', json(o.promo_codes),
        'list_price', {_money("p.list_price")}, 'discount', {_money("o.discount")}, 'revenue', {_money("o.revenue")},
        'currency', p.currency""",
    "users": """'account_id', a.id, 'account_name', a.name, 'student', json(s.reference),
        'registration_date', s.registered_at, 'registered_through', s.registered_through,
        'enrollment_count', s.enrollment_count, 'last_enrollment_date', s.last_enrolled_at,
        'custom_fields', json(s.custom_fields)""",
    "courses": f"""'id', p.id, 'title', p.title, 'listing_price', {_money("p.list_price")},
        'canvas_course_id', p.canvas_course_id""",
}

# Where they come from: the id that orders the rows, and the tables, the one with the rows first.
_PRODUCTS = "products p JOIN accounts a ON a.id = p.account_id"
_PRODUCT = "JOIN products p ON p.id = product_id JOIN accounts a ON a.id = p.account_id"
SOURCES = {
    "products": ("p.id", _PRODUCTS),
    "enrollments": ("e.id", f"enrollments e {_PRODUCT} JOIN users s ON s.id = e.student_id"),
    "orders": (
        "o.id",
        f"orders o {_PRODUCT} JOIN users b ON b.id = o.purchaser_id LEFT JOIN users s ON s.id = o.student_id",
    ),
    "users": ("s.id", "users s JOIN accounts a ON a.id = s.account_id"),
    "courses": ("p.id", _PRODUCTS),
}


class Store:
    """
    The sandbox's data; close it after use. May be used from several threads.

    The database has no name: SQLite keeps it in memory while small, and else in a temporary file that goes away with
    the process.
    """

    def __init__(self, options: Options) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._connection.executescript(
            "PRAGMA cache_size = -32768; PRAGMA journal_mode = OFF; PRAGMA temp_store = FILE;" + TABLES
        )
        self._insert("accounts", ({"id": account_id, "name": name} for account_id, name, _ in ACCOUNTS))
        self._now = from_datetime(options.now())
        self._data = Data(options, self._now)
        # An array of ids takes 8 bytes a row; the last few sets of filters are remembered for their next pages.
        self._matching = lru_cache(maxsize=8)(self._find)
        self._speed = DAY / options.day_length if options.live else 0.0  # microseconds of the Catalog's a second
        self._ticked = time.monotonic()
        self._pause = 1.0  # seconds from one tick to the next
        self._change()

    @property
    def now(self) -> datetime:
        """The Catalog's time: nothing in the data is later."""
        return to_datetime(self._now)

    def advance(self, days: float) -> datetime:
        """Let time pass, and return the new time."""
        if not 0 <= days <= MOST_DAYS:
            raise ValueError(f"days={days!r} is not between 0 and {MOST_DAYS}")
        with self._lock:
            self._now += int(days * DAY)
            self._change()
        return self.now

    def tick(self) -> None:
        """Let time pass as the clock says, where the sandbox is live; but leave time for other things."""
        passed = time.monotonic() - self._ticked
        if self._speed and passed > self._pause:
            self._ticked += passed
            self.advance(min(passed * self._speed / DAY, MOST_DAYS))
            self._pause = max(1, 20 * (time.monotonic() - self._ticked))

    def _change(self) -> None:
        """Bring the rows up to now."""
        self._connection.execute("BEGIN")
        self._insert("products", self._data.products(self._now))
        self._insert("users", self._data.users(self._now))
        purchases = self._data.orders(self._now)
        while batch := list(islice(purchases, 2_000)):
            self._insert("orders", (order for order, _ in batch))
            self._insert("enrollments", (enrollment for _, enrollments in batch for enrollment in enrollments))
        for statement in CHANGES.strip().splitlines():
            self._connection.execute(statement, {"now": to_text(self._now)})
        self._connection.execute("COMMIT")
        self._connection.executescript(SUMS)
        self._matching.cache_clear()

    def _insert(self, table: str, rows: Iterator[Row]) -> None:
        if first := next(rows, None):
            columns, places = ", ".join(first), ", ".join(f":{column}" for column in first)
            statement = f"INSERT INTO {table} ({columns}) VALUES ({places})"  # noqa: S608 - our own names
            self._connection.executemany(statement, chain([first], rows))

    def matching(
        self, endpoint: str, conditions: tuple[str, ...] = (), values: tuple[object, ...] = ()
    ) -> Sequence[int]:
        """Return the ids of the rows that match all conditions, of which each has a ``?`` for one of the values."""
        with self._lock:
            return self._matching(endpoint, conditions, values)

    def _find(self, endpoint: str, conditions: tuple[str, ...], values: tuple[object, ...]) -> Sequence[int]:
        key, tables = SOURCES[endpoint]
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        if not conditions:
            tables = " ".join(tables.split(maxsplit=2)[:2])  # the table with the rows: no need to join
        query = f"SELECT {key} FROM {tables} {where} ORDER BY {key}"  # noqa: S608 - our own names
        return array("q", (row[0] for row in self._connection.execute(query, values)))

    def rows(self, endpoint: str, ids: Sequence[int]) -> list[bytes]:
        """Return rows as JSON, in the order of their ids, which are a slice of what :meth:`matching` gave."""
        key, tables = SOURCES[endpoint]
        query = f"""SELECT CAST(json_object({ROWS[endpoint]}) AS BLOB) FROM {tables}
            WHERE {key} IN (SELECT value FROM json_each(?)) ORDER BY {key}"""  # noqa: S608 - our own names
        with self._lock:
            return [row[0] for row in self._connection.execute(query, (json.dumps(list(ids)),))]

    def close(self) -> None:
        """Throw the data away."""
        with self._lock:
            self._matching.cache_clear()
            self._connection.close()
