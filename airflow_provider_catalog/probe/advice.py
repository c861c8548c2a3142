"""What was seen, turned into settings of the connection and a list of things to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from airflow_provider_catalog.client.settings import CatalogSettings, Pagination
from airflow_provider_catalog.probe.asking import Encoding
from airflow_provider_catalog.probe.questions import EndpointFacts, Facts

TELL = "no setting helps, so tell the provider's maintainers"


def recommended_extra(facts: Facts, settings: CatalogSettings) -> dict[str, Any]:
    """Return what belongs into the connection's extra; what could not be found out stays as it is set."""
    paths = {one.endpoint.name: one.path for one in facts.each if one.path != one.endpoint.path}
    extra = {"request_encoding": _encoding(facts, settings), "pagination": _pagination(facts, settings)}
    return {"paths": paths, **extra} if paths else extra


def _encoding(facts: Facts, settings: CatalogSettings) -> Encoding:
    read = {one.encoding for one in facts.each if one.reads_filters}
    found = read or {one.encoding for one in facts.each if one.first}
    return settings.request_encoding if settings.request_encoding in found or not found else found.pop()


def _pagination(facts: Facts, settings: CatalogSettings) -> Pagination:
    """
    Return ``auto`` wherever it copes, for it alone fails where more is promised than comes.

    It does not where links go in circles; and where all rows come at once, it asks for them up to three times.
    """
    ways = {one.pagination for one in facts.each if one.pagination}
    if any(one.is_cut_short for one in facts.each):
        return "auto"
    if not ways or ways == {settings.pagination}:
        return settings.pagination
    if ways == {"none"} and all(one.pagination for one in facts.each):
        return "none"
    return "page" if ways == {"page"} and any(one.links == "in circles" for one in facts.each) else "auto"


def things_to_do(facts: Facts, settings: CatalogSettings) -> Iterator[str]:
    """Yield what has to be done before the provider reads this Catalog well."""
    for one in facts.each:
        if one.answer and not one.first:
            yield f"{_remedy(one, facts)}: {one.endpoint.name} answers {one.answer.seen}"
    extra = recommended_extra(facts, settings)
    in_circles = any(one.links == "in circles" for one in facts.each)
    must = {
        "paths": any(one.path != settings.paths.get(one.endpoint.name, one.endpoint.path) for one in facts.each),
        "request_encoding": extra["request_encoding"] != settings.request_encoding,
        # `auto` copes with what sends all rows at once, if not as fast.
        "pagination": extra["pagination"] != settings.pagination and (in_circles or settings.pagination != "auto"),
    }
    for name, is_needed in must.items():
        if is_needed:
            yield f"set `{name}` in the connection's extra to {json.dumps(extra.get(name, {}))}"
    if in_circles and extra["pagination"] == "auto":
        yield f"{TELL}: links lead to the same rows again, and the endpoints page in different ways"
    unread = [one.endpoint.name for one in facts.each if "ignored" in one.filters.values() and not one.reads_filters]
    if unread or len({one.encoding for one in facts.each if one.reads_filters}) > 1:
        yield f"{TELL}: filters have no effect in one of both encodings ({', '.join(unread) or 'see the table'})"
    if cut := [one.endpoint.name for one in facts.each if one.is_cut_short]:
        yield f"{TELL}: there are more rows than can be reached ({', '.join(cut)})"
    if any({"ignored", "refused"}.intersection(one.date_layouts.values()) for one in facts.each):
        yield "give dates in filters as text, in a layout that is read: not all are (see the table)"


def _remedy(one: EndpointFacts, facts: Facts) -> str:
    status = one.answer.status if one.answer else None
    if status in (401, 403):
        rights = " with analytics rights" if facts.is_token_valid else ""
        return f"make an API token{rights} at /admin/api_keys of your Catalog"
    if one.answer and one.answer.is_elsewhere:
        return "find the path and set it as `paths` in the connection's extra"
    return "check the Catalog URL, the token, and what stands in front of the Catalog, then try again"
