"""Pages whose numbers are known from the first to the last: told by links, or found out by asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_provider_catalog.client.page import Fetch, Page, page_number, same_but_for_page, with_page
from airflow_provider_catalog.client.page_checks import check_next
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogPaginationError, CatalogRequestError

FAR = 1_000_000
"""The number of a page that no Catalog has."""
FIRST_NUMBERS = (0, 1)
"""What the first page's number is: one in some of the API's examples, the other elsewhere in them (confirmed)."""


@dataclass(frozen=True)
class NumberedPages:
    """
    The pages after the first one.

    :param next_url: the URL of the next page.
    :param next: its number.
    :param last: the number of the last page.
    :param size: how many rows each but the last has: as many as the first.
    :param linked: whether each but the last has a link to the next one.
    """

    next_url: str
    next: int
    last: int
    size: int
    linked: bool = True

    @classmethod
    def after(cls, first: Page) -> NumberedPages | None:
        """Return the pages after the first one; ``None`` when its links don't tell their numbers."""
        if not {"next", "last"} <= first.links.keys():
            return None
        next_url, last_url = first.links["next"], first.links["last"]
        following, last = page_number(next_url), page_number(last_url)
        if following is None or last is None or following > last:
            return None
        if not same_but_for_page(next_url, last_url):
            return None  # so the pages between them can't be told
        return cls(next_url, following, last, first.content.count)

    def __len__(self) -> int:
        return self.last - self.next + 1

    def urls(self) -> Iterator[str]:
        """Yield the URLs of all but the last, in order."""
        return (self.url(number) for number in range(self.next, self.last))

    def url(self, number: int) -> str:
        """Return the URL of a page."""
        return with_page(self.next_url, number)

    @property
    def last_url(self) -> str:
        """The URL of the last page."""
        return self.url(self.last)

    def check(self, page: Page) -> None:
        """
        Check that a page still says what the first one said about how many there are, and has as many rows.

        :raises CatalogDataMovedError: when it doesn't, so rows may have moved from page to page.
        """
        number, count = page_number(page.url), page.content.count
        is_last = number == self.last
        if is_last:
            fits = "next" not in page.links and count > 0
        else:
            fits = ("next" in page.links) is self.linked and (
                "last" not in page.links or page_number(page.links["last"]) == self.last
            )
        if not fits:
            raise CatalogDataMovedError(
                f"the data moved while it was read: page {number} no longer agrees that page {self.last} is the last"
            )
        check_next(page)
        if count > self.size or (count < self.size and not is_last):
            raise CatalogDataMovedError(
                f"the data moved while it was read: page {number} has {count} rows, the first one {self.size}"
            )


def find_linked(fetch: Fetch, first: Page) -> tuple[NumberedPages, Page] | None:
    """
    Find the last page where links lead to the next one only, in about twice the logarithm of its number of requests.

    :return: the pages after the first one, and the last of them; ``None`` when their links have no numbers that count
        up from 0 or 1, so that they can only be followed.
    """
    next_url = first.links.get("next")
    number = page_number(next_url)
    if next_url is None or number is None or number - 1 not in FIRST_NUMBERS:
        return None
    pages = {number: fetch(next_url)}
    third_url = pages[number].links.get("next")
    if third_url and (page_number(third_url) != number + 1 or not same_but_for_page(next_url, third_url)):
        return None

    def has_more(number: int) -> bool:
        try:
            pages[number] = fetch(with_page(next_url, number))
        except CatalogRequestError:  # beyond the last page, which an empty one is promised for
            return False
        check_next(pages[number])
        return "next" in pages[number].links

    last = _first_without(has_more, number) if third_url else number
    if last not in pages:
        raise CatalogDataMovedError(f"page {last - 1} has a link to a next page, which does not exist")
    return NumberedPages(next_url, number, last, first.content.count), pages[last]


def find_unlinked(fetch: Fetch, first: Page, second: Page) -> tuple[NumberedPages, Page]:
    """
    Find the last page where nothing but an empty page tells that there are no more.

    :param second: the page after the first one; has rows.
    :return: the pages after the first one, and the last of them.
    :raises CatalogDataMovedError: when there are rows beyond a page that is empty, or not full.
    """
    number, size = page_number(second.url) or 0, first.content.count
    pages = {number: second}

    def has_more(number: int) -> bool:
        not_full = [each for each, page in pages.items() if page.content.count < size]
        if not_full and number > not_full[0] + 1:
            return False
        page = fetch(with_page(first.url, number))
        if page.content.count:
            pages[number] = page
        return page.content.count > 0

    empty = _first_without(has_more, number)
    last = pages[empty - 1]
    # A page that is not full is the last one; after one that is full, the empty one may have been a mistake.
    if any(page.content.count != size for page in pages.values() if page is not last) or (
        last.content.count == size and (has_more(empty) or has_more(empty + 1))
    ):
        raise CatalogDataMovedError(
            "the data moved while it was read: a page that is empty or not full is not the last"
        )
    return NumberedPages(second.url, number, empty - 1, size, linked=False), last


def _first_without(has_more: Callable[[int], bool], number: int) -> int:
    """
    Return the number of the first page that has no more, by doubling the distance, then halving it.

    :param number: of a page that has.
    :raises CatalogPaginationError: when there is no end.
    """
    distance = 1
    while has_more(number + distance):
        number += distance
        if number > FAR:
            raise CatalogPaginationError(f"there seem to be more than {FAR:,} pages", retryable=False)
        distance *= 2
    after = number + distance
    while after - number > 1:
        middle = (number + after) // 2
        if has_more(middle):
            number = middle
        else:
            after = middle
    return after
