"""What can be chosen about a sandbox: one table for the command line and the context manager."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

RANDOM_FAULTS = (
    "500", "503", "503-retry-now", "503-retry-date", "429", "cut-off", "dropped",
    "reset-before-headers", "reset-in-headers", "reset-after-headers", "html", "broken-json", "broken-gzip",
)  # fmt: skip
"""Those that a client that asks again soon never notices; what ``fault_rate`` mixes in unless told otherwise."""
FAULTS = (
    *RANDOM_FAULTS, "429-retry-after", "stalled", "other-json",
    "page-twice", "page-missing", "page-empty", "circles", "row-inserted", "row-deleted",
)  # fmt: skip
FIRST_YEAR, LAST_YEAR = 2012, 2200


@dataclass(kw_only=True)
class Options:
    """
    The options of a sandbox; the command line's have the same names, with dashes.

    :param host: the address to listen on; 0.0.0.0 lets containers and other machines in.
    :param port: the port to listen on; 0 takes any free one.
    :param token: the API token that may read everything.
    :param token_without_analytics: a second token, which may read courses but gets 403 for analytics.
    :param seed: number from which the data and the faults are made; the same seed, sizes and time give the same.
    :param as_of: the Catalog's time when it starts, ISO 8601 in UTC, such as ``2026-07-01``; nothing in the data is
        later. By default the last midnight, or the very moment when ``live``.
    :param live: let the Catalog's time go on, so that orders come in, enrollments end and refunds are made.
    :param day_length: seconds that a day of a ``live`` Catalog takes.
    :param products: number of products at the start; they and the users are of the last three years or so.
    :param users: number of users at the start.
    :param enrollments: number of enrollments at the start, of the last two years; there are about half as many
        orders, some with many seats.
    :param latency: seconds to wait before every answer.
    :param paging: how pages are told: ``link`` (a Link header with first, prev, next and last),
        ``next-only`` (a Link header with next alone), ``page-only`` (no Link header; ``page`` works) or
        ``none`` (every row in one response, whatever ``page`` and ``per_page`` say).
    :param first_page: the number of the first page.
    :param max_per_page: rows a page at most; a larger ``per_page`` is cut to this.
    :param links: whether the URLs in Link headers are absolute or relative.
    :param fault_rate: probability, 0 to 1, that an analytics request fails in one of many ways.
    :param fault_kinds: the faults that ``fault_rate`` mixes in, with commas between; where empty, all those that a
        client that asks again soon never notices.
    :param fault_seed: another number gives other random faults with the same data.
    :param faults: faults that happen when a certain page is asked for, with commas between: ``FAULT@PAGE``, where the
        page is a number, ``first``, ``middle`` or ``last``, once for each endpoint, or ``FAULT@PAGExTIMES``, so
        often, ``x*`` for always.
    :param rate_limit: analytics requests a second, above which the answer is 429; 0 for no limit.
    :param date_to: whether a ``..._to`` filter includes the instant that it names; a date without a time
        then means through the end of that day.
    :param gzip: compress responses for clients that accept it.
    :raises ValueError: naming the option that is wrong, and what it may be.
    """

    # What is in parentheses is the least and the most.
    host: str = "127.0.0.1"
    port: Annotated[int, (0, 65_535)] = 0
    token: str = "sandbox-token"  # noqa: S105 - it opens nothing but made-up data
    token_without_analytics: str | None = None
    seed: int = 1
    as_of: str | date | None = None
    live: bool = False
    day_length: Annotated[float, (0.01, 86_400)] = 86_400.0
    products: Annotated[int, (0, 10_000_000)] = 300
    users: Annotated[int, (0, 10_000_000)] = 2_000
    enrollments: Annotated[int, (0, 100_000_000)] = 10_000
    latency: Annotated[float, (0, 3_600)] = 0.0
    paging: Literal["link", "next-only", "page-only", "none"] = "link"
    first_page: Literal[1, 0] = 1
    max_per_page: Annotated[int, (1, 1_000_000)] = 100
    links: Literal["absolute", "relative"] = "absolute"
    fault_rate: Annotated[float, (0, 1)] = 0.0
    fault_kinds: str = ""
    fault_seed: int = 0
    faults: str = ""
    rate_limit: Annotated[float, (0, math.inf)] = 0.0
    date_to: Literal["inclusive", "exclusive"] = "inclusive"
    gzip: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not work, so that a slip is told before anything starts."""
        for name, hint in get_type_hints(Options, include_extras=True).items():
            value = getattr(self, name)
            if get_origin(hint) is Annotated:
                least, most = hint.__metadata__[0]
                if not least <= value <= most:
                    raise ValueError(f"{name}={value!r} is not between {least} and {most}")
            elif get_origin(hint) is Literal and value not in get_args(hint):
                raise ValueError(f"{name}={value!r} is not one of {', '.join(map(str, get_args(hint)))}")
        parse_fault_kinds(self.fault_kinds)
        parse_faults(self.faults)
        self.now()
        if self.enrollments and not (self.products and self.users):
            raise ValueError("enrollments need at least one product and one user; set enrollments=0 as well")
        for name in ("token", "token_without_analytics"):
            if getattr(self, name) == "" or '"' in (getattr(self, name) or ""):
                raise ValueError(f"{name} must not be empty or contain a double quote")
        if self.token == self.token_without_analytics:
            raise ValueError("token_without_analytics must differ from token")

    def now(self) -> datetime:
        """Return the Catalog's time when it starts now."""
        now = datetime.now(UTC)
        if self.as_of is None:
            return now if self.live else now.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            as_of = datetime.fromisoformat(str(self.as_of))
        except ValueError:
            raise ValueError(f"as_of='{self.as_of}' is not a time such as 2026-07-01 or 2026-07-01T12:00Z") from None
        if not FIRST_YEAR <= as_of.year <= LAST_YEAR:
            raise ValueError(f"as_of='{self.as_of}' is not between {FIRST_YEAR} and {LAST_YEAR}")
        return as_of.astimezone(UTC) if as_of.tzinfo else as_of.replace(tzinfo=UTC)


def parse_faults(text: str) -> list[tuple[str, str, float]]:
    """
    Return fault, page and number of times of each part of the option ``faults``, such as ``"503@3x2, cut-off@last"``.

    :raises ValueError: naming the part that is wrong, and what it may be.
    """
    pattern = rf"({'|'.join(FAULTS)})@(\d{{1,15}}|first|middle|last)(?:x([1-9]\d{{0,8}}|\*))?"
    planned = []
    for part in _split(text):
        match = re.fullmatch(pattern, part, re.ASCII)
        if not match:
            raise ValueError(
                f"faults has {part!r}, which is not FAULT@PAGE or FAULT@PAGExTIMES, where PAGE is a number, first, "
                f"middle or last, TIMES a number, or * for always, and FAULT one of {', '.join(FAULTS)}"
            )
        fault, page, times = match.groups("1")
        planned.append((fault, page, math.inf if times == "*" else int(times)))
    return planned


def parse_fault_kinds(text: str) -> list[str]:
    """Return the faults of the option ``fault_kinds``."""
    kinds = _split(text) or [*RANDOM_FAULTS]
    for kind in kinds:
        if kind not in FAULTS:
            raise ValueError(f"fault_kinds has {kind!r}, which is not one of {', '.join(FAULTS)}")
    return kinds


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
