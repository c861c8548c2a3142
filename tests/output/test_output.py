"""Publishing: a finished file, or what was there before, and no litter."""

from __future__ import annotations

import gzip
import os
import resource
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.errors import CatalogStorageError
from tests.output.conftest import new_output, write

ROWS = [{"id": number, "name": f"Made-up {number}", "tags": ["a"]} for number in range(1200)]
all_formats = pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"])


def row_count(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).num_rows
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.count(b"\n") - (".csv" in path.name)


@all_formats
@pytest.mark.parametrize(
    "pages",
    [
        [[{"a": 1, "b": None}], [{"c": {"x": 1}, "b": {"y": 2}}], [{"d": "z", "a": 5}]],
        [[{"a": 1}], [{"a": 1, "b": 2}], [{"b": 2}], [{"a": 1}]],  # a column that comes and goes
        [[{"a": None}], [{"a": {"b": 2}}]],  # a null that turns out to be an object
        [[{"a": {"b": 1}}], [{"a": None}]],
        [[{"a": 1e16}], [{"a": True}]],  # another kind in a column
        [[{"a": 1.5}], [{"a": [1]}]],
        [[{}], [{"a": 1}]],
    ],
)
def test_the_same_bytes_however_rows_come_and_whatever_was_written_ahead(save, monkeypatch, suffix, pages):
    rows = [row for page in pages for row in page * 3]
    _, first = save(rows, name=f"a{suffix}")
    monkeypatch.setattr("airflow_provider_catalog.output.columnar.CHUNK_ROWS", 1)
    _, second = save(*([row] for row in rows), name=f"b{suffix}")
    assert first == second


@all_formats
def test_nothing_shows_at_the_destination_until_it_is_published(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_text("earlier")
    with new_output(path) as output:
        output.write(ROWS)
        assert path.read_text() == "earlier"
        # Where the file system has no files without a name, there is a hidden one.
        assert all(found.name.startswith(".") for found in tmp_path.iterdir() if found != path)
        output.publish()
    assert row_count(path) == 1200
    assert list(tmp_path.iterdir()) == [path]


@all_formats
@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), KeyboardInterrupt()])
@pytest.mark.parametrize("earlier", [True, False])
def test_leaving_by_an_error_keeps_the_earlier_file_and_leaves_no_litter(tmp_path, suffix, error, earlier):
    path = tmp_path / "folder" / f"out{suffix}"
    if earlier:
        path.parent.mkdir()
        path.write_text("earlier")

    def rows():
        yield from ROWS
        raise error

    with pytest.raises(type(error)), new_output(path) as output:  # it is not called one of the storage
        output.write(rows())
    assert [found.read_text() for found in tmp_path.rglob("*") if found.is_file()] == ["earlier"] * earlier
    assert path.parent.exists() is earlier


@all_formats
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_error_at_the_last_step_leaves_nothing(tmp_path, monkeypatch, suffix, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CatalogStorageError if isinstance(error, OSError) else KeyboardInterrupt):
        write(tmp_path / "new" / "sub" / f"out{suffix}", ROWS)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_another_task_uses_by_now_stay(tmp_path, monkeypatch):
    def refuse(_, target):
        (target.parent / "other.csv").touch()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CatalogStorageError):
        write(tmp_path / "new" / "out.csv", ROWS)
    assert [found.name for found in tmp_path.rglob("*")] == ["new", "other.csv"]


@pytest.mark.parametrize("limit", [0, 5_000])
def test_a_limit_on_file_sizes_is_told_like_a_full_disk(tmp_path, limit):
    """A disk that is really full: tests/operators/test_full_disk.py."""
    path = tmp_path / "out.csv"
    path.write_text("earlier")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(CatalogStorageError, match=f"^no room for '{path}': the disk of '{tmp_path}' is") as caught:
            write(path, ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.retryable
    assert [found.read_text() for found in tmp_path.iterdir()] == ["earlier"]


@pytest.mark.parametrize(("before", "after"), [(None, 0o640), (0o604, 0o604)])
def test_a_new_file_has_the_rights_that_the_umask_gives_and_a_replaced_one_its_own(save, tmp_path, before, after):
    if before:
        (tmp_path / "out.csv").touch()
        (tmp_path / "out.csv").chmod(before)
    umask = os.umask(0o027)
    try:
        path, _ = save(ROWS[:1], name="out.csv")
    finally:
        assert os.umask(umask) == 0o027
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_symbolic_link_stays_and_leads_to_the_new_file(save, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out.csv").symlink_to(tmp_path / "real" / "data.csv")
    save([{"a": 1}], name="out.csv")
    assert (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "real" / "data.csv").read_bytes() == b"a\r\n1.0\r\n"


def test_gzip_keeps_no_time_and_no_name(save):
    """Else the same rows, a second later, would have another checksum."""
    path, _ = save(ROWS[:1], name="out.csv.gz")
    flags, time = path.read_bytes()[3], path.read_bytes()[4:8]
    assert (flags, time) == (0, bytes(4))
