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

from airflow_provider_catalog.client.ahead import Ahead
from airflow_provider_catalog.client.fetch import PageFetcher
from airflow_provider_catalog.client.movement import MovementCheck
from airflow_provider_catalog.client.page import Page, is_likely_same_page
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
        movement = MovementCheck(first, self._fetch, self._workers)
        walk = self._walk(first, movement)
        for page in self._pages_of(walk):
            self._note(page)
            movement.see(page)
            yield page
        walk.ahead.drop()
        promise = self._broken_promise(walk, page)
        if (promise or self.page_count > 1) and self._accepts_movement(movement):
            return  # what is missing has moved
        if promise:
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
        told = first.next_and_last
        # A first page before another one than 1 or 2 counts rows, not pages.
        if self._pagination not in ("auto", "link") or told is None or told[1] < told[0] or told[0] > 2:
            return None
        try:
            last = self._fetch(first.hints.links["last"])
        except (CatalogRequestError, CatalogUnavailableError):
            return None
        is_last = last.next is None and 0 < last.count <= first.count and not is_likely_same_page(last, first)
        return first.count * (told[1] - told[0] + 1) + last.count if is_last else None

    def _walk(self, first: Page, movement: MovementCheck | None = None) -> Walk:
        """Return the way from page to page."""
        ahead = Ahead(self._fetch, self._workers)
        if self._pagination == "link" or (self._pagination == "auto" and (first.next or _is_alone(first))):
            return LinkWalk(
                self._endpoint, first, self._fetch, ahead,
                known_last=movement.last_number if movement else None,
                check_movement=lambda: movement is not None and self._accepts_movement(movement),
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

        :raises CatalogPaginationError: where the connection says nothing.
        """
        if self._pagination != "auto" or not is_error:
            why = f"`pagination` is set to {self._pagination!r}" if is_error else "there are enough rows"
            log.warning("Catalog %s: %s; going on, since %s", self._endpoint, promise, why)
            return
        raise CatalogPaginationError(
            "find out with `python -m airflow_provider_catalog.probe` how this Catalog pages, and set `pagination` in "
            f"the connection's extra if nothing is missing: {promise}"
        )

    def _accepts_movement(self, movement: MovementCheck) -> bool:
        """
        Return whether rows have moved, and that is accepted.

        :raises CatalogDataMovedError: when they have, and it is not.
        """
        if not movement.shows_movement():
            return False
        if not self._accept_moved:
            raise CatalogDataMovedError(
                'ask for a closed window, a …_to in the past, which does not move, or set on_data_moved="accept": rows '
                "entered or left while they were read, so some may be missing, or there twice"
            )
        self.moved = True
        log.warning("Catalog %s: rows moved while they were read: some may be missing, or there twice", self._endpoint)
        return True


def _is_alone(first: Page) -> bool:
    """Return whether links say that a first page without a next one is the only one."""
    promised = first.hints.more or (first.hints.total or 0) > first.count
    return first.hints.has_links and not promised and first.last_number in (None, 0, 1)
