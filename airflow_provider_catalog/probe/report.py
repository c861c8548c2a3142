"""The report: what a person can send to the provider's maintainers, as a table or as JSON."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_catalog import __version__
from airflow_provider_catalog.probe.asking import Asker
from airflow_provider_catalog.probe.assumptions import judge
from airflow_provider_catalog.probe.facts import EndpointFacts, Facts
from airflow_provider_catalog.probe.shape import describe, root_keys

WIDTH = 120


def make_report(facts: Facts, asker: Asker) -> dict[str, Any]:
    """Return everything that is told, as JSON has it; the table is made of this and of nothing else."""
    findings = judge(facts, asker)
    return {
        "provider": __version__,
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "host": _kind_of_host(asker.client.settings.base_url, asker.client.settings.is_loopback),
        "requests": asker.count,
        "max_requests": asker.max_requests,
        "complete": facts.complete,
        "endpoints": {name: _endpoint(each) for name, each in facts.endpoints.items()},
        "rate_headers": asker.rate_headers,
        "times_throttled": asker.throttled,
        "gzip": asker.gzip,
        "form": facts.forms,
        "form_lists_whole": facts.form_lists,
        "date_formats": facts.date_formats,
        "courses": str(facts.courses) if facts.courses else None,
        "assumptions": [vars(finding) for finding in findings],
    }


def _kind_of_host(url: str, is_loopback: bool) -> str:
    host = urlsplit(url).hostname or ""
    for domain in ("catalog.instructure.com", "catalog.canvaslms.com"):
        if host.endswith(f".{domain}"):
            return domain
    return "this machine" if is_loopback else "a domain of its own"


def _endpoint(each: EndpointFacts) -> dict[str, Any]:
    key = each.endpoint.root_key
    return {
        "path": each.path,
        "post": str(each.post) if each.post else None,
        "get": str(each.get) if each.get else None,
        "encoding": each.encoding,
        "filters": each.effects,
        "root_keys": root_keys(each.base.root, key) if each.base and each.base.is_good else {},
        "paging": each.paging,
        "first_page": each.first_page,
        "links": each.links,
        "page_limit": each.page_limit,
        "page_least": each.page_least or None,
        "date_field": each.date_field,
        "to_instant": each.to_instant,
        "to_day": each.to_day,
        "rows_looked_at": len(each.sample),
        "fields": [vars(field) for field in describe(each.sample)],
    }


def as_text(report: dict[str, Any]) -> str:
    """Return the report for people."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield (
        f"airflow-provider-catalog {report['provider']}, Python {report['python']}, {report['date']}; "
        f"host: {report['host']}; {report['requests']} requests"
    )
    yield from _section("Endpoints")
    yield from _endpoints_table(report["endpoints"])
    yield from _section("Fields (names and types only)")
    for name, each in report["endpoints"].items():
        yield from _fields(name, each)
    yield from _section("Requests")
    yield from _requests(report)
    yield from _section("Assumptions")
    for finding in report["assumptions"]:
        yield from _finding(finding)
    yield ""
    yield _sum(report)


def _section(title: str) -> Iterator[str]:
    yield from ("", title, "-" * len(title))


def _endpoints_table(endpoints: dict[str, Any]) -> Iterator[str]:
    rows = [["", *endpoints]]
    for label, key in (
        ("path", "path"), ("POST", "post"), ("GET", "get"), ("body", "encoding"), ("filters", "filters"),
        ("root keys", "root_keys"), ("paging", "paging"), ("first page", "first_page"), ("links", "links"),
        ("rows a page", "page_limit"), ("date field", "date_field"), ("_to instant", "to_instant"),
        ("_to day", "to_day"), ("rows looked at", "rows_looked_at"),
    ):  # fmt: skip
        rows.append([label, *(_cell(each[key]) for each in endpoints.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    if value is None or value == {}:
        return "?"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    return str(value)


def _fields(name: str, each: dict[str, Any]) -> Iterator[str]:
    yield f"{name}:" if each["fields"] else f"{name}: no rows"
    for field in each["fields"]:
        hidden = f", {field['hidden']} keys that are not shown" if field["hidden"] else ""
        missing = ", may be missing" if field["missing"] else ""
        yield f"  {field['path']:32} {' | '.join(field['types'])}{missing}{hidden}"


def _requests(report: dict[str, Any]) -> Iterator[str]:
    if not report["complete"]:
        yield f"Stopped after {report['requests']} requests; ask more with --max-requests."
    yield f"asked to slow down: {report['times_throttled']} times"
    yield f"headers of rate limits: {_cell(report['rate_headers']) if report['rate_headers'] else 'none'}"
    yield f"gzip: {'yes' if report['gzip'] else 'not seen'}"
    for title, key in (("forms", "form"), ("date layouts", "date_formats")):
        yield f"{title}: {'; '.join(f'{name}: {what}' for name, what in report[key].items()) or 'not asked'}"


def _finding(finding: dict[str, Any]) -> Iterator[str]:
    head = f"{finding['verdict']:10} {finding['id']:20} "
    yield from _wrapped(f"{finding['assumption']}: {finding['seen']}", head)
    if finding["verdict"] != "confirmed" or finding["act"]:
        mark = "DO: " if finding["act"] else "-> "
        yield from _wrapped(finding["setting"], " " * len(head) + mark)


def _wrapped(text: str, head: str) -> list[str]:
    indent = " " * len(head)
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)


def _sum(report: dict[str, Any]) -> str:
    verdicts = [finding["verdict"] for finding in report["assumptions"]]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("confirmed", "refuted", "unknown"))
    to_do = sum(finding["act"] for finding in report["assumptions"])
    return f"{counts}; " + (f"{to_do} to act upon (DO)" if to_do else "nothing to act upon")
