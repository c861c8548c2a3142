"""Every row of an endpoint, page by page, from whatever server is there.

Ask for the first page; hand out its rows; go where ``next`` leads, until there is no ``next`` or a page has no rows.
Without links, go on by number. All else that a server says is a hint: one that is wrong costs a request, never a row.
But what says that there is more than came fails the read, and so do rows that move from page to page meanwhile.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future

from airflow_provider_catalog.client.ahead import Ahead
from airflow_provider_catalog.client.fetch import PageFetcher
from airflow_provider_catalog.client.hints import page_number, same_but_for_page
from airflow_provider_catalog.client.page import Page, has_moved, is_likely_same_page
from airflow_provider_catalog.client.walks import LinkWalk, NumberWalk, Walk
from airflow_provider_catalog.client.workers import Workers
from airflow_provider_catalog.errors import (
    CatalogDataMovedError,
    CatalogPaginationError,
    CatalogRequestError,
    CatalogUnavailableError,
)

log = logging.getLogger(__name__)

LOG_INTERVAL = 10.0
"""Seconds between two lines about the progress of a long read."""


class Reading:
    """
    One read of an endpoint.

    :param fetch: gets one page.
    :param accept_moved: whether to go on, rather than fail, when rows have moved from page to page.
    """

    def __init__(self, fetch: PageFetcher, *, accept_moved: bool = False) -> None:
        self._fetch = fetch
        self._endpoint = fetch.endpoint.name
        self._pagination = fetch.settings.pagination
        self._accept_moved = accept_moved
        self._workers = Workers(fetch.max_concurrency)
        self._started_at = self._logged_at = time.monotonic()
        self.usage = fetch.usage
        self._last_page: int | None = None
        self.page_count = 0
        self.moved = False
        """Whether rows have moved from page to page, which was accepted."""

    @property
    def row_count(self) -> int:
        """How many rows have been handed out."""
        return self.usage.rows

    def pages(self) -> Iterator[Page]:
        """
        Yield the first page, and every other one that has rows, in order.

        :raises CatalogPaginationError: when links go in circles, or more was promised than came.
        :raises CatalogDataMovedError: when rows have moved from page to page.
        """
        first = page = self._fetch(self._fetch.first_params)
        movement = _MovementCheck(first, self._fetch, self._workers)
        walk = self._walk(first, movement)
        for page in self._pages_of(walk):
            self._note(page)
            movement.see(page)
            yield page
        walk.ahead.drop()
        promise = self._broken_promise(walk, page)
        is_moved = (promise is not None or self.page_count > 1) and self._check_movement(movement)
        if promise and not is_moved:  # after movement it is movement
            self._complain(promise)

    def count(self, limit: float = math.inf, *, enough: float = math.inf) -> tuple[Page, int]:
        """
        Return the first page, and how many rows there are: from the first and the last page where links tell it.

        That is exact where all pages but the last are full; where links don't tell the last page, all are read.

        :param limit: how many rows end the count; the number may be too small when there are more.
        :param enough: how many rows have to come for a promise of more to be a WARNING, and no error.
        :raises CatalogError: as :meth:`pages` does, but for movement: a count is of a moment.
        """
        first = page = self._fetch(self._fetch.first_params)
        if first.count >= limit:
            return first, first.count
        if (count := self._count_by_last(first)) is not None:
            return first, count
        walk = self._walk(first)
        for page in self._pages_of(walk):
            self._note(page)
            if self.row_count >= limit:
                return first, self.row_count
        if promise := self._broken_promise(walk, page):
            self._complain(promise, is_error=self.row_count < enough)
        return first, self.row_count

    def close(self) -> None:
        """End the read; nobody waits for the requests that are under way."""
        self._fetch.cancel()
        self._workers.close()

    def _note(self, page: Page) -> None:
        self.page_count += 1
        self.usage.add(rows=page.count)
        self._last_page = page.last_number or self._last_page
        now = time.monotonic()
        if now - self._logged_at >= LOG_INTERVAL:
            self._logged_at = now
            self._log_progress(now - self._started_at)

    def _log_progress(self, seconds: float) -> None:
        pages, rows, last_page, left = f"{self.page_count:,}", self.row_count, self._last_page, ""
        if last_page:
            pages += f" of {last_page:,}"
            left = f", about {(last_page - self.page_count) * seconds / self.page_count:,.0f} s left"
        log.info(
            "Catalog %s: %s pages, %s rows, %s rows/s%s",
            self._endpoint, pages, f"{rows:,}", f"{rows / seconds:,.0f}", left,
        )  # fmt: skip

    def _count_by_last(self, first: Page) -> int | None:
        """Return how many rows there are by the last page; ``None`` when none is told, or it looks like another one."""
        told = _told_last(first)
        # A first page before another one than 1 or 2 counts rows, not pages.
        if self._pagination not in ("auto", "link") or told is None or told[1] < told[0] or told[0] > 2:
            return None
        try:
            last = self._fetch(first.hints.links["last"])
        except (CatalogRequestError, CatalogUnavailableError):
            return None
        is_last = last.next is None and 0 < last.count <= first.count and not is_likely_same_page(last, first)
        return first.count * (told[1] - told[0] + 1) + last.count if is_last else None

    def _walk(self, first: Page, movement: _MovementCheck | None = None) -> Walk:
        """Return the way from page to page."""
        ahead = Ahead(self._fetch, self._workers)
        if self._pagination == "link" or (self._pagination == "auto" and (first.next or _is_alone(first))):
            return LinkWalk(
                self._endpoint, first, self._fetch, ahead,
                known_last=movement.last_number if movement else None,
                check_movement=lambda: movement is not None and self._check_movement(movement),
            )  # fmt: skip
        return NumberWalk(self._endpoint, first, self._fetch, ahead)

    def _pages_of(self, walk: Walk) -> Iterator[Page]:
        for page in walk:
            yield page
            if self._pagination == "none":
                return

    def _broken_promise(self, walk: Walk, last: Page) -> str | None:
        """Return what says that there is more than came, if anything does."""
        came, more = f"{self.row_count:,} came", last.hints.more
        if walk.promises_rows():
            return f"the Catalog says that there are {walk.total:,} rows, and {came}"
        if self.page_count == 1 and more:
            return f"{more[:50]!r} in the answer says that there are more rows, and {came}"
        return None

    def _complain(self, promise: str, *, is_error: bool = True) -> None:
        """
        Fail, or log a WARNING where it is no error, or the connection says how the server pages.

        :param promise: what says that there is more than came.
        :raises CatalogPaginationError: where the connection says nothing.
        """
        if self._pagination != "auto" or not is_error:
            log.warning("Catalog %s: %s; `pagination` is set to %r", self._endpoint, promise, self._pagination)
            return
        raise CatalogPaginationError(
            "find out with `python -m airflow_provider_catalog.probe` how this Catalog pages, and set `pagination` in "
            f"the connection's extra if nothing is missing: {promise}"
        )

    def _check_movement(self, movement: _MovementCheck) -> bool:
        """
        Return whether rows have moved, where that is accepted.

        :raises CatalogDataMovedError: when they have, and it is not.
        """
        if not movement.has_moved():
            return False
        if not self._accept_moved:
            raise CatalogDataMovedError(
                'ask for a closed window, a …_to in the past, which does not move, or set on_data_moved="accept": rows '
                "entered or left while they were read, so some may be missing, or there twice"
            )
        self.moved = True
        log.warning("Catalog %s: rows moved while they were read: some may be missing, or there twice", self._endpoint)
        return True


class _MovementCheck:
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
        if told := _told_last(first):
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
                # While the last page is asked for: what moves after this, and matters, moves that one.
                self._again = self._workers.submit(self._fetch, self._first.params, max_tries=1)
            if page.number == self.last_number:
                self._late = page

    def has_moved(self) -> bool:
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


def _told_last(first: Page) -> tuple[int, int] | None:
    """Return the numbers of the next and of the last page, where links tell both and differ in ``page`` alone."""
    following, last = first.next or (), first.hints.links.get("last", ())
    number, last_number = page_number(following), page_number(last)
    if number is None or last_number is None or not same_but_for_page(following, last):
        return None
    return number, last_number


def _is_alone(first: Page) -> bool:
    """Return whether links say that a first page without a next one is the only one."""
    promised = first.hints.more or (first.hints.total or 0) > first.count
    return first.hints.has_links and not promised and first.last_number in (None, 0, 1)
