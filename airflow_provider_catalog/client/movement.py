"""Whether rows have moved from page to page while they were read: those that enter or leave shift those behind them."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.client.fetch import PageFetcher
from airflow_provider_catalog.client.page import Page, have_ids, is_likely_same_page, keys
from airflow_provider_catalog.client.workers import Workers
from airflow_provider_catalog.errors import CatalogRequestError, CatalogUnavailableError

log = logging.getLogger(__name__)


class MovementCheck:
    """
    Notices rows that enter or leave while pages are read: they shift those behind them.

    The first page is asked for once more at the end, and the last one at the beginning, where links tell it.
    """

    def __init__(self, first: Page, fetch: PageFetcher, workers: Workers) -> None:
        self._first = self._latest = first
        self._fetch = fetch
        self._workers = workers
        self.last_number: int | None = None
        """The number of the last page, where links tell it from the start."""
        self._early: Future[Page] | None = None
        self._again: Future[Page] | None = None
        if told := first.next_and_last:
            number, self.last_number = told
            if self.last_number > number:  # of two pages, the first one shows it
                self._early = workers.submit(fetch, first.hints.links["last"], max_tries=1)
        self._late: Page | None = None

    def see(self, page: Page) -> None:
        """Take note of a page that was read in its turn."""
        self._latest = page
        if page.params == self._first.params:
            self._first = page
        if self._early is not None and self.last_number is not None:
            if page.number == self.last_number - 1:
                # Beside the last page, to save a round trip: what moves after this shows on that one.
                self._again = self._workers.submit(self._fetch, self._first.params, max_tries=1)
            if page.number == self.last_number:
                self._late = page

    def shows_movement(self) -> bool:
        """Return whether rows have entered or left."""
        early = self._early_page()
        try:
            if early and self._again and self._latest is self._late and not self._again.exception():
                again = self._again.result()
            else:
                again = self._fetch(self._first.params)
        except (CatalogRequestError, CatalogUnavailableError) as error:
            log.warning("whether rows moved while they were read can't be told: %s", error)
            return False
        if has_moved(self._first, again, may_grow=self._latest is self._first):
            return True
        if early is None:
            return False
        if self._late is None:
            return not is_likely_same_page(early, self._latest)  # it has gone
        # Rows that came or went at its end shift no others; of two answers, either may be the later one.
        return has_moved(early, self._late, may_grow=True) and has_moved(self._late, early, may_grow=True)

    def _early_page(self) -> Page | None:
        if self._early is None or not self._early.done() or self._early.exception():
            return None
        early = self._early.result()
        # Some servers answer with the first page where they don't know the page that is asked for.
        return None if not early.count or is_likely_same_page(early, self._first) else early


def has_moved(before: Page, after: Page, *, may_grow: bool = False) -> bool:
    """
    Return whether rows have entered or left, on a page that was asked for twice or on one before it.

    :param may_grow: whether rows may have been added at its end.
    """
    if before.content.fingerprint == after.content.fingerprint:
        return False
    count, now = before.content.count, after.content.count
    if now < count or (now > count and not may_grow):
        return True
    old, new = keys(before, after)
    if have_ids(before, after):
        return old != new[: len(old)]
    # Without ids a row that differs may have been edited, unless it stands elsewhere now, or most of it differs.
    pairs = list(zip(before.content.head(), after.content.head(), strict=False))
    changed = [place for place, (row, other) in enumerate(pairs) if row != other]
    return any(old[place] in new or new[place] in old for place in changed) or (
        bool(changed) and not any(_are_alike(row, other) for row, other in pairs)
    )


def _are_alike(row: Row, other: Row) -> bool:
    """Return whether at least half of the fields of two rows are equal."""
    equal = [name for name, value in row.items() if other.get(name) == value]
    return 2 * len(equal) >= len(row)
