"""150 days of orders whose values drift: what a Catalog may send over half a year."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.output.conftest import write

FIRST_DAY = date(2026, 1, 1)
DAYS = 150
LATE = 100
"""The day from which on rows have another column."""
SOURCE = random.Random(12)  # noqa: S311 - no secrets


def day_name(number: int) -> str:
    return (FIRST_DAY + timedelta(days=number)).isoformat()


def rows_of(day: int, *, late: bool = False) -> list[dict]:
    """Return a day's rows: whole amounts, cents, text, nulls, an object that is null, or none at all."""
    kind = day % 7
    if kind == 5:
        return []
    rows = []
    for number in range(SOURCE.randint(1, 5)):
        cents = SOURCE.randint(0, 99_999)
        price = [cents // 100, cents / 100, f"{cents / 100:.2f}", None, cents // 100, None, cents / 100][kind]
        row = {
            "order_id": day * 100 + number,
            "list_price": price,
            "student": None if kind in (3, 4) else {"id": number, "name": f"Made-up {number}"},
            "purchase_date": f"{day_name(day)}T10:00:00.5+02:00" if kind % 2 else f"{day_name(day)} 08:00:00 UTC",
            "order_fee": "PAID" if cents else "FREE",
            "score": [5, 5.5][day % 2],
            "comment": None,
        }
        if late and day >= LATE:
            row["refund"] = cents // 100
        rows.append(row)
    return rows


def meant(row: dict) -> tuple:
    """Return what a row says, as values of the right types."""
    day = FIRST_DAY + timedelta(days=row["order_id"] // 100)
    price = None if row["list_price"] is None else Decimal(str(row["list_price"]))
    micros = 500_000 if "." in row["purchase_date"] else 0
    return row["order_id"], price, datetime(day.year, day.month, day.day, 8, 0, 0, micros, tzinfo=UTC)


def write_day(folder, day: int, rows: list[dict], suffix: str = "parquet", **options):
    return write(folder / "orders" / f"day={day_name(day)}" / f"orders.{suffix}", rows, **options)


def write_all(folder, days: dict[int, list[dict]], suffix: str = "parquet") -> None:
    """Write days in the order given; those who need it look at a page of the first rows that there are."""
    page = [row for day in sorted(days) for row in days[day]][:100]
    for day, rows in days.items():
        write_day(folder, day, rows, suffix, sample=lambda: [dict(row) for row in page])
