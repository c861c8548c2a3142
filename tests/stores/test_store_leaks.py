"""What the stores' own clients log at DEBUG, where some show the body of a request: no row is in it."""

from __future__ import annotations

import logging
import traceback

import pytest

from airflow_provider_catalog.errors import CatalogStorageError
from tests.leaks.canaries import rows, search
from tests.tasks import OPERATORS

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
CLIENTS = {"s3": "botocore", "gs": "gcsfs", "abfs": "adlfs"}


@pytest.fixture
def pull(serve, connect, caplog):
    """Return a function that writes rows to a store, and returns all that was said meanwhile."""

    def pull_rows(store, suffix, text="", url=None):
        conn_id = connect(store.connection())
        with serve([row | {"text": text} for row in rows("orders", 25)], "orders"), caplog.at_level(logging.DEBUG):
            for name in [*logging.root.manager.loggerDict]:  # whatever has a level of its own
                caplog.set_level(logging.DEBUG, logger=name)
            path = url or store.url(f"leaks.{suffix}", conn_id)
            try:
                said = str(OPERATORS["orders"](task_id="pull", output_path=path).execute({}))
            except CatalogStorageError as error:
                said = "".join(traceback.format_exception(error))
        return said, caplog.text

    return pull_rows


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_an_upload(store, pull, suffix):
    said, log = pull(store, suffix)
    assert search({"stored": store.read(f"leaks.{suffix}").decode("latin-1")}), "there is something to find"
    assert f"DEBUG    {CLIENTS[store.scheme]}" in log, "the client's own logs are on"
    assert search({"log": log, "manifest": said}) == []


def test_an_upload_in_parts(store, pull):
    said, log = pull(store, "jsonl", text="x" * 700_000)
    assert len(store.read("leaks.jsonl")) > 17_000_000
    assert search({"log": log, "manifest": said}) == []


def test_a_bucket_that_is_not_there(store, pull, connect):
    said, log = pull(store, "jsonl", url=f"{store.scheme}://{connect(store.connection())}@nobucket/leaks.jsonl")
    assert "nobucket" in said
    assert search({"log": log, "error": said}) == []
