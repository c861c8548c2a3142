"""The same as tests/kills, of files on S3."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_catalog.sandbox import sandbox
from tests.kills.killer import kill_tasks

pytestmark = pytest.mark.takes(seconds=15)


@pytest.mark.parametrize(("suffix", "rows", "paging"), [("csv", 2_000, "link"), ("jsonl", 20_000, "none")])
def test_on_s3(s3_store, connect, tmp_path, suffix, rows, paging):
    conn_id = connect(s3_store.connection())
    url = s3_store.url(f"killed-{suffix}/rows.{suffix}", conn_id)
    with sandbox(enrollments=rows, latency=0.005, paging=paging) as catalog:
        connections = {"catalog_default": catalog.connection_json, conn_id: json.dumps(s3_store.connection())}
        path = ObjectStoragePath(url)
        kill_tasks(url, path.fs, path.path, connections, tmp_path)
