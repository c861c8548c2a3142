"""Which requests of a sandbox are to fail, and how: what may be written, checked before anything starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

RANDOM_FAULTS = (
    *("500", "503", "503-retry-now", "503-retry-date", "429", "cut-off", "dropped"),
    *("reset-before-headers", "reset-in-headers", "reset-after-headers", "html", "broken-json", "broken-gzip"),
)
"""Those that a client that asks again soon never notices; what ``fault_rate`` mixes in unless told otherwise."""

FAULTS = (
    *RANDOM_FAULTS,
    *("429-retry-after", "stalled", "other-json"),
    *("page-twice", "page-missing", "page-empty", "circles", "row-inserted", "row-deleted"),
)

_PLANNED = re.compile(r"(?P<fault>[\w-]+)@(?P<page>\d{1,15}|first|middle|last)(x(?P<times>[1-9]\d{0,8}|\*))?", re.ASCII)


@dataclass(frozen=True)
class PlannedFault:
    """A fault that happens when a page is asked for, at the first so many requests to each endpoint."""

    fault: str
    page: str  # its number, or first, middle or last
    times: float

    def concerns(self, number: int, first: int, last: int) -> bool:
        """Return whether a page is meant, where the pages have the numbers from ``first`` to ``last``."""
        places = {"first": first, "middle": (first + last) // 2, "last": last}
        return number == (places[self.page] if self.page in places else int(self.page))


def parse_faults(text: str) -> list[PlannedFault]:
    """
    Return the faults of the option ``faults``, such as ``"503@3x2, cut-off@last"``.

    :raises ValueError: naming the part that is wrong, and what it may be.
    """
    planned = []
    for part in _parts(text):
        match = _PLANNED.fullmatch(part)
        if not match:
            raise ValueError(
                f"faults has {part!r}, which is not FAULT@PAGE or FAULT@PAGExTIMES, where PAGE is a number, first, "
                "middle or last, and TIMES a number, or * for always"
            )
        fault, page, times = match["fault"], match["page"], match["times"] or "1"
        planned.append(PlannedFault(_known(fault, "faults"), page, inf if times == "*" else int(times)))
    return planned


def parse_fault_kinds(text: str) -> tuple[str, ...]:
    """
    Return the faults of the option ``fault_kinds``; :data:`RANDOM_FAULTS` when it is empty.

    :raises ValueError: naming the one that is wrong, and what it may be.
    """
    return tuple(_known(name, "fault_kinds") for name in _parts(text)) or RANDOM_FAULTS


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _known(name: str, option: str) -> str:
    if name not in FAULTS:
        raise ValueError(f"{option} has {name!r}, which is not one of {', '.join(FAULTS)}")
    return name
