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

ONCE, LASTING = False, True
NOT_NOTICED = {
    # By links: a page without rows that leads on is what some servers have, and so are numbers that are left out.
    *product(["link", "next-only"], ["page-missing", "page-empty"], PLACES, [LASTING]),
    *product(["link", "next-only"], ["page-missing", "page-empty"], ["middle"], [ONCE]),
    *product(["next-only"], ["page-missing", "page-empty"], ["last"], [ONCE]),
    *product(["link", "next-only"], ["page-twice"], ["first"], [LASTING]),
    # By number: a page without rows, or with those of another one, is how such a server says that there are no more.
    *product(
        ["page-only"], ["page-twice", "page-missing", "page-empty", "circles"], ["middle", "last"], [ONCE, LASTING]
    ),
    *product(["page-only"], ["page-twice", "page-missing"], ["first"], [LASTING]),
    # An empty list and nothing else is how a server says that no row matches.
    *product(["page-only", "none"], ["page-empty"], ["first"], [ONCE, LASTING]),
}
"""Paging, fault, place and whether it lasts: where an untrue answer is one that may as well be true."""


def pulls(paging: str = "link", faults: dict[str, str] | None = None) -> Iterator[Pull]:
    """Yield everything that is tried with one way of paging; endpoints and outputs take turns."""
    turns = cycle(zip(cycle(OPERATORS), [*OUTPUTS, *OUTPUTS[1:], OUTPUTS[0]], strict=False))
    names = faults if faults is not None else {**FAULTS, **MOVES}
    places = PLACES[:1] if paging == "none" else PLACES  # the one answer
    for fault, lasting, place, in_flight in product(names, (ONCE, LASTING), places, IN_FLIGHT):
        if (paging, fault, place, lasting) not in NOT_NOTICED:
            endpoint, output = next(turns)
            yield Pull(fault, place, lasting, in_flight, output, endpoint, paging, TIMES.get(fault, 1))


def promised(pull: Pull) -> set[str]:
    """Return the kinds of outcomes that a pull may have."""
    if pull.paging == "none" or (pull.paging, pull.fault, pull.place) == ("page-only", "circles", "first"):
        return {"rows"}  # nothing goes wrong
    if pull.lasting or (pull.fault, pull.place) == ("other-json", "first"):
        return {"error"}  # what was never otherwise is not tried again
    # A page that comes twice is no movement, which would be read again.
    return {"rows", "error"} if pull.fault in ("page-twice", "circles") else {"rows"}
