"""What the stores' own clients log at DEBUG, where some show the body of a request: no row is in it."""

from __future__ import annotations

import logging
import traceback

import pytest

from airflow_provider_catalog.errors import CatalogStorageError
from tests.leaks.canaries import rows, search
from tests.tasks import operator

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
CLIENTS = {"s3": "botocore", "gs": "gcsfs", "abfs": "adlfs"}


@pytest.fixture
def pull(serve, connect, caplog):
    """Return a function that writes rows to a store, and returns all that was said meanwhile."""

    def pull_rows(store, suffix, text="", **where):
        for name in ["", *logging.root.manager.loggerDict]:  # whatever has a level of its own
            caplog.set_level(logging.DEBUG, logger=name)
        path = store.url(f"leaks.{suffix}", connect(store.connection()), **where)
        with serve([row | {"text": text} for row in rows("orders", 25)]):
            try:
                said = str(operator(output_path=path).execute({}))
            except CatalogStorageError as error:
                said = "".join(traceback.format_exception(error))
        assert f"DEBUG    {CLIENTS[store.scheme]}" in caplog.text, "the client's own logs are on"
        assert search({"log": caplog.text, "said": said}) == []
        return said

    return pull_rows


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_an_upload(store, pull, suffix):
    pull(store, suffix)
    assert search({"stored": store.read(f"leaks.{suffix}").decode("latin-1")}), "there is something to find"


def test_an_upload_in_parts(store, pull):
    pull(store, "jsonl", text="x" * 700_000)
    assert len(store.read("leaks.jsonl")) > 17_000_000


def test_a_bucket_that_is_not_there(store, pull):
    assert "nobucket" in pull(store, "jsonl", bucket="nobucket")
