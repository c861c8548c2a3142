"""Pages in order, whichever of four ways the server pages.

Whether the analytics endpoints paginate is not documented, so each of these gives every row exactly once:
``Link`` headers with ``next`` and ``last``; with ``next`` only; no ``Link``, but ``page`` works; no pagination at all.
Page numbers start at 1 in some of the API's examples and at 0 in others: none is assumed.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from airflow_provider_catalog.api.body import Rows
from airflow_provider_catalog.api.settings import MAX_PAGE_SIZE
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogPaginationError


@dataclass(frozen=True)
class Page:
    """
    One response.

    :param url: the URL that was asked for.
    :param content: its rows.
    :param links: relation → absolute URL, as :func:`paging_links` returns them.
    """

    url: str
    content: Rows
    links: Mapping[str, str]


_NUMBER = re.compile(r"[0-9]{1,18}")
_FAR = 1_000_000
"""The number of a page that no Catalog has."""
_MAX_EQUAL_PAGES = 1000
"""Pages with the same rows, none of which can be told from another, after which a server is taken to repeat itself."""

Fetch = Callable[[str], Page]
Pages = Generator[Page, None, None]


def paging_links(base_url: str, links: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """
    Return the links that paging uses, relation → absolute URL.

    :param base_url: what relative links are relative to.
    :param links: the parsed ``Link`` header, as ``requests.Response.links`` gives it.
    :raises CatalogPaginationError: for a link that is no URL.
    """
    found = {}
    for relations, link in links.items():
        for relation in relations.lower().split():  # one link may have several relations (RFC 8288)
            if relation in ("next", "prev", "first", "last"):
                try:
                    found[relation] = url = urljoin(base_url, link["url"])
                    _ = urlsplit(url).port  # raises when it is not one
                except ValueError:
                    message = f"the server's link to the {relation} page is not a URL"
                    raise CatalogPaginationError(message, retryable=False) from None
    return found


def page_name(url: str) -> str:
    """Return what the URL says in ``page``, or ``first`` where it says nothing."""
    return dict(parse_qsl(urlsplit(url).query)).get("page", "first")


def with_page(url: str, number: int, **others: int) -> str:
    """Return the URL with another ``page``, and with others of its query's parameters set."""
    parts = urlsplit(url)
    replaced = {**others, "page": number}
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in replaced]
    return urlunsplit(parts._replace(query=urlencode([*query, *replaced.items()])))


@dataclass(frozen=True)
class NumberedPages:
    """
    The pages after the first one, where the links tell how many there are.

    :param next_url: the URL of the next page.
    :param next: its number.
    :param last: the number of the last page.
    """

    next_url: str
    next: int
    last: int

    @classmethod
    def after(cls, first: Page) -> NumberedPages | None:
        """Return the pages after the first one; ``None`` when the links don't number them."""
        if not {"next", "last"} <= first.links.keys():
            return None
        next_url, last_url = first.links["next"], first.links["last"]
        following, last = page_name(next_url), page_name(last_url)
        if not (_NUMBER.fullmatch(following) and _NUMBER.fullmatch(last) and int(following) <= int(last)):
            return None
        if with_page(next_url, 0) != with_page(last_url, 0):
            return None  # they differ in more than the number, so the pages between them can't be told
        return cls(next_url, int(following), int(last))

    def __len__(self) -> int:
        return self.last - self.next + 1

    def urls(self) -> Iterator[str]:
        """Yield their URLs, in order."""
        return (with_page(self.next_url, number) for number in range(self.next, self.last + 1))

    @property
    def last_url(self) -> str:
        """The URL of the last page."""
        return with_page(self.next_url, self.last)

    def check(self, page: Page) -> None:
        """
        Check that a page still says what the first one said about how many there are.

        :raises CatalogDataMovedError: when it doesn't, so rows may have moved from page to page.
        """
        number = page_name(page.url)
        if int(number) == self.last:
            moved = "next" in page.links or page.content.count == 0
        else:
            said = page_name(page.links["last"]) if "last" in page.links else str(self.last)
            moved = "next" not in page.links or said != str(self.last)
        if moved:
            raise CatalogDataMovedError(
                f"the data moved while it was read: page {number} no longer agrees that page {self.last} is the last"
            )


def read_pages(fetch: Fetch, first: Page, *, max_concurrency: int) -> Pages:
    """
    Yield every page, in order.

    :param fetch: gets one page; called from several threads at once.
    :param first: the first page, which was asked for without a page number.
    :param max_concurrency: how many pages may be in flight when the links tell the last page (else one is); as many
        again may wait for an earlier one.
    :raises CatalogPaginationError: when pages go in circles.
    :raises CatalogDataMovedError: when the data changed in between.
    """
    numbered = NumberedPages.after(first)
    if numbered:
        pages = _read_numbered(fetch, first, numbered, max_concurrency)
    elif first.links:
        pages = _follow_links(fetch, first)
    else:
        pages = _try_numbers(fetch, first)
    with closing(pages):
        if first.links:
            pages = _refuse_repetition(pages)
        yield from pages


def _refuse_repetition(pages: Pages) -> Pages:
    """Notice a server that gives the same page again and again, whatever number it puts on it."""
    seen: Counter[bytes] = Counter()
    for page in pages:
        if page.content.count:
            seen[page.content.fingerprint] += 1
            times = seen[page.content.fingerprint]
            # Rows that nothing tells apart may well fill two pages; a sequence of different ones doesn't recur.
            if times > _MAX_EQUAL_PAGES or (times > 1 and page.content.count > 1 and not _has_equal_rows(page)):
                raise CatalogPaginationError(
                    f"page {page_name(page.url)} has the same rows as an earlier one: the pages go in circles",
                    retryable=False,
                )
        yield page


def _read_numbered(fetch: Fetch, first: Page, numbered: NumberedPages, max_concurrency: int) -> Pages:
    urls = numbered.urls()
    with _slots(max_concurrency) as slots:
        # Twice as many as there are slots: a slot goes on while its page waits for an earlier one.
        ahead: deque[Future[Page]] = deque(slots.submit(fetch, url) for url in islice(urls, 2 * max_concurrency))
        yield first
        while ahead:
            page = ahead.popleft().result()
            ahead.extend(slots.submit(fetch, url) for url in islice(urls, 1))
            numbered.check(page)
            yield page


def _follow_links(fetch: Fetch, first: Page) -> Pages:
    page = first
    visited = {first.url}
    with _slots(1) as slots:
        while url := page.links.get("next"):
            if url in visited:
                message = f"the link to the next page leads back to page {page_name(url)}: the pages go in circles"
                raise CatalogPaginationError(message, retryable=False)
            visited.add(url)
            following = slots.submit(fetch, url)
            yield page
            page = following.result()
        yield page


def _try_numbers(fetch: Fetch, first: Page) -> Pages:
    """Without links: ``page`` may work, and count from 0 or from 1; or it is ignored and all rows came at once."""
    if first.content.count == 0 or first.content.count > MAX_PAGE_SIZE:  # no page is larger (confirmed)
        yield first
        return
    far = fetch(with_page(first.url, _FAR))
    if far.content.count:  # a page past the end is empty (confirmed), so page is ignored
        if not _same_rows(first, far):
            _refuse_moved(first, far, overlap=1)
            raise CatalogPaginationError(
                f"page {_FAR}, far beyond the last one, has rows, but not those of the first page", retryable=False
            )
        yield first
        return
    number = 1
    page = fetch(with_page(first.url, number))
    if not _same_rows(first, page):
        _refuse_moved(first, page, overlap=(first.content.count + 1) // 2)
    elif _counts_from_one(fetch, first):
        number = 2
        page = fetch(with_page(first.url, number))
    yield first
    while page.content.count:
        yield page
        number += 1
        page = fetch(with_page(first.url, number))


def _counts_from_one(fetch: Fetch, first: Page) -> bool:
    """
    Return whether page 1, which has the rows of the first page, is that page; else it is the next one, and equal.

    :raises CatalogPaginationError: when there is no telling.
    """
    if first.content.count == 1 or not _has_equal_rows(first):
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


def _rows(page: Page) -> Counter[bytes]:
    return Counter(msgspec.json.encode(row, order="sorted") for row in page.content.rows)


def _has_equal_rows(page: Page) -> bool:
    return len(_rows(page)) < page.content.count


def _same_rows(first: Page, page: Page) -> bool:
    """Return whether a page has the rows of the first one, in any order."""
    same_count = first.content.count == page.content.count
    return first.content.fingerprint == page.content.fingerprint or (same_count and _rows(first) == _rows(page))


def _refuse_moved(first: Page, page: Page, *, overlap: int) -> None:
    """
    Notice that a page is the first one, changed meanwhile.

    :param overlap: how many rows they have to have in common for that.
    :raises CatalogDataMovedError: when they have.
    """
    if (_rows(first) & _rows(page)).total() >= overlap:
        raise CatalogDataMovedError(
            f"the data moved while it was read: page {page_name(page.url)} has some of the first page's rows, not all"
        )


@contextmanager
def _slots(count: int) -> Iterator[ThreadPoolExecutor]:
    slots = ThreadPoolExecutor(count, thread_name_prefix="catalog")
    try:
        yield slots
    finally:
        # Without waiting: whoever abandons the pages doesn't want to wait for those in flight.
        slots.shutdown(wait=False, cancel_futures=True)
