"""Files in S3, Azure Blob and Google Cloud Storage, through Airflow connections, on servers that speak the protocol."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import socket
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from tests.catalog_server import Answer, catalog_server, relay
from tests.output.conftest import write
from tests.tasks import operator

# The clients hand parts of an upload to aiohttp as bytes, which it would rather have as files.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(25)]


def large_rows() -> list[dict]:
    """Rows of 20 MB, which go up in several requests to each store."""
    source = random.Random(0)  # noqa: S311 - no secrets
    return [{"id": n, "text": source.randbytes(50_000).hex()} for n in range(200)]


@pytest.fixture
def pull(serve, connect, tmp_path, monkeypatch):
    """Return a function that reads rows into the store; and what went to the Catalog."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def pull_rows(store, rows=ROWS, *, key="a b/rows.jsonl", conn_id=None, url=None, **parameters):
        url = url or store.url(key, conn_id or connect(store.connection()))
        with serve(rows) as catalog:
            try:
                return operator(output_path=url, **parameters).execute({})
            finally:
                pull_rows.requests = len(catalog.requests)

    yield pull_rows
    assert list(tmp_path.iterdir()) == []


def content(data: bytes, key: str) -> list:
    data = gzip.decompress(data) if key.endswith("gz") else data
    if key.endswith("parquet"):
        return pq.read_table(io.BytesIO(data)).to_pylist()
    return data.decode().splitlines()


@pytest.mark.parametrize("suffix", ["jsonl", "csv.gz", "parquet"])
def test_a_file_is_written_and_replaced(store, pull, suffix):
    key = f"day=2026-01-01/orders ä.{suffix}"
    pull(store, ROWS[:3], key=key)
    before = content(store.read(key), suffix)
    manifest = pull(store, ROWS, key=key)
    data = store.read(key)
    assert len(content(data, suffix)) == len(before) + 22
    assert manifest["row_count"] == 25
    assert manifest["size_bytes"] == len(data)
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert manifest["path"].endswith(f"@catalog/{key}")


def test_a_file_that_goes_up_in_parts(store, pull):
    rows = large_rows()
    pull(store, rows, key="parts.jsonl")
    assert list(map(json.loads, store.read("parts.jsonl").splitlines())) == rows
    assert store.unfinished() == []


@contextmanager
def cutting_proxy(target, max_sent):
    """A network that fails in the middle of an upload: it cuts connections that have sent more than so many bytes."""

    class Relay(BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", target)) as store:
                threading.Thread(target=relay, args=(store, self.request), daemon=True).start()
                self.server.has_cut |= relay(self.request, store, max_sent)

    with ThreadingTCPServer(("127.0.0.1", 0), Relay) as proxy:
        proxy.daemon_threads, proxy.has_cut = True, False
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_a_network_that_fails_in_the_middle_leaves_what_was_there(store, pull, connect, there):
    key = f"cut-{there}.jsonl"
    if there:
        pull(store, ROWS, key=key)
    before = store.read(key)
    with cutting_proxy(store.port, max_sent=2_000_000) as proxy:
        with pytest.raises(CatalogStorageError, match="can't upload") as caught:
            pull(store, large_rows(), key=key, conn_id=connect(store.connection(port=proxy.server_address[1])))
    assert proxy.has_cut
    assert caught.value.retryable
    assert len(str(caught.value)) < 500
    assert store.read(key) == before
    assert store.unfinished() == [], "parts that nobody sees, but that are paid for"


REFUSED = "refuses the connection's credentials; check"
UNUSABLE = r"connection can't be used .*"
FAULTS = {
    "no bucket": lambda store, connect: {"url": store.url("x.csv", connect(store.connection()), bucket="missing")},
    "no server": lambda store, connect: {"conn_id": connect(store.connection(port=9))},
    "no connection": lambda store, connect: {"conn_id": "no_such_id"},
    "no credentials": lambda store, connect: {"conn_id": connect({"conn_type": "wasb"})},
    "a wrong key of Azure": lambda store, connect: {"conn_id": connect(store.connection(key="d3Jvbmc="))},
    "a wrong key of S3": lambda store, connect: {"conn_id": connect(store.connection(key=("AKIAMISSING", "wrong")))},
    "a wrong secret of S3": lambda store, connect: {
        "conn_id": connect(store.connection(key=(store.extra["keys"]["all"][0], "wrong")))
    },
}


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    ("fault", "name", "says"),
    [
        *(("no bucket", name, "no bucket or container 'missing'; make it") for name in ("s3", "azure", "gcs")),
        *(("no server", name, "does not answer properly; check the address") for name in ("s3", "azure", "gcs")),
        *(("no connection", name, UNUSABLE + "`no_such_id` isn't defined") for name in ("azure", "gcs")),
        ("no credentials", "azure", UNUSABLE + "credentials"),
        ("a wrong key of Azure", "azure", REFUSED),
        ("a wrong key of S3", "s3", REFUSED),
        ("a wrong secret of S3", "s3", REFUSED),
    ],
)
def test_a_fault_of_a_connection_is_told_before_the_first_request(request, pull, connect, fault, name, says):
    store = request.getfixturevalue(f"{name}_store")
    with pytest.raises((CatalogStorageError, CatalogParameterError), match=says) as caught:
        pull(store, **FAULTS[fault](store, connect))
    assert pull.requests == 0
    assert caught.value.retryable is (fault == "no server")
    assert "RequestId" not in str(caught.value)


@pytest.mark.usefixtures("s3_store")
def test_no_connection_and_nobody_logged_in(pull, monkeypatch):
    """Without a connection, AWS's own search for credentials decides; here it finds none."""
    refusal = Answer(b"<Error><Code>AccessDenied</Code></Error>", 403, {"Content-Type": "application/xml"})
    with catalog_server(lambda request: refusal) as s3:
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(CatalogStorageError, match=REFUSED):
            pull(None, url="s3://no_such_id@bucket/rows.csv")
    assert pull.requests == 0


def test_a_key_that_may_write_but_not_list_will_do(s3_store, pull, connect, caplog):
    with caplog.at_level("INFO"):
        pull(s3_store, key="put.jsonl", conn_id=connect(s3_store.connection(key=s3_store.extra["keys"]["put"])))
    assert "may not list files" in caplog.text
    assert len(s3_store.read("put.jsonl").splitlines()) == 25


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("is_refused", [False, True], ids=["good", "revoked"])
def test_a_google_service_account_whose_token_comes_from_another_server(gcs_store, pull, connect, is_refused):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    granted = Answer({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
    refused = Answer({"error": "invalid_grant", "error_description": "account not found"}, 400)
    with catalog_server(lambda request: refused if is_refused else granted) as tokens:
        account = {
            "type": "service_account", "project_id": "p", "private_key": key.decode(),
            "token_uri": f"{tokens.url}/token", "client_email": "loader@p.iam.gserviceaccount.example.com",
        }  # fmt: skip
        conn_id = connect(gcs_store.connection(is_anonymous=False, keyfile_dict=json.dumps(account)))
        if not is_refused:
            assert pull(gcs_store, conn_id=conn_id)["row_count"] == 25
            return
        with pytest.raises(CatalogStorageError, match="refuses the connection's credentials") as caught:
            pull(gcs_store, conn_id=conn_id)
    assert pull.requests == 0
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_pulls_at_once_lose_no_column_of_a_dataset(store, connect):
    folder = f"memory-{uuid.uuid4().hex}"
    url = store.url(f"{folder}/orders/day=DAY/orders.parquet", connect(store.connection()))
    days = range(1, 6)
    with ThreadPoolExecutor(len(days)) as pool:
        list(pool.map(lambda day: write(url.replace("DAY", f"{day}"), [{"id": day, f"c{day}": "x"}]), days))
    memory = json.loads(store.read(f"{folder}/orders.schema.json"))
    assert set(memory["orders.parquet"]["written"]) == {"id", *(f"c{day}" for day in days)}
    with pytest.raises(CatalogParameterError, match="'id' does not fit its type 'int64'"):
        write(url.replace("DAY", "9"), [{"id": "p-5"}])
    assert [store.read(f"{folder}/orders/day={day}/orders.parquet") is not None for day in (1, 9)] == [True, False]


@pytest.mark.usefixtures("no_waiting")
def test_an_s3_server_that_refuses_amazons_newer_checksums(pull, s3_store, connect):
    kept = {}

    def old_s3(request):
        new = ("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer")
        if any(name.startswith(new) for name in request.headers):
            return Answer(status=501)
        if request.method == "PUT":
            kept[request.path] = request.body
        return Answer(b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>" * (request.method == "GET"))

    with catalog_server(old_s3) as server:
        pull(s3_store, key="old.jsonl", conn_id=connect(s3_store.connection(port=server.port)))
    assert kept["/catalog/old.jsonl"].count(b"\n") == len(ROWS)
