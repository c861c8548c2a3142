"""The XCom of a task that writes a file or a table: what was asked for and what was written, never a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_catalog.client.reading import Reading

MAX_BYTES = 4096
"""Bytes of JSON that a manifest stays under, whatever the size of the data."""


def build_manifest(
    endpoint: str, written: Mapping[str, Any], filters: Mapping[str, Any], reading: Reading, started_at: datetime
) -> dict[str, Any]:
    """
    Return the manifest; long lists of columns and filter values are cut, and end in how many there are more.

    :param endpoint: the endpoint's name.
    :param written: what was written, and where to.
    :param filters: the filters as they were sent.
    :param reading: that has ended.
    :param started_at: when reading began.
    """
    manifest = whole = {
        "endpoint": endpoint,
        **written,
        "filters": dict(filters),
        "pages": reading.page_count,
        "moved": reading.moved,
        "started_at": started_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
    }
    for kept in (1000, 100, 30, 10, 3, 1, 0):
        if len(json.dumps(manifest)) < MAX_BYTES:
            break
        manifest = {name: _cut(value, kept) for name, value in whole.items()}
        manifest["filters"] = {name: _cut(value, kept) for name, value in filters.items()}
    return manifest


def _cut(value: Any, kept: int) -> Any:
    more = len(value) - kept if isinstance(value, list) else 0
    return [*value[:kept], f"... and {more} more"] if more > 0 else value
