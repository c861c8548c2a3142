"""Kinds of servers: how they page, and what the right outcome of a read is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from tests.catalog_server import AT_ONCE, Answer, Pages
from tests.servers.reading import rows_of

ALL = "all rows once"
ERROR = "an error"
EITHER = "all rows once, or an error"


@dataclass
class Kind:
    """
    :param make: makes the server anew.
    :param outcome: what a read of it has to come to.
    :param in_flight: requests at once that the connection allows.
    :param except_loop: why this need not be read although a plain loop reads it.
    """

    name: str
    make: Callable[[], Pages]
    outcome: str = ALL
    except_loop: str = ""

    def __str__(self) -> str:
        return self.name


COUNTS = (0, 1, 10, 11, 25, 30, 85)
"""No row, one, exactly a page, one more, part of a third page, exactly three pages, many pages."""

STALLS = Answer(stall=-1)
GONE = Answer({"error": "no such page"}, 404)
WAYS: dict[str, dict[str, Any]] = {
    "from-1": {},
    "from-0": {"first": 0},
    "next-only": {"relations": ("next",)},
    "cursor": {"by": "cursor", "relations": ("next",)},
    "offset": {"by": "offset"},
    "body": {"links": "meta.next"},
    "body-cursor": {"links": "next", "by": "cursor"},
}
WITHOUT_LINKS: dict[str, dict[str, Any]] = {
    "no-links-from-1": {"links": "none"},
    "no-links-from-0": {"links": "none", "first": 0},
}


def kind(name: str, count: int, outcome: str = ALL, except_loop: str = "", **how: Any) -> Kind:
    def make() -> Pages:
        fresh = {key: dict(value) if isinstance(value, dict) else value for key, value in how.items()}
        if "answers" in fresh:
            fresh["answers"] = {page: list(a) if isinstance(a, list) else a for page, a in fresh["answers"].items()}
        return Pages(rows_of(count), **fresh)

    return Kind(name, make, outcome, except_loop)


def all_kinds() -> list[Kind]:
    groups = (
        ends, beyond_the_end, uneven_pages, wrong_last, links, failures, promises, null_and_errors, bodies,
        unusual_pages, servers_that_mind_look_ahead,
    )  # fmt: skip
    return [each for group in groups for each in group()]


def ends() -> Iterator[Kind]:
    for (way, how), count in product((WAYS | WITHOUT_LINKS).items(), COUNTS):
        yield kind(f"{way}-{count}", count, **how)
    for (way, how), count, more in product(WAYS.items(), COUNTS, ("full", "last")):
        yield kind(f"{way}-{count}-next-after-{more}", count, more=more, **how)
    for (way, how), count in product(WAYS.items(), (0, 1, 30)):
        # A loop that stops at the first empty page reads it; one that follows next never ends.
        yield kind(f"{way}-{count}-next-for-ever", count, more="all", **how)
    for count, size in product((25, 66, 100), (20, 25, 33)):
        # More is asked for than the server gives.
        yield kind(f"odd-size-{size}-{count}", count, size=size)


def beyond_the_end() -> Iterator[Kind]:
    answers: dict[str, Any] = {str(code): Answer(b"no", code) for code in (400, 404, 410, 416, 422, 500, 503)}
    answers |= {"time-out": STALLS, "drop": Answer(drop=True), "last-page-again": "last", "html": Answer(b"<p>no", 200)}
    refused = ("400", "404", "410", "416", "422")
    for (says, beyond), count in product(answers.items(), (0, 1, 10, 11, 25, 30, 85)):
        is_told = says in refused or says == "last-page-again"
        for way in ("from-1", "from-0", "next-only", *WITHOUT_LINKS):
            # A single page has no link: it is like one of a server without links.
            needed = way in WITHOUT_LINKS or count <= 10
            after_full = needed and count > 0 and count % 10 == 0
            yield kind(f"{way}-{count}-beyond-{says}", count, ALL if is_told or not after_full else EITHER,
                       except_loop="rule 4: a failure after a full page may be one in the middle", beyond=beyond,
                       **(WAYS | WITHOUT_LINKS)[way])  # fmt: skip
        # A full last page that leads to a failure is like a failure in the middle.
        no_error = count % 10 or (count == 0 and is_told)
        for name, relations in {"": ("next", "prev", "first", "last"), "-no-last": ("next",)}.items():
            yield kind(f"{count}-next-after-full{name}-beyond-{says}", count, ALL if no_error else EITHER,
                       except_loop="rule 1: an empty page has a next", beyond=beyond, more="full",
                       relations=relations)  # fmt: skip
        if says in refused:
            yield kind(f"{count}-next-for-ever-beyond-{says}", count, beyond=beyond, more="last", relations=("next",))
        if count > 10:
            yield kind(f"{count}-forget-per-page-beyond-{says}", count, beyond=beyond, query={})
    for before, way in product(
        (Answer(b"no", 404), Answer(b"no", 400), Answer(b"no", 500), None, "first"), (10, 25, 30)
    ):
        says = before.status if isinstance(before, Answer) else before
        # A failure of page 0 must not be taken for the end; nobody has to ask for page 0.
        yield kind(f"no-links-page-0-{says}-{way}", way, before=before, links="none", beyond=GONE)


def uneven_pages() -> Iterator[Kind]:
    shapes = {
        "shorter-second": (10, 7, 10, 10, 10), "all-shorter": (10, 9), "one-row-pages": (10, 1, 1, 1, 10),
        "shorter-first": (4, 10), "longer-later": (3, 5, 10, 12, 40), "falling": (10, 8, 6, 4, 2, 1, 1),
    }  # fmt: skip
    for (shape, sizes), (way, how) in product(shapes.items(), (WAYS | WITHOUT_LINKS).items()):
        yield kind(f"{way}-{shape}", 47, sizes=sizes, **how)
    for way, how in WAYS.items():
        empty_once = Answer({"orders": []})
        yield kind(f"{way}-empty-page-without-next-in-the-middle", 47, EITHER, answers={2: [empty_once]}, **how)
    for way in ("from-1", "from-0", "next-only"):
        first = WAYS[way].get("first", 1)
        leads_on = Answer({"orders": []}, headers={"Link": f'<?page={first + 2}&per_page=10>; rel="next"'})
        yield Kind(f"{way}-page-of-no-rows-leads-on", lambda how=WAYS[way], page=leads_on: _gap(1, page, **how))
        again = Answer({"orders": []}, headers={"Link": f'<?page={first + 3}&per_page=10>; rel="next"'})
        yield Kind(f"{way}-two-pages-of-no-rows-lead-on", lambda how=WAYS[way], a=leads_on, b=again:
                   _gap(2, a, b, **how))  # fmt: skip
    yield kind("no-links-total-empty-page-in-the-middle", 47, EITHER, links="none", total="X-Total",
               answers={2: Answer({"orders": []})})  # fmt: skip


def _gap(count: int, *empty: Answer, **how: Any) -> Pages:
    """Return 30 rows in pages of ten, the second page and perhaps the third without rows and with a ``next``."""
    pages = Pages(rows_of(30), sizes=(10, *[0] * count, 10), **how)
    pages.answers = dict(enumerate(empty, 1))
    return pages


def wrong_last() -> Iterator[Kind]:
    for way in ("from-1", "from-0", "offset", "cursor"):
        how = {**WAYS[way], "relations": ("next", "prev", "first", "last")}
        for count in (11, 30, 85):
            pages = -(-count // 10)
            for name, last in {
                "too-small": 0, "one-too-small": pages - 2, "own-page": lambda index: index,
                "only-first": lambda index, n=pages: n - 1 if index == 0 else None,
                "gone-later": lambda index, n=pages: n - 1 if index < 2 else None,
                "only-later": lambda index, n=pages: n - 1 if index else None,
                "wanders": lambda index, n=pages: index % n,
            }.items():  # fmt: skip
                yield kind(f"{way}-{count}-last-{name}", count, last=last, **how)
            # A hint that speaks against the end: asked once more, then it goes on or fails.
            yield kind(f"{way}-{count}-last-one-too-big", count, EITHER, last=pages,
                       except_loop="rule 1: last names a later page", **how)  # fmt: skip
            yield kind(f"{way}-{count}-last-far-too-big", count, EITHER, last=pages + 50,
                       except_loop="rule 1: last names a later page", **how)  # fmt: skip
    for beyond in (GONE, Answer(b"", 500), "last", STALLS):
        yield kind(f"last-one-too-big-beyond-{getattr(beyond, 'status', beyond)}", 25, EITHER, last=3, beyond=beyond,
                   except_loop="rule 1: last names a later page")  # fmt: skip


LINKS: dict[str, Callable[[str], str]] = {
    "http": lambda url: url.replace("http://127.0.0.1", "http://catalog.example"),
    "https": lambda url: url.replace("http://", "https://"),
    "inner-host": lambda url: re.sub("//[^/]*", "//10.1.2.3:3000", url),
    "container-name": lambda url: re.sub("//[^/]*", "//catalog-web:8080", url),
    "ipv6": lambda url: re.sub("//[^/]*", "//[fd00::1]:3000", url),
    "no-such-port": lambda url: re.sub("//[^/]*", "//catalog.example:99999", url),
    "no-host": lambda url: re.sub("//[^/]*", "//", url),
    "user": lambda url: url.replace("//", "//user:word@"),
    "inner-path": lambda url: url.replace("/api/", "/internal/api/"),
    "scheme-relative": lambda url: url.removeprefix("http:"),
    "absolute-path": lambda url: re.sub("http://[^/]*", "", url),
    "query-only": lambda url: url[url.index("?") :],
    "fragment": lambda url: url + "#rows",
    "capitals": lambda url: url.replace("http://", "HTTP://"),
    "encoded": lambda url: url.replace("=", "%3D", 0).replace("page=", "%70age="),
    "html-escaped-order": lambda url: re.sub(r"\?(.*?)&(.*)", r"?\2&\1", url),
    "repeats-filters": lambda url: url + "".join(f"&account_ids%5B%5D={n}" for n in range(400)),
    "repeats-many-filters": lambda url: url + "&account_ids=" + ",".join(map(str, range(2000))),
    "repeats-bare-filters": lambda url: url + "".join(f"&account_ids[]={n}" for n in range(500)),
    "other-parameters": lambda url: url + "&locale=en&sort=id&_=1717",
    "empty-parameters": lambda url: url + "&q=&filter",
}  # fmt: skip


def links() -> Iterator[Kind]:
    for (name, link), (way, how) in product(LINKS.items(), WAYS.items()):
        yield kind(f"{way}-link-{name}", 30, link=link, **how)
    for (way, how), count in product(WAYS.items(), (11, 30, 47)):
        yield kind(f"{way}-{count}-links-forget-per-page", count, query={}, **how)
        yield kind(f"{way}-{count}-links-forget-per-page-next-after-full", count, query={}, more="full", **how)
    yield kind("links-repeat-the-asked-size", 47, size=7, query={"per_page": "10"})
    for place in ("next", "links.next", "meta.next", "pagination.next", "meta.pagination.next", "_links.next",
                  "_links.next.href", "links.next.href", "meta.links.next", "paging.next"):  # fmt: skip
        for by in ("number", "cursor"):
            yield kind(f"body-{place}-{by}", 30, links=place, by=by)
    for place in ("next_page_url", "meta.next_url", "pagination.next_url", "next_link", "nextLink", "@odata.nextLink"):
        # Other names than ``next``: followed, or noticed.
        yield kind(f"body-{place}-number", 30, links=place)
        yield kind(f"body-{place}-cursor", 30, EITHER, "not called next", links=place, by="cursor")


HEADERS = {
    "title-first": '<{}>; title="a=b"; rel="next"',
    "valueless": '<{}>; flag; rel="next"',
    "no-quotes": "<{}>; rel=next",
    "capitals": '<{}>; REL="NEXT"',
    "single-quoted-no": '<{}>; Rel=next; title="x, y; z"',
    "several-relations": '<{}>; rel="up next"',
    "comma-in-quotes": '<https://a.example/>; rel="help"; title="a, <b>; rel=\\"next\\"", <{}>; rel="next"',
    "spaces": '  <{}>  ;  rel = "next"  ',
    "no-space": '<{}>;rel="next"',
    "semicolon-at-the-end": '<{}>; rel="next";',
    "empty-elements": ', ,<{}>; rel="next",,',
    "star": "<{}>; title*=UTF-8''n%C3%A4chste; rel=next",
    "second-rel-ignored": '<{}>; rel="next"; rel="prev"',
    "preload-first": '</a.css>; rel=preload; as=style; crossorigin, <{}>; rel="next"',
    "comma-in-target": '<{},5>; rel="next"',
    "semicolon-in-target": '<{};v=1>; rel="next"',
}


def header_kind(name: str) -> Kind:
    form = HEADERS[name]

    def make() -> Pages:
        class Formed(Pages):
            def _page(self, index: int, request: Any) -> Answer:
                answer = super()._page(index, request)
                _, _, url = (answer.headers.get("Link", "") if isinstance(answer.headers, dict) else "").partition("<")
                answer.headers = {"Link": form.format(url.partition(">")[0])} if url else {}
                return answer

        return Formed(rows_of(30), relations=("next",), link=lambda url: url + "&q=1")

    return Kind(f"header-{name}", make)


def failures() -> Iterator[Kind]:
    once = {
        "408": Answer(b"", 408, AT_ONCE), "425": Answer(b"", 425, AT_ONCE), "429": Answer(b"", 429, AT_ONCE),
        "500": Answer(b"", 500, AT_ONCE), "502": Answer(b"<html>", 502, AT_ONCE), "503": Answer(b"", 503, AT_ONCE),
        "504": Answer(b"", 504, AT_ONCE), "520": Answer(b"", 520, AT_ONCE), "522": Answer(b"", 522, AT_ONCE),
        "524": Answer(b"", 524, AT_ONCE), "529": Answer(b"", 529, AT_ONCE), "530": Answer(b"", 530, AT_ONCE),
        "598": Answer(b"", 598, AT_ONCE), "rate-limit-403": Answer(b"403 (Rate Limit Exceeded)", 403, AT_ONCE),
        "drop": Answer(drop=True), "cut": Answer({"orders": rows_of(9)}, cut=40), "stall": Answer(stall=-1),
        "stall-in-the-body": Answer({"orders": rows_of(9)}, stall=40),
    }  # fmt: skip
    # First, second, one in the middle, the last one and the one after it.
    for (says, answer), page in product(once.items(), (0, 1, 4, 8, 9)):
        for way in ("from-1", "next-only", "cursor", "no-links-from-1", "no-links-from-0"):
            how = (WAYS | WITHOUT_LINKS)[way]
            yield kind(f"{way}-{says}-once-at-{page}", 85, answers={page: [answer]}, **how)
    for code, page in product((429, 503), (0, 4, 8)):
        yield kind(f"{code}-three-times-at-{page}", 85, answers={page: [Answer(b"", code, AT_ONCE)] * 3})
    for page, way in product((1, 4, 8), ("from-1", "next-only", "cursor", "body")):
        for says, answer in {"404": GONE, "422": Answer(b"", 422), "400": Answer(b"", 400), "410": Answer(b"", 410),
                             "416": Answer(b"", 416), "401": Answer(b"", 401)}.items():  # fmt: skip
            # In the middle it must never be taken for the end.
            yield kind(f"{way}-{says}-for-good-at-{page}", 85, ERROR, answers={page: answer}, **WAYS[way])
            yield kind(f"{way}-{says}-once-at-{page}", 85, EITHER, answers={page: [answer]}, **WAYS[way])
    for page in (1, 4, 8):
        yield kind(f"no-links-500-for-good-at-{page}", 85, ERROR, links="none",
                   answers={page: Answer(b"", 500, AT_ONCE)})  # fmt: skip
        yield kind(f"no-links-404-for-good-at-{page}-and-a-total", 85, ERROR, links="none", total="X-Total",
                   answers={page: GONE})  # fmt: skip


TOTALS = ("Total", "X-Total", "X-Total-Count", "total_count", "total_entries", "meta.total", "pagination.total",
          "meta.total_count", "meta.total_entries", "pagination.total_count", "pagination.total_entries",
          "meta.pagination.total", "meta.pagination.total_count")  # fmt: skip


def promises() -> Iterator[Kind]:
    for total in TOTALS:
        for count in (11, 20, 47):
            # Only the first page comes, whatever is asked for.
            yield kind(f"only-first-{count}-total-{total}", count, ERROR, by="nothing", links="none", total=total)
        for count in (0, 1, 10):
            yield kind(f"all-{count}-total-{total}", count, by="nothing", links="none", total=total)
        yield kind(f"links-total-{total}", 47, total=total)
        yield kind(f"no-links-total-{total}", 47, total=total, links="none")
        yield kind(f"links-end-early-total-{total}", 47, EITHER, total=total, answers={2: _short_page(20)},
                   except_loop="rule 5: a total is not reached")  # fmt: skip
        yield kind(f"links-first-total-was-too-big-{total}", 47,
                   values={total: lambda pages, index: 50 if index == 0 else 47})  # fmt: skip
        yield kind(f"links-total-of-the-page-{total}", 47,
                   values={total: lambda pages, index: 7 if index == 4 else 10})  # fmt: skip
        yield kind(f"links-total-as-text-{total}", 47, values={total: "47"})
    for place in ("next_cursor", "meta.next_cursor", "pagination.next_cursor", "cursor.next", "meta.cursor.next",
                  "next_page_token", "meta.next_page_token", "cursors.after", "paging.cursors.after"):  # fmt: skip
        yield kind(f"only-first-cursor-{place}", 47, ERROR, by="nothing", links="none", values={place: "b3BhcXVl"})
        yield kind(f"all-cursor-null-{place}", 10, by="nothing", links="none", values={place: None})
        yield kind(f"no-links-cursor-{place}", 47, links="none",
                   values={place: lambda pages, index: f"c{index}" if index < 4 else None})  # fmt: skip
    look_alikes: dict[str, Any] = {
        "total_revenue": 99999, "meta.total_pages": 500, "meta.total_revenue": 99999.5, "summary.total": 5000,
        "X-Total-Pages": 500, "X-Total-Time": 1234, "X-Rate-Limit-Total": 5000, "totals.revenue": 5000,
        "meta.total": None, "pagination.total": "", "X-Total": "", "meta.per_page": 1000, "X-Per-Page": 1000,
        "meta.total_time_ms": 1200, "Total-Amount": 10**6, "meta.version": 9000,
    }  # fmt: skip
    for (name, value), (way, how) in product(look_alikes.items(), {**WITHOUT_LINKS, "from-1": {}}.items()):
        yield kind(f"{way}-look-alike-{name}", 47, values={name: value}, **how)
    for (name, value), count in product(look_alikes.items(), (0, 7)):
        yield kind(f"all-at-once-{count}-look-alike-{name}", count, by="nothing", links="none", values={name: value})


def _short_page(start: int) -> Answer:
    return Answer({"orders": rows_of(10, start)}, headers={"X-Total": "47", "Total": "47", "X-Total-Count": "47"})


def null_and_errors() -> Iterator[Kind]:
    null = Answer({"orders": None})
    for way, how in (WAYS | WITHOUT_LINKS).items():
        yield kind(f"{way}-null", 0, answers={0: null}, beyond=null, **how)
    for way, how in WITHOUT_LINKS.items():
        yield kind(f"{way}-null-beyond", 30, beyond=null, **how)
    yield kind("null-after-a-full-last-page", 30, beyond=null, more="full")
    yield kind("null-and-no-error", 0, answers={0: Answer({"orders": None, "error": None, "errors": []})})
    for name, error in {"error": "the report timed out", "errors": ["no"], "message": "try again later"}.items():
        outcome = EITHER if name == "message" else ERROR
        says = Answer({"orders": None, name: error})
        alone = Answer({name: error})
        for page, way in product((0, 1, 4), ("from-1", "cursor", "body", "no-links-from-1")):
            how = (WAYS | WITHOUT_LINKS)[way]
            yield kind(f"{way}-null-and-{name}-at-{page}", 47, outcome, answers={page: says}, **how)
            yield kind(f"{way}-{name}-as-200-at-{page}", 47, ERROR, answers={page: alone}, **how)
            yield kind(f"{way}-{name}-as-200-once-at-{page}", 47, EITHER, answers={page: [alone]}, **how)


def bodies() -> Iterator[Kind]:
    """What is in the rows must not matter."""
    same = [{"amount": 1}] * 47
    rows: dict[str, list[Any]] = {
        "equal": same, "equal-30": same[:30], "equal-but-last": [*same, {"amount": 2}],
        "no-ids": [{"name": f"n{n}"} for n in range(47)], "few-values": [{"n": n % 2} for n in range(47)],
        "nested": [{"data": [{"next": "x"}], "meta": {"total": 9999, "next": "/?page=9"}, "n": n} for n in range(47)],
        "empty-objects": [{} for _ in range(47)],
    }  # fmt: skip
    for (name, content), (way, how) in product(rows.items(), WAYS.items()):
        right = EITHER if name == "few-values" else ALL  # pages that are equal may be a circle, and nothing tells
        yield Kind(f"{way}-rows-{name}", lambda content=content, how=how: Pages(list(content), **how), right,
                   except_loop="rule 6: a page has the rows of the page before it")  # fmt: skip
    for way, how in WAYS.items():
        yield Kind(f"{way}-pages-that-are-equal", lambda how=how: Pages(rows_of(10) * 3, **how), EITHER,
                   "rule 6: a page has the very rows of the one before it")  # fmt: skip


def unusual_pages() -> Iterator[Kind]:
    for name, how in {
        "by-page-offset": {"by": "page"}, "by-skip": {"by": "skip"}, "by-json-api": {"by": "page[offset]"},
        "by-step-10": {"first": 0, "step": 10}, "by-step-2": {"step": 2}, "downwards": {"first": 50, "step": -1},
        "from-100": {"first": 100}, "from-minus-5": {"first": -5},
        "opaque-cursor": {"by": "cursor", "link": lambda url: url.replace("cursor=", "cursor=%2B%2F%3D%26%23%20")},
        "opaque-cursor-in-the-body": {"by": "cursor", "links": "next",
                                      "link": lambda url: url.replace("cursor=", "cursor=%2B%2F%3D%26+")},
        "page-and-cursor": {"by": "cursor", "link": lambda url: url + "&page=1"},
        "page-twice": {"link": lambda url: url.replace("&", "&_=1&")},
    }.items():  # fmt: skip
        for count, more, relations in product((0, 10, 11, 30, 47), (None, "full"),
                                              (("next",), ("next", "prev", "first", "last"))):  # fmt: skip
            said = f"{name}-{count}-{more}-{len(relations)}"
            yield kind(said, count, relations=relations, more=more, **how)
    yield kind("links-say-the-default-size", 85, EITHER, size=100, query={"per_page": "20"})
    for name, value in {"next": None, "links": [], "links.next": None, "meta.next": False, "next-page": 2,
                        "links.self": "/?page=1", "meta": [], "pagination": "none",
                        "next_page": None}.items():  # fmt: skip
        yield kind(f"header-links-and-body-{name}", 47, values={name: value})
    for place in ("next_page", "meta.next_page", "pagination.next_page"):
        values = {place: lambda pages, index: index + 2 if index < 4 else None}
        yield kind(f"no-links-{place}-number", 47, links="none", values=values)
        yield kind(f"only-first-{place}-number", 47, EITHER, links="none", by="nothing", values={place: 2})
    for flag in ("has_more", "meta.has_more", "has_next_page", "pagination.has_next"):
        yield kind(f"no-links-{flag}", 47, links="none", values={flag: lambda pages, index: index < 4})
        yield kind(f"links-{flag}-always", 47, EITHER, "says that there is more", values={flag: True})
    for relations in (("next",), ("next", "prev", "first", "last")):
        for name, target in {"first": 0, "itself": 4, "one-before": 3}.items():
            yield Kind(f"last-page-leads-to-{name}-{len(relations)}", lambda target=target, relations=relations:
                       _Wrapped(rows_of(47), relations=relations, target=target), EITHER)  # fmt: skip
    for key in ("data", "results", "order_analytics", "analytics"):
        for way, how in (WAYS | WITHOUT_LINKS).items():
            yield kind(f"{way}-rows-under-{key}", 30, endpoint=key, **how)


@dataclass
class _Wrapped(Pages):
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
        with self._count:
            self.now += 1
            too_many = self.now > self.most
        time.sleep(0.005)
        try:
            return self.refusal if too_many else super().__call__(request)
        finally:
            with self._count:
                self.now -= 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._count = threading.Lock()


def servers_that_mind_look_ahead() -> Iterator[Kind]:
    ahead = {"400": Answer(b"", 400), "404": GONE, "422": Answer(b"", 422), "500": Answer(b"", 500), "empty": "beyond",
             "first-page": "first", "409": Answer(b"", 409), "null": Answer({"orders": None}), "time-out": STALLS,
             "error-as-200": Answer({"error": "no such scroll"}), "drop": Answer(drop=True)}  # fmt: skip
    for (name, early), way, count in product(ahead.items(), ("from-1", "from-0", "next-only", "body"), (25, 30, 85)):
        yield Kind(f"{way}-{count}-page-not-linked-yet-{name}", lambda early=early, way=way, count=count:
                   _Scroll(rows_of(count), early=early, **WAYS[way]))  # fmt: skip
    refusals = {"429": Answer(b"", 429, AT_ONCE), "503": Answer(b"", 503, AT_ONCE), "drop": Answer(drop=True)}
    for (name, refusal), most, (way, how) in product(refusals.items(), (1, 2, 3), (WAYS | WITHOUT_LINKS).items()):
        yield Kind(f"{way}-{most}-at-once-else-{name}", lambda most=most, refusal=refusal, how=how:
                   _Shy(rows_of(85), most=most, refusal=refusal, **how))  # fmt: skip
