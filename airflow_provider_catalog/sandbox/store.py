"""The data in SQLite: finds the rows that match and renders them as JSON, without a Python object a value."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_catalog.sandbox.data import ACCOUNTS, Data, Enrollment, Order, Product, User, to_json

if TYPE_CHECKING:
    from airflow_provider_catalog.sandbox.options import Options

TABLES = """
CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, account_id INTEGER, reference TEXT, title TEXT, status TEXT, created_at TEXT,
    created_at_local TEXT, canvas_course_id INTEGER, currency TEXT, list_price INTEGER, credits TEXT,
    certificate_offered INTEGER, enrollment_count INTEGER DEFAULT 0, completion_count INTEGER DEFAULT 0,
    dropped_count INTEGER DEFAULT 0, promo_codes TEXT DEFAULT '[]', discount INTEGER DEFAULT 0,
    revenue INTEGER DEFAULT 0
);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, account_id INTEGER, canvas_user_id INTEGER, reference TEXT, registered_at TEXT,
    registered_through TEXT, custom_fields TEXT, enrollment_count INTEGER DEFAULT 0, last_enrolled_at TEXT
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, product_id INTEGER, student_id INTEGER, purchaser_id INTEGER, seats INTEGER,
    purchased_at TEXT, promo_codes TEXT, discount INTEGER, revenue INTEGER
);
CREATE TABLE enrollments (
    id INTEGER PRIMARY KEY, order_id INTEGER, product_id INTEGER, student_id INTEGER,
    canvas_section_id INTEGER, status TEXT, enrolled_at TEXT, completed_at TEXT, completion_percent INTEGER
);
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


def _text(column: str) -> str:
    return f"coalesce('\"' || {column} || '\"', 'null')"


def _or_null(column: str) -> str:
    return f"coalesce({column}, 'null')"


def _flag(condition: str) -> str:
    return f"iif({condition}, 'true', 'false')"


def _money(cents: str) -> str:
    return f"iif({cents} % 100, printf('%d.%02d', {cents} / 100, {cents} % 100), {cents} / 100)"


# What each row shows: name -> SQL for a piece of JSON text. Columns named reference, title, custom_fields and
# promo_codes hold JSON already, and accounts.name too.
ROWS: dict[str, dict[str, str]] = {
    "products": {
        "account_id": "p.account_id",
        "account_name": "a.name",
        "product": "p.reference",
        "product_status": _text("p.status"),
        "created_at": _text("p.created_at_local"),
        "canvas_course_id": _or_null("p.canvas_course_id"),
        "enrollment_count": "p.enrollment_count",
        "dropped_count": "p.dropped_count",
        "completion_count": "p.completion_count",
        "currency": _text("p.currency"),
        "list_price": _money("p.list_price"),
        "promo_codes": "p.promo_codes",
        "discount": _money("p.discount"),
        "revenue": _money("p.revenue"),
        "credits": "p.credits",
        "certificate_offered": _flag("p.certificate_offered"),
    },
    "enrollments": {
        "account_id": "p.account_id",
        "account_name": "a.name",
        "product": "p.reference",
        "product_status": _text("p.status"),
        "canvas_course_id": _or_null("p.canvas_course_id"),
        "canvas_section_id": _or_null("e.canvas_section_id"),
        "enrollment_id": "e.id",
        "order_id": "e.order_id",
        "enrollment_status": _text("e.status"),
        "enrollment_date": _text("e.enrolled_at"),
        "completion_date": _text("e.completed_at"),
        "certificate_offered": _flag("p.certificate_offered"),
        "requirement_completion": _or_null("e.completion_percent"),
        "student": "s.reference",
        "custom_fields": "s.custom_fields",
    },
    "orders": {
        "account_id": "p.account_id",
        "account_name": "a.name",
        "order_id": "o.id",
        "product": "p.reference",
        "product_status": _text("p.status"),
        "student": _or_null("s.reference"),
        "purchaser": "b.reference",
        "bulk_purchase": _flag("o.seats > 1"),
        "seats": "o.seats",
        "purchase_date": _text("o.purchased_at"),
        "promo_codes": "o.promo_codes",
        "list_price": _money("p.list_price"),
        "discount": _money("o.discount"),
        "revenue": _money("o.revenue"),
        "currency": _text("p.currency"),
    },
    "users": {
        "account_id": "s.account_id",
        "account_name": "a.name",
        "student": "s.reference",
        "registration_date": _text("s.registered_at"),
        "registered_through": _text("s.registered_through"),
        "enrollment_count": "s.enrollment_count",
        "last_enrollment_date": _text("s.last_enrolled_at"),
        "custom_fields": "s.custom_fields",
    },
    "courses": {
        "id": "p.id",
        "title": "p.title",
        "listing_price": _money("p.list_price"),
        "canvas_course_id": _or_null("p.canvas_course_id"),
    },
}

# Where they come from: the id that orders the rows, and the tables.
PRODUCTS = "JOIN accounts a ON a.id = p.account_id"
SOURCES: dict[str, tuple[str, str]] = {
    "products": ("p.id", f"products p {PRODUCTS}"),
    "enrollments": (
        "e.id",
        f"enrollments e JOIN products p ON p.id = e.product_id {PRODUCTS} JOIN users s ON s.id = e.student_id",
    ),
    "orders": (
        "o.id",
        f"""orders o JOIN products p ON p.id = o.product_id {PRODUCTS}
            JOIN users b ON b.id = o.purchaser_id LEFT JOIN users s ON s.id = o.student_id""",
    ),
    "users": ("s.id", "users s JOIN accounts a ON a.id = s.account_id"),
    "courses": ("p.id", f"products p {PRODUCTS}"),
}


def _row_query(endpoint: str) -> str:
    key, tables = SOURCES[endpoint]
    template = ",".join(f'"{name}":%s' for name in ROWS[endpoint])
    row = f"printf('{{{template}}}', {', '.join(ROWS[endpoint].values())})"
    return f"SELECT CAST({row} AS BLOB) FROM {tables} WHERE {key} IN (SELECT value FROM json_each(?)) ORDER BY {key}"  # noqa: S608 - our own names


ROW_QUERIES = {endpoint: _row_query(endpoint) for endpoint in ROWS}


class Store:
    """
    The sandbox's data, made when this is made; close it after use.

    The database has no name: SQLite keeps it in memory while small and else in a temporary file that goes
    away with the process, however that ends.

    :param options: the seed and the sizes.
    """

    def __init__(self, options: Options) -> None:
        self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA cache_size = -65536")  # KiB
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA temp_store = FILE")
        self._connection.executescript(TABLES)
        self._load(Data(options))
        self._connection.executescript(SUMS)
        # An array of ids takes 8 bytes a row; the last few sets of filters are remembered for their next pages.
        self.matching = lru_cache(maxsize=8)(self._matching)

    def _load(self, data: Data) -> None:
        self._connection.execute("BEGIN")
        self._insert("accounts", [(account_id, to_json(name)) for account_id, name, _ in ACCOUNTS])
        self._insert("products", data.products, Product._fields)
        self._insert("users", data.users, User._fields)
        purchases = data.purchases()
        while batch := list(islice(purchases, 2_000)):
            self._insert("orders", [order for order, _ in batch], Order._fields)
            self._insert("enrollments", [row for _, rows in batch for row in rows], Enrollment._fields)
        self._connection.execute("COMMIT")

    def _insert(
        self, table: str, rows: Sequence[tuple[object, ...]], columns: tuple[str, ...] = ("id", "name")
    ) -> None:
        places = ", ".join("?" * len(columns))
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608 - our own names
            rows,
        )

    def row_count(self, endpoint: str) -> int:
        """
        Return how many rows an endpoint has without any filter.

        :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
        """
        return len(self.matching(endpoint))

    def _matching(
        self, endpoint: str, conditions: tuple[str, ...] = (), values: tuple[object, ...] = ()
    ) -> Sequence[int]:
        """
        Return the ids of the rows that match, in the order of the rows.

        :param endpoint: a key of ``SOURCES``.
        :param conditions: SQL conditions, all of which must hold, with one ``?`` each.
        :param values: what the question marks stand for.
        """
        key, tables = SOURCES[endpoint]
        if not conditions:
            # Ids have no gaps, so all of them need no array; the first table is the one with the rows.
            table = tables.split(" ", 1)[0]
            first, last = self._connection.execute(f"SELECT min(id), max(id) FROM {table}").fetchone()  # noqa: S608 - our own names
            return range(0) if first is None else range(first, last + 1)
        query = f"SELECT {key} FROM {tables} WHERE {' AND '.join(conditions)} ORDER BY {key}"  # noqa: S608 - our own names
        return array("q", (row[0] for row in self._connection.execute(query, values)))

    def rows(self, endpoint: str, ids: Sequence[int]) -> list[bytes]:
        """
        Return rows as JSON, in the order of their ids.

        :param endpoint: a key of ``SOURCES``.
        :param ids: a slice of what :meth:`matching` gave.
        """
        return [row[0] for row in self._connection.execute(ROW_QUERIES[endpoint], (json.dumps(list(ids)),))]

    def close(self) -> None:
        """Throw the data away."""
        self.matching.cache_clear()
        self._connection.close()
