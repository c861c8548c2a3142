"""What can be chosen about a sandbox: one table for the command line and the context manager."""

from __future__ import annotations

import ipaddress
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from airflow_provider_catalog.sandbox.fault_plan import parse_fault_kinds, parse_faults

Paging = Literal["link", "next-only", "page-only", "none"]


@dataclass(kw_only=True)
class Options:
    """
    The options of a sandbox; the command line's have the same names, with dashes.

    :param host: the address to listen on.
    :param port: the port to listen on; 0 takes any free one.
    :param token: the API token that may read everything.
    :param token_without_analytics: a second token, which may read courses but gets 403 for analytics.
    :param seed: number from which the data and the faults are made; the same seed and sizes give the same.
    :param products: number of products.
    :param users: number of users.
    :param enrollments: number of enrollments; there are about half as many orders, some with many seats.
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

    host: str = "127.0.0.1"
    port: int = 0
    token: str = "sandbox-token"  # noqa: S105 - it opens nothing but made-up data
    token_without_analytics: str | None = None
    seed: int = 1
    products: int = 300
    users: int = 2_000
    enrollments: int = 10_000
    latency: float = 0.0
    paging: Paging = "link"
    first_page: Literal[1, 0] = 1
    max_per_page: int = 100
    links: Literal["absolute", "relative"] = "absolute"
    fault_rate: float = 0.0
    fault_kinds: str = ""
    fault_seed: int = 0
    faults: str = ""
    rate_limit: float = 0.0
    date_to: Literal["inclusive", "exclusive"] = "inclusive"
    gzip: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not work, so that a slip is told before anything starts."""
        for name, least, most in (
            ("port", 0, 65_535),
            ("products", 0, 10_000_000),
            ("users", 0, 10_000_000),
            ("enrollments", 0, 100_000_000),
            ("latency", 0, 3_600),
            ("first_page", 0, 1),
            ("max_per_page", 1, 1_000_000),
            ("fault_rate", 0, 1),
            ("rate_limit", 0, math.inf),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)!r} is not between {least} and {most}")
        for name, choices in (
            ("paging", ("link", "next-only", "page-only", "none")),
            ("links", ("absolute", "relative")),
            ("date_to", ("inclusive", "exclusive")),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {', '.join(choices)}")
        parse_fault_kinds(self.fault_kinds)
        parse_faults(self.faults)
        if self.enrollments and not (self.products and self.users):
            raise ValueError("enrollments need at least one product and one user; set enrollments=0 as well")
        for name in ("token", "token_without_analytics"):
            if getattr(self, name) == "" or '"' in (getattr(self, name) or ""):
                raise ValueError(f"{name} must not be empty or contain a double quote")
        if self.token == self.token_without_analytics:
            raise ValueError("token_without_analytics must differ from token")


def is_loopback(host: str) -> bool:
    """
    Say whether only this machine can reach the address.

    :param host: an IP address or a name; of names only ``localhost`` is known.
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
