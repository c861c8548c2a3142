"""Which rows a request asks for, and the Link header that leads on from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from airflow_provider_catalog.sandbox.filters import QueryError
from airflow_provider_catalog.sandbox.options import Options

DEFAULT_PER_PAGE = 20
MOST = 10**15 - 1
"""Of both numbers: more than there are rows, and still far from overflowing anything."""


@dataclass(frozen=True)
class Page:
    """One page of all the rows that match."""

    number: int
    size: int  # rows a page
    first: int  # the number of the first page

    @property
    def rows(self) -> slice:
        """Where its rows are among all."""
        start = (self.number - self.first) * self.size
        return slice(start, start + self.size)

    def last(self, count: int) -> int:
        """Return the number of the last page when so many rows match."""
        return self.first + max(0, count - 1) // self.size


def read_page(query: Mapping[str, str], options: Options) -> Page:
    """Return the page that the query asks for."""
    numbers = {"page": options.first_page, "per_page": DEFAULT_PER_PAGE}
    errors = []
    for name, text in query.items():
        least = int(name == "per_page")
        if name not in numbers:
            errors.append(f"{name} is not a query parameter; filters belong into the body")
        elif re.fullmatch(r"\d{1,15}", text, re.ASCII) and int(text) >= least:
            numbers[name] = int(text)
        else:
            errors.append(f"{name} must be a whole number from {least} to {MOST}")
    if errors:
        raise QueryError(*errors)
    # Like Rails' pagers: a page before the first one is the first one.
    number, size = max(numbers["page"], options.first_page), min(numbers["per_page"], options.max_per_page)
    return Page(number, size, options.first_page)


def link_header(page: Page, count: int, url: str, query: Mapping[str, str], *, kind: str, next_page: int | None) -> str:
    """
    Return the Link header's value; empty when there is nothing to link to.

    As documented, the first page has no ``first`` and ``prev``, the last no ``next`` and ``last``.

    :param count: how many rows match.
    :param next_page: the number of the next page, where it is to be a wrong one.
    """
    last = page.last(count)
    links: dict[str, int] = {}
    if page.number < last:
        links |= {"next": page.number + 1, "last": last}
    if page.number > page.first:
        links |= {"prev": min(page.number - 1, last), "first": page.first}
    if next_page is not None:
        links["next"] = next_page
    shown = {"link": set(links), "next-only": {"next"}}.get(kind, set())
    others = {name: value for name, value in query.items() if name != "page"}
    return ", ".join(
        f'<{url}?{urlencode(others | {"page": number})}>; rel="{relation}"'
        for relation, number in links.items()
        if relation in shown
    )
