"""Look-ahead: pages that are asked for before their turn comes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

from airflow_provider_catalog.client.fetch import PageFetcher
from airflow_provider_catalog.client.hints import Params, page_number, with_page
from airflow_provider_catalog.client.page import Page
from airflow_provider_catalog.client.retry import MAX_TRIES
from airflow_provider_catalog.client.workers import Workers
from airflow_provider_catalog.errors import CatalogRequestError, CatalogUnavailableError, is_timeout


class Ahead:
    """
    Asks for the pages after the current one, each in one try.

    How many are asked for grows by one with each page that is used, so it doubles with each round trip; twice as many
    as can be in flight, since a worker goes on while its page waits for an earlier one.
    """

    def __init__(self, fetch: PageFetcher, workers: Workers) -> None:
        self._fetch = fetch
        self._workers = workers
        self._most = 2 * fetch.max_concurrency
        self._width = 0
        self._until: int | None = None
        self._pages: dict[Params, Future[Page]] = {}
        self._failures_left = 3
        """Some servers know a page only after they have linked to it."""

    def ask(self, params: Params, *, head_only: bool = False) -> None:
        """Ask for one page now."""
        self._pages[params] = self._workers.submit(self._fetch, params, max_tries=1, head_only=head_only)

    def open(self, until: int) -> None:
        """
        Ask for many pages at once from now on.

        :param until: the number of the last one that may be asked for.
        """
        self._width, self._until = self._most, until

    def look(self, params: Params) -> None:
        """Ask for the pages from a number on, as many as the width allows."""
        if self._failures_left <= 0 or self._fetch.max_concurrency == 1:  # one at a time needs no second thread
            return
        number = page_number(params) or 0
        if self._until is not None and number > self._until + 1:
            self._until, self._width = None, 1  # there are more pages than was said
        last = number + self._width if self._until is None else min(number + self._width, self._until + 1)
        for each in range(number, last):
            ahead = with_page(params, each)
            if ahead not in self._pages:
                self.ask(ahead)
        self._width = min(self._width + 1, self._most)

    def drop(self) -> None:
        """Forget the pages that were asked for; those that are under way no longer count as in flight."""
        for future in self._pages.values():
            future.cancel()
        self._fetch.forget_in_flight()
        self._pages.clear()
        self._width = 0
        self._until = None

    def take(self, params: Params, max_tries: int = MAX_TRIES) -> Page:
        """Return a page, asking for it again if it failed when its turn had not yet come."""
        future = self._pages.pop(params, None)
        if future is None:
            return self._fetch(params, max_tries=max_tries)
        try:
            page = future.result()
        except (CatalogRequestError, CatalogUnavailableError) as error:
            if max_tries == 1 or self._fetch.is_beyond_patience(error):
                raise
            if is_timeout(error):
                self._slow_down()
            page = self._fetch(params, max_tries=max_tries - 1)
            self._failures_left -= 1
        else:
            self._failures_left += 1
        return page

    def _slow_down(self) -> None:
        """Ask for fewer pages ahead, as of a server with one worker, which stays with a connection kept open."""
        self._most //= 4
        self._width = min(self._width, self._most)

    def beyond(self, number: int) -> Iterator[Page]:
        """Yield the pages after a number that have come by now, and have rows."""
        for params, future in self._pages.items():
            if (page_number(params) or 0) > number and future.done() and not future.exception():
                page = future.result()
                if page.count:
                    yield page
