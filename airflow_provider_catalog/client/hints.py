"""What an answer says about other pages: ``Link`` headers, and what bodies and headers call next, total or cursor."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Params = tuple[tuple[str, str], ...]
"""The parameters of a URL's query, in order."""

_RELATIONS = ("next", "prev", "first", "last")
_LINK = re.compile(
    r"""<([^>]*+)>((?:\s*+;\s*+(?:[^\s=;,"]++(?:\s*+=\s*+(?:"(?:[^"\\]|\\.)*+"|[^\s;,"]*+))?)?)*+)\s*+(?:,|$)"""
)
"""A link and its parameters by RFC 8288: in any order and case, some without a value, some with commas in quotes."""
_PARAMETER = re.compile(r"""([^\s=;,"]++)(?:\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"]*+)))?""")
_NUMBER = re.compile(r"[0-9]{1,18}")

_NEXT_URL = {"next", "nexturl", "nexthref", "nextlink", "nextpage", "nextpageurl", "nextpagelink", "odatanextlink"}
_CURSOR = re.compile(r"x?(next(page|cursor|token|pagetoken|offset|key)?|cursor|(ms)?continuation(token)?)")
_MORE = {"hasmore", "hasnext", "hasnextpage", "morepages"}
_TOTAL = {"totalcount", "totalentries", "totalrows", "totalrecords", "totalresults", "totalitems"}
_TOTAL_HEADERS = ("total", "x-total", "x-total-count")
_PLACES = {"meta", "metadata", "pagination", "paging", "page", "pageinfo", "links", "responsemetadata", "odata"} | {
    "cursor", "cursors",
}  # fmt: skip
"""Objects in a body that describe its paging; in any other place, words like ``total`` mean anything."""


@dataclass(frozen=True)
class Hints:
    """
    What an answer says about other pages. A hint that turns out wrong costs a request, never a row.

    :param links: relation (``next``, ``last``) → the query of the URL that it names.
    :param has_links: whether there are any links, others than these two included.
    :param total: how many rows match in all.
    :param more: the name of what says that there are more rows, but not where: a cursor, ``has_more``.
    """

    links: Mapping[str, Params] = field(default_factory=dict, repr=False)
    has_links: bool = False
    total: int | None = None
    more: str | None = None


def read_hints(headers: Mapping[str, str], members: Mapping[str, Any]) -> Hints:
    """
    Return what headers and body say about other pages.

    :param headers: the response's; several ``Link`` headers are one, joined with commas.
    :param members: the members of the body's root other than the rows.
    """
    found = _BodyHints()
    found.look_at(members, is_root=True)
    headers = {name.lower(): value for name, value in headers.items()}
    if "x-pagination" in headers:
        found.look_at(_json_object(headers["x-pagination"]))
    urls = found.links | parse_links(headers.get("link", ""))
    links: dict[str, Params] = {relation: query_of(urls[relation]) for relation in ("next", "last") if relation in urls}
    of_range = headers.get("content-range", "").rpartition("/")[2]
    totals = map(_as_count, (*map(headers.get, _TOTAL_HEADERS), of_range))
    total = next((each for each in totals if each is not None), found.total)
    cursors = (name for name, value in headers.items() if _CURSOR.fullmatch(_plain(name)) and _is_cursor(value))
    more = None if found.is_end else next(cursors, found.more)
    return Hints(links, bool(urls), total, more)


def parse_links(header: str) -> dict[str, str]:
    """Return relation → URL of a ``Link`` header; what is no link in it is passed over."""
    links: dict[str, str] = {}
    for link in _LINK.finditer(header):
        parameters: dict[str, str] = {}
        for name, quoted, plain in _PARAMETER.findall(link[2]):
            parameters.setdefault(name.lower().rstrip("*"), quoted or plain)  # the first one counts
        if not parameters.get("anchor"):  # else it is another resource's link
            for relation in parameters.get("rel", "").lower().split():
                if relation in _RELATIONS:
                    links.setdefault(relation, link[1])
    return links


def query_of(url: str) -> Params:
    """Return the parameters of a URL's query; none where it is no URL."""
    try:
        return tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    except ValueError:
        return ()


def lay_over(base: Params, link: Params, not_paging: Collection[str], secret: str | None) -> Params:
    """
    Return our own parameters, which a link may forget or say otherwise, with those that page of the link.

    :param not_paging: the names of filters, which stand in the request's body already.
    :param secret: a text that must not get into a URL, where logs have it; a parameter with it is left out.
    """
    ours = dict(base)
    paging = [
        (name, value)
        for name, value in link
        if name not in ours and _name(name) not in not_paging and (secret is None or secret not in value)
    ]
    return (*base, *paging)


def page_number(params: Params) -> int | None:
    """Return the number that stands in ``page``; ``None`` where there is none."""
    text = dict(params).get("page", "")
    return int(text) if _NUMBER.fullmatch(text) else None


def with_page(params: Params, number: int) -> Params:
    """Return the parameters with another ``page``."""
    return (*(pair for pair in params if pair[0] != "page"), ("page", str(number)))


def same_but_for_page(one: Params, other: Params) -> bool:
    """Return whether two queries differ in ``page`` at most."""
    return sorted(with_page(one, 0)) == sorted(with_page(other, 0))


def shown_page(params: Params) -> str:
    """Return the page as logs and errors name it; a cursor, which may hold anything, is not shown."""
    number = page_number(params)
    if number is not None:
        return f"page {number}"
    return "the next page" if len(params) > 1 else "the first page"


class _BodyHints:
    """Collects hints from the members of a body."""

    def __init__(self) -> None:
        self.links: dict[str, str] = {}
        self.total: int | None = None
        self.more: str | None = None
        self.is_end = False

    def look_at(self, members: Mapping[str, Any], *, is_root: bool = False, depth: int = 0) -> None:
        """Look at an object that describes paging, and at those within it."""
        for key, value in members.items():
            name = _plain(key)
            if name == "links" and isinstance(value, list):  # [{"rel": "next", "href": ...}]
                value = {str(link.get("rel")): link for link in value if isinstance(link, Mapping)}  # noqa: PLW2901 - as an object
            if isinstance(value, Mapping) and name not in _NEXT_URL and name != "last":
                if depth < 3 and (name in _PLACES or not is_root):
                    self.look_at(value, depth=depth + 1)
            else:
                self._look_at_member(key, name, value, is_root=is_root)

    def _look_at_member(self, key: str, name: str, value: Any, *, is_root: bool) -> None:
        url = _url_in(value)
        if name in _NEXT_URL and url:
            self.links.setdefault("next", url)
        elif name == "last" and url and not is_root:
            self.links.setdefault("last", url)
        elif name in _MORE:
            self.more = key if value is True else self.more
            self.is_end = value is False
        elif (_CURSOR.fullmatch(name) or (not is_root and name in ("after", "endcursor"))) and _is_cursor(value):
            self.more = self.more or key
        elif name in _TOTAL or name == "total":
            count = _as_count(value) if name in _TOTAL or not is_root or type(value) is int else None
            self.total = count if count is not None else self.total


def _json_object(text: str) -> Mapping[str, Any]:
    """Return a header's JSON object; an empty one where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@lru_cache(1000)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _name(parameter: str) -> str:
    """Return the name of a parameter without what makes it a list: ``ids[]``, ``ids[0]``."""
    return parameter.partition("[")[0]


def _url_in(value: Any) -> str | None:
    """Return the URL in what a body calls next: a text, or an object with an ``href``."""
    if isinstance(value, Mapping):
        value = value.get("href") or value.get("url")
    is_url = isinstance(value, str) and ("?" in value or value.startswith(("http://", "https://", "/")))
    return value if is_url else None


def _is_cursor(value: Any) -> bool:
    """Return whether a value leads anywhere: not an end such as ``null``, an empty text, 0 or false."""
    return isinstance(value, str | int) and str(value).strip().lower() not in ("", "0", "false", "null", "none")


def _as_count(value: Any) -> int | None:
    """Return a number of rows or pages."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if _NUMBER.fullmatch(text) else None
