"""Tasks that are killed at random moments while they overwrite a file: it is the earlier one, or the new one."""

from __future__ import annotations

import fsspec
import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.kills.killer import kill_tasks

pytestmark = pytest.mark.takes(seconds=30)


@pytest.mark.parametrize(
    ("suffix", "rows", "paging"),
    [
        ("csv", 2_000, "link"),
        ("parquet", 2_000, "link"),
        ("jsonl.gz", 40_000, "none"),  # one answer, which is more than is kept in memory
    ],
)
def test_local_files(tmp_path, suffix, rows, paging):
    folder, temporary = tmp_path / "files", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    path = str(folder / f"rows.{suffix}")
    with sandbox(enrollments=rows, latency=0.005, paging=paging) as catalog:
        connections = {"catalog_default": catalog.connection_json}
        kill_tasks(path, fsspec.filesystem("file"), path, connections, temporary)
