"""What the questions have found out, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.probe.asking import Answer, Encoding

SAMPLE = 200
"""Rows of an endpoint that are looked at, where it does not page."""

Effect = Literal["read", "ignored", "refused", "unknown"]
"""What the Catalog does with a filter: it has its effect, or none, or the request is refused."""
Paging = Literal["link", "next-only", "page-only", "none"]
Links = Literal["absolute", "relative", "to another origin", "not a URL"]
Bound = Literal["inclusive", "exclusive"]


@dataclass
class EndpointFacts:
    """
    One endpoint.

    :param endpoint: which.
    :param path: where it was asked, and at last found.
    :param tried: the path that it should have, where it was found elsewhere.
    :param encoding: the body's, which it reads.
    :param post: the answer to POST with an empty JSON object.
    :param get: the answer to GET.
    :param base: the answer that further questions build on: one row asked for, no filter.
    :param effects: body encoding → what a filter in it does.
    :param paging: which of the four ways.
    :param first_page: the number of the first page, where pages are numbered.
    :param links: where the link to the next page leads.
    :param page_limit: the most rows in one page, where it is known.
    :param page_least: so many rows were in one page.
    :param too_large: the answer to a page size above the documented maximum, where that is refused.
    :param sample: the most rows that came in one answer.
    :param date_field: the field of a row that a date filter looks at.
    :param to_instant: whether a ``_to`` filter includes the instant that it names.
    :param to_fraction: whether that instant had a fraction of a second, which a server may cut.
    :param to_day: whether a ``_to`` filter that is a day includes that day.
    """

    endpoint: Endpoint
    path: str
    tried: str | None = None
    encoding: Encoding = "json"
    post: Answer | None = None
    get: Answer | None = None
    base: Answer | None = None
    effects: dict[Encoding, Effect] = field(default_factory=dict)
    paging: Paging | None = None
    first_page: int | None = None
    links: Links | None = None
    page_limit: int | None = None
    page_least: int = 0
    too_large: Answer | None = None
    sample: list[Any] = field(default_factory=list, repr=False)
    date_field: str | None = None
    to_instant: Bound | None = None
    to_fraction: bool = False
    to_day: Bound | None = None

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.endpoint.name

    @property
    def first_rows(self) -> list[Any] | None:
        """The rows of the first answer; ``None`` when there was none with rows in it."""
        return self.base.rows(self.endpoint.root_key) if self.base else None

    @property
    def can_be_asked(self) -> bool:
        """Whether it makes sense to ask further: there are rows to compare."""
        return bool(self.first_rows)

    def keep(self, rows: list[Any]) -> None:
        """Keep the largest sample, within reason."""
        if len(rows) > len(self.sample):
            self.sample = rows[:SAMPLE]


@dataclass
class Facts:
    """
    One Catalog.

    :param endpoints: name → what is known of it.
    :param courses: the answer of a path that every valid token may read; asked only when analytics are refused.
    :param forms: encoding of a form → what a filter in it does.
    :param form_lists: encoding of a form → whether all items of a list count, not just one.
    :param date_formats: layout → what a date filter in it does.
    :param unknown_filter: what a filter does that there is not, and the answer's status.
    :param bad_value: what a filter does whose value is wrong, and the answer's status.
    :param complete: whether all questions were asked.
    """

    endpoints: dict[str, EndpointFacts]
    courses: Answer | None = None
    forms: dict[Encoding, Effect] = field(default_factory=dict)
    form_lists: dict[Encoding, bool] = field(default_factory=dict)
    date_formats: dict[str, Effect] = field(default_factory=dict)
    unknown_filter: tuple[Effect, str] | None = None
    bad_value: tuple[Effect, str] | None = None
    complete: bool = True

    @property
    def learnt(self) -> bool:
        """Whether at least one endpoint answered with rows, or with none of them."""
        return any(each.first_rows is not None for each in self.endpoints.values())


def effect(answer: Answer, root_key: str) -> Effect:
    """
    Return what a filter did that no row can match.

    :param answer: the answer to it; without the filter there are rows.
    """
    rows = answer.rows(root_key)
    if rows is not None:
        return "ignored" if rows else "read"
    return "refused" if answer.is_refused else "unknown"
