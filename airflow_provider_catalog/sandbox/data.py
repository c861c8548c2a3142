"""Made-up accounts, products, users, orders and enrollments that agree with each other.

Only ``Random.random()`` is used: Python promises that its sequence for a seed never changes, which it does not
for ``choice`` or ``randrange``. The calendar is fixed, so the same options give the same data everywhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_catalog.sandbox.options import Options

T = TypeVar("T")

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2026, 7, 1, tzinfo=UTC)  # the first instant that is not in the data any more
DAY = 86_400_000_000  # microseconds; times are counted in them from START
MIDNIGHT = START.replace(tzinfo=None)  # so that its text has no offset: Z is shorter
LENGTH = (END - START) // timedelta(microseconds=1)

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
TOPICS = (
    "Data Analysis",
    "Wound Care",
    "Project Management",
    "Français des affaires",
    'Safety "Basics"',
    "日本語入門",
    "Excel, Word & Outlook",
    "Instructional Design",
    "Grant Writing",
    "Cybersecurity",
)
LEVELS = ("Introduction to", "Intermediate", "Advanced", "Applied", "Certificate in")
PRICES = (1_000, 2_500, 4_999, 9_900, 14_950, 29_900, 75_000, 120_000)  # cents
FIRST_NAMES = ("Zoë", "José", "Amara", "Łukasz", "Mei", "Aïcha", "Noah", "Priya", "Søren", "Ngọc", "Olga", "Tom")
LAST_NAMES = ("Testperson", "Sampleton", "Muster", "O'Example", "Déjà", "Ficción", "Placeholder", "Dummy-Smith")
DEPARTMENTS = ("Nursing", "Facilities", "IT", "Ingénierie", None)
PROMO_CODES = (("WELCOME10", 10), ("STAFF25", 25), ("SPRING50", 50), ("SCHOLARSHIP", 100))  # code, percent off
BULK_SHARE, MOST_SEATS = 0.08, 25


def pick(random: Random, items: Sequence[T]) -> T:
    """Return one of the items."""
    return items[int(random.random() * len(items))]


def to_text(microseconds: int) -> str:
    """Return a time in the one form that the database holds, in which text order is time order."""
    return (MIDNIGHT + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds") + "Z"


def to_json(value: Any) -> str:
    """Return compact JSON with letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Product(NamedTuple):
    """A row of the table ``products``, save what is summed up from its orders and enrollments."""

    id: int
    account_id: int
    reference: str  # JSON of name, id, url, sku
    title: str  # JSON
    status: str
    created_at: str
    created_at_local: str
    canvas_course_id: int | None
    currency: str
    list_price: int  # cents
    credits: str  # JSON
    certificate_offered: bool


class User(NamedTuple):
    """A row of the table ``users``, save what is summed up from the user's enrollments."""

    id: int
    account_id: int
    canvas_user_id: int | None
    reference: str  # JSON of id, canvas_user_id, name, email
    registered_at: str
    registered_through: str
    custom_fields: str  # JSON


class Order(NamedTuple):
    """A row of the table ``orders``."""

    id: int
    product_id: int
    student_id: int | None  # none for a bulk purchase: its seats have many
    purchaser_id: int
    seats: int
    purchased_at: str
    promo_codes: str  # JSON
    discount: int  # cents, of all seats
    revenue: int  # cents


class Enrollment(NamedTuple):
    """A row of the table ``enrollments``."""

    id: int
    order_id: int
    product_id: int
    student_id: int
    canvas_section_id: int | None
    status: str
    enrolled_at: str
    completed_at: str | None
    completion_percent: int | None


class Data:
    """
    The sandbox's made-up data; products and users are made at once, orders while they are asked for.

    :param options: the seed and the sizes.
    """

    def __init__(self, options: Options) -> None:
        self._random = Random(options.seed)  # noqa: S311 - made-up data, no secret
        self._enrollments = options.enrollments
        # When each product and user came to be: nobody buys or enrolls before that.
        self._created = [self._moment(0, LENGTH * 2 // 3) for _ in range(options.products)]
        self._registered = [self._moment(0, LENGTH - 30 * DAY) for _ in range(options.users)]
        self.products = [self._product(index) for index in range(options.products)]
        self.users = [self._user(index) for index in range(options.users)]

    def _moment(self, earliest: int, latest: int) -> int:
        return earliest + int(self._random.random() * (latest - earliest))

    def _product(self, index: int) -> Product:
        random = self._random
        product_id = FIRST_PRODUCT + index
        account_id, _, offset = pick(random, ACCOUNTS)
        created = START + timedelta(microseconds=self._created[index])
        title = f"{pick(random, LEVELS)} {pick(random, TOPICS)} {index + 1}"
        reference = {
            "name": title,
            "id": product_id,
            "url": f"https://catalog.example.edu/admin/products/{product_id}/edit",
            "sku": None if random.random() < 0.2 else f"SKU-{index:05d}",
        }
        return Product(
            id=product_id,
            account_id=account_id,
            reference=to_json(reference),
            title=to_json(title),
            status=pick(random, ("OPEN", "OPEN", "OPEN", "OPEN", "CLOSED", "DELETED")),
            created_at=to_text(self._created[index]),
            created_at_local=created.astimezone(timezone(timedelta(hours=offset))).isoformat(timespec="microseconds"),
            canvas_course_id=None if random.random() < 0.1 else FIRST_COURSE + index,
            currency="EUR" if account_id == 5 else "USD",
            list_price=0 if random.random() < 0.25 else pick(random, PRICES),
            credits=pick(random, ("null", "0", "1", "1.5", "5")),
            certificate_offered=random.random() < 0.6,
        )

    def _user(self, index: int) -> User:
        random = self._random
        user_id = FIRST_USER + index
        through = pick(random, ("CANVAS", "CATALOG"))
        # Some who came through the Catalog have not been to Canvas yet.
        canvas_user_id = None if through == "CATALOG" and random.random() < 0.3 else FIRST_CANVAS_USER + index * 7
        reference = {
            "id": user_id,
            "canvas_user_id": canvas_user_id,
            "name": f"{pick(random, FIRST_NAMES)} {pick(random, LAST_NAMES)}",
            "email": f"student.{user_id}@example.edu",
        }
        custom_fields: dict[str, Any] = {}
        if random.random() < 0.7:
            custom_fields = {
                "department": pick(random, DEPARTMENTS),
                "employee_id": f"{index:07d}",  # text: its leading zeros must survive
                "interests": ["online", "évening"][: int(random.random() * 3)],
            }
        return User(
            id=user_id,
            account_id=pick(random, ACCOUNTS)[0],
            canvas_user_id=canvas_user_id,
            reference=to_json(reference),
            registered_at=to_text(self._registered[index]),
            registered_through=through,
            custom_fields=to_json(custom_fields),
        )

    def _student(self) -> int:
        """Return the index of a user; every tenth never enrolls in anything."""
        index = int(self._random.random() * len(self.users))
        return index - (index % 10 == 9)

    def purchases(self) -> Iterator[tuple[Order, list[Enrollment]]]:
        """Yield every order with the enrollments that it paid for, until there are enough of those."""
        order_id, enrollment_id = FIRST_ORDER, FIRST_ENROLLMENT
        last = FIRST_ENROLLMENT + self._enrollments
        while enrollment_id < last:
            bulk = self._random.random() < BULK_SHARE
            seats = 2 + int(self._random.random() * (MOST_SEATS - 1)) if bulk else 1
            seats = min(seats, last - enrollment_id)
            yield self._purchase(order_id, enrollment_id, seats)
            order_id += 1
            enrollment_id += seats

    def _purchase(self, order_id: int, enrollment_id: int, seats: int) -> tuple[Order, list[Enrollment]]:
        random = self._random
        # Squared: a few products sell best, and some not at all.
        product_index = int(random.random() ** 2 * len(self.products))
        product = self.products[product_index]
        student = self._student()
        bought_by_another = seats > 1 or random.random() < 0.05
        purchaser = int(random.random() * len(self.users)) if bought_by_another else student
        purchased = self._moment(max(self._created[product_index], self._registered[purchaser]), LENGTH)
        codes, discount = self._promotion(product.list_price * seats)
        order = Order(
            id=order_id,
            product_id=product.id,
            student_id=FIRST_USER + student if seats == 1 else None,
            purchaser_id=FIRST_USER + purchaser,
            seats=seats,
            purchased_at=to_text(purchased),
            promo_codes=codes,
            discount=discount,
            revenue=product.list_price * seats - discount,
        )
        enrollments = [self._enrollment(order, enrollment_id, product, student, purchased)]
        enrollments += [
            self._enrollment(order, enrollment_id + seat, product, self._student(), purchased)
            for seat in range(1, seats)
        ]
        return order, enrollments

    def _promotion(self, price: int) -> tuple[str, int]:
        """Return the codes applied, as JSON, and what they take off."""
        if not price or self._random.random() > 0.2:
            return "[]", 0
        code, percent = pick(self._random, PROMO_CODES)
        if percent == 10 and self._random.random() < 0.3:
            return to_json([code, "ALUMNI5"]), price * 15 // 100
        return to_json([code]), price * percent // 100

    def _enrollment(
        self, order: Order, enrollment_id: int, product: Product, student: int, purchased: int
    ) -> Enrollment:
        draw = self._random.random()
        enrolled = min(max(purchased, self._registered[student]) + int(draw * DAY), LENGTH - 1)
        finished = enrolled + DAY + int(self._random.random() * 120 * DAY)
        status, percent, completed = "ACTIVE", int(draw * 100), None
        if draw < 0.45 and finished < LENGTH:
            status, percent, completed = "COMPLETED", 100, to_text(finished)
        elif draw < 0.6:
            status, percent = "DROPPED", int(draw * 70)
        elif draw < 0.7:
            status = "CONCLUDED"
        has_course = product.canvas_course_id is not None
        return Enrollment(
            id=enrollment_id,
            order_id=order.id,
            product_id=product.id,
            student_id=FIRST_USER + student,
            canvas_section_id=FIRST_SECTION + product.id * 3 + enrollment_id % 3 if has_course else None,
            status=status,
            enrolled_at=to_text(enrolled),
            completed_at=completed,
            completion_percent=percent if has_course else None,
        )
