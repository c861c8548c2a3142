"""Which rows a request asks for, and the Link header that leads on from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_catalog.sandbox.filters import check
from airflow_provider_catalog.sandbox.options import Options

DEFAULT_PER_PAGE = 20
MOST = 10**15 - 1
"""Of both numbers: more than there are rows, and still far from overflowing anything."""


class PageQuery(BaseModel):
    """The parameters of a request's URL."""

    model_config = ConfigDict(extra="forbid")
    page: int = Field(default=1, ge=0, le=MOST)
    per_page: int = Field(default=DEFAULT_PER_PAGE, ge=1, le=MOST)


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
    """Return the page that a URL asks for; like Rails' pagers, a page before the first one is the first one."""
    asked = check(PageQuery, dict(query), "is not a query parameter; filters belong into the body", strict=False)
    first = options.first_page
    size = min(asked.get("per_page", DEFAULT_PER_PAGE), options.max_per_page)
    return Page(max(asked.get("page", first), first), size, first)


def link_header(page: Page, count: int, url: str, query: Mapping[str, str], paging: str, *, circle: bool) -> str:
    """
    Return the Link header's value for so many rows; empty when there is nothing to link to.

    As documented, the first page has no ``first`` and ``prev``, the last no ``next`` and ``last``.
    """
    last = page.last(count)
    links: dict[str, int] = {}
    if page.number < last:
        links |= {"next": page.number + 1, "last": last}
    if page.number > page.first:
        links |= {"prev": min(page.number - 1, last), "first": page.first}
    if circle:  # back to the first page
        links["next"] = page.first
    others = {name: value for name, value in query.items() if name != "page"}
    return ", ".join(
        f'<{url}?{urlencode(others | {"page": number})}>; rel="{relation}"'
        for relation, number in links.items()
        if paging == "link" or relation == "next"
    )
