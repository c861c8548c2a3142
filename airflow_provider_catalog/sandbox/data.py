"""A made-up Catalog as a function of a seed and a time.

Everything has a place in an endless sequence, by which its time and all else about it is drawn: an order is the same
whenever it is looked at. A sandbox shows a stretch of the sequence that ends now. Only a hash and basic arithmetic are
used, so that it is the same on every machine, too.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from itertools import starmap
from math import inf
from struct import unpack
from typing import Any, TypeVar

from airflow_provider_catalog.sandbox.options import Options

T = TypeVar("T")
Row = dict[str, Any]
"""Column → value, as the tables of :mod:`airflow_provider_catalog.sandbox.store` have them; money in cents."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # times are microseconds since then
NAIVE = EPOCH.replace(tzinfo=None)
DAY = 86_400_000_000
YEAR = 365 * DAY
SPAN = 2 * YEAR  # how far orders and enrollments go back at the start
SETTLED = 10 * 60 * 1_000_000  # how long after its purchase an order shows, with its enrollments

# Each kind of id has a range of its own, so that one taken for another does not pass unnoticed.
FIRST_PRODUCT, FIRST_USER, FIRST_ORDER, FIRST_ENROLLMENT = 101, 20_001, 300_001, 4_000_001
FIRST_COURSE, FIRST_SECTION = 7_001, 9_001
FIRST_CANVAS_USER = 10_000_000_000_001  # a global Canvas id does not fit into 32 bits

ACCOUNTS = (
    (3, "Northfield Continuing Education", 2),
    (4, "School of Nursing", -5),
    (5, "Éducation permanente", 1),
    (7, "Safety & Compliance", 0),
)  # id, name, hours from UTC in which the account's products tell their creation
LEVELS = ("Introduction to", "Intermediate", "Advanced", "Applied", "Certificate in")
TOPICS = """Data Analysis, Wound Care, Project Management, Français des affaires, Safety "Basics", 日本語入門,
Excel & Outlook, Instructional Design, Grant Writing, Cybersecurity""".replace("\n", " ").split(", ")
PRICES = (0, 0, 0, 1_000, 2_500, 4_999, 9_900, 14_950, 29_900, 75_000, 120_000)  # cents
FIRST_NAMES = ("Zoë", "José", "Amara", "Łukasz", "Mei", "Aïcha", "Noah", "Priya", "Søren", "Ngọc", "Olga", "Tom")
LAST_NAMES = ("Testperson", "Sampleton", "Muster", "O'Example", "Déjà", "Ficción", "Placeholder", "Dummy-Smith")
DEPARTMENTS = ("Nursing", "Facilities", "IT", "Ingénierie", None)
PROMOTIONS: tuple[tuple[list[str], int], ...] = (
    (["WELCOME10"], 10),
    (["ALUMNI5", "WELCOME10"], 15),
    (["STAFF25"], 25),
    (["SPRING50"], 50),
    (["SCHOLARSHIP"], 100),
)  # codes, percent off
BULK_SHARE, MOST_SEATS = 0.08, 25
BLOCK = 64  # places that orders share out among themselves, so that one can begin to read in the middle


def pick(draw: float, items: Sequence[T]) -> T:
    """Return one of the items."""
    return items[int(draw * len(items))]


def from_datetime(moment: datetime) -> int:
    """Return microseconds since EPOCH."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def to_datetime(microseconds: int) -> datetime:
    """Return the time that a number stands for."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_text(microseconds: int) -> str:
    """Return a time in the one form that the database holds, in which text order is time order."""
    return (NAIVE + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds") + "Z"


def to_json(value: Any) -> str:
    """Return compact JSON with letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Timeline:
    """When things happen that come one after the other, with so many microseconds between them on average."""

    def __init__(self, spacing: float, rhythm: int) -> None:
        self.spacing = spacing
        self._offset = rhythm % 1_000 * 0.755

    def moment(self, place: int) -> int:
        """Return when; never earlier than the place before."""
        if self.spacing == inf:
            return place * DAY
        moment = (place + (place * 0.618 + self._offset) % 1) * self.spacing
        year, season = divmod(moment / YEAR, 1)
        # Two parabolas for a sine, whose last digits would differ between machines.
        swing = season * (0.5 - season) if season < 0.5 else (season - 0.5) * (season - 1)
        return int((year + season - swing * 0.8) * YEAR)

    def until(self, now: int) -> int:
        """Return the first place that is later."""
        return bisect_right(range(1 << 40), now, key=self.moment)


class Population:
    """
    Products or users: so many of them at the start, which :meth:`newcomers` gives first.

    Whoever takes part in an order is one of those that came last before it: they are part of every sandbox that shows
    the order, and so it is the same in all of them.
    """

    def __init__(self, size: int, now: int, rhythm: int) -> None:
        self._pool = max(1, size // 4)
        others = size - self._pool - 2
        # They come while the orders do, and in the half year before.
        self._timeline = Timeline((SPAN + YEAR // 2) / others if others > 0 else inf, rhythm)
        self._size = size
        self._first = self._until(now) - size
        self._moments: list[int] = []

    def _until(self, now: int) -> int:
        return self._size if self._timeline.spacing == inf else self._timeline.until(now)

    def newcomers(self, now: int) -> Iterator[tuple[int, int]]:
        """Return place and time of those who have come since the last time."""
        places = range(self._first + len(self._moments), self._until(now))
        self._moments += map(self._timeline.moment, places)
        return zip(places, self._moments[len(self._moments) - len(places) :], strict=True)

    def candidates(self, now: int) -> range:
        """Return the places of those who may take part in an order at a time."""
        end = self._first + max(1, bisect_right(self._moments, now))
        return range(max(self._first, end - self._pool), end)


class Data:
    """The made-up rows. Each method gives those that came since it was last called; products and users go first."""

    def __init__(self, options: Options, now: int) -> None:
        seed, enrollments = options.seed, options.enrollments
        self._key = str(seed).encode()[:64]
        self._start = now
        self._products = Population(options.products, now, seed)
        self._users = Population(options.users, now, seed + 500)
        self._known: dict[int, tuple[float, Row]] = {}  # popularity and row of each product
        self._most_seats = min(MOST_SEATS, enrollments // 20)
        self._enrollments = enrollments
        self._timeline = Timeline(SPAN / max(1, enrollments), seed + 250)
        self._place = self._end = 0
        if enrollments:
            # Only whole orders: where the number does not come out even, the last of them wait for the next time.
            self._end = self._first_order(self._timeline.until(now - SETTLED))
            while not all(self._first_order(place) == place for place in (self._end, self._end - enrollments)):
                self._end -= 1
            self._place = self._end - enrollments

    def _draws(self, kind: bytes, place: int) -> list[float]:
        """Return eight numbers from 0 to below 1, always the same for a place."""
        digest = blake2b(b"%b %d" % (kind, place), key=self._key, digest_size=32).digest()
        return [number / 2**32 for number in unpack("<8I", digest)]

    def products(self, now: int) -> Iterator[Row]:
        """Yield the new products."""
        return starmap(self._product, self._products.newcomers(now))

    def users(self, now: int) -> Iterator[Row]:
        """Yield the new users."""
        return starmap(self._user, self._users.newcomers(now))

    def orders(self, now: int) -> Iterator[tuple[Row, list[Row]]]:
        """Yield the new orders, each with its enrollments."""
        if self._enrollments and now > self._start:
            self._end = max(self._end, self._first_order(self._timeline.until(now - SETTLED)))
        for place, seats in self._orders_from(self._place):
            if place >= self._end:
                return
            self._place = place + seats
            yield self._order(place, seats)

    def _orders_from(self, first: int) -> Iterator[tuple[int, int]]:
        """Yield place and seats of all orders that begin there or later; a seat is the place of an enrollment."""
        place = first - first % BLOCK
        while True:
            bulk, seats = self._draws(b"size", place)[:2]
            is_bulk = bulk < BULK_SHARE and self._most_seats > 1
            taken = min(2 + int(seats * (self._most_seats - 1)), BLOCK - place % BLOCK) if is_bulk else 1
            if place >= first:
                yield place, taken
            place += taken

    def _first_order(self, first: int) -> int:
        return next(self._orders_from(first))[0]

    def _order(self, place: int, seats: int) -> tuple[Row, list[Row]]:
        draws = self._draws(b"order", place)
        purchased = self._timeline.moment(place)
        # The most popular one of three: a few products have most of the orders, and some have none.
        products = self._products.candidates(purchased)
        product = max((self._known[pick(draw, products)] for draw in draws[:3]), key=lambda known: known[0])[1]
        users = self._users.candidates(purchased)
        enrollments = [self._enrollment(place, seat, product, users, purchased) for seat in range(place, place + seats)]
        student = enrollments[0]["student_id"]
        by_another = seats > 1 or draws[3] < 0.05
        price = product["list_price"] * seats
        codes, percent = pick(draws[5] * 5, PROMOTIONS) if price and draws[5] < 0.2 else ([], 0)
        revenue = price - price * percent // 100
        refund = revenue * (50 if draws[6] < 0.03 else 90) // 100 if draws[6] < 0.08 else 0  # a fee is kept
        order = {
            "id": FIRST_ORDER + place,
            "product_id": product["id"],
            "student_id": student if seats == 1 else None,  # the seats of a bulk purchase have many
            "purchaser_id": FIRST_USER + pick(draws[4], users) if by_another else student,
            "seats": seats,
            "purchased_at": to_text(purchased),
            "promo_codes": to_json(codes),
            "discount": price - revenue,
            "revenue": revenue,
            "refund": refund,
            "refunded_at": to_text(purchased + DAY + int(draws[7] * 45 * DAY)) if refund else None,
        }
        return order, enrollments

    def _enrollment(self, order: int, seat: int, product: Row, users: range, purchased: int) -> Row:
        draws = self._draws(b"seat", seat)
        student = pick(draws[0], users)
        student -= student % 10 == 9 and student > users[0]  # every tenth never enrolls in anything
        enrolled = purchased + int(draws[1] * SETTLED)
        fate, ends, most = "ACTIVE", 0, 100
        if draws[2] < 0.5:
            fate, ends = "COMPLETED", enrolled + DAY + int(draws[3] ** 2 * 150 * DAY)
        elif draws[2] < 0.65:
            fate, ends, most = "DROPPED", enrolled + DAY // 24 + int(draws[3] * 40 * DAY), 70
        elif draws[2] < 0.77:
            fate, ends = "CONCLUDED", enrolled + 180 * DAY
        has_course = product["canvas_course_id"] is not None
        return {
            "id": FIRST_ENROLLMENT + seat,
            "order_id": FIRST_ORDER + order,
            "product_id": product["id"],
            "student_id": FIRST_USER + student,
            "canvas_section_id": FIRST_SECTION + product["id"] * 3 + seat % 3 if has_course else None,
            "enrolled_at": to_text(enrolled),
            "fate": fate,
            "ends_at": to_text(ends) if ends else None,
            "completion_percent": int(draws[4] * most) if has_course else None,
        }

    def _product(self, place: int, created: int) -> Row:
        kind, end, account, level, topic, price, credit, popularity = self._draws(b"product", place)
        product_id = FIRST_PRODUCT + place
        account_id, _, hours = pick(account, ACCOUNTS)
        title = f"{pick(level, LEVELS)} {pick(topic, TOPICS)} {product_id}"
        reference = {
            "name": title,
            "id": product_id,
            "url": f"https://catalog.example.edu/admin/products/{product_id}/edit",
            "sku": None if kind < 0.2 else f"SKU-{place:05d}",
        }
        closes = created + YEAR + int(end * 3 * YEAR)
        product = {
            "id": product_id,
            "account_id": account_id,
            "reference": to_json(reference),
            "title": title,
            "created_at": to_text(created),
            "created_at_local": to_datetime(created)
            .astimezone(timezone(timedelta(hours=hours)))
            .isoformat(timespec="microseconds"),
            "closes_at": to_text(closes) if end < 0.5 else None,
            "deletes_at": to_text(closes + 30 * DAY) if end < 0.25 else None,
            "canvas_course_id": None if kind > 0.9 else FIRST_COURSE + place,
            "currency": "EUR" if account_id == 5 else "USD",
            "list_price": pick(price, PRICES),
            "credits": pick(credit, ("null", "0", "1", "1.5", "5")),
            "certificate_offered": credit * 10 % 1 < 0.6,
        }
        self._known[place] = popularity, product
        return product

    def _user(self, place: int, registered: int) -> Row:
        through, first_name, last_name, account, fields, department, interests, not_yet = self._draws(b"user", place)
        user_id = FIRST_USER + place
        is_canvas = through < 0.5
        # Some who came through the Catalog have not been to Canvas yet.
        canvas_user_id = FIRST_CANVAS_USER + place * 7 if is_canvas or not_yet > 0.3 else None
        reference = {
            "id": user_id,
            "canvas_user_id": canvas_user_id,
            "name": f"{pick(first_name, FIRST_NAMES)} {pick(last_name, LAST_NAMES)}",
            "email": f"student.{user_id}@example.edu",
        }
        custom_fields = {
            "department": pick(department, DEPARTMENTS),
            "employee_id": f"{place:07d}",  # text: its leading zeros must survive
            "interests": ["online", "évening"][: int(interests * 3)],
        }
        return {
            "id": user_id,
            "account_id": pick(account, ACCOUNTS)[0],
            "canvas_user_id": canvas_user_id,
            "reference": to_json(reference),
            "registered_at": to_text(registered),
            "registered_through": "CANVAS" if is_canvas else "CATALOG",
            "custom_fields": to_json(custom_fields if fields < 0.7 else {}),
        }
