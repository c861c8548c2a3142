"""The questions that are asked of each endpoint. Each function adds to what is known of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_catalog.client.filter_check import filter_names
from airflow_provider_catalog.client.page import page_name, paging_links
from airflow_provider_catalog.client.settings import MAX_PAGE_SIZE
from airflow_provider_catalog.errors import CatalogPaginationError
from airflow_provider_catalog.probe.asking import Answer, Asker, Encoding
from airflow_provider_catalog.probe.facts import Bound, EndpointFacts, effect

NOBODY = 2_147_483_647
"""An account id that no Catalog has, and that is no error either."""
OTHER_PATHS = (
    "/api/v1/analytics/{name}.json",
    "/api/v1/new_analytics/{name}",
    "/api/v2/analytics/{name}",
)
"""Tried where an endpoint is not found; the second is the one of the admin pages."""
DATE_FIELDS = {
    "creation_date": ("created_at", "creation_date"),
    "enrollment_date": ("enrollment_date", "enrolled_at", "created_at"),
    "purchase_date": ("purchase_date", "purchased_at", "created_at"),
    "registration_date": ("registration_date", "registered_at", "created_at"),
}
"""What a date filter is called → the fields of a row that it may look at; the first one is documented for products."""


def path_and_encoding(asker: Asker, facts: EndpointFacts) -> None:
    """Does the path answer, and to which body?"""
    facts.post = facts.base = answer = asker.post(facts.path)
    if answer.status in (404, 405):
        for pattern in OTHER_PATHS:
            path = pattern.format(name=facts.name)
            if _has_rows(asker, facts, path, asker.post(path)):
                facts.tried, facts.path = facts.path, path
                break
    else:
        _has_rows(asker, facts, facts.path, answer)
    facts.keep(facts.first_rows or [])


def _has_rows(asker: Asker, facts: EndpointFacts, path: str, answer: Answer) -> bool:
    """Return whether the path answers with rows; a form is tried where it refuses JSON."""
    key = facts.endpoint.root_key
    if answer.status >= 400 and answer.status not in (401, 403, 404, 405) and not answer.throttled:
        form = asker.post(path, encoding="form")
        if form.rows(key) is not None:
            facts.base, facts.encoding, facts.effects["json"] = form, "form", "refused"
            return True
    if answer.rows(key) is None:
        return False
    facts.base = answer
    return True


def get_method(asker: Asker, facts: EndpointFacts) -> None:
    """Does it answer to GET as well?"""
    if facts.post and facts.post.status not in (401, 403):
        facts.get = asker.get(facts.path)


def filters_in_body(asker: Asker, facts: EndpointFacts) -> None:
    """Has a filter in the body an effect, and in which encoding?"""
    if not facts.can_be_asked:
        return
    encodings: tuple[Encoding, ...] = ("json", "form") if facts.encoding == "json" else ("form",)
    for encoding in encodings:
        answer = asker.post(facts.path, {"account_ids": [NOBODY]}, encoding=encoding)
        facts.effects[encoding] = found = effect(answer, facts.endpoint.root_key)
        if found == "read":
            facts.encoding = encoding
            return


def paging(asker: Asker, facts: EndpointFacts) -> None:
    """Which of the four ways of paging is it, and what is the first page's number?"""
    rows = facts.first_rows
    if not rows or not facts.base:
        return
    _read_links(asker, facts, facts.base.links)
    if facts.paging or facts.links:
        return
    if len(rows) > MAX_PAGE_SIZE or facts.base.cut:
        facts.paging = "none"
    else:
        _try_pages(asker, facts, rows)


def _read_links(asker: Asker, facts: EndpointFacts, links: Mapping[str, Mapping[str, str]]) -> None:
    origin = asker.client.settings.base_url
    url = f"{origin}{facts.path}"
    try:
        found = paging_links(url, links)
    except CatalogPaginationError:
        facts.links = "not a URL"
        return
    if "next" not in found:
        return
    facts.paging = "link" if "last" in found else "next-only"
    number = page_name(found["next"])
    facts.first_page = int(number) - 1 if number.isdecimal() and int(number) > 0 else None
    if _origin(found["next"]) != _origin(origin):
        facts.links = "to another origin"
    else:
        sent = {link["url"] for link in links.values()}
        facts.links = "absolute" if found["next"] in sent else "relative"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _try_pages(asker: Asker, facts: EndpointFacts, rows: list[Any]) -> None:
    key = facts.endpoint.root_key
    one = asker.post(facts.path, encoding=facts.encoding, page=1).rows(key)
    if one is None:
        return
    if one != rows:
        facts.paging, facts.first_page = "page-only", 0
        return
    two = asker.post(facts.path, encoding=facts.encoding, page=2).rows(key)
    if two == rows:
        facts.paging = "none"
    elif two is not None:
        facts.paging, facts.first_page = "page-only", 1


def page_limit(asker: Asker, facts: EndpointFacts) -> None:
    """How many rows does a page hold at most? One more than the documented maximum is asked for."""
    if not facts.paging or facts.paging == "none":
        return
    key = facts.endpoint.root_key
    answer = asker.post(facts.path, encoding=facts.encoding, per_page=MAX_PAGE_SIZE + 1)
    if answer.is_refused:
        facts.too_large = answer
        answer = asker.post(facts.path, encoding=facts.encoding, per_page=MAX_PAGE_SIZE)
    rows = answer.rows(key)
    if rows is None:
        return
    facts.keep(rows)
    facts.page_least = len(rows)
    if len(rows) <= MAX_PAGE_SIZE and _has_more(asker, facts, answer):
        facts.page_limit = len(rows)


def _has_more(asker: Asker, facts: EndpointFacts, answer: Answer) -> bool:
    if facts.paging != "page-only":
        return any("next" in relation.lower().split() for relation in answer.links)
    size = MAX_PAGE_SIZE if facts.too_large else MAX_PAGE_SIZE + 1
    following = asker.post(facts.path, encoding=facts.encoding, page=(facts.first_page or 0) + 1, per_page=size)
    return bool(following.rows(facts.endpoint.root_key))


def date_bounds(asker: Asker, facts: EndpointFacts) -> None:
    """Is the end of a date filter inclusive? The instant of a row that came before is used, and never told."""
    stem = date_stem(facts)
    found = _instant_of_a_row(facts.sample, DATE_FIELDS[stem]) if stem else None
    if not stem or not found or facts.effects.get(facts.encoding) != "read":
        return
    facts.date_field, row, instant = found
    facts.to_fraction = instant.microsecond > 0
    start, second = instant - timedelta(seconds=1), timedelta(seconds=1)

    def rows_between(earliest: str, latest: str) -> list[Any] | None:
        filters = {f"{stem}_from": earliest, f"{stem}_to": latest}
        answer = asker.post(facts.path, filters, encoding=facts.encoding, per_page=MAX_PAGE_SIZE)
        return answer.rows(facts.endpoint.root_key)

    until_then = rows_between(_text(start), _text(instant))
    if until_then is not None and row in until_then:
        facts.to_instant = "inclusive"
    elif until_then is not None and row in (rows_between(_text(start), _text(instant + second)) or []):
        facts.to_instant = "exclusive"
    facts.to_day = _bound_of_a_day(rows_between, instant)


def _bound_of_a_day(rows_between: Callable[[str, str], list[Any] | None], instant: datetime) -> Bound | None:
    day, next_day = (f"{moment:%Y-%m-%d}" for moment in (instant, instant + timedelta(days=1)))
    if rows_between(day, day):
        return "inclusive"
    return "exclusive" if rows_between(day, next_day) else None


def date_stem(facts: EndpointFacts) -> str | None:
    """Return what the endpoint's main date filter is called, without ``_from``."""
    names = filter_names(facts.endpoint)
    return next((stem for stem in DATE_FIELDS if f"{stem}_from" in names), None)


def _instant_of_a_row(rows: list[Any], names: tuple[str, ...]) -> tuple[str, Any, datetime] | None:
    """Return field, row and instant, best one in the middle of a day, and of a whole second."""
    for name in names:
        values = [(row, _instant(row.get(name))) for row in rows if isinstance(row, dict)]
        candidates = [(name, row, instant) for row, instant in values if instant]
        if candidates:
            # Around 11:00 UTC the day has the same name nearly everywhere.
            return min(candidates, key=lambda each: (each[2].microsecond > 0, abs(each[2].hour - 11)))
    return None


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) <= len("2026-01-31"):
        return None
    try:
        instant = datetime.fromisoformat(value.replace("/", "-").replace(" +", "+"))
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _text(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat() + "Z"


QUESTIONS = (path_and_encoding, get_method, filters_in_body, paging, page_limit, date_bounds)
