"""Rows on their way to a file: on disk, but for this user only, and under a name that tells nothing of them."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_catalog.client import decoding
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from tests.catalog_server import catalog_server
from tests.leaks.canaries import HASH_KEY, TOKEN, search
from tests.leaks.scenarios import served

OWN_DESCRIPTORS = Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(
    not OWN_DESCRIPTORS.is_dir(), reason="open files are looked up in /proc, as Linux has it"
)


@pytest.fixture
def lax_umask():
    """Leave all rights to everyone, as some set-ups do."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_files(*folders: Path) -> dict[str, int]:
    """Return the files in the folders that this process has open, also those without a name, and their rights."""
    found = {}
    for descriptor in OWN_DESCRIPTORS.iterdir():
        try:
            path, state = os.readlink(descriptor), os.stat(descriptor)  # noqa: PTH115, PTH116 - of what has no name
        except FileNotFoundError:
            continue  # the one that lists them
        if stat.S_ISREG(state.st_mode) and path.startswith(tuple(map(str, folders))):
            found[path] = stat.S_IMODE(state.st_mode)
    return found


@pytest.mark.parametrize("suffix", ["jsonl", "csv.gz", "parquet"])
@pytest.mark.parametrize("store", [False, True], ids=["a local file", "an object store"])
def test_rights_and_names(tmp_path, monkeypatch, lax_umask, suffix, store):
    folder, temporary = tmp_path / "output", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 100)  # all answers are large ones, which go to the disk
    seen: dict[str, int] = {}
    names: list[str] = []

    def answers(request):
        seen.update(open_files(tmp_path))
        names.extend(str(path) for path in tmp_path.rglob("*"))
        return served()(request)

    with catalog_server(answers) as catalog:
        connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN}
        connection["extra"] = {"hash_secret": HASH_KEY}
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", json.dumps(connection))
        path = f"memory://store@bucket/rows.{suffix}" if store else str(folder / f"rows.{suffix}")
        attach("memory", conn_id="store", fs=MemoryFileSystem())
        CatalogOrdersAnalyticsOperator(task_id="pull", output_path=path).execute({})
        MemoryFileSystem().rm("/", recursive=True)  # it is one store for the whole process

    assert len(seen) >= 2, "the file that is written, and the answers"
    assert {path: oct(mode) for path, mode in seen.items() if mode & 0o077} == {}
    assert search({"names": "\n".join([*seen, *names])}) == []
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ([] if store else [folder / f"rows.{suffix}"])
