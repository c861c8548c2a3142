"""What is asked of each endpoint, and what was found out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

from airflow_provider_catalog.client.endpoints import ENDPOINTS, Endpoint, Row
from airflow_provider_catalog.client.filter_check import filter_names
from airflow_provider_catalog.client.hints import Params, page_number, with_page
from airflow_provider_catalog.client.page import Page, is_likely_same_page
from airflow_provider_catalog.client.settings import MAX_PAGE_SIZE, Pagination
from airflow_provider_catalog.client.walks import DEFAULT_PAGE_SIZE
from airflow_provider_catalog.probe.asking import Answer, Asker, Encoding, OutOfRequestsError

SAMPLE = 200
"""Rows of an endpoint that are looked at, should it send all at once."""
SMALL_PAGE = 10
"""Rows of the pages that are compared; fewer where there are few rows."""
NOBODY = 2_147_483_647
"""An account id that no Catalog has, and that is no error either."""
OTHER_PATHS = ("/api/v1/analytics/{name}.json", "/api/v1/new_analytics/{name}", "/api/v2/analytics/{name}")
"""Tried where an endpoint is not found; the second is the one of the admin pages."""
DATE_LAYOUTS = {"YYYY-MM-DDTHH:MM:SSZ": "2999-01-01T00:00:00Z", "YYYY-MM-DD": "2999-01-01"}
"""Layout → the start of a window in which there are no rows, if it is understood."""
DATE_FIELDS = {
    "creation_date": ("created_at", "creation_date"),
    "enrollment_date": ("enrollment_date", "enrolled_at", "created_at"),
    "purchase_date": ("purchase_date", "purchased_at", "created_at"),
    "registration_date": ("registration_date", "registered_at", "created_at"),
}
"""What a date filter is called → the fields of a row that it may look at; the first one is documented for products."""

Effect = Literal["read", "ignored", "refused", "no answer"]
"""What becomes of a filter that no row matches: it has its effect, or none, or is refused."""
Bound = Literal["inclusive", "exclusive"]

TOLD = (
    "path", "answer", "encoding", "filters", "pagination", "links", "has_last", "first_page", "page_size",
    "has_total", "is_cut_short", "dates", "to_instant", "to_day", "rows_looked_at",
)  # fmt: skip
"""Of what is found out, what the report has."""


@dataclass
class Findings:
    """Asks one endpoint, and keeps what is found out; ``None`` and what is empty: nothing."""

    asker: Asker = field(repr=False)
    endpoint: Endpoint
    path: str  # where it was found, or looked for
    encoding: Encoding  # of the body that it reads
    first_answer: Answer | None = None  # to the first request, made as the settings say
    first: Page | None = None  # with as many rows as a page may have
    sample: list[Row] = field(default_factory=list, repr=False)  # some of its rows
    filters: dict[Encoding, Effect] = field(default_factory=dict)  # what a filter in such a body does
    pagination: Pagination | None = None  # as the setting calls it
    links: Literal["number", "cursor", "in circles"] | None = None  # in circles: to the same rows again
    has_last: bool | None = None  # whether links tell the last page
    first_page: int | None = None  # its number, where pages are numbered
    page_size: int | None = None  # the rows that come when 100 are asked for, where there are more
    has_total: bool | None = None  # whether answers tell how many rows there are
    is_cut_short: bool = False  # whether answers say that there are more rows than can be reached
    dates: dict[str, Effect] = field(default_factory=dict)  # what a date filter in such a layout does
    to_instant: str | None = None  # whether the end of a date filter includes the instant that it names
    to_day: Bound | None = None  # the same, when it names a day

    @property
    def answer(self) -> str | None:
        """What came of the first request, in our words."""
        return self.first_answer.seen if self.first_answer else None

    @property
    def rows_looked_at(self) -> int:
        """How many there are in the sample."""
        return len(self.sample)

    @property
    def reads_filters(self) -> bool:
        """Whether there are rows, and filters have an effect on them."""
        return self.filters.get(self.encoding) == "read"

    def find(self) -> None:
        """Find the path that answers, and a body that it takes; the one that the settings say first."""
        others = (pattern.format(name=self.endpoint.name) for pattern in OTHER_PATHS)
        for path in dict.fromkeys((self.path, self.endpoint.path, *others)):
            for encoding in (self.encoding, _other(self.encoding)):
                answer = self.asker.ask(self.endpoint, path, encoding)
                self.first_answer = self.first_answer or answer
                if answer.page:
                    self.path, self.encoding, self.first = path, encoding, answer.page
                    self.sample = list(islice(answer.page.rows, SAMPLE))
                    return
                if not answer.is_refused:
                    break
            if not answer.is_elsewhere:
                return

    def ask_filters(self) -> None:
        """Find out in which body a filter has an effect."""
        if not self.sample:
            return
        usual = self.encoding
        for self.encoding in (usual, _other(usual)):
            self.filters[self.encoding] = self._effect({"account_ids": [NOBODY]})
            if self.reads_filters:
                return
        self.encoding = usual

    def ask_pages(self) -> None:
        """Find out how rows come in pages: a small page is compared with the one after it."""
        first = self.first
        if not first or not self.sample:
            return
        size = max(1, min(SMALL_PAGE, first.count // 2))
        small = self._ask(per_page=size).page
        if not small or not small.count:
            return
        self.has_total = small.hints.total is not None
        if small.next:
            self._follow(small, small.next)
        elif first.count > 1:
            self._count_up(small, size)
        is_paged = self.pagination in ("link", "page")
        promised = (first.hints.total or 0) > first.count or bool(first.hints.more)
        self.is_cut_short = promised and not is_paged
        following = first.next
        if self.pagination == "page" and self.first_page is not None:
            following = with_page(first.params, self.first_page + 1)
        if is_paged and following:
            page = self._ask(params=following).page
            self.page_size = first.count if page and page.count else None

    def ask_dates(self) -> None:
        """Find out which dates are read, and whether a filter includes its end; a row's own time is asked with."""
        if not self.reads_filters:
            return
        stem = next(name for name in DATE_FIELDS if f"{name}_from" in filter_names(self.endpoint))
        for layout, moment in DATE_LAYOUTS.items():
            self.dates[layout] = self._effect({f"{stem}_from": moment})
        instant = _instant_of_a_row(self.sample, DATE_FIELDS[stem])
        if instant and self.dates["YYYY-MM-DDTHH:MM:SSZ"] == "read":
            layout = "%Y-%m-%dT%H:%M:%S.%fZ" if instant.microsecond else "%Y-%m-%dT%H:%M:%SZ"
            self.to_instant = self._bound(stem, instant, layout, timedelta(seconds=1))
            if instant.microsecond and self.to_instant == "exclusive":
                self.to_instant = "exclusive, or it cuts fractions of a second"
        if instant and self.dates["YYYY-MM-DD"] == "read":
            self.to_day = self._bound(stem, instant, "%Y-%m-%d", timedelta(days=1))

    def _ask(self, filters: Mapping[str, Any] | None = None, **page: Any) -> Answer:
        """Ask for a page, at the path and in the encoding that are known."""
        return self.asker.ask(self.endpoint, self.path, self.encoding, filters, **page)

    def _effect(self, filters: Mapping[str, Any]) -> Effect:
        """Return what becomes of a filter that no row matches."""
        answer = self._ask(filters, per_page=SMALL_PAGE)
        if answer.page is None:
            return "refused" if answer.is_refused else "no answer"
        return "ignored" if answer.page.count else "read"

    def _follow(self, small: Page, link: Params) -> None:
        """Follow the link of a small page, and say where it leads."""
        number = page_number(link)
        self.links, self.has_last = "cursor" if number is None else "number", "last" in small.hints.links
        following = self._ask(params=link).page
        if following and small.count > 1 and is_likely_same_page(following, small):
            self.links = "in circles"
            self._count_up(small, small.count)
        elif following:
            self.pagination = "link"
            self.first_page = number - 1 if number else None

    def _count_up(self, small: Page, size: int) -> None:
        """Compare pages 1 and 2 with the first one, which has no number."""
        pages = [self._ask(params=with_page(small.params, number)).page for number in (1, 2)]
        for number, page in enumerate(pages):
            if page and not is_likely_same_page(page, small):
                self.pagination, self.first_page = "page", number
                return
        # A page that has as many rows as pages usually have may be the first of several, which can't be asked for.
        if small.count > size and small.count not in (DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE) and all(pages):
            self.pagination = "none"

    def _bound(self, stem: str, instant: datetime, layout: str, more: timedelta) -> Bound | None:
        """Ask for a window that is its end alone, and for one that is longer; say with which the row came."""
        bounds: dict[Bound, datetime] = {"inclusive": instant, "exclusive": instant + more}
        for found, end in bounds.items():
            answer = self._ask({f"{stem}_from": f"{instant:{layout}}", f"{stem}_to": f"{end:{layout}}"})
            if answer.page and answer.page.count:
                return found
        return None


def ask_catalog(asker: Asker) -> list[Findings]:
    """Ask all the questions of each endpoint, the most important ones first, as far as requests may be made."""
    settings = asker.settings
    found = [Findings(asker, each, settings.path_of(each), settings.request_encoding) for each in ENDPOINTS.values()]
    with suppress(OutOfRequestsError):
        for question in (Findings.find, Findings.ask_filters, Findings.ask_pages, Findings.ask_dates):
            for each in found:
                question(each)
    return found


def _other(encoding: Encoding) -> Encoding:
    return "form" if encoding == "json" else "json"


def _instant_of_a_row(rows: list[Row], names: tuple[str, ...]) -> datetime | None:
    """Return the time of a row, best one of a whole second in the middle of a day."""
    named = ([instant for row in rows if (instant := _instant(row.get(name)))] for name in names)
    instants = next(filter(None, named), [])
    # Around 11:00 UTC the day has the same name nearly everywhere.
    return min(instants, key=lambda each: (each.microsecond > 0, abs(each.hour - 11)), default=None)


def _instant(value: object) -> datetime | None:
    """Return the time that a text names, if it does; a day alone is none."""
    if not isinstance(value, str) or len(value) <= len("2026-01-31"):
        return None
    try:
        instant = datetime.fromisoformat(value)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return instant if 1900 < instant.year < 2900 else None
