"""Kinds of servers: how they page, and what the right outcome of a read is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, product
from typing import Any

from tests.catalog_server import AT_ONCE, Answer, Pages
from tests.servers.reading import rows_of

ALL, ERROR, EITHER = "all rows once", "an error", "all rows once, or an error"


@dataclass
class Kind:
    rows: list[Any]
    outcome: str
    pages: type[Pages]
    how: dict[str, Any]

    def make(self) -> Pages:
        return self.pages(list(self.rows), **self.how)

    def __str__(self) -> str:
        return "-".join([str(len(self.rows)), *(f"{name}={shown(value)}" for name, value in self.how.items())])


def shown(value: Any) -> str:
    if isinstance(value, Answer):
        return "stalls" if value.stall is not None else "drops" if value.drop else f"{value.status}"
    if isinstance(value, dict):
        return "+".join(f"{name}:{shown(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "+".join(map(shown, value))
    if callable(value):
        return next((name for name, link in LINKS.items() if link is value), "varies")
    return str(value)


def kind(rows: int | list[Any], outcome: str = ALL, pages: type[Pages] = Pages, **how: Any) -> Kind:
    return Kind(rows_of(rows) if isinstance(rows, int) else rows, outcome, pages, how)


COUNTS = (0, 1, 10, 11, 25, 30, 85)
"""No row, one, exactly a page, one more, part of a third page, exactly three pages, many pages."""
STALLS = Answer(stall=-1)
GONE = Answer({"error": "no such page"}, 404)
NULL = Answer({"orders": None})
EVERY_RELATION = ("next", "prev", "first", "last")
NEXT = {"relations": ("next",)}
WAYS: dict[str, dict[str, Any]] = {
    "from-1": {}, "from-0": {"first": 0}, "next-only": NEXT, "cursor": {"by": "cursor", **NEXT},
    "offset": {"by": "offset"}, "body": {"links": "meta.next"}, "body-cursor": {"links": "next", "by": "cursor"},
}  # fmt: skip
WITHOUT_LINKS: dict[str, dict[str, Any]] = {
    "no-links-from-1": {"links": "none"}, "no-links-from-0": {"links": "none", "first": 0},
}  # fmt: skip
ALL_WAYS = WAYS | WITHOUT_LINKS


def in_turn(habits: Any, *ways: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each habit with one of the ways, which take turns."""
    return zip(habits, cycle(ALL_WAYS[way] for way in ways or WAYS))


def all_kinds() -> dict[str, Kind]:
    groups = (
        ends, beyond_the_end, uneven_pages, wrong_last, links, failures, promises, null_and_errors, contents,
        unusual_pages, servers_that_mind_look_ahead,
    )  # fmt: skip
    return {f"{group.__name__}-{n}-{each}": each for group in groups for n, each in enumerate(group())}


def ends() -> Iterator[Kind]:
    for how, count in product(ALL_WAYS.values(), COUNTS):
        yield kind(count, **how)
    # A loop that stops at the first empty page reads those whose next never ends; one that follows next does not.
    for (more, count), how in in_turn(product(("full", "last", "all"), COUNTS)):
        yield kind(count, more=more, **how)
    for count in COUNTS:
        yield kind(count, relations=("first", "last"))  # how many pages there are, and not where they are
    for count, size in ((25, 20), (66, 25), (100, 33)):
        yield kind(count, size=size)  # more is asked for than the server gives


def beyond_the_end() -> Iterator[Kind]:
    refusals = [Answer(b"no", code) for code in (400, 404, 410, 416, 422)]
    failures = [Answer(b"no", 500), Answer(b"no", 503), Answer(drop=True), Answer(b"<p>no", 200)]
    ways = ("from-1", "next-only", *WITHOUT_LINKS, "from-0")
    # A single page has no link: it is like one of a server without links. A full last page that leads to a failure is
    # like a failure in the middle.
    for beyond, how in in_turn([*refusals, "last"] * 2, *ways):
        yield kind(10, beyond=beyond, **how)
        yield kind(25, beyond=beyond, **how)
    for beyond, how in in_turn(failures, *ways):
        yield kind(10, EITHER, beyond=beyond, **how)  # it may be a failure in the middle
        yield kind(25, beyond=beyond, **how)
    for how in (NEXT, *WITHOUT_LINKS.values()):
        yield kind(25, beyond=STALLS, **how)
    for beyond in [*refusals, *failures, "last"]:
        yield kind(10, EITHER, beyond=beyond, more="full")
        yield kind(25, beyond=beyond, more="full", **NEXT)
    for by in ("number", "cursor"):  # that all have come, a total says
        yield kind(30, beyond=failures[0], more="last", total="X-Total", by=by, **NEXT)
    for beyond, count in zip(refusals, COUNTS, strict=False):
        yield kind(count, beyond=beyond, more="last", **NEXT)
    for beyond in [*refusals, *failures, STALLS]:
        yield kind(25, beyond=beyond, query={})  # links forget per_page
    same = [*rows_of(10), {"amount": 1}, {"amount": 1}]
    yield kind(same, beyond="last", links="none")  # a short page of equal rows, again
    # A failure of page 0 must not be taken for the end; nobody has to ask for page 0.
    for before, count in zip((GONE, Answer(b"no", 400), Answer(b"no", 500), None, "first"), COUNTS[2:], strict=True):
        yield kind(count, before=before, links="none", beyond=GONE)


def uneven_pages() -> Iterator[Kind]:
    shapes = [(10, 7, 10, 10, 10), (10, 9), (10, 1, 1, 1, 10), (4, 10), (3, 5, 10, 12, 40), (10, 8, 6, 4, 2, 1, 1)]
    for sizes, way in product(shapes, ("from-1", "cursor", "body", *WITHOUT_LINKS)):
        yield kind(47, sizes=sizes, **ALL_WAYS[way])
    for how in WAYS.values():
        yield kind(47, EITHER, answers={2: [Answer({"orders": []})]}, **how)  # without next, once
    for how in WITHOUT_LINKS.values():
        yield kind(47, answers={2: [Answer({"orders": []})]}, **how)
    for way, many in product(("from-1", "from-0", "next-only"), (1, 2)):  # pages without rows lead on
        first = WAYS[way].get("first", 1)
        lead_on = [
            Answer({"orders": []}, headers={"Link": f"<?page={first + n}&per_page=10>; rel=next"}) for n in (2, 3)
        ]
        answers = dict(enumerate(lead_on[:many], 1))
        yield kind(30, sizes=(10, *[0] * many, 10), answers=answers, **WAYS[way])
    short = {"sizes": (10, 7, 10), "links": "none", "total": "X-Total"}
    yield kind(47, answers={2: [Answer({"orders": []})]}, **short)
    yield kind(47, EITHER, links="none", total="X-Total", answers={2: Answer({"orders": []})})
    for how in ({}, {"first": 0}):  # a page has no link to the next one, though last names it
        yield kind(47, answers={1: Answer({"orders": rows_of(10, 10)})}, **how)


def wrong_last() -> Iterator[Kind]:
    hints: list[Callable[[int, int], int | None]] = [
        lambda index, pages: 0,
        lambda index, pages: pages - 2,
        lambda index, pages: index,
        lambda index, pages: pages - 1 if index == 0 else None,
        lambda index, pages: pages - 1 if index < 2 else None,
        lambda index, pages: pages - 1 if index else None,
        lambda index, pages: index % pages,
        # Hints that speak against the end: asked once more, then it goes on or fails.
        lambda index, pages: pages,
        lambda index, pages: pages + 50,
    ]
    for (hint, count), how in in_turn(product(hints, (11, 30, 85)), "from-1", "from-0", "offset", "cursor"):
        pages = -(-count // 10)
        outcome = EITHER if hint(0, pages) in (pages, pages + 50) else ALL
        last = lambda index, hint=hint, pages=pages: hint(index, pages)  # noqa: E731
        yield kind(count, outcome, **how | {"relations": EVERY_RELATION}, last=last)
    for beyond in (GONE, Answer(b"", 500), "last"):
        yield kind(25, EITHER, last=3, beyond=beyond)
    yield kind(25, last=3, beyond="first")


LINKS: dict[str, Callable[[str], str]] = {
    "http": lambda url: url.replace("http://127.0.0.1", "http://catalog.example"),
    "inner-host": lambda url: re.sub("//[^/]*", "//10.1.2.3:3000", url),
    "no-such-port": lambda url: re.sub("//[^/]*", "//catalog.example:99999", url),
    "no-host": lambda url: re.sub("//[^/]*", "//", url),
    "user": lambda url: url.replace("//", "//user:word@"),
    "inner-path": lambda url: url.replace("/api/", "/internal/api/"),
    "scheme-relative": lambda url: url.removeprefix("http:"),
    "absolute-path": lambda url: re.sub("http://[^/]*", "", url),
    "query-only": lambda url: url[url.index("?") :],
    "fragment": lambda url: url + "#rows",
    "encoded": lambda url: url.replace("page=", "%70age="),
    "other-order": lambda url: re.sub(r"\?(.*?)&(.*)", r"?\2&\1", url),
    "repeats-filters": lambda url: url + "".join(f"&account_ids%5B%5D={n}" for n in range(400)),
    "repeats-bare-filters": lambda url: url + "".join(f"&account_ids[]={n}" for n in range(500)),
    "other-parameters": lambda url: url + "&locale=en&sort=id&_=1717",
    "empty-parameters": lambda url: url + "&q=&filter",
}
HEADERS = (
    '<{}>; title="a=b"; rel="next"', '<{}>; flag; rel="next"', '<{}>; REL="NEXT"', '<{}>; rel="up next"',
    '<https://a.example/>; rel="help"; title="a, <b>; rel=\\"next\\"", <{}>; rel="next"', '<{}>; rel="next";',
    '  <{}>  ;  rel = "next"  ', ', ,<{}>; rel="next",,', "<{}>; title*=UTF-8''n%C3%A4chste; rel=next",
    '<{}>; rel="next"; rel="prev"', '</a.css>; rel=preload; as=style; crossorigin, <{}>; rel="next"',
    '<{},5>; rel="next"', '<{};v=1>; rel="next"',
)  # fmt: skip


def links() -> Iterator[Kind]:
    for link, way in product(LINKS.values(), ("next-only", "cursor", "body")):
        yield kind(30, link=link, **WAYS[way])
    for (count, more), how in in_turn([*product((11, 30, 47), (None, "full"))] * 2):
        yield kind(count, query={}, more=more, **how)  # they forget per_page
    yield kind(47, size=7, query={"per_page": "10"})
    places = ("next", "links.next", "meta.next", "pagination.next", "meta.pagination.next", "_links.next",
              "_links.next.href", "links.next.href", "meta.links.next",
              "pagination.next.url", "paging.next")  # fmt: skip
    for place, by in zip(places, cycle(("number", "cursor"))):
        yield kind(30, links=place, by=by)
    for place in ("next_page_url", "pagination.next_url", "nextLink", "@odata.nextLink"):
        # Other names than ``next``: followed, or noticed.
        yield kind(30, links=place)
        yield kind(30, EITHER, links=place, by="cursor")
    for form in HEADERS:
        yield kind(30, by="cursor", link=lambda url: url + "&q=1", form=form, **NEXT)


def failures() -> Iterator[Kind]:
    once = (Answer(b"", 429, AT_ONCE), Answer(b"", 503, AT_ONCE), Answer(drop=True), Answer({"orders": [{}]}, cut=9))
    ways = ("from-1", "next-only", "cursor", *WITHOUT_LINKS)
    # First, second, one in the middle, the last one and the one after it.
    for (answer, page), how in in_turn(product(once, (0, 1, 4, 8, 9, 9)), *ways):
        yield kind(85, answers={page: [answer]}, **how)
    # An outage is not the end, although the first page has fewer rows than are asked for, or `last` is no longer right.
    for answer, how in in_turn((*once[:3], Answer(b"", 502, AT_ONCE)), *WITHOUT_LINKS):
        yield kind(30, size=7, answers={1: [answer] * 5}, **how)
        yield kind(47, last=2, answers={3: [answer] * 5})
    stalls = (STALLS, Answer({"orders": rows_of(9)}, stall=40))
    for (answer, page), how in in_turn(product(stalls, (1, 8)), "no-links-from-1", "from-1", "cursor"):
        yield kind(85, answers={page: [answer]}, **how)
    for answer, page in product(once[:2], (0, 4, 8)):
        yield kind(85, answers={page: [answer] * 3})
    refusals = [Answer(b"", code) for code in (404, 422, 400, 410, 416, 401)]
    for (answer, page), how in in_turn(product(refusals, (1, 4, 8)), "from-1", "next-only", "cursor", "body"):
        # In the middle it must never be taken for the end.
        yield kind(85, ERROR, answers={page: answer}, **how)
        yield kind(85, EITHER, answers={page: [answer]}, **how)
    yield kind(85, ERROR, answers={8: GONE}, beyond=GONE)  # as if it were the end, but last names it
    yield kind(85, ERROR, links="none", size=7, answers={4: Answer(b"", 500, AT_ONCE)})  # less than is asked for
    for page in (1, 4, 8):
        for status in (500, 409):
            yield kind(85, ERROR, links="none", answers={page: Answer(b"", status, AT_ONCE)})
        yield kind(85, ERROR, links="none", total="X-Total", answers={page: GONE})


TOTALS = ("Total", "X-Total", "X-Total-Count", "total_count", "total_entries", "meta.total", "pagination.total",
          "meta.total_count", "meta.total_entries", "pagination.total_count", "pagination.total_entries",
          "meta.pagination.total", "meta.pagination.total_count")  # fmt: skip
CURSORS = ("next_cursor", "meta.next_cursor", "pagination.next_cursor", "cursor.next", "meta.cursor.next",
           "next_page_token", "meta.next_page_token", "cursors.after", "paging.cursors.after")  # fmt: skip
LOOK_ALIKES: dict[str, Any] = {
    "total_revenue": 99999, "meta.total_pages": 500, "meta.total_revenue": 99999.5, "summary.total": 5000,
    "X-Total-Pages": 500, "X-Total-Time": 1234, "X-Rate-Limit-Total": 5000, "totals.revenue": 5000,
    "meta.total": None, "pagination.total": "", "X-Total": "", "meta.per_page": 1000, "X-Per-Page": 1000,
    "meta.total_time_ms": 1200, "Total-Amount": 10**6, "meta.version": 9000,
}  # fmt: skip
ONE_PAGE: dict[str, Any] = {"by": "nothing", "links": "none"}


def promises() -> Iterator[Kind]:
    for total, count in zip(TOTALS, cycle((11, 20, 47))):
        yield kind(count, ERROR, total=total, **ONE_PAGE)  # only the first page comes, whatever is asked for
    for total, count in zip(TOTALS, cycle((0, 1, 10))):
        yield kind(count, total=total, **ONE_PAGE)
        yield kind(47, total=total, links="none")
    early = Answer({"orders": rows_of(10, 20)}, headers={"X-Total": "47", "Total": "47", "X-Total-Count": "47"})
    for total in ("X-Total", "total_count", "meta.total"):
        yield kind(47, total=total)
        yield kind(47, EITHER, total=total, answers={2: early})
        for value in (
            lambda pages, index: 50 if index == 0 else 47, "47", lambda pages, index: 7 if index == 4 else 10,
        ):  # fmt: skip
            yield kind(47, values={total: value})
    for name, value in {"Content-Range": "orders 0-9/47", "X-Pagination": '{"total": 47}'}.items():
        yield kind(47, ERROR, values={name: value}, **ONE_PAGE)
    said_first = {"X-Total": lambda pages, index: "" if index else 47}
    yield kind(47, ERROR, by="cursor", values=said_first, answers={2: Answer({"orders": rows_of(10, 20)})})
    for place, end in zip(CURSORS, cycle((None, "", "null", "false", "0", "None", 0, False))):
        yield kind(47, ERROR, values={place: "b3BhcXVl"}, **ONE_PAGE)
        yield kind(10, values={place: end}, **ONE_PAGE)
        yield kind(47, links="none", values={place: lambda pages, index: f"c{index}" if index < 4 else None})
    yield kind(10, values={"next_cursor": "b3BhcXVl", "has_more": False}, **ONE_PAGE)
    for (name, value), how in in_turn(LOOK_ALIKES.items(), "from-1", *WITHOUT_LINKS):
        yield kind(47, values={name: value}, **how)
        yield kind(7, values={name: value}, **ONE_PAGE)


def null_and_errors() -> Iterator[Kind]:
    for how in ALL_WAYS.values():
        yield kind(0, answers={0: NULL}, beyond=NULL, **how)
    for how in WITHOUT_LINKS.values():
        yield kind(30, beyond=NULL, **how)
    yield kind(30, beyond=NULL, more="full")
    yield kind(0, answers={0: Answer({"orders": None, "error": None, "errors": []})})
    errors = {"error": "the report timed out", "errors": ["no"], "message": "try again later"}
    tries = [*product(errors, (0, 1, 4))] * 3
    for (name, page), how in in_turn(tries, "from-1", "cursor", "body", "no-links-from-1"):
        alone = Answer({name: errors[name]})
        outcome = EITHER if name == "message" else ERROR
        yield kind(47, outcome, answers={page: Answer({"orders": None, name: errors[name]})}, **how)
        yield kind(47, ERROR, answers={page: alone}, **how)
        yield kind(47, EITHER, answers={page: [alone]}, **how)


def contents() -> Iterator[Kind]:
    """What is in the rows must not matter."""
    same = [{"amount": 1}] * 47
    rows: list[list[Any]] = [
        same, same[:30], [*same, {"amount": 2}], [{"name": f"n{n}"} for n in range(47)], [{} for _ in range(47)],
        [{"data": [{"next": "x"}], "meta": {"total": 9999, "next": "/?page=9"}, "n": n} for n in range(47)],
    ]  # fmt: skip
    for content, way in product(rows, ("from-1", "cursor", "body")):
        yield kind(content, **WAYS[way])
    for content, way in product(([{"n": n % 2} for n in range(47)], rows_of(10) * 3), ("from-1", "cursor", "body")):
        yield kind(content, EITHER, **WAYS[way])  # equal pages may be a circle, and nothing tells
    for key, how in in_turn(["data", "results", "order_analytics", "analytics"] * 3, *ALL_WAYS):
        yield kind(30, endpoint=key, **how)


def unusual_pages() -> Iterator[Kind]:
    for how in (
        {"by": "page"}, {"by": "skip"}, {"by": "page[offset]"}, {"first": 0, "step": 10}, {"step": 2},
        {"first": 50, "step": -1}, {"first": 100}, {"first": -5},
        {"by": "cursor", "link": lambda url: url.replace("cursor=", "cursor=%2B%2F%3D%26%23%20")},
        {"by": "cursor", "link": lambda url: url.replace("cursor=", "cursor=%2B%2F%3D%26+"), "links": "next"},
        {"by": "cursor", "link": lambda url: url + "&page=1"}, {"link": lambda url: url.replace("&", "&_=1&")},
    ):  # fmt: skip
        yield kind(0, **NEXT, **how)
        yield kind(10, more="full", **how)
        yield kind(11, **how)
        yield kind(30, more="full", **NEXT, **how)
        yield kind(47, **NEXT, **how)
    yield kind(85, EITHER, size=100, query={"per_page": "20"})  # links say the default size
    # The few rows of the last page have ids that rows of the first one have: students who enroll once more.
    for how in WITHOUT_LINKS.values():
        yield kind([{"student_id": n % 7, "enrolled_on": n} for n in range(11)], size=7, **how)
        yield kind([{"student_id": n % 10, "enrolled_on": n} for n in range(13)], **how)
    no_links: dict[str, Any] = {
        "next": None, "links": [], "links.next": None, "meta.next": False, "next-page": 2, "links.self": "/?page=1",
        "meta": [], "pagination": "none", "next_page": None,
    }  # fmt: skip
    for name, value in no_links.items():
        yield kind(47, values={name: value})
    for place in ("next_page", "meta.next_page", "pagination.next_page"):
        yield kind(47, links="none", values={place: lambda pages, index: index + 2 if index < 4 else None})
        yield kind(47, EITHER, values={place: 2}, **ONE_PAGE)
    for flag in ("has_more", "meta.has_more", "has_next_page", "pagination.has_next"):
        yield kind(47, links="none", values={flag: lambda pages, index: index < 4})
        yield kind(47, EITHER, values={flag: True})
    for relations, target in product((("next",), EVERY_RELATION), (0, 4, 3)):
        yield kind(47, EITHER, relations=relations, target=target, pages=_Circle)


@dataclass
class _Circle(Pages):
    """The last page leads to another one."""

    target: int = 0

    def _following(self, index: int, last: int, *, full: bool) -> int | None:
        return self.target if index == last else index + 1


@dataclass
class _Scroll(Pages):
    """A page may be asked for only when one that leads to it has been answered; before, it answers something else."""

    early: str | Answer | None = None

    def _page(self, index: int, request: Any) -> Answer:
        if any(asked >= index - 1 for asked in self.asked[:-1] if asked < index) or index == 0:
            return super()._page(index, request)
        self.asked.pop()
        if isinstance(self.early, Answer):
            return self.early
        return super()._page({"first": 0, "beyond": 99}.get(str(self.early), 0), request)


@dataclass
class _Shy(Pages):
    """Only so many requests at once are answered; the others get something else."""

    most: int = 1
    refusal: Answer = field(default_factory=Answer)
    now: int = 0

    def __call__(self, request: Any) -> Answer:
        with self._lock:
            self.now += 1
            too_many = self.now > self.most
        time.sleep(0.005)
        try:
            return self.refusal if too_many else super().__call__(request)
        finally:
            with self._lock:
                self.now -= 1


def servers_that_mind_look_ahead() -> Iterator[Kind]:
    ahead = [*(Answer(b"", code) for code in (400, 404, 422, 500, 409)), "beyond", "first", NULL, STALLS,
             Answer({"error": "no such scroll"}), Answer(drop=True)]  # fmt: skip
    for early, how in in_turn(ahead * 2, "from-1", "from-0", "next-only", "body"):
        yield kind(85, pages=_Scroll, early=early, **how)
    refusals = (Answer(b"", 429, AT_ONCE), Answer(b"", 503, AT_ONCE), Answer(drop=True))
    for (refusal, most), how in in_turn([*product(refusals, (1, 2, 3))] * 2, *ALL_WAYS):
        yield kind(85, pages=_Shy, most=most, refusal=refusal, **how)
