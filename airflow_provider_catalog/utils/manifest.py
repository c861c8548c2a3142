"""The XCom of a task that writes a file: what was asked for and what was written, never a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_catalog.output.output import FileInfo

MAX_BYTES = 4096
"""Bytes of JSON that a manifest stays under, whatever the size of the data."""


def build_manifest(
    *,
    endpoint: str,
    path: str,
    file_format: str,
    info: FileInfo,
    filters: Mapping[str, Any],
    pages: int,
    moved: bool,
    started_at: datetime,
) -> dict[str, Any]:
    """
    Return the manifest; long lists of columns and filter values are cut, and end in how many there are more.

    :param endpoint: the endpoint's name.
    :param path: the path or URL of the file.
    :param file_format: ``jsonl``, ``csv`` or ``parquet``.
    :param info: what was written.
    :param filters: the filters as they were sent.
    :param pages: how many pages were read.
    :param moved: whether rows moved from page to page meanwhile, which was accepted.
    :param started_at: when reading began.
    """
    return shortened(
        {
            "endpoint": endpoint,
            "path": path,
            "format": file_format,
            "row_count": info.row_count,
            "size_bytes": info.size_bytes,
            "sha256": info.sha256,
            "columns": info.columns,
            "filters": dict(filters),
            "pages": pages,
            "moved": moved,
            "started_at": started_at.isoformat(),
            "finished_at": datetime.now(UTC).isoformat(),
        }
    )


def shortened(manifest: dict[str, Any]) -> dict[str, Any]:
    """
    Return a manifest of less than ``MAX_BYTES`` of JSON.

    Long lists, of columns or of a filter's values, are cut, and end in how many there are more.
    """
    whole = manifest
    for kept in (1000, 100, 30, 10, 3, 1, 0):
        if len(json.dumps(manifest)) < MAX_BYTES:
            break
        manifest = {name: _cut(value, kept) if isinstance(value, list) else value for name, value in whole.items()}
        manifest["filters"] = {
            name: _cut(value, kept) if isinstance(value, list) else value for name, value in whole["filters"].items()
        }
    return manifest


def _cut(items: Sequence[Any], kept: int) -> list[Any]:
    more = len(items) - kept
    return [*items[:kept], f"... and {more} more"] if more > 0 else list(items)
