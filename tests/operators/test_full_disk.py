"""A disk that is really full: a file system of a few megabytes, in memory, which only one process sees."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.catalog_server import TOKEN, Answer, Pages, catalog_server
from tests.processes import python

pytestmark = pytest.mark.takes(seconds=8)

SUFFIXES = ("jsonl", "jsonl.gz", "csv", "csv.gz", "parquet")
DISK = 10 << 20
KIB = 1024
SOURCE = random.Random(0)  # noqa: S311 - no secrets
ROWS = [{"id": n, "text": SOURCE.randbytes(500).hex()} for n in range(1000)]
"""A megabyte that compresses to a half."""
LARGE_BODY = json.dumps({"orders": [{"id": n, "text": "x" * 1000} for n in range(9000)]}).encode()
"""An answer that is more than is kept in memory."""

# Runs operators in a process of its own, one after the other, each with so many bytes free on the disk.
PULL = """
import json, os, sys, tempfile
from pathlib import Path
from tests.tables.databases import Database, context
from tests.tasks import operator

disk, token, cases = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
tempfile.tempdir = str(disk)

def connect(conn_id, connection):
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(connection)

def content(path):
    return str(database.run("SELECT * FROM orders")) if path.suffix == ".db" else path.read_text()

def used():
    left = os.statvfs(disk)
    return (left.f_blocks - left.f_bfree) * left.f_bsize

def pull(url, path, free):
    connect("catalog_default", {"conn_type": "instructure_catalog", "host": url, "password": token})
    if path.suffix == ".db":
        database.run("CREATE TABLE orders (id, text)", "INSERT INTO orders VALUES (1, 'earlier')")
        task = database.task()
    else:
        (disk / path.name).write_text("earlier")
        task = operator(output_path=path)
    with open(disk / "ballast", "wb") as ballast:
        left = os.statvfs(disk)
        os.posix_fallocate(ballast.fileno(), 0, left.f_bavail * left.f_bsize - free)
    before, error = used(), None
    try:
        task.execute(context())
    except Exception as raised:
        error = raised
    grown = used() - before
    (disk / "ballast").unlink()
    files = {found.name: content(found) for found in disk.iterdir()}
    for name in files:
        (disk / name).unlink()
    return type(error).__name__, str(error), getattr(error, "retryable", None), files, grown

database = Database("sqlite", {"conn_type": "sqlite", "host": f"{disk}/warehouse.db"}, connect)
connect("warehouse", database.connection)
print(json.dumps([pull(url, Path(path), free) for url, path, free in cases]))
"""


def where_mounting_is_allowed(*command: str) -> tuple[str, ...]:
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ("unshare", *users, "--mount", *command)


@pytest.fixture
def disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        command = where_mounting_is_allowed("mount", "-t", "tmpfs", "tmpfs", str(disk))
        subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk to fill needs Linux's unshare, and the right to mount one: {error}")
    return disk


def play(disk, cases):
    """Run the cases (URL of the Catalog, path, bytes that are free); return what came of each."""
    mounted = 'mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"'
    before = where_mounting_is_allowed("sh", "-c", mounted, str(DISK), str(disk))
    return json.loads(python(PULL, disk, TOKEN, json.dumps(cases), before=before).splitlines()[-1])


def check(result, path, left):
    """Check that nothing but what was there before is left, not even without a name; return the error's message."""
    error, message, retryable, found, grown = result
    assert error == "CatalogStorageError", (path, message)
    assert retryable
    assert grown == 0, path
    assert found == {Path(path).name: left}
    return message


def test_a_full_disk_under_a_file(disk):
    """While rows are written, at the end, or for a large response alone."""
    with catalog_server(Pages(ROWS, size=100)) as paged, catalog_server(lambda request: Answer(LARGE_BODY)) as large:
        # Parquet takes less room than its spool: with so much, there is none left for it.
        free = {suffix: (0, 300, 1300) if suffix == "parquet" else (0, 300) for suffix in SUFFIXES}
        files = [(paged.url, str(disk / f"rows.{suffix}"), each * KIB) for suffix in SUFFIXES for each in free[suffix]]
        # With the last one, it is but the end of the body that does not fit.
        elsewhere = str(disk.parent / "rows.jsonl")
        bodies = [(large.url, elsewhere, each) for each in (0, 1024 * KIB, (len(LARGE_BODY) - 1) // 4096 * 4096)]
        results = play(disk, files + bodies)
    for (_, path, _), result in zip(files + bodies, results, strict=True):
        message = check(result, path, "earlier")
        if path == elsewhere:
            assert message.startswith(f"free some space in '{disk}', or set TMPDIR to another folder: a response does")
        else:
            assert message.startswith(f"no room for '{path}': the disk of '{disk}' is full"), message
            assert "free some space" in message
    assert not Path(elsewhere).exists()


def test_a_full_disk_under_a_table(disk):
    """The spool does not fit, or it does and the table does not."""
    pytest.importorskip("airflow.providers.sqlite", reason="needs apache-airflow-providers-sqlite")
    path = str(disk / "warehouse.db")
    with catalog_server(Pages(ROWS)) as catalog:
        results = play(disk, [(catalog.url, path, free * KIB) for free in (0, 300, 1600)])
    messages = [check(result, path, "[(1, 'earlier')]") for result in results]
    assert all("disk" in message and "full" in message for message in messages)
    assert "SQLITE_FULL" in messages[-1]
