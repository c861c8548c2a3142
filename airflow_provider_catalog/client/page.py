"""One response of an endpoint that may page, and the URLs that lead to others."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from airflow_provider_catalog.client.body import Rows
from airflow_provider_catalog.errors import CatalogPaginationError


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
    links: Mapping[str, str] = field(repr=False)


Fetch = Callable[[str], Page]
Pages = Generator[Page, None, None]

FIRST = "first"
"""The name of the page that is asked for without one."""
_AUTHORITY = re.compile(r"[\w.:\[\]-]*")
"""Host and port alone. Not all parsers agree on where a host ends that stands among other characters."""
_NUMBER = re.compile(r"[0-9]{1,18}")


def paging_links(base_url: str, links: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """
    Return the links that paging uses, relation → absolute URL.

    :param base_url: what relative links are relative to.
    :param links: the parsed ``Link`` header, as ``requests.Response.links`` gives it.
    :raises CatalogPaginationError: for a link that is no URL, or has more before its path than a host and a port.
    """
    found = {}
    for relations, link in links.items():
        for relation in relations.lower().split():  # one link may have several relations (RFC 8288)
            if relation in ("next", "prev", "first", "last"):
                try:
                    found[relation] = url = urljoin(base_url, link["url"])
                    parts = urlsplit(url)
                    _ = parts.port  # raises when it is not one
                    if not _AUTHORITY.fullmatch(parts.netloc):
                        raise ValueError
                except ValueError:
                    message = f"the server's link to the {relation} page is not a URL of host, path and query"
                    raise CatalogPaginationError(message, retryable=False) from None
    return found


def page_name(url: str) -> str:
    """Return what the URL says in ``page``, or ``first`` where it says nothing."""
    return dict(parse_qsl(urlsplit(url).query)).get("page", FIRST)


def shown_page(url: str) -> str:
    """Return the page as logs and errors name it: what stands in a URL of the server's is not for them."""
    name = page_name(url)
    return name if name == FIRST or _NUMBER.fullmatch(name) else "without a number"


def page_number(url: str | None) -> int | None:
    """Return what the URL says in ``page``; ``None`` where that is no number, or there is no URL."""
    name = page_name(url) if url else ""
    return int(name) if _NUMBER.fullmatch(name) else None


def with_page(url: str, number: int, **others: int) -> str:
    """Return the URL with another ``page``, and with others of its query's parameters set."""
    parts = urlsplit(url)
    replaced = {**others, "page": number}
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in replaced]
    return urlunsplit(parts._replace(query=urlencode([*query, *replaced.items()])))


def same_but_for_page(url: str, other: str) -> bool:
    """Return whether two URLs differ in ``page`` at most."""
    return with_page(url, 0) == with_page(other, 0)
