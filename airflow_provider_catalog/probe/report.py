"""The report, as JSON and as text."""

from __future__ import annotations

import json
import platform
import statistics
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_catalog import __version__
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.probe.advice import recommended_extra, things_to_do
from airflow_provider_catalog.probe.asking import Asker
from airflow_provider_catalog.probe.questions import EndpointFacts, Facts
from airflow_provider_catalog.probe.shape import describe

LABELS = {
    "path": "path", "answer": "POST", "encoding": "body", "filters": "filters", "pagination": "paging",
    "links": "links", "has_last": "last page told", "first_page": "first page", "page_size": "rows a page",
    "has_total": "total told", "is_cut_short": "cut short", "dates": "dates", "to_instant": "_to, an instant",
    "to_day": "_to, a day", "rows_looked_at": "rows looked at",
}  # fmt: skip
"""What is told of an endpoint → how the table names it."""


def make_report(facts: Facts, asker: Asker) -> dict[str, Any]:
    """Return everything that is told, as JSON has it; the text is made of this and of nothing else."""
    milliseconds = [round(1000 * seconds) for seconds in asker.seconds]
    return {
        "provider": __version__,
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "host": _kind_of_host(asker.settings),
        "complete": facts.complete,
        "requests": asker.count,
        "milliseconds": {"median": round(statistics.median(milliseconds)), "most": max(milliseconds)},
        "times_throttled": asker.throttled,
        "rate_headers": asker.rate_headers,
        "extra": recommended_extra(facts, asker.settings),
        "to_do": list(things_to_do(facts, asker.settings)),
        "endpoints": {each.endpoint.name: _endpoint(each) for each in facts.each},
    }


def _kind_of_host(settings: CatalogSettings) -> str:
    for domain in ("catalog.instructure.com", "catalog.canvaslms.com"):
        if (urlsplit(settings.base_url).hostname or "").endswith(f".{domain}"):
            return domain
    return "this machine" if settings.is_loopback else "a domain of its own"


def _endpoint(each: EndpointFacts) -> dict[str, Any]:
    told = {
        "answer": each.answer.seen if each.answer else None,
        "dates": each.date_layouts,
        "rows_looked_at": len(each.sample),
    }
    cells = {name: told[name] if name in told else getattr(each, name) for name in LABELS}
    return {**cells, "fields": [asdict(field) for field in describe(each.sample)]}


def as_text(report: dict[str, Any]) -> str:
    """Return the report for people."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    times = report["milliseconds"]
    yield (
        f"airflow-provider-catalog {report['provider']}, Python {report['python']}, {report['date']}; "
        f"host: {report['host']}; {report['requests']} requests, {times['median']} ms each, {times['most']} ms at most"
    )
    yield f"429: {report['times_throttled']} times; headers of rate limits: {_cell(report['rate_headers']) or 'none'}"
    if not report["complete"]:
        yield f"Stopped after {report['requests']} requests; ask more with --max-requests."
    yield ""
    yield from _table(report["endpoints"])
    yield from ("", "Fields (names and kinds only)")
    for name, each in report["endpoints"].items():
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


def _table(endpoints: dict[str, Any]) -> Iterator[str]:
    rows = [["", *endpoints]]
    for name, label in LABELS.items():
        rows.append([label, *(_cell(each[name]) or "?" for each in endpoints.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
