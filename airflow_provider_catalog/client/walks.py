"""The two ways from page to page: by the links to the next one, and by number where there are no links."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from airflow_provider_catalog.client.ahead import Ahead, Fetch
from airflow_provider_catalog.client.hints import Params, page_number, same_but_for_page, shown_page, with_page
from airflow_provider_catalog.client.page import (
    Page,
    are_all_equal,
    can_be_told,
    has_moved,
    has_rows_of,
    have_ids,
    repeats,
)
from airflow_provider_catalog.client.retry import MAX_TRIES
from airflow_provider_catalog.errors import (
    CatalogPaginationError,
    CatalogRequestError,
    CatalogUnavailableError,
)

log = logging.getLogger(__name__)

Pages = Generator[Page, None, None]

REFUSED = frozenset({400, 404, 410, 416, 422})
"""Statuses with which servers refuse a page beyond the last one."""
MAX_EMPTY_PAGES = 3
"""So many pages without rows, one after the other, are followed by number;"""
MAX_EMPTY_CURSORS = 100
"""so many by cursor, as of servers that filter rows after they have cut the page."""
DEFAULT_PAGE_SIZE = 20
"""Rows that the API puts on a page when it is not told how many (confirmed)."""
MAX_EQUAL_PAGES = 100
"""Pages of rows that are all equal, one after the other, beyond which a server is taken to repeat itself."""
FAR = 1_000_000
"""The number of a page that no Catalog has."""


@dataclass
class Walk:
    """
    What both ways have in common.

    :param endpoint: the endpoint's name, for the log.
    :param first: the first page.
    :param fetch: gets one page.
    :param ahead: gets pages before their turn.
    :param total: how many rows there are, as the last page that told it said.
    :param row_count: how many rows were handed out.
    """

    endpoint: str
    first: Page
    fetch: Fetch
    ahead: Ahead
    total: int | None = None
    row_count: int = 0

    def number(self, page: Page) -> int | None:
        """Return a page's number; the first one's is that before the page to which its link leads."""
        following = page_number(page.next or ()) if page is self.first else None
        return page.number if following is None else following - 1

    def note(self, page: Page) -> None:
        """Count a page that is handed out."""
        self.row_count += page.count
        if page.hints.total is not None:
            self.total = page.hints.total

    def get(self, params: Params, *, is_beyond: bool, head_only: bool = False) -> Page | None:
        """
        Return a page; ``None`` where a hint says that there is none, and the server does not give one.

        :param is_beyond: whether a hint says so: then a page that fails in a way that servers have for pages beyond the
            last one is asked for once more, and not for minutes.
        :param head_only: whether the first rows of a large page are enough.
        :raises CatalogError: when the page can't be had otherwise.
        """
        try:
            page = self.ahead.take(params, 2 if is_beyond else MAX_TRIES)
            return self.fetch(params) if page.content.is_cut and not head_only else page
        except (CatalogRequestError, CatalogUnavailableError) as error:
            if not is_beyond:
                raise
            if error.status not in REFUSED:
                self.fetch(self.first.params)  # fails, too, if it is the whole server that fails
            log.warning(
                "Catalog %s: %s fails (%s), and there should be none: taken for the end",
                self.endpoint,
                shown_page(params),
                error,
            )
            return None

    def grown(self, page: Page) -> Page | None:
        """Return the rows that were added at the end of a page since it was read, if there are any."""
        again = self.fetch(page.params)
        if again.count <= page.count or has_moved(page, again, may_grow=True):
            return None
        content = replace(again.content, count=again.count - page.count, rows=list(again.rows)[page.count :])
        return replace(again, content=content)

    def new_page_beyond(self, page: Page) -> Page | None:
        """Return a page after this one that has come already, with rows that were not seen."""
        number = self.number(page)
        pages = self.ahead.beyond(number) if number is not None else ()
        return next((each for each in pages if not (has_rows_of(each, page) or has_rows_of(each, self.first))), None)


@dataclass
class LinkWalk(Walk):
    """Goes where the links to the next page lead."""

    counts_up: bool = False
    """Whether the last link led to the next number."""
    late_rows: Page | None = None
    """Rows that were added to the page that looked like the last one."""

    def pages(self, known_last: int | None, has_moved: Callable[[], bool]) -> Pages:
        """
        Yield every page.

        :param known_last: the number of the last page, where the first one told it; it is left for the end.
        :param has_moved: returns whether rows have moved from page to page, where that is accepted, or raises.
        :raises CatalogPaginationError: when the links go in circles.
        """
        page = self.first
        visited = {hash(page.params)}
        empty = 0 if page.count else 1
        yield page
        while following := self._after(page, empty):
            if hash(following) in visited:
                if not page.count:
                    return  # as of a cursor that stays where it is at the end
                raise self._circle(f"the link of {page} leads back to {shown_page(following)}")
            visited.add(hash(following))
            if self.late_rows:
                yield self.late_rows
                self.late_rows = None
            self._look_ahead(page, following, known_last)
            before, found = page, self._linked(page, following)
            if found is None:
                return
            page = found
            if repeats(page, before) and not has_moved():
                raise self._circle(f"{page} has the rows of {before}")
            empty = 0 if page.count else empty + 1
            if page.count:
                yield page

    def _circle(self, what: str) -> CatalogPaginationError:
        message = f"set `pagination` in the connection's extra to page or none: the links go in circles, for {what}"
        return CatalogPaginationError(message, retryable=False)

    def _after(self, page: Page, empty: int) -> Params | None:
        """
        Return where to go after a page; ``None`` at the end.

        :param empty: how many pages without rows there were before it, in a row, this one included.
        """
        if page.next is None:
            return self._after_the_end(page) if self._says_more(page) else None
        if not empty:
            return page.next
        limit = MAX_EMPTY_CURSORS if page_number(page.next) is None else MAX_EMPTY_PAGES
        if self._is_complete(page) or empty > limit:
            log.log(
                logging.DEBUG if self._is_complete(page) else logging.WARNING,
                "Catalog %s: %s has no rows, but a link to a next one: taken for the end", self.endpoint, page,
            )  # fmt: skip
            return None
        return page.next

    def _after_the_end(self, page: Page) -> Params | None:
        """Ask once more for a page without a link to the next one, and for the one after it."""
        again = self.fetch(page.params)
        if again.next:
            self.late_rows = self.grown(page)
            return again.next
        if page.number is None or not self.counts_up:
            return None
        if beyond := self.new_page_beyond(page):
            return beyond.params
        following = with_page(page.params, page.number + 1)
        found = self.get(following, is_beyond=True)
        is_new = found and found.count and not (has_rows_of(found, page) or has_rows_of(found, self.first))
        return following if is_new else None

    def _says_more(self, page: Page) -> bool:
        """Return whether a hint says that a page without a link to a next one is not the last."""
        last, number = self._last_number(page), self.number(page)
        return (
            (last is not None and number is not None and last > number)
            or (self.total is not None and self.total > self.row_count)
            or self.new_page_beyond(page) is not None
        )

    def _is_complete(self, page: Page) -> bool:
        """Return whether a hint says that a page is the last one, although it has a link to a next one."""
        last, number = self._last_number(page), self.number(page)
        return (last is not None and number is not None and last <= number) or (
            bool(self.row_count) and self.total == self.row_count
        )

    def _last_number(self, page: Page) -> int | None:
        """Return the number of the last page, as this one or the first one says."""
        return page.last_number if page.last_number is not None else self.first.last_number

    def _linked(self, page: Page, following: Params) -> Page | None:
        """
        Return the page that a link leads to; ``None`` where a full page's leads beyond the end.

        :raises CatalogUnavailableError: when the server refuses the page: there were pages before, so it may pass.
        """
        try:
            found = self.get(following, is_beyond=not page.count or self._is_complete(page))
            return self.fetch(following) if found and self._may_be_a_slip(found, page) else found
        except CatalogRequestError as error:
            is_full = page.count == self.first.count and not self._says_more(page)
            if page.count and is_full and self._is_refused(following, error):
                log.warning(
                    "Catalog %s: the link of %s leads to a page that is refused (%s): taken for the end",
                    self.endpoint,
                    page,
                    error,
                )
                return None
            raise CatalogUnavailableError(
                f"try again later: {shown_page(following)}, to which a link leads, can't be had: {error}",
                status=error.status,
            ) from error

    def _may_be_a_slip(self, page: Page, before: Page) -> bool:
        """Return whether a page may be the answer to another request, such as a cache gives: it is asked for again."""
        after = page_number(page.next or ())
        jumps = self.counts_up and after is not None and page.number is not None and after != page.number + 1
        return jumps or not page.count or repeats(page, before)

    def _is_refused(self, params: Params, error: CatalogRequestError) -> bool:
        """Return whether the server refuses a page once more, and the one after it, too."""
        number = page_number(params)
        if number is None or error.status not in REFUSED:
            return False
        for each in (number, number + 1):
            try:
                self.fetch(with_page(params, each))
            except CatalogRequestError as again:
                if again.status in REFUSED:
                    continue
            return False
        return True

    def _look_ahead(self, page: Page, following: Params, known_last: int | None) -> None:
        """Look ahead while two links differ in ``page`` alone, by one, or the last one's number is known."""
        number = page_number(following)
        self.counts_up = number is not None and number - 1 == self.number(page)
        if page is self.first:
            if known_last is not None:
                self.ahead.open(until=known_last - 1)
                self.ahead.look(following)
        elif self.counts_up and same_but_for_page(page.params, following):
            self.ahead.look(following)
        else:
            self.ahead.drop()


@dataclass
class NumberWalk(Walk):
    """Goes on by number: ``page`` may be ignored, and may count from 0 or from 1 (both are in the API's examples)."""

    equal_pages: int = 0
    """How many pages have had the rows of the page before them, in a row."""

    def pages(self, *, is_told: bool) -> Pages:
        """
        Yield every page.

        :param is_told: whether the connection says that the server pages by number.
        """
        page = self.first
        yield page
        following = self._second(is_told=is_told) if page.count else None
        while following:
            # A page that is short, and is not the last, may have been the last when it was read.
            if self._is_short(page) and (grown := self.grown(page)):
                yield grown
            page = following
            yield page
            following = self._after(page)

    def _second(self, *, is_told: bool) -> Page | None:
        """Return the second page; ``None`` when all rows came at once."""
        numbers = [with_page(self.first.params, number) for number in (1, 2)]
        for params in numbers:
            self.ahead.ask(params, head_only=True)
        found = None
        for params in numbers:
            found = self.get(params, is_beyond=self._is_short(self.first), head_only=True)
            if found and found.count and not has_rows_of(found, self.first):
                if not have_ids(found, self.first) and not can_be_told(
                    self.first, self.fetch(self.first.params, head_only=found.content.is_cut)
                ):
                    log.warning(
                        "Catalog %s: each answer has other rows, without ids, and there are no links: the first page "
                        "is taken for all; set `pagination` in the connection's extra to page if there are more",
                        self.endpoint,
                    )
                    return None
                return self.fetch(params) if found.content.is_cut else found
        if found and found.count:
            if are_all_equal(self.first) and self._has_end(numbers[1], is_told=is_told):
                return found
            self._warn_if_full()
        return None

    def _has_end(self, params: Params, *, is_told: bool) -> bool:
        """
        Return whether ``page`` counts where rows that are all equal leave that open.

        :raises CatalogPaginationError: when it does, but not whether from 0 or from 1.
        """
        far = self.get(with_page(params, FAR), is_beyond=True, head_only=True)
        if far and far.count:
            return False
        if is_told:
            return True
        raise CatalogPaginationError(
            "set `pagination` in the connection's extra to page, or ask for less with filters: pages of rows that are "
            "all equal can't be told apart without links",
            retryable=False,
        )

    def get(self, params: Params, *, is_beyond: bool, head_only: bool = False) -> Page | None:
        """Return a page; ``None`` where the server refuses it, as servers do beyond the end, or as the base says."""
        try:
            return super().get(params, is_beyond=is_beyond, head_only=head_only)
        except CatalogRequestError as error:
            if error.status in REFUSED:
                return None
            raise

    def _after(self, page: Page) -> Page | None:
        """Return the page after another one; ``None`` at the end."""
        params = with_page(page.params, (page.number or 0) + 1)
        self.ahead.look(params)
        found = self._numbered(params, page)
        if found is None and (not self._is_short(page) or (self.total or 0) > self.row_count):
            found = self._numbered(params, page)  # once more: a full page leads there, so it may be a slip
            if found is None and (beyond := self.new_page_beyond(page)):
                return self.ahead.take(beyond.params)
        return found

    def _numbered(self, params: Params, before: Page) -> Page | None:
        page = self.get(params, is_beyond=self._is_short(before))
        if page is None or not page.count:
            return None
        if repeats(page, before, may_be_equal=self._is_short(before)) or repeats(page, self.first):
            return None
        self.equal_pages = self.equal_pages + 1 if repeats(page, before, may_be_equal=True) else 0
        if self.equal_pages > MAX_EQUAL_PAGES:
            raise CatalogPaginationError(
                "set `pagination` in the connection's extra to none, or ask for less with filters: more than "
                f"{MAX_EQUAL_PAGES} pages have the same rows, which are all equal",
                retryable=False,
            )
        return page

    def _is_short(self, page: Page) -> bool:
        """Return whether a page has fewer rows than the first one; the first one, than were asked for."""
        full = int(dict(page.params)["per_page"]) if page is self.first else self.first.count
        return page.count < full

    def _warn_if_full(self) -> None:
        count = self.first.count
        if count in (int(dict(self.first.params)["per_page"]), DEFAULT_PAGE_SIZE) and self.total is None:
            log.warning(
                "Catalog %s: %d rows came, as many as a page may have, and the server seems to ignore `page`; if "
                "there should be more, `python -m airflow_provider_catalog.probe` tells how this Catalog pages",
                self.endpoint,
                count,
            )
