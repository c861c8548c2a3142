"""Kinds of servers: how they page, and what the right outcome of a read is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, product
from typing import Any

from tests.catalog_server import AT_ONCE, Answer, Pages
from tests.servers.reading import rows_of

ALL = "all rows once"
ERROR = "an error"
EITHER = "all rows once, or an error"


@dataclass
class Kind:
    """
    :param rows: all of them, or how many.
    :param outcome: what a read has to come to.
    :param except_loop: why this need not be read although a plain loop reads it.
    :param pages: the class of the server.
    :param how: its ways.
    """

    name: str
    rows: int | list[Any]
    outcome: str
    except_loop: str
    pages: type[Pages]
    how: dict[str, Any]

    def make(self) -> Pages:
        return self.pages(rows_of(self.rows) if isinstance(self.rows, int) else list(self.rows), **self.how)

    def __str__(self) -> str:
        return self.name


def kind(
    name: str, rows: int | list[Any], outcome: str = ALL, except_loop: str = "", pages: type[Pages] = Pages, **how: Any
) -> Kind:
    return Kind(name, rows, outcome, except_loop, pages, how)


COUNTS = (0, 1, 10, 11, 25, 30, 85)
"""No row, one, exactly a page, one more, part of a third page, exactly three pages, many pages."""

STALLS = Answer(stall=-1)
GONE = Answer({"error": "no such page"}, 404)
NULL = Answer({"orders": None})
EVERY_RELATION = ("next", "prev", "first", "last")
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
ALL_WAYS = WAYS | WITHOUT_LINKS


def in_turn(habits: Any, *ways: str) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """Yield each habit with one of the ways, which take turns."""
    for habit, way in zip(habits, cycle(ways or WAYS)):
        yield habit, way, ALL_WAYS[way]


def all_kinds() -> list[Kind]:
    groups = (
        ends, beyond_the_end, uneven_pages, wrong_last, links, failures, promises, null_and_errors, contents,
        unusual_pages, servers_that_mind_look_ahead,
    )  # fmt: skip
    return [each for group in groups for each in group()]


def ends() -> Iterator[Kind]:
    for (way, how), count in product(ALL_WAYS.items(), COUNTS):
        yield kind(f"{way}-{count}", count, **how)
    # A loop that stops at the first empty page reads those whose next never ends; one that follows next does not.
    for (more, count), way, how in in_turn(product(("full", "last", "all"), COUNTS)):
        yield kind(f"{way}-{count}-next-after-{more}", count, more=more, **how)
    for count, size in ((25, 20), (66, 25), (100, 33)):
        yield kind(f"odd-size-{size}-{count}", count, size=size)  # more is asked for than the server gives


def beyond_the_end() -> Iterator[Kind]:
    refusals = {str(code): Answer(b"no", code) for code in (400, 404, 410, 416, 422)}
    failures = {"500": Answer(b"no", 500), "503": Answer(b"no", 503), "drop": Answer(drop=True)}
    failures |= {"html": Answer(b"<p>no", 200), "time-out": STALLS}
    told = {**refusals, "last-page-again": "last"}
    for (says, beyond), count in product((told | failures).items(), (10, 25)):
        is_needed = says in failures and count == 10
        if says != "time-out" or not is_needed:
            ways = ("from-1", "from-0", "next-only", *WITHOUT_LINKS)
            [(_, way, how)] = in_turn([says], ways[(len(says) + count) % 5])
            # A single page has no link: it is like one of a server without links.
            yield kind(f"{way}-{count}-beyond-{says}", count, EITHER if is_needed else ALL,
                       "rule 4: it may be a failure in the middle", beyond=beyond, **how)  # fmt: skip
        # A full last page that leads to a failure is like a failure in the middle.
        relations = EVERY_RELATION if count == 10 else ("next",)
        if says != "time-out":
            yield kind(f"{count}-next-after-full-beyond-{says}", count, ALL if count == 25 else EITHER,
                       "rule 1: an empty page has a next", beyond=beyond, more="full", relations=relations)  # fmt: skip
    for (says, beyond), count in zip(refusals.items(), COUNTS, strict=False):
        yield kind(f"{count}-next-for-ever-beyond-{says}", count, beyond=beyond, more="last", relations=("next",))
    for says, beyond in (refusals | failures).items():
        yield kind(f"forget-per-page-beyond-{says}", 25, beyond=beyond, query={})
    for before, count in zip((GONE, Answer(b"no", 400), Answer(b"no", 500), None, "first"), COUNTS[2:], strict=True):
        says = before.status if isinstance(before, Answer) else before
        # A failure of page 0 must not be taken for the end; nobody has to ask for page 0.
        yield kind(f"no-links-page-0-{says}-{count}", count, before=before, links="none", beyond=GONE)


def uneven_pages() -> Iterator[Kind]:
    shapes = {
        "shorter-second": (10, 7, 10, 10, 10), "all-shorter": (10, 9), "one-row-pages": (10, 1, 1, 1, 10),
        "shorter-first": (4, 10), "longer-later": (3, 5, 10, 12, 40), "falling": (10, 8, 6, 4, 2, 1, 1),
    }  # fmt: skip
    for (shape, sizes), way in product(shapes.items(), ("from-1", "cursor", "body", *WITHOUT_LINKS)):
        yield kind(f"{way}-{shape}", 47, sizes=sizes, **ALL_WAYS[way])
    for way, how in WAYS.items():
        yield kind(f"{way}-empty-page-without-next", 47, EITHER, answers={2: [Answer({"orders": []})]}, **how)
    for way in ("from-1", "from-0", "next-only"):
        lead_on = [
            Answer({"orders": []}, headers={"Link": f'<?page={WAYS[way].get("first", 1) + n}&per_page=10>; rel="next"'})
            for n in (2, 3)
        ]
        for many in (1, 2):
            yield kind(f"{way}-{many}-pages-of-no-rows-lead-on", 30, sizes=(10, *[0] * many, 10),
                       answers=dict(enumerate(lead_on[:many], 1)), **WAYS[way])  # fmt: skip
    yield kind("no-links-total-empty-page-in-the-middle", 47, EITHER, links="none", total="X-Total",
               answers={2: Answer({"orders": []})})  # fmt: skip


def wrong_last() -> Iterator[Kind]:
    hints: dict[str, Callable[[int, int], int | None]] = {
        "too-small": lambda index, pages: 0,
        "one-too-small": lambda index, pages: pages - 2,
        "own-page": lambda index, pages: index,
        "only-first": lambda index, pages: pages - 1 if index == 0 else None,
        "gone-later": lambda index, pages: pages - 1 if index < 2 else None,
        "only-later": lambda index, pages: pages - 1 if index else None,
        "wanders": lambda index, pages: index % pages,
        # A hint that speaks against the end: asked once more, then it goes on or fails.
        "one-too-big": lambda index, pages: pages,
        "far-too-big": lambda index, pages: pages + 50,
    }
    for ((name, hint), count), way, how in in_turn(product(hints.items(), (11, 30, 85)), "from-1", "from-0", "offset",
                                                   "cursor"):  # fmt: skip
        pages = -(-count // 10)
        right, why = (EITHER, "rule 1: last names a later page") if name.endswith("big") else (ALL, "")
        yield kind(f"{way}-{count}-last-{name}", count, right, why, **how | {"relations": EVERY_RELATION},
                   last=lambda index, hint=hint, pages=pages: hint(index, pages))  # fmt: skip
    for beyond in (GONE, Answer(b"", 500), "last"):
        yield kind(f"last-one-too-big-beyond-{getattr(beyond, 'status', beyond)}", 25, EITHER,
                   "rule 1: last names a later page", last=3, beyond=beyond)  # fmt: skip


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
    for (name, link), way in product(LINKS.items(), ("next-only", "cursor", "body")):
        yield kind(f"{way}-link-{name}", 30, link=link, **WAYS[way])
    for (count, more), way, how in in_turn([*product((11, 30, 47), (None, "full"))] * 2):
        yield kind(f"{way}-{count}-links-forget-per-page-next-after-{more}", count, query={}, more=more, **how)
    yield kind("links-repeat-the-asked-size", 47, size=7, query={"per_page": "10"})
    places = ("next", "links.next", "meta.next", "pagination.next", "meta.pagination.next", "_links.next",
              "_links.next.href", "links.next.href", "meta.links.next", "paging.next")  # fmt: skip
    for place, by in zip(places, cycle(("number", "cursor"))):
        yield kind(f"body-{place}-{by}", 30, links=place, by=by)
    for place in ("next_page_url", "pagination.next_url", "nextLink", "@odata.nextLink"):
        # Other names than ``next``: followed, or noticed.
        yield kind(f"body-{place}-number", 30, links=place)
        yield kind(f"body-{place}-cursor", 30, EITHER, "not called next", links=place, by="cursor")
    for name, form in HEADERS.items():
        yield kind(
            f"header-{name}",
            30,
            by="cursor",
            relations=("next",),
            link=lambda url: url + "&q=1",
            pages=_Formed,
            form=form,
        )


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


@dataclass
class _Formed(Pages):
    """The header is written in a form of its own."""

    form: str = ""

    def _page(self, index: int, request: Any) -> Answer:
        answer = super()._page(index, request)
        _, _, url = dict(answer.headers).get("Link", "").partition("<")
        answer.headers = {"Link": self.form.format(url.partition(">")[0])} if url else {}
        return answer


def failures() -> Iterator[Kind]:
    once = {str(code): Answer(b"", code, AT_ONCE) for code in (408, 425, 429, 500, 502, 503, 524, 598)}
    once |= {
        "rate-limit-403": Answer(b"403 (Rate Limit Exceeded)", 403, AT_ONCE), "drop": Answer(drop=True),
        "cut": Answer({"orders": rows_of(9)}, cut=40),
    }  # fmt: skip
    ways = ("from-1", "next-only", "cursor", *WITHOUT_LINKS)
    # First, second, one in the middle, the last one and the one after it.
    for (says, page), way, how in in_turn(product(once, (0, 1, 4, 8, 9, 9)), *ways):
        yield kind(f"{way}-{says}-once-at-{page}", 85, answers={page: [once[says]]}, **how)
    stalls = {"stall": STALLS, "stall-in-the-body": Answer({"orders": rows_of(9)}, stall=40)}
    for (says, page), way, how in in_turn(product(stalls, (1, 8)), "no-links-from-1", "from-1", "cursor"):
        yield kind(f"{way}-{says}-once-at-{page}", 85, answers={page: [stalls[says]]}, **how)
    for code, page in product((429, 503), (0, 4, 8)):
        yield kind(f"{code}-three-times-at-{page}", 85, answers={page: [Answer(b"", code, AT_ONCE)] * 3})
    refusals = [Answer(b"", code) for code in (404, 422, 400, 410, 416, 401)]
    for (answer, page), way, how in in_turn(product(refusals, (1, 4, 8)), "from-1", "next-only", "cursor", "body"):
        # In the middle it must never be taken for the end.
        yield kind(f"{way}-{answer.status}-for-good-at-{page}", 85, ERROR, answers={page: answer}, **how)
        yield kind(f"{way}-{answer.status}-once-at-{page}", 85, EITHER, answers={page: [answer]}, **how)
    for page in (1, 4, 8):
        yield kind(f"no-links-500-for-good-at-{page}", 85, ERROR, links="none",
                   answers={page: Answer(b"", 500, AT_ONCE)})  # fmt: skip
        yield kind(f"no-links-404-for-good-at-{page}-and-a-total", 85, ERROR, links="none", total="X-Total",
                   answers={page: GONE})  # fmt: skip


TOTALS = ("Total", "X-Total", "X-Total-Count", "total_count", "total_entries", "meta.total", "pagination.total",
          "meta.total_count", "meta.total_entries", "pagination.total_count", "pagination.total_entries",
          "meta.pagination.total", "meta.pagination.total_count")  # fmt: skip


def promises() -> Iterator[Kind]:
    one_page: dict[str, Any] = {"by": "nothing", "links": "none"}
    for total, count in zip(TOTALS, cycle((11, 20, 47))):
        # Only the first page comes, whatever is asked for.
        yield kind(f"only-first-{count}-total-{total}", count, ERROR, total=total, **one_page)
    for total, count in zip(TOTALS, cycle((0, 1, 10))):
        yield kind(f"all-{count}-total-{total}", count, total=total, **one_page)
        yield kind(f"no-links-total-{total}", 47, total=total, links="none")
    early = Answer({"orders": rows_of(10, 20)}, headers={"X-Total": "47", "Total": "47", "X-Total-Count": "47"})
    for total in ("X-Total", "total_count", "meta.total"):
        yield kind(f"links-total-{total}", 47, total=total)
        yield kind(f"links-end-early-total-{total}", 47, EITHER, "rule 5: a total is not reached", total=total,
                   answers={2: early})  # fmt: skip
        for says, value in {"first-too-big": lambda pages, index: 50 if index == 0 else 47, "as-text": "47",
                            "of-the-page": lambda pages, index: 7 if index == 4 else 10}.items():  # fmt: skip
            yield kind(f"links-total-{says}-{total}", 47, values={total: value})
    for place in ("next_cursor", "meta.next_cursor", "pagination.next_cursor", "cursor.next", "meta.cursor.next",
                  "next_page_token", "meta.next_page_token", "cursors.after", "paging.cursors.after"):  # fmt: skip
        yield kind(f"only-first-cursor-{place}", 47, ERROR, values={place: "b3BhcXVl"}, **one_page)
        yield kind(f"all-cursor-null-{place}", 10, values={place: None}, **one_page)
        yield kind(f"no-links-cursor-{place}", 47, links="none",
                   values={place: lambda pages, index: f"c{index}" if index < 4 else None})  # fmt: skip
    yield kind("all-cursor-but-no-more", 10, values={"next_cursor": "b3BhcXVl", "has_more": False}, **one_page)
    look_alikes: dict[str, Any] = {
        "total_revenue": 99999, "meta.total_pages": 500, "meta.total_revenue": 99999.5, "summary.total": 5000,
        "X-Total-Pages": 500, "X-Total-Time": 1234, "X-Rate-Limit-Total": 5000, "totals.revenue": 5000,
        "meta.total": None, "pagination.total": "", "X-Total": "", "meta.per_page": 1000, "X-Per-Page": 1000,
        "meta.total_time_ms": 1200, "Total-Amount": 10**6, "meta.version": 9000,
    }  # fmt: skip
    for (name, value), way, how in in_turn(look_alikes.items(), "from-1", *WITHOUT_LINKS):
        yield kind(f"{way}-look-alike-{name}", 47, values={name: value}, **how)
        yield kind(f"all-at-once-look-alike-{name}", 7, values={name: value}, **one_page)


def null_and_errors() -> Iterator[Kind]:
    for way, how in ALL_WAYS.items():
        yield kind(f"{way}-null", 0, answers={0: NULL}, beyond=NULL, **how)
    for way, how in WITHOUT_LINKS.items():
        yield kind(f"{way}-null-beyond", 30, beyond=NULL, **how)
    yield kind("null-after-a-full-last-page", 30, beyond=NULL, more="full")
    yield kind("null-and-no-error", 0, answers={0: Answer({"orders": None, "error": None, "errors": []})})
    errors = {"error": "the report timed out", "errors": ["no"], "message": "try again later"}
    for (name, page), way, how in in_turn([*product(errors, (0, 1, 4))] * 3, "from-1", "cursor", "body",
                                          "no-links-from-1"):  # fmt: skip
        says, alone = Answer({"orders": None, name: errors[name]}), Answer({name: errors[name]})
        outcome = EITHER if name == "message" else ERROR
        yield kind(f"{way}-null-and-{name}-at-{page}", 47, outcome, answers={page: says}, **how)
        yield kind(f"{way}-{name}-as-200-at-{page}", 47, ERROR, answers={page: alone}, **how)
        yield kind(f"{way}-{name}-as-200-once-at-{page}", 47, EITHER, answers={page: [alone]}, **how)


def contents() -> Iterator[Kind]:
    """What is in the rows must not matter."""
    same = [{"amount": 1}] * 47
    rows: dict[str, list[Any]] = {
        "equal": same, "equal-30": same[:30], "equal-but-last": [*same, {"amount": 2}],
        "no-ids": [{"name": f"n{n}"} for n in range(47)], "few-values": [{"n": n % 2} for n in range(47)],
        "nested": [{"data": [{"next": "x"}], "meta": {"total": 9999, "next": "/?page=9"}, "n": n} for n in range(47)],
        "empty-objects": [{} for _ in range(47)], "equal-pages": rows_of(10) * 3,
    }  # fmt: skip
    for (name, content), way in product(rows.items(), ("from-1", "cursor", "body")):
        # Pages that are equal may be a circle, and nothing tells.
        right = EITHER if name in ("few-values", "equal-pages") else ALL
        yield kind(f"{way}-rows-{name}", content, right, "rule 6: a page has the rows of the page before it",
                   **WAYS[way])  # fmt: skip
    for key, way, how in in_turn(["data", "results", "order_analytics", "analytics"] * 3, *ALL_WAYS):
        yield kind(f"{way}-rows-under-{key}", 30, endpoint=key, **how)


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
        for count, more, relations in (
            (0, None, ("next",)), (10, "full", EVERY_RELATION), (11, None, EVERY_RELATION), (30, "full", ("next",)),
            (47, None, ("next",)),
        ):  # fmt: skip
            yield kind(f"{name}-{count}-{more}-{len(relations)}", count, relations=relations, more=more, **how)
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
    for relations in (("next",), EVERY_RELATION):
        for name, target in {"first": 0, "itself": 4, "one-before": 3}.items():
            yield kind(f"last-page-leads-to-{name}-{len(relations)}", 47, EITHER, relations=relations, target=target,
                       pages=_Circle)  # fmt: skip


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
             "first-page": "first", "409": Answer(b"", 409), "null": NULL, "time-out": STALLS,
             "error-as-200": Answer({"error": "no such scroll"}), "drop": Answer(drop=True)}  # fmt: skip
    for (name, early), way, how in in_turn([*ahead.items()] * 2, "from-1", "from-0", "next-only", "body"):
        yield kind(f"{way}-page-not-linked-yet-{name}", 85, pages=_Scroll, early=early, **how)
    refusals = {"429": Answer(b"", 429, AT_ONCE), "503": Answer(b"", 503, AT_ONCE), "drop": Answer(drop=True)}
    for (name, most), way, how in in_turn([*product(refusals, (1, 2, 3))] * 2, *ALL_WAYS):
        yield kind(f"{way}-{most}-at-once-else-{name}", 85, pages=_Shy, most=most, refusal=refusals[name], **how)
