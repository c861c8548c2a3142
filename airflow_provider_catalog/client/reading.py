"""Every row of an endpoint, page by page, from whatever server is there.

Ask for the first page; hand out its rows; go where ``next`` leads, until there is no ``next`` or a page has no rows.
Without links, go on by number. All else that a server says is a hint: one that is wrong costs a request, never a row.
But what says that there is more than came fails the read, and so do rows that move from page to page meanwhile.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from concurrent.futures import Future

from airflow_provider_catalog.client.ahead import Ahead, Fetch
from airflow_provider_catalog.client.hints import Params, page_number, same_but_for_page
from airflow_provider_catalog.client.page import Page, has_moved, has_rows_of
from airflow_provider_catalog.client.settings import Pagination
from airflow_provider_catalog.client.walks import LinkWalk, NumberWalk, Pages, Walk
from airflow_provider_catalog.client.workers import Workers
from airflow_provider_catalog.errors import (
    CatalogDataMovedError,
    CatalogPaginationError,
    CatalogRequestError,
    CatalogUnavailableError,
)

log = logging.getLogger(__name__)


class Reading:
    """
    One read of an endpoint.

    :param endpoint: the endpoint's name, for the log.
    :param fetch: gets one page; called from several threads at once.
    :param params: the query of the first page, which has no number.
    :param pagination: ``"link"``: follow links; ``"page"``: go by number; ``"none"``: all rows come at once;
        ``"auto"``: find out.
    :param max_concurrency: how many requests may be in flight.
    :param accept_moved: whether to go on, rather than fail, when rows have moved from page to page.
    :param on_page: called with each page before it is handed out.
    """

    def __init__(
        self,
        endpoint: str,
        fetch: Fetch,
        params: Params,
        *,
        pagination: Pagination = "auto",
        max_concurrency: int = 1,
        accept_moved: bool = False,
        on_page: Callable[[Page], None] = lambda _: None,
    ) -> None:
        self._endpoint = endpoint
        self._fetch = fetch
        self._params = params
        self._pagination = pagination
        self._max_concurrency = max_concurrency
        self._accept_moved = accept_moved
        self._on_page = on_page
        self._workers = Workers(max_concurrency)
        self.page_count = 0
        self.row_count = 0
        self.moved = False
        """Whether rows have moved from page to page, which was accepted."""

    def pages(self) -> Pages:
        """
        Yield the first page, and every other one that has rows, in order.

        :raises CatalogPaginationError: when links go in circles, or more was promised than came.
        :raises CatalogDataMovedError: when rows have moved from page to page.
        """
        first = self._fetch(self._params)
        watch = _Watch(first, self._fetch, self._workers)
        walk, pages = self._walk(first, watch)
        for page in pages:
            self._note(page, walk)
            watch.see(page)
            yield page
        walk.ahead.drop()
        promise = self._broken_promise(walk, page)
        has_moved = (promise is not None or self.page_count > 1) and self._has_moved(watch)
        if promise and not has_moved:  # after movement it is movement
            self._complain(promise)

    def count(self, limit: float = math.inf) -> tuple[Page, int]:
        """
        Return the first page, and how many rows there are: from the first and the last page where links tell it.

        That is exact where all pages but the last are full; where links don't tell the last page, all are read.

        :param limit: how many rows are enough; the number may be too small when there are more.
        :raises CatalogError: as :meth:`pages` does, but for movement: a count is of a moment.
        """
        first = self._fetch(self._params)
        if first.count >= limit:
            return first, first.count
        told = _told_last(first)
        if told and told[1] >= told[0] and first.count and (count := self._last_count(first.links["last"], first)):
            return first, first.count * (told[1] - told[0] + 1) + count
        walk, pages = self._walk(first)
        for page in pages:
            self._note(page, walk)
            if self.row_count >= limit:
                return first, self.row_count
        if promise := self._broken_promise(walk, page):
            self._complain(promise)
        return first, self.row_count

    def close(self) -> None:
        """End the read; nobody waits for the requests that are under way."""
        self._workers.stop()

    def _note(self, page: Page, walk: Walk) -> None:
        walk.note(page)
        self.page_count += 1
        self.row_count = walk.row_count
        self._on_page(page)

    def _last_count(self, params: Params, first: Page) -> int | None:
        """Return how many rows the last page has; ``None`` when it does not look like the last one."""
        try:
            last = self._fetch(params)
        except (CatalogRequestError, CatalogUnavailableError):
            return None
        return last.count if last.next is None and last.count <= first.count else None

    def _walk(self, first: Page, watch: _Watch | None = None) -> tuple[Walk, Pages]:
        """Return the way from page to page, and its pages."""
        ahead = Ahead(self._fetch, self._workers, self._max_concurrency)
        mode = self._pagination
        if mode == "link" or (mode == "auto" and (first.next or _is_alone(first))):
            by_link = LinkWalk(self._endpoint, first, self._fetch, ahead)
            return by_link, by_link.pages(
                watch.last_number if watch else None, lambda: watch is not None and self._has_moved(watch)
            )
        by_number = NumberWalk(self._endpoint, first, self._fetch, ahead)
        return by_number, _only(first) if mode == "none" else by_number.pages(is_told=mode == "page")

    def _broken_promise(self, walk: Walk, last: Page) -> str | None:
        """Return what says that there is more than came, if anything does."""
        came, hints = f"{walk.row_count:,} came", last.hints
        if walk.total is not None and walk.total > walk.row_count:
            return f"the Catalog says that there are {walk.total:,} rows, and {came}"
        if self.page_count == 1 and hints.more:
            return f"{hints.more[:50]!r} in the answer says that there are more rows, and {came}"
        return None

    def _complain(self, promise: str) -> None:
        """
        Fail, or log a WARNING where the connection says how the server pages.

        :param promise: what says that there is more than came.
        :raises CatalogPaginationError: where the connection says nothing.
        """
        if self._pagination != "auto":
            log.warning("Catalog %s: %s; `pagination` is set to %r", self._endpoint, promise, self._pagination)
            return
        raise CatalogPaginationError(
            "find out with `python -m airflow_provider_catalog.probe` how this Catalog pages, and set `pagination` in "
            f"the connection's extra if nothing is missing: {promise}"
        )

    def _has_moved(self, watch: _Watch) -> bool:
        """
        Return whether rows have moved, where that is accepted.

        :raises CatalogDataMovedError: when they have, and it is not.
        """
        if not watch.has_moved():
            return False
        if not self._accept_moved:
            raise CatalogDataMovedError(
                'ask for a closed window, a …_to in the past, which does not move, or set on_data_moved="accept": rows '
                "entered or left while they were read, so some may be missing, or there twice"
            )
        self.moved = True
        log.warning("Catalog %s: rows moved while they were read: some may be missing, or there twice", self._endpoint)
        return True


class _Watch:
    """
    Notices rows that enter or leave while pages are read: they shift those behind them.

    The first page is asked for once more at the end, and the last one at the beginning, where links tell it.
    """

    def __init__(self, first: Page, fetch: Fetch, workers: Workers) -> None:
        self._first = first
        self._fetch = fetch
        self.last_number: int | None = None
        """The number of the last page, where links tell it from the start."""
        self._early: Future[Page] | None = None
        self._late: Page | None = None
        self._latest: Page | None = None
        if told := _told_last(first):
            number, self.last_number = told
            if self.last_number > number:  # of two pages, the first one shows it
                self._early = workers.submit(fetch, first.links["last"], max_tries=1)

    def see(self, page: Page) -> None:
        """Take note of a page that was read in its turn."""
        self._latest = page
        if self._early is not None and page.number == self.last_number:
            self._late = page

    def has_moved(self) -> bool:
        """Return whether rows have entered or left."""
        try:
            again = self._fetch(self._first.params)
        except (CatalogRequestError, CatalogUnavailableError) as error:
            log.warning("whether rows moved while they were read can't be told: %s", error)
            return False
        # One that is short may have been the last; without rows, though a link leads on, it was not.
        is_short = self._first.count < int(dict(self._first.params)["per_page"])
        may_grow = is_short and not (self._first.count == 0 and self._first.next)
        return has_moved(self._first, again, may_grow=may_grow) or self._last_has_moved()

    def _last_has_moved(self) -> bool:
        if self._early is None or not self._early.done():
            return False
        try:
            early = self._early.result()
        except (CatalogRequestError, CatalogUnavailableError):
            return False
        # Some servers answer with the first page where they don't know the page that is asked for.
        is_known = early.count > 0 and not has_rows_of(early, self._first)
        late = self._late or self._latest
        if is_known and self._late is None and late is not None:
            return not has_rows_of(early, late)  # it has gone
        return is_known and late is not None and has_moved(early, late, may_grow=True)


def _told_last(first: Page) -> tuple[int, int] | None:
    """Return the numbers of the next and of the last page, where links tell both and differ in ``page`` alone."""
    following, last = first.next or (), first.links.get("last", ())
    number, last_number = page_number(following), page_number(last)
    if number is None or last_number is None or not same_but_for_page(following, last):
        return None
    return number, last_number


def _is_alone(first: Page) -> bool:
    """Return whether links say that a first page without a next one is the only one."""
    hints = first.hints
    promised = hints.more or (hints.total or 0) > first.count
    return bool(first.links) and not promised and first.last_number in (None, 0, 1)


def _only(page: Page) -> Pages:
    yield page
