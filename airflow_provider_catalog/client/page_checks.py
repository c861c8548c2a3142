"""Whether the pages of one read fit together, though each was asked for at another moment.

A row that enters or leaves shifts all rows behind it, so one row comes twice or never where an earlier page was read
before and a later one after it. No row has a key that is known, so places are compared.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

import msgspec

from airflow_provider_catalog.client.page import Fetch, Page, page_number, shown_page
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogPaginationError

_MAX_EQUAL_PAGES = 1000
"""Pages with the same rows, none of which can be told from another, after which a server is taken to repeat itself."""


def check_first(first: Page) -> None:
    """
    Check that a page that was asked for without a number is the first one.

    :raises CatalogDataMovedError: when it isn't, or has no rows although there are more pages.
    """
    if "prev" in first.links:  # the first page has none (confirmed)
        raise CatalogDataMovedError("the first page has a link to one before it, so it is not the first")
    if "next" in first.links and not first.content.count:
        raise CatalogDataMovedError("the first page has no rows, but a link to the next one")
    if page_number(first.links.get("next")) == 3:  # they count from 0 or from 1 (confirmed)
        raise CatalogDataMovedError("the first page has a link to page 3 as the next one: a page before it is missing")


def check_next(page: Page) -> None:
    """
    Check that a page leads to the one after it, where both have numbers.

    :raises CatalogDataMovedError: when it leads elsewhere.
    """
    number, following = page_number(page.url), page_number(page.links.get("next"))
    if number is None or following is None or following == number + 1:
        return
    circles = following <= number
    why = "the pages go in circles" if circles else "the pages in between would be missing"
    raise CatalogDataMovedError(
        f"page {number} has a link to page {following} as the next one: {why}", retryable=False if circles else None
    )


def check_in_place(before: Page, after: Page, *, is_last: bool) -> None:
    """
    Check that a page that was asked for twice has each row in the same place; rows may have been edited.

    :param is_last: whether it is the last page, which more rows may have been added to.
    :raises CatalogDataMovedError: when a row has entered or left, on this page or before it.
    """
    if before.content.fingerprint == after.content.fingerprint:
        return
    old, new = list(before.content.rows), list(after.content.rows)
    changed = [place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]]
    if (
        len(new) < len(old)
        or (len(new) > len(old) and not is_last)
        or any(old[place] in new or new[place] in old for place in changed)
        # What is at the edge may have been edited, or pushed out by a row that nobody has seen.
        or len(changed) == len(old)
        or (bool(changed) and changed[-1] == len(old) - 1 and not is_last)
    ):
        raise CatalogDataMovedError(
            f"the data moved while it was read: page {shown_page(before.url)} has other rows than before"
        )


class Repetitions:
    """
    Notices rows that come on a second page, and asks for both pages again to learn why.

    Of each page, twelve bytes are kept: there may be a hundred thousand.

    :param fetch: gets one page.
    :param url_of: returns the URL of the first page (0), the second one (1), ...
    """

    def __init__(self, fetch: Fetch, url_of: Callable[[int], str]) -> None:
        self._fetch = fetch
        self._url_of = url_of
        self._seen = array("q")  # the pages' fingerprints, in ascending order,
        self._places = array("I")  # and which page each of them is of
        self._repeated: Counter[int] = Counter()
        self._before: Page | None = None
        self._rows_recur = False

    def check(self, page: Page, place: int) -> None:
        """
        Look at the next page.

        :param place: how many pages came before it.
        :raises CatalogDataMovedError: when one of the two pages has other rows now, or leads elsewhere.
        :raises CatalogPaginationError: when a page lastingly has the rows of another one.
        """
        if not page.content.count:
            return
        fingerprint = page.content.fingerprint
        index = bisect_left(self._seen, fingerprint)
        if index < len(self._seen) and self._seen[index] == fingerprint:
            self._repeated[fingerprint] += 1
            self._check_repeated(page, self._url_of(self._places[index]), self._repeated[fingerprint])
        else:
            self._seen.insert(index, fingerprint)
            self._places.insert(index, place)
        if self._before and not self._rows_recur and _overlap(self._before, page):
            for each in (self._before, page):
                self._ask_again(each.url, each)
            self._rows_recur = True
        self._before = page

    def _check_repeated(self, page: Page, url: str, times: int) -> None:
        # Rows that nothing tells apart may well fill two pages; a sequence of different ones doesn't recur.
        is_twin = page.content.count > 1 and not has_equal_rows(page)
        if is_twin or times >= _MAX_EQUAL_PAGES:
            self._ask_again(url, page)
            self._ask_again(page.url, page)
            raise CatalogPaginationError(
                f"page {shown_page(page.url)} has the same rows as page {shown_page(url)}: the pages go in circles",
                retryable=False,
            )

    def _ask_again(self, url: str, page: Page) -> None:
        again = self._fetch(url)
        if again.content.fingerprint != page.content.fingerprint or (url == page.url and again.links != page.links):
            raise CatalogDataMovedError(
                f"the data moved while it was read: a row came twice, and page {shown_page(url)} is another one now"
            )


def _overlap(before: Page, page: Page) -> bool:
    """Return whether a page begins with the rows that the one before it ends in, as after an insertion."""
    old, new = before.content.rows, page.content.rows
    if not isinstance(old, list) or not isinstance(new, list):
        return False  # bodies of many megabytes: to decode them once more would take too long
    places = [place for place, row in enumerate(old) if row == new[0]]
    return any(old[place:] == new[: len(old) - place] for place in places) and not has_equal_rows(page)


def counted_rows(page: Page) -> Counter[bytes]:
    """Return how often each row is on a page."""
    return Counter(msgspec.json.encode(row, order="sorted") for row in page.content.rows)


def has_equal_rows(page: Page) -> bool:
    """Return whether some rows of a page can't be told apart."""
    return len(counted_rows(page)) < page.content.count
