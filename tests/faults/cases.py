"""What is tried, and what is promised."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product

from tests.faults.pulls import OPERATORS, OUTPUTS, PLACES, Pull

FAULTS = {
    "refused": "connection refused",
    "dns": "DNS failure",
    "tls": "TLS failure",
    "dropped": "closed before the headers",
    "reset-before-headers": "reset before the headers",
    "reset-in-headers": "reset in the middle of the headers",
    "reset-after-headers": "reset after the headers",
    "cut-off": "body cut off",
    "stalled": "body stalled",
    "429": "429",
    "429-retry-after": "429 with `Retry-After`",
    "500": "500",
    "503": "503, three in a row",
    "503-retry-now": "503 with `Retry-After: 0`",
    "503-retry-date": "503 with a date in `Retry-After`",
    "html": "HTML with 200",
    "broken-json": "JSON that breaks off",
    "other-json": "JSON of another shape",
    "broken-gzip": "broken gzip",
}
"""A fault's name → what it is: those of a server or a network that fails."""
MOVES = {
    "page-twice": "a page twice",
    "page-missing": "a page missing",
    "page-empty": "a page empty",
    "circles": "paging in circles",
    "row-inserted": "a row inserted while reading",
    "row-deleted": "a row deleted while reading",
}
"""Those of pages that don't fit together."""
PAGINGS = ("link", "next-only", "page-only", "none")
IN_FLIGHT = (1, 8)
TIMES = {"503": 3}

UNKNOWABLE = {
    # Page after page until an empty one: that the last is empty is how such a server says that there are no more.
    ("page-only", "page-missing", "last", True),
    ("page-only", "page-empty", "last", True),
    # An empty list and nothing else is how a server says that no row matches.
    *product(["page-only"], ["page-empty"], ["first"], [False, True]),
    *product(["none"], ["page-empty"], ["first"], [False, True]),
}
"""Paging, fault, place and whether it lasts: where an untrue answer is one that may as well be true."""


def pulls(paging: str = "link", faults: dict[str, str] | None = None) -> Iterator[Pull]:
    """Yield everything that is tried with one way of paging; endpoints take turns."""
    endpoints = cycle(OPERATORS)
    names = faults if faults is not None else {**FAULTS, **MOVES}
    places = PLACES[:1] if paging == "none" else PLACES  # the one answer
    for fault, lasting, place in product(names, (False, True), places):
        for in_flight, output in product(IN_FLIGHT, OUTPUTS):
            endpoint = next(endpoints)
            yield Pull(fault, place, lasting, in_flight, output, endpoint, paging, TIMES.get(fault, 1))
        next(endpoints)  # so that an output does not always meet the same endpoint


def promised(pull: Pull) -> set[str]:
    """Return the kinds of outcomes that a pull may have."""
    if (pull.paging, pull.fault, pull.place, pull.lasting) in UNKNOWABLE:
        return {"WRONG"}
    if pull.fault == "other-json" and pull.place == "first":
        return {"error"}  # what was never otherwise is not tried again
    if not pull.lasting:
        return {"rows"}
    if pull.fault in MOVES and pull.paging in ("page-only", "none"):
        return {"rows", "error"}  # without links, some of them have nothing to go wrong at some places
    return {"error"}
