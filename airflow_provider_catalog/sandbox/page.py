"""The Catalog's own pages behind *Catalog analytics*, as a table: a link from a task leads somewhere."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from typing import Any

STYLE = """body { font: 14px sans-serif; margin: 1.5em } nav a { margin-right: 1em }
table { border-collapse: collapse } th, td { border-bottom: 1px solid #ccc; padding: .3em .6em; text-align: left }"""


def render(endpoint: str, rows: list[dict[str, Any]], page: int, count: int, now: datetime) -> str:
    """Return an HTML page with a hundred rows, of so many that there are in all, as of now."""
    head = "".join(f"<th>{escape(name)}</th>" for name in (rows[0] if rows else ()))
    body = "".join(f"<tr>{''.join(f'<td>{escape(_text(value))}</td>' for value in row.values())}</tr>" for row in rows)
    links = [(name.title(), f"/new_analytics/{name}") for name in ("products", "enrollments", "orders", "users")]
    links += [("Newer", f"?page={page - 1}")] if page > 1 else []
    links += [("Older", f"?page={page + 1}")] if page * 100 < count else []
    menu = "".join(f'<a href="{escape(url)}">{text}</a>' for text, url in links)
    return (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{endpoint.title()} analytics</title>"
        f"<style>{STYLE}</style><h1>{endpoint.title()}</h1><nav>{menu}</nav>"
        f"<p>{count:,} rows, newest first. This is a sandbox with made-up data, as of {now:%Y-%m-%d %H:%M} UTC.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></html>"
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
