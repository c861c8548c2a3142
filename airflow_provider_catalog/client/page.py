"""One page, and how it compares with another: no row has a key that is known, so places and ids are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from airflow_provider_catalog.client.decoding import HEAD_ROWS, Content, Row
from airflow_provider_catalog.client.hints import Hints, Params, page_number, shown_page

MOST_COMPARED = 1000
"""Rows of a page that are compared with those of another one."""


@dataclass(frozen=True)
class Page:
    """
    One answer of an endpoint.

    :param params: the query that it was asked for with.
    :param content: its rows.
    :param links: relation → the query that it leads to.
    :param hints: what else it says about other pages.
    """

    params: Params
    content: Content
    links: Mapping[str, Params] = field(default_factory=dict, repr=False)
    hints: Hints = field(default_factory=Hints)

    @property
    def count(self) -> int:
        """How many rows it has."""
        return self.content.count

    @property
    def rows(self) -> Iterable[Row]:
        """Its rows, each a fresh dict."""
        return self.content.rows

    @property
    def next(self) -> Params | None:
        """The query of the next page, where a link leads there."""
        return self.links.get("next")

    @property
    def last_number(self) -> int | None:
        """The number of the last page, where a link tells it."""
        return page_number(self.links.get("last", ()))

    @property
    def number(self) -> int | None:
        """Its own number, if it was asked for by number."""
        return page_number(self.params)

    def __str__(self) -> str:
        return shown_page(self.params)


def has_rows_of(page: Page, other: Page) -> bool:
    """
    Return whether two answers are the same page, though rows may have been edited or have moved in between.

    Of a large page the first rows tell.
    """
    if page.content.fingerprint == other.content.fingerprint:
        return True
    one, two = _keys_of_both(page, other)
    return bool(one and two) and 2 * (Counter(one) & Counter(two)).total() >= min(len(one), len(two))


def repeats(page: Page, before: Page, *, may_be_equal: bool = False) -> bool:
    """
    Return whether a page has the very rows of the one before it, where rows differ among themselves.

    :param may_be_equal: whether rows that don't differ, or a single one, count as well.
    """
    if page.count != before.count or page.count < 2 - may_be_equal:
        return False
    one, two = next(iter(page.rows)), next(iter(before.rows))
    if one != two and set(_ids(one)) != set(_ids(two)):
        return False  # the rule, so it has to be quick
    mine, theirs = _keys_of_both(page, before)
    return mine == theirs and (may_be_equal or len(set(mine)) > 1)


def can_be_told(page: Page, again: Page) -> bool:
    """Return whether a page that is asked for twice can be known again: by ids, or as some rows stay as they are."""
    one, two = _keys_of_both(page, again)
    return not one or bool(set(one) & set(two))


def have_ids(page: Page, other: Page) -> bool:
    """Return whether ids tell the rows of two pages apart."""
    one, _ = _keys_of_both(page, other)
    return bool(one) and not isinstance(one[0], bytes)


def are_all_equal(page: Page) -> bool:
    """Return whether a page has several rows, and nothing tells them apart."""
    return page.count > 1 and len(set(map(_text, _head(page)))) == 1


def has_moved(before: Page, after: Page, *, may_grow: bool = False) -> bool:
    """
    Return whether rows have entered or left, on a page that was asked for twice or on one before it.

    :param may_grow: whether rows may have been added at its end.
    """
    if before.content.fingerprint == after.content.fingerprint:
        return False
    if after.count < before.count or (after.count > before.count and not may_grow):
        return True
    if ids := _distinct_ids(before, after):
        old, new = ids
        return old != new[: len(old)]
    # Without ids a row that differs may have been edited, unless it stands elsewhere now, or most of it differs.
    pairs = list(zip(_head(before), _head(after), strict=False))
    rows, others = [_text(row) for row, _ in pairs], [_text(row) for _, row in pairs]
    changed = [place for place, pair in enumerate(pairs) if pair[0] != pair[1]]
    return any(rows[place] in others or others[place] in rows for place in changed) or (
        bool(changed) and not any(map(_are_alike, *zip(*pairs, strict=True)))
    )


def _are_alike(row: Row, other: Row) -> bool:
    """Return whether at least half of the fields of two rows are equal."""
    equal = [name for name, value in row.items() if other.get(name) == value]
    return 2 * len(equal) >= len(row)


def _head(page: Page) -> list[Row]:
    return list(islice(page.rows, MOST_COMPARED))


def _keys_of_both(page: Page, other: Page) -> tuple[list[object], list[object]]:
    """Return what tells the rows of two pages apart: all of their ids where these do, else all that is in them."""
    most = HEAD_ROWS if page.content.is_cut or other.content.is_cut else MOST_COMPARED
    rows, others = _head(page)[:most], _head(other)[:most]
    one, two = [tuple(sorted(_ids(row))) for row in rows], [tuple(sorted(_ids(row))) for row in others]
    if all(one) and all(two) and len(set(one)) == len(one) and len(set(two)) == len(two):
        return list(one), list(two)
    return list(map(_text, rows)), list(map(_text, others))


def _distinct_ids(page: Page, other: Page) -> tuple[list[object], list[object]] | None:
    """Return the values of the first id that tells all rows of two pages apart; of a single row, all of its ids."""
    rows, others = [dict(_ids(row)) for row in _head(page)], [dict(_ids(row)) for row in _head(other)]
    if len(rows) == 1 and rows[0]:
        return [rows[0]], [others[0]] if others else []
    for name in sorted(rows[0]) if rows else ():
        one, two = [row.get(name) for row in rows], [row.get(name) for row in others]
        if None not in (*one, *two) and len(set(one)) == len(one) and len(set(two)) == len(two):
            return list(one), list(two)
    return None


def _ids(row: Row, parent: str = "") -> Iterator[tuple[str, str]]:
    """Yield the ids in a row: what is called ``id``, or ends in ``_id``, in it or in an object in it."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _ids(value, f"{parent}{name}.")
        elif value is not None and (name.lower() == "id" or name.lower().endswith("_id")):
            yield (parent + name, str(value))


def _text(row: Row) -> bytes:
    return msgspec.json.encode(row, order="sorted")
