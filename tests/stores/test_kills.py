"""The same as tests/kills, of files on S3."""

from __future__ import annotations

import json

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.kills.killer import Place, kill_tasks
from tests.stores.servers import BUCKET

pytestmark = pytest.mark.takes(seconds=15)


@pytest.mark.parametrize(("suffix", "rows", "paging"), [("csv", 2_000, "link"), ("jsonl", 20_000, "none")])
def test_on_s3(s3_store, tmp_path, suffix, rows, paging):
    client, key = s3_store.extra["client"], f"killed/rows.{suffix}"

    def beside():
        found = client.list_objects_v2(Bucket=BUCKET, Prefix="killed/")["Contents"]
        return [each["Key"] for each in found if each["Key"] != key]

    with sandbox(enrollments=rows, latency=0.005, paging=paging) as catalog:
        connections = {"catalog_default": catalog.connection_json, "store": json.dumps(s3_store.connection())}
        place = Place(
            s3_store.url(key, "store"),
            read=lambda: s3_store.read(key),
            write=lambda content: client.put_object(Bucket=BUCKET, Key=key, Body=content),
            beside=beside,
            connections=connections,
        )
        kill_tasks(place, tmp_path)
        client.delete_object(Bucket=BUCKET, Key=key)
