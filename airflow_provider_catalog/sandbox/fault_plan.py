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
"""All of them; :mod:`airflow_provider_catalog.sandbox.faults` says what each is."""

_PLANNED = re.compile(r"(?P<fault>[\w-]+)@(?P<page>\d{1,15}|first|middle|last)(x(?P<times>[1-9]\d{0,8}|\*))?", re.ASCII)


@dataclass(frozen=True)
class PlannedFault:
    """A fault that is to happen when a page is asked for."""

    fault: str
    page: str  # its number, or first, middle or last
    times: float  # for how many requests for it, of each endpoint

    def concerns(self, number: int, first: int, last: int) -> bool:
        """Return whether a page is meant, where the pages have the numbers from ``first`` to ``last``."""
        places = {"first": first, "middle": (first + last) // 2, "last": last}
        return number == (places[self.page] if self.page in places else int(self.page))


def parse_faults(text: str) -> list[PlannedFault]:
    """
    Return the faults that an option asks for.

    :param text: such as ``"503@3x2, cut-off@last"``; may be empty.
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
        _check_names([match["fault"]], "faults")
        times = match["times"] or "1"
        planned.append(PlannedFault(match["fault"], match["page"], inf if times == "*" else int(times)))
    return planned


def parse_fault_kinds(text: str) -> tuple[str, ...]:
    """
    Return the faults that ``fault_rate`` mixes in.

    :param text: their names with commas between; empty for :data:`RANDOM_FAULTS`.
    :raises ValueError: naming the one that is wrong, and what it may be.
    """
    names = _parts(text)
    _check_names(names, "fault_kinds")
    return tuple(names) or RANDOM_FAULTS


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _check_names(names: list[str], option: str) -> None:
    for name in names:
        if name not in FAULTS:
            raise ValueError(f"{option} has {name!r}, which is not one of {', '.join(FAULTS)}")
