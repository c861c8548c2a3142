"""Checks filters: their names when a DAG is parsed, their values when they are rendered."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import get_type_hints

from airflow_provider_catalog.client.endpoints import ENDPOINTS, Endpoint
from airflow_provider_catalog.client.filter_values import NOTHING, parse_literal, shown
from airflow_provider_catalog.errors import CatalogFilterError


def filter_names(endpoint: Endpoint) -> list[str]:
    """Return the names of all the filters that the endpoint takes, sorted."""
    return sorted(get_type_hints(endpoint.filters))


def check_filter_names(endpoint: Endpoint, filters: Mapping[str, Any]) -> None:
    """
    Check the names alone, which are known before templates give the values.

    :raises CatalogFilterError: for unknown names, each with the nearest right one.
    """
    known = filter_names(endpoint)
    problems = [_unknown_name(endpoint, name, known) for name in filters if name not in known]
    if problems:
        raise CatalogFilterError("; ".join(problems), endpoint=endpoint.name)


def check_filters(endpoint: Endpoint, filters: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """
    Check rendered filters and return them as they are sent.

    :param endpoint: the endpoint that takes them.
    :param filters: filter name → value; also JSON text of such an object, which is what a template that makes the
        whole dict renders to. ``None`` and blank text as a value mean that the filter is not set.
    :raises CatalogFilterError: for an unknown name, a value that is not allowed, or a range whose ends are the
        wrong way round; names each filter, its value and what is allowed.
    """
    given = _mapping(endpoint, filters)
    check_filter_names(endpoint, given)
    if not given:
        return {}
    try:
        parsed = _adapter(endpoint.name).validate_python(given)
    except ValidationError as error:
        problems = [f"filter {each['loc'][0]!r} is {each['ctx']['error']}" for each in error.errors()]
        raise CatalogFilterError(f"{endpoint.name}: {'; '.join(problems)}", endpoint=endpoint.name) from None
    sent = {name: value for name, value in parsed.items() if value is not None}
    problems = [*_ranges_that_are_wrong(sent), *_windows_that_are_wrong(sent)]
    if problems:
        raise CatalogFilterError(f"{endpoint.name}: {'; '.join(problems)}", endpoint=endpoint.name)
    return sent


@cache
def _adapter(name: str) -> TypeAdapter[dict[str, Any]]:
    # Built at the first check, not at import: parsing a DAG checks names only.
    return TypeAdapter(with_config(ConfigDict(extra="forbid", arbitrary_types_allowed=True))(ENDPOINTS[name].filters))


def _mapping(endpoint: Endpoint, filters: Any) -> dict[str, Any]:
    if isinstance(filters, str):
        if filters.strip() in NOTHING:  # to go on would ask for all rows
            raise CatalogFilterError(
                f"{endpoint.name}: write {{{{ params.x or '' }}}} in the template of filters, for no filters: it gave "
                f"{filters!r}",
                endpoint=endpoint.name,
            )
        filters = parse_literal(filters.strip()) if filters.strip() else None
    if filters is None:
        return {}
    if not isinstance(filters, Mapping):
        raise CatalogFilterError(
            f"{endpoint.name}: filters is {shown(filters)}; allowed: a dict of filter name and value, or JSON of one",
            endpoint=endpoint.name,
        )
    return dict(filters)


def _unknown_name(endpoint: Endpoint, name: object, known: list[str]) -> str:
    message = f"{endpoint.name} has no filter {shown(name)}"
    elsewhere = [other.name for other in ENDPOINTS.values() if name in filter_names(other)]
    if elsewhere:
        return f"{message} (it is a filter of {' and '.join(elsewhere)}); it has {', '.join(known)}"
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    return f"{message}; did you mean {near[0]!r}?" if near else f"{message}; it has {', '.join(known)}"


def _ranges_that_are_wrong(sent: Mapping[str, Any]) -> Iterator[str]:
    for lower in sent:
        upper = f"{lower.removesuffix('_min')}_max"
        if lower.endswith("_min") and upper in sent and sent[lower] > sent[upper]:
            yield f"filter {lower!r} is {sent[lower]}, which is more than {upper!r}, {sent[upper]}"


def _windows_that_are_wrong(sent: Mapping[str, Any]) -> Iterator[str]:
    for start in sent:
        end = f"{start.removesuffix('_from')}_to"
        if not start.endswith("_from") or end not in sent:
            continue
        earliest, latest = _instant(sent[start], time.min), _instant(sent[end], time.max)
        if earliest > latest:
            yield f"filter {start!r} is {sent[start]}, which is later than {end!r}, {sent[end]}"
        elif earliest == latest:
            yield (
                f"schedule the DAG with CronDataIntervalTimetable, or widen the window: filters {start!r} and {end!r} "
                f"are the same instant, {sent[start]}. The likely cause is data_interval_start == data_interval_end "
                "under a cron-trigger timetable, which is what a cron string gives in Airflow 3"
            )


def _instant(text: str, time_of_a_day: time) -> datetime:
    """Return the instant, for a whole day its first or its last one; a time without a zone is UTC."""
    instant = datetime.fromisoformat(text)
    if len(text) <= len("2026-01-31"):  # a day: no ISO form of a day is longer, none of an instant is as short
        instant = datetime.combine(instant, time_of_a_day)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
