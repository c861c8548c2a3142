"""The report, as JSON and as text: what was seen, and the settings and the things to do that follow from it."""

from __future__ import annotations

import json
import platform
import statistics
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_catalog import __version__
from airflow_provider_catalog.client.settings import CatalogSettings, Pagination
from airflow_provider_catalog.probe.asking import Answer, Asker, Encoding
from airflow_provider_catalog.probe.questions import TOLD, Findings
from airflow_provider_catalog.probe.shape import describe

TELL = "no setting helps, so tell the provider's maintainers"


def make_report(found: list[Findings], asker: Asker) -> dict[str, Any]:
    """Return everything that is told, as JSON has it; the text is made of this and of nothing else."""
    milliseconds = [round(1000 * seconds) for seconds in asker.seconds]
    extra = _recommended_extra(found, asker.settings)
    return {
        "provider": __version__,
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "host": _kind_of_host(asker.settings),
        "complete": asker.is_complete,
        "requests": asker.count,
        "milliseconds": {"median": round(statistics.median(milliseconds)), "most": max(milliseconds)},
        "times_throttled": asker.throttled,
        "rate_headers": asker.rate_headers,
        "extra": extra,
        "to_do": list(_things_to_do(found, asker.settings, extra)),
        "endpoints": {
            each.endpoint.name: {
                **{name: getattr(each, name) for name in TOLD},
                "fields": describe(each.sample),
            }
            for each in found
        },
    }


def _kind_of_host(settings: CatalogSettings) -> str:
    for domain in ("catalog.instructure.com", "catalog.canvaslms.com"):
        if (urlsplit(settings.base_url).hostname or "").endswith(f".{domain}"):
            return domain
    return "this machine" if settings.is_loopback else "a domain of its own"


def _recommended_extra(found: list[Findings], settings: CatalogSettings) -> dict[str, Any]:
    """Return what belongs into the connection's extra; what could not be found out stays as it is set."""
    paths = {each.endpoint.name: each.path for each in found if each.path != each.endpoint.path}
    extra = {"request_encoding": _encoding(found, settings), "pagination": _pagination(found, settings)}
    return {"paths": paths, **extra} if paths else extra


def _encoding(found: list[Findings], settings: CatalogSettings) -> Encoding:
    taken = {each.encoding for each in found if each.reads_filters} or {each.encoding for each in found if each.first}
    return settings.request_encoding if settings.request_encoding in taken or not taken else taken.pop()


def _pagination(found: list[Findings], settings: CatalogSettings) -> Pagination:
    """
    Return ``auto`` wherever it copes, for it alone fails where more is promised than comes.

    It does not where links go in circles; and where all rows come at once, it asks for them up to three times.
    """
    ways = {each.pagination for each in found if each.pagination}
    if any(each.is_cut_short for each in found):
        return "auto"
    if not ways or ways == {settings.pagination}:
        return settings.pagination
    if ways == {"none"} and all(each.pagination for each in found):
        return "none"
    return "page" if ways == {"page"} and any(each.links == "in circles" for each in found) else "auto"


def _things_to_do(found: list[Findings], settings: CatalogSettings, extra: dict[str, Any]) -> Iterator[str]:
    """Yield what has to be done before the provider reads this Catalog well."""
    for each in found:
        if each.first_answer and not each.first:
            yield f"{_remedy(each.first_answer)}: {each.endpoint.name} answers {each.answer}"
    in_circles = any(each.links == "in circles" for each in found)
    must = {
        "paths": any(each.path != settings.path_of(each.endpoint) for each in found),
        "request_encoding": extra["request_encoding"] != settings.request_encoding,
        # `auto` copes with what sends all rows at once, if not as fast.
        "pagination": extra["pagination"] != settings.pagination and (in_circles or settings.pagination != "auto"),
    }
    for name, is_needed in must.items():
        if is_needed:
            yield f"set `{name}` in the connection's extra to {json.dumps(extra.get(name, {}))}"
    if in_circles and extra["pagination"] == "auto":
        yield f"{TELL}: links lead to the same rows again, and the endpoints page in different ways"
    unread = [each.endpoint.name for each in found if "ignored" in each.filters.values() and not each.reads_filters]
    if unread or len({each.encoding for each in found if each.reads_filters}) > 1:
        yield f"{TELL}: filters have no effect in one of both encodings ({', '.join(unread) or 'see the table'})"
    if cut := [each.endpoint.name for each in found if each.is_cut_short]:
        yield f"{TELL}: there are more rows than can be reached ({', '.join(cut)})"
    if any({"ignored", "refused"}.intersection(each.dates.values()) for each in found):
        yield "give dates in filters as text, in a layout that is read: not all are (see the table)"


def _remedy(answer: Answer) -> str:
    if answer.status in (401, 403):
        return "make an API token with analytics rights at /admin/api_keys of your Catalog"
    if answer.is_elsewhere:
        return "find the path and set it as `paths` in the connection's extra"
    return "check the Catalog URL, the token, and what stands in front of the Catalog, then try again"


def text_lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report for people."""
    for name, value in report.items():
        if name not in ("extra", "to_do", "endpoints"):
            yield f"{name}: {_cell(value) or 'none'}"
    if not report["complete"]:
        yield f"Stopped after {report['requests']} requests; ask more with --max-requests."
    yield ""
    endpoints = report["endpoints"]
    table = [["", *endpoints], *([name, *(_cell(each[name]) or "?" for each in endpoints.values())] for name in TOLD)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from ("", "Fields (names and kinds only)")
    for name, each in endpoints.items():
        yield f"{name}:" if each["fields"] else f"{name}: no rows"
        for field in each["fields"]:
            missing = ", may be missing" if field["missing"] else ""
            hidden = f", {field['hidden']} keys that are not shown" if field["hidden"] else ""
            yield f"  {field['path']:32} {' | '.join(field['kinds'])}{missing}{hidden}"
    yield from ("", f"The connection's extra: {json.dumps(report['extra'])}")
    for each in report["to_do"]:
        yield from textwrap.wrap(f"DO: {each}", 120, subsequent_indent="    ", break_on_hyphens=False)
    if not report["to_do"]:
        yield "nothing to do"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
