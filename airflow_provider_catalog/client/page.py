"""One page, and how it compares with another: no row has a key that is known, so places and ids are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from airflow_provider_catalog.client.decoding import HEAD_ROWS, Content
from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.client.hints import Hints, Params, page_number, same_but_for_page, shown_page

_ID_LEVELS = 8
"""Levels of a row that are searched for ids."""


@dataclass(frozen=True)
class Page:
    """
    One answer of an endpoint.

    :param skipped: how many of its rows have been handed out before, when it was asked for again.
    """

    params: Params
    content: Content
    hints: Hints = field(default_factory=Hints)
    skipped: int = 0

    @property
    def count(self) -> int:
        """How many rows it has to hand out."""
        return self.content.count - self.skipped

    @property
    def rows(self) -> Iterable[Row]:
        """Its rows to hand out; whoever gets them may change them, so that they are never compared."""
        return islice(self.content.rows, self.skipped, None) if self.skipped else self.content.rows

    @property
    def next(self) -> Params | None:
        """The query of the next page, where a link leads there."""
        return self.hints.links.get("next")

    @property
    def last_number(self) -> int | None:
        """The number of the last page, where a link tells it."""
        return page_number(self.hints.links.get("last", ()))

    @property
    def next_and_last(self) -> tuple[int, int] | None:
        """The numbers of the next and of the last page, where links tell both and differ in ``page`` alone."""
        number, last = page_number(self.next or ()), self.last_number
        if number is None or last is None or not same_but_for_page(self.next or (), self.hints.links["last"]):
            return None
        return number, last

    @property
    def number(self) -> int | None:
        """Its own number, if it was asked for by number."""
        return page_number(self.params)

    def __str__(self) -> str:
        return shown_page(self.params)


def is_likely_same_page(page: Page, other: Page) -> bool:
    """
    Return whether two answers are the same page, though rows may have been edited or have moved in between.

    Of a large page the first rows tell.
    """
    if page.content.fingerprint == other.content.fingerprint:
        return True
    one, two = keys(page, other)
    return bool(one and two) and 3 * (Counter(one) & Counter(two)).total() > 2 * max(len(one), len(two))


def have_ids(page: Page, other: Page) -> bool:
    """Return whether ids tell the rows of two pages apart."""
    one, _ = keys(page, other)
    return bool(one) and not isinstance(one[0], bytes)


def has_same_rows(page: Page, before: Page, *, may_be_equal: bool = False) -> bool:
    """
    Return whether a page has the very rows of the one before it, where rows differ among themselves.

    :param may_be_equal: whether rows that don't differ, or a single one without an id, count as well.
    """
    if page.content.count != before.content.count or not page.content.count:
        return False
    one, two = page.content.first, before.content.first
    if one != two and _ids(one) != _ids(two):
        return False  # the rule, so it has to be quick
    if page.content.count == 1:
        return may_be_equal or (one == two and bool(_ids(one)))
    mine, theirs = keys(page, before)
    return mine == theirs and (may_be_equal or len(set(mine)) > 1)


def keys(page: Page, other: Page) -> tuple[list[object], list[object]]:
    """Return what tells the rows of two pages apart: all of their ids where these do, else all that is in them."""
    rows, others = page.content.head(), other.content.head()
    if page.content.is_cut or other.content.is_cut:
        rows, others = rows[:HEAD_ROWS], others[:HEAD_ROWS]
    one, two = list(map(_ids, rows)), list(map(_ids, others))
    if all(one) and all(two) and len(set(one)) == len(one) and len(set(two)) == len(two):
        return list(one), list(two)
    return list(map(_text, rows)), list(map(_text, others))


def _ids(row: Row) -> tuple[tuple[str, str], ...]:
    """Return the ids in a row, sorted."""
    return tuple(sorted(_iter_ids(row)))


def _iter_ids(row: Row, parent: str = "") -> Iterator[tuple[str, str]]:
    """Yield what is called ``id``, or ends in ``_id``, in a row or in an object in it."""
    for name, value in row.items():
        if type(value) is dict:
            if parent.count(".") < _ID_LEVELS:
                yield from _iter_ids(value, f"{parent}{name}.")
        elif name[-2:].lower() == "id" and (len(name) == 2 or name[-3] == "_") and value is not None:
            yield (parent + name, str(value))


def _text(row: Row) -> bytes:
    return msgspec.json.encode(row, order="sorted")
