"""The two ways from page to page: by the links to the next one, and by number where there are no links."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace

from airflow_provider_catalog.client.ahead import Ahead
from airflow_provider_catalog.client.fetch import PageFetcher
from airflow_provider_catalog.client.hints import Params, page_number, same_but_for_page, shown_page, with_page
from airflow_provider_catalog.client.movement import has_moved
from airflow_provider_catalog.client.page import Page, has_same_rows, have_ids, is_likely_same_page
from airflow_provider_catalog.client.retry import MAX_TRIES
from airflow_provider_catalog.errors import (
    CatalogPaginationError,
    CatalogRequestError,
    CatalogUnavailableError,
    is_timeout,
)

log = logging.getLogger(__name__)

REFUSED = frozenset({400, 404, 410, 416, 422})
"""Statuses with which servers refuse a page beyond the last one."""
MAX_EMPTY_PAGES = 3
"""So many pages without rows, one after the other, are followed by number;"""
MAX_EMPTY_CURSORS = 100
"""so many by cursor, as of servers that filter rows after they have cut the page."""
DEFAULT_PAGE_SIZE = 20
"""Rows that the API puts on a page when it is not told how many (confirmed)."""


class Walk(ABC):
    """
    Goes from the first page to the last; iterates over the first one, and every other one that has rows.

    What looks like the end, or like the answer to another request, is asked for once more where something speaks
    against it: a page that comes late, or a slip of a cache, must not cut a read short.
    """

    def __init__(self, endpoint: str, first: Page, fetch: PageFetcher, ahead: Ahead) -> None:
        self.endpoint = endpoint
        self.first = first
        self.fetch = fetch
        self.ahead = ahead
        self.total: int | None = None
        """How many rows there are, as the last page that told it said."""
        self.row_count = 0

    def __iter__(self) -> Iterator[Page]:
        page: Page | None = self.first
        while page is not None:
            if page.count or page is self.first:
                self.row_count += page.count
                self.total = page.hints.total if page.hints.total is not None else self.total
                yield page
            page = self.after(page)

    @abstractmethod
    def after(self, page: Page) -> Page | None:
        """Return the page after another one; ``None`` at the end."""

    def promises_rows(self) -> bool:
        """Return whether a total says that there are more rows than have come."""
        return self.total is not None and self.total > self.row_count

    def get(self, params: Params, *, may_be_past_end: bool, head_only: bool = False) -> Page | None:
        """
        Return a page; ``None`` where the last page may have come already, and the server does not give this one.

        :param may_be_past_end: whether something suggests that the last page has come already.
        :param head_only: whether the first rows of a large page are enough.
        """
        page: Page | None
        try:
            page = self.ahead.take(params, 2 if may_be_past_end else MAX_TRIES)
        except (CatalogRequestError, CatalogUnavailableError) as error:
            if not may_be_past_end:
                raise
            page = self._past_end(params, error)
        if page and page.content.is_cut and not (head_only and page.content.count > 1):  # one row may be cut itself
            return self.fetch(params)
        return page

    def _past_end(self, params: Params, error: CatalogRequestError | CatalogUnavailableError) -> Page | None:
        """
        Return a page that has failed and may be past the end, after all; ``None`` where it keeps failing.

        A page beyond the last one is refused, or answered with 500 or not at all: then there is no waiting for minutes,
        as for an outage, which must not pass for the end.
        """
        if error.status not in REFUSED:
            self.fetch(self.first.params)  # fails, too, if it is the whole server that fails
            try:
                if not is_timeout(error):
                    return self.fetch(params, max_tries=2 if error.status == 500 else MAX_TRIES)
            except (CatalogRequestError, CatalogUnavailableError) as again:
                error = again
        self._log_end(f"{shown_page(params)} can't be had ({error}), and nothing says that it exists")
        return None

    def again(self, page: Page) -> Page:
        """Ask once more for a page that looked like the last one; return it with the rows that were added since."""
        again = self.fetch(page.params)
        grown = again.content.count > page.content.count and not has_moved(page, again, may_grow=True)
        return replace(again, skipped=page.content.count if grown else again.content.count)

    def is_seen(self, page: Page, before: Page) -> bool:
        """Return whether a page, which may be any that the server has, is the one before it or the first."""
        return is_likely_same_page(page, before) or is_likely_same_page(page, self.first)

    def has_new_beyond(self, number: int, page: Page) -> bool:
        """Return whether a page after a number, not always the next one, has come already and was not seen."""
        return any(not self.is_seen(each, page) for each in self.ahead.beyond(number))

    def _log_end(self, what: str, level: int = logging.WARNING) -> None:
        log.log(level, "Catalog %s: %s: taken for the end", self.endpoint, what)


class LinkWalk(Walk):
    """
    Goes where the links to the next page lead.

    :param known_last: the number of the last page, where the first one told it; it is left for the end.
    :param check_movement: returns whether rows have moved from page to page, where that is accepted, or raises.
    """

    def __init__(
        self,
        endpoint: str,
        first: Page,
        fetch: PageFetcher,
        ahead: Ahead,
        *,
        known_last: int | None,
        check_movement: Callable[[], bool],
    ) -> None:
        super().__init__(endpoint, first, fetch, ahead)
        self._known_last = known_last
        self._check_movement = check_movement
        self._visited = {hash(first.params)}
        self._counts_up = False  # whether the last link led to the next number
        self._empty = 0  # pages without rows, one after the other

    def after(self, page: Page) -> Page | None:
        """
        Return the page to which the link leads.

        :raises CatalogPaginationError: when links go in circles.
        """
        following = page.next
        self._empty = 0 if page.content.count else self._empty + 1
        if following is None:
            return self._after_the_end(page) if self._says_more(page) else None
        is_complete = self._is_complete(page)
        most = MAX_EMPTY_CURSORS if page_number(following) is None else MAX_EMPTY_PAGES
        if self._empty and (is_complete or self._empty > most):
            level = logging.DEBUG if is_complete else logging.WARNING
            self._log_end(f"{page} has no rows, but a link to a next one", level)
            return None
        if hash(following) in self._visited:
            if self._empty:
                return None  # as of a cursor that stays where it is at the end
            raise self._circle(f"the link of {page} leads back to {shown_page(following)}")
        self._visited.add(hash(following))
        self._look_ahead(page, following)
        return self._linked(page, following)

    def _number(self, page: Page) -> int | None:
        """Return a page's number; the first one's is that before the page to which its link leads."""
        following = page_number(page.next or ()) if page is self.first else None
        return page.number if following is None else following - 1

    def _last_number(self, page: Page) -> int | None:
        """Return the number of the last page, as this one or the first one says."""
        return page.last_number if page.last_number is not None else self.first.last_number

    def _says_more(self, page: Page) -> bool:
        """Return whether a hint says that a page without a link to a next one is not the last."""
        last, number = self._last_number(page), self._number(page)
        if number is None:
            return self.promises_rows()
        return (last or 0) > number or self.promises_rows() or self.has_new_beyond(number, page)

    def _is_complete(self, page: Page) -> bool:
        """Return whether a hint says that a page is the last one, although it has a link to a next one."""
        last, number = self._last_number(page), self._number(page)
        return (last is not None and number is not None and last <= number) or (
            bool(self.row_count) and self.total == self.row_count
        )

    def _after_the_end(self, page: Page) -> Page | None:
        """Ask once more for a page without a link to the next one; return what then follows, or has the next number."""
        again = self.again(page)
        if again.next:
            return again
        if page.number is None or not self._counts_up:
            return None
        if self.has_new_beyond(page.number, page):
            return self.ahead.take(with_page(page.params, page.number + 1))
        found = self.get(with_page(page.params, page.number + 1), may_be_past_end=True)
        return None if found is None or not found.count or self.is_seen(found, page) else found

    def _linked(self, page: Page, following: Params) -> Page | None:
        """
        Return the page that a link leads to; ``None`` where it leads beyond the end.

        :raises CatalogPaginationError: when it has the rows of the page before it.
        :raises CatalogUnavailableError: when the server refuses the page: there were pages before, so it may pass.
        """
        try:
            found = self.get(following, may_be_past_end=not page.content.count or self._is_complete(page))
            if found and self._may_be_a_slip(found, page):
                found = self.fetch(following)
                if has_same_rows(found, page) and not self._check_movement():
                    raise self._circle(f"{found} has the rows of {page}")
            return found
        except CatalogRequestError as error:
            if self._ends_with(page, following, error):
                self._log_end(f"the link of {page} leads to a page that is refused ({error})")
                return None
            raise CatalogUnavailableError(
                f"try again later: {shown_page(following)}, to which a link leads, can't be had: {error}",
                status=error.status,
            ) from error

    def _may_be_a_slip(self, page: Page, before: Page) -> bool:
        """Return whether a page may be the answer to another request, such as a cache gives."""
        after = page_number(page.next or ())
        jumps = self._counts_up and after is not None and page.number is not None and after != page.number + 1
        return jumps or not page.count or has_same_rows(page, before) or has_same_rows(page, self.first)

    def _ends_with(self, page: Page, following: Params, error: CatalogRequestError) -> bool:
        """Return whether a page is the last one: nothing says more, and the next two pages are both refused."""
        number = page_number(following)
        if number is None or self._says_more(page):
            return False
        return error.status in REFUSED and all(self._is_refused(with_page(following, number + n)) for n in (0, 1))

    def _is_refused(self, params: Params) -> bool:
        try:
            self.fetch(params)
        except CatalogRequestError as error:
            return error.status in REFUSED
        return False

    def _look_ahead(self, page: Page, following: Params) -> None:
        """Look ahead while two links differ in ``page`` alone, by one, or the last one's number is known."""
        number = page_number(following)
        self._counts_up = number is not None and number - 1 == self._number(page)
        if page is self.first:
            if self._known_last is not None:
                self.ahead.open(until=self._known_last - 1)
                self.ahead.look(following)
        elif self._counts_up and same_but_for_page(page.params, following):
            self.ahead.look(following)

    def _circle(self, what: str) -> CatalogPaginationError:
        message = f"set `pagination` in the connection's extra to page or none: the links go in circles, for {what}"
        return CatalogPaginationError(message, retryable=False)


class NumberWalk(Walk):
    """Goes on by number: ``page`` may be ignored, and may count from 0 or from 1 (both are in the API's examples)."""

    _second: int | None = None
    """The number of the second page, as soon as it is known."""
    _wraps = False
    """Whether the last answer was the first page again, as of servers that begin anew after the last one."""

    def after(self, page: Page) -> Page | None:
        """Return the page with the next number, or the rows that were added to a page that looked like the last."""
        found = self._find_second() if self._second is None else self._following(page, self._second)
        if found and self._is_short(page) and (again := self.again(page)).count:
            return again
        return found

    def _find_second(self) -> Page | None:
        """Return the second page; ``None`` when all rows came at once."""
        count = self.first.content.count
        if not count:
            return None
        is_full = count in (self.fetch.page_size, DEFAULT_PAGE_SIZE)
        for number in (1, 2):
            self.ahead.ask(with_page(self.first.params, number), head_only=True)
        is_ignored = False
        for number in (1, 2) * (1 + is_full):  # once more where there may be more
            found = self._get_second(with_page(self.first.params, number))
            is_ignored = bool(found and found.count)
            if found and found.count and not is_likely_same_page(found, self.first):
                if not self._can_be_told(found):
                    return None
                self._second = number
                return self.fetch(found.params) if found.content.is_cut else found
        if is_ignored and is_full:
            if count > 1 and not has_same_rows(self.first, self.first):
                raise _all_equal()
            self._warn_that_full()
        return None

    def _get_second(self, params: Params) -> Page | None:
        """
        Return a page that may be the second; ``None`` where there is none.

        :raises CatalogUnavailableError: when a page after a full one can't be had.
        """
        try:
            return self.get(params, may_be_past_end=self._is_short(self.first), head_only=True)
        except CatalogUnavailableError as error:
            raise CatalogUnavailableError(
                "set `pagination` in the connection's extra to link if all rows are on the first page, which is full "
                f"and has no links, or else {error}",
                status=error.status,
            ) from error

    def _can_be_told(self, found: Page) -> bool:
        """Return whether other rows mean another page, rather than that each answer has some."""
        if self.fetch.settings.pagination == "page" or have_ids(found, self.first):
            return True
        if is_likely_same_page(self.fetch(self.first.params), self.first):
            return True
        log.warning(
            "Catalog %s: each answer has other rows, without ids, and there are no links: the first page is taken for "
            "all; set `pagination` in the connection's extra to page if there are more",
            self.endpoint,
        )
        return False

    def _following(self, page: Page, second: int) -> Page | None:
        number = second if page.number is None else page.number + 1
        params = with_page(page.params, number)
        self.ahead.look(params)
        found = self._numbered(params, page)
        if found is None and (not self._is_short(page) or self.promises_rows()):
            found = self._numbered(params, page)  # once more
            if found is None and not self._wraps and self.has_new_beyond(number, page):
                return self.ahead.take(with_page(params, number + 1))
        return found

    def _numbered(self, params: Params, before: Page) -> Page | None:
        """
        Return a page; ``None`` where it has no rows, or those of the one before it or of the first.

        :raises CatalogPaginationError: when a full page is as the one before it, and so are all of its rows.
        """
        is_short = self._is_short(before)
        page = self.get(params, may_be_past_end=is_short)
        self._wraps = page is not None and has_same_rows(page, self.first)
        if page is None or not page.count or self._wraps:
            return None
        if not has_same_rows(page, before, may_be_equal=True):
            return page
        if is_short or has_same_rows(page, before):
            return None
        raise _all_equal()

    def get(self, params: Params, *, may_be_past_end: bool, head_only: bool = False) -> Page | None:
        """Return a page; ``None`` where the server refuses it, as servers do beyond the end, or as the base says."""
        try:
            return super().get(params, may_be_past_end=may_be_past_end, head_only=head_only)
        except CatalogRequestError as error:
            if error.status in REFUSED:
                return None
            raise

    def _is_short(self, page: Page) -> bool:
        """Return whether a page has fewer rows than a full one: than the first, and that than were asked for."""
        full = self.fetch.page_size if page.number is None else self.first.content.count
        return page.content.count < full

    def _warn_that_full(self) -> None:
        if self.total is None:
            log.warning(
                "Catalog %s: %d rows came, as many as a page may have, and the server seems to ignore `page`; if "
                "there should be more, `python -m airflow_provider_catalog.probe` tells how this Catalog pages",
                self.endpoint,
                self.first.content.count,
            )


def _all_equal() -> CatalogPaginationError:
    return CatalogPaginationError(
        "set `pagination` in the connection's extra to none, or ask for less with filters: pages of rows that are "
        "all equal can't be told apart without links",
        retryable=False,
    )
