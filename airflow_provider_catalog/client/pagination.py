"""Pages in order, whichever of four ways the server pages.

Whether the analytics endpoints paginate is not documented, so each of these gives every row exactly once:
``Link`` headers with ``next`` and ``last``; with ``next`` only; no ``Link``, but ``page`` works; no pagination at all.
Page numbers start at 1 in some of the API's examples and at 0 in others: none is assumed.

Where pages have numbers, the last one is asked for before the others and once more after them, and the first one, too:
a row that enters or leaves meanwhile shows there, wherever it stood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice

from airflow_provider_catalog.client.interrupts import result_of
from airflow_provider_catalog.client.numbered_pages import FAR, FIRST_NUMBERS, NumberedPages, find_linked, find_unlinked
from airflow_provider_catalog.client.page import Fetch, Page, Pages, page_number, shown_page, with_page
from airflow_provider_catalog.client.page_checks import (
    Repetitions,
    check_first,
    check_in_place,
    check_next,
    counted_rows,
    has_equal_rows,
)
from airflow_provider_catalog.client.settings import MAX_PAGE_SIZE
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogPaginationError


def read_pages(fetch: Fetch, first: Page, *, max_concurrency: int) -> Pages:
    """
    Yield every page, in order.

    :param fetch: gets one page; called from several threads at once.
    :param first: the first page, which was asked for without a page number.
    :param max_concurrency: how many pages may be in flight (one, where links have no numbers); as many again may wait
        for an earlier one.
    :raises CatalogPaginationError: when pages go in circles.
    :raises CatalogDataMovedError: when the data changed in between.
    """
    numbered, last = find_pages(fetch, first)
    if numbered:
        pages = _read_numbered(fetch, first, numbered, last, max_concurrency)
    elif "next" in first.links:
        pages = _follow_links(fetch, first)
    else:
        yield first
        return
    linked_urls: list[str] = []

    def url_of(place: int) -> str:
        if numbered:
            return numbered.url(numbered.next + place - 1) if place else first.url
        return linked_urls[place]

    repetitions = Repetitions(fetch, url_of)
    with closing(pages):
        for place, page in enumerate(pages):
            if not numbered:
                linked_urls.append(page.url)
            repetitions.check(page, place)
            yield page


def find_pages(fetch: Fetch, first: Page) -> tuple[NumberedPages | None, Page | None]:
    """
    Find out which pages come after the first one.

    :return: them, and the last of them if it was asked for to find that out; ``None`` for both when there are none, or
        only links tell.
    """
    check_first(first)
    if numbered := NumberedPages.after(first):
        return numbered, None
    if first.links:
        return find_linked(fetch, first) or (None, None)
    second = _second_page(fetch, first)
    return find_unlinked(fetch, first, second) if second else (None, None)


def _read_numbered(
    fetch: Fetch, first: Page, numbered: NumberedPages, last: Page | None, max_concurrency: int
) -> Pages:
    urls = numbered.urls()
    with _slots(max_concurrency) as slots:
        # Before the others: what is shifted while they are read shifts its rows, too.
        before = _finished(last) if last else slots.submit(fetch, numbered.last_url)
        yield first
        last = result_of(before)
        numbered.check(last)
        # Twice as many as there are slots: a slot goes on while its page waits for an earlier one.
        ahead: deque[Future[Page]] = deque(slots.submit(fetch, url) for url in islice(urls, 2 * max_concurrency))
        while ahead:
            page = result_of(ahead.popleft())
            ahead.extend(slots.submit(fetch, url) for url in islice(urls, 1))
            numbered.check(page)
            yield page
        first_again = slots.submit(fetch, first.url)
        if len(numbered) > 1:
            last = result_of(slots.submit(fetch, numbered.last_url))
            numbered.check(last)
            check_in_place(result_of(before), last, is_last=True)
        check_in_place(first, result_of(first_again), is_last=False)
        yield last


def count_rows(fetch: Fetch, first: Page) -> int:
    """
    Return how many rows all pages have, from the first and the last one where they have numbers.

    :raises CatalogDataMovedError: when the data changed in between.
    """
    numbered, last = find_pages(fetch, first)
    if numbered:
        last = last or fetch(numbered.last_url)
        numbered.check(last)
        return first.content.count * len(numbered) + last.content.count
    if "next" not in first.links:
        return first.content.count
    with closing(_follow_links(fetch, first)) as pages:
        return sum(page.content.count for page in pages)


def follow_pages(fetch: Fetch, first: Page) -> Pages:
    """
    Yield every page, one after the other, at most one of them ahead: for those who may not want them all.

    :raises CatalogDataMovedError: when links lead in a circle, or to a page without rows.
    """
    check_first(first)
    if "next" in first.links:
        yield from _follow_links(fetch, first)
        return
    yield first
    page = None if first.links else _second_page(fetch, first)
    while page and page.content.count:
        yield page
        page = fetch(with_page(page.url, (page_number(page.url) or 0) + 1))


def _follow_links(fetch: Fetch, first: Page) -> Pages:
    """
    Yield every page where links have no numbers, or numbers that may mean anything.

    :param first: the first page, which has a link to the next one.
    :raises CatalogDataMovedError: when they lead in a circle, or to a page without rows.
    """
    page = first
    visited = {first.url}
    counts_up = (page_number(first.links["next"]) or 0) - 1 in FIRST_NUMBERS
    with _slots(1) as slots:
        while url := page.links.get("next"):
            if url in visited:
                message = f"the link to the next page leads back to page {shown_page(url)}: the pages go in circles"
                raise CatalogDataMovedError(message, retryable=False)
            if counts_up:
                check_next(page)
            visited.add(url)
            following = slots.submit(fetch, url)
            yield page
            page = result_of(following)
            if not page.content.count:
                raise CatalogDataMovedError(
                    f"the data moved while it was read: page {shown_page(url)}, to which a link led, has no rows"
                )
        yield page


def _second_page(fetch: Fetch, first: Page) -> Page | None:
    """
    Find the page after the first one without links: ``page`` may work, and count from 0 or from 1.

    :return: the page; ``None`` when ``page`` is ignored and all rows came at once, or there is no second page.
    """
    if first.content.count == 0 or first.content.count > MAX_PAGE_SIZE:  # no page is larger (confirmed)
        return None
    far = fetch(with_page(first.url, FAR))
    if far.content.count:  # a page past the end is empty (confirmed), so page is ignored
        if not _same_rows(first, far):
            _refuse_moved(first, far, overlap=1)
            raise CatalogPaginationError(
                f"page {FAR}, far beyond the last one, has rows, but not those of the first page", retryable=False
            )
        return None
    number = 1
    page = fetch(with_page(first.url, number))
    if not _same_rows(first, page):
        _refuse_moved(first, page, overlap=(first.content.count + 1) // 2)
    elif _counts_from_one(fetch, first):
        number = 2
        page = fetch(with_page(first.url, number))
    if page.content.count:
        return page
    if _may_be_full(first):
        for each in (number, number + 1):
            if fetch(with_page(first.url, each)).content.count:
                raise CatalogDataMovedError(
                    f"the data moved while it was read: page {number} was empty, but is not the last"
                )
        check_in_place(first, fetch(first.url), is_last=True)
    return None


def _may_be_full(page: Page) -> bool:
    """Return whether there may be another page, going by the rows: a page's size is a round number, such as 20."""
    return page.content.count >= 10 and page.content.count % 5 == 0


def _counts_from_one(fetch: Fetch, first: Page) -> bool:
    """
    Return whether page 1, which has the rows of the first page, is that page; else it is the next one, and equal.

    :raises CatalogPaginationError: when there is no telling.
    """
    if first.content.count == 1 or not has_equal_rows(first):
        return True
    rows = list(first.content.rows)
    for size in range(1, len(rows) // 2 + 1):
        one, two = rows[:size], rows[size : 2 * size]
        if one != two:
            page_one = list(fetch(with_page(first.url, 1, per_page=size)).content.rows)
            if page_one in (one, two):
                return page_one == one
            break
    raise CatalogPaginationError(
        "without links, pages of rows that are all equal can't be told apart; ask for less with filters",
        retryable=False,
    )


def _same_rows(first: Page, page: Page) -> bool:
    """Return whether a page has the rows of the first one, in any order."""
    same_count = first.content.count == page.content.count
    return first.content.fingerprint == page.content.fingerprint or (
        same_count and counted_rows(first) == counted_rows(page)
    )


def _refuse_moved(first: Page, page: Page, *, overlap: int) -> None:
    """
    Notice that a page is the first one, changed meanwhile.

    :param overlap: how many rows they have to have in common for that.
    :raises CatalogDataMovedError: when they have.
    """
    if (counted_rows(first) & counted_rows(page)).total() >= overlap:
        raise CatalogDataMovedError(
            f"the data moved while it was read: page {shown_page(page.url)} has some of the first page's rows, not all"
        )


def _finished(page: Page) -> Future[Page]:
    future: Future[Page] = Future()
    future.set_result(page)
    return future


@contextmanager
def _slots(count: int) -> Iterator[ThreadPoolExecutor]:
    slots = ThreadPoolExecutor(count, thread_name_prefix="catalog")
    try:
        yield slots
    finally:
        # Without waiting: whoever abandons the pages doesn't want to wait for those in flight.
        slots.shutdown(wait=False, cancel_futures=True)
