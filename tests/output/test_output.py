"""Publishing: a finished file, or what was there before, and no litter."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogStorageError
from airflow_provider_catalog.output.transform import RowTransform

from .conftest import FORMAT_SUFFIXES, files_limited_to, new_output, write

ROWS = [{"id": number, "name": f"Made-up {number}", "tags": ["a"]} for number in range(1200)]
PRODUCTS = ENDPOINTS["products"].columns
all_formats = pytest.mark.parametrize("suffix", FORMAT_SUFFIXES)


def read_rows(path):
    """Count the rows of a file of any format."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if path.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        return pq.read_table(path).num_rows
    return content.count(b"\n") - (".csv" in path.name)


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@all_formats
def test_what_is_told_of_a_published_file_is_so(save, tmp_path, suffix):
    path, info = save(ROWS[:700], ROWS[700:], name=f"new/sub/out{suffix}")
    content = path.read_bytes()
    assert info.row_count == 1200 == read_rows(path)
    assert info.size_bytes == len(content)
    assert info.sha256 == hashlib.sha256(content).hexdigest()
    assert info.columns == ["id", "name", "tags"]
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@all_formats
def test_no_rows_give_an_empty_readable_file(save, suffix):
    path, info = save(name=f"out{suffix}", endpoint="products")
    assert info.row_count == 0 == max(read_rows(path), 0)
    assert info.columns == ([] if "jsonl" in suffix else [name.path.replace(".", "_") for name in PRODUCTS])


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
    monkeypatch.setattr("airflow_provider_catalog.output.table.CHUNK_ROWS", 1)
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
    assert read_rows(path) == 1200
    assert list(tmp_path.iterdir()) == [path]


@all_formats
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("earlier", [True, False])
def test_leaving_by_an_error_keeps_the_earlier_file_and_leaves_no_litter(tmp_path, suffix, error, earlier):
    path = tmp_path / "folder" / f"out{suffix}"
    if earlier:
        path.parent.mkdir()
        path.write_text("earlier")

    def rows():
        yield from ROWS
        raise error

    with pytest.raises(error), new_output(path) as output:
        output.write(rows())
    assert [found.read_text() for found in tmp_path.rglob("*") if found.is_file()] == ["earlier"] * earlier
    assert path.parent.exists() is earlier


@all_formats
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_error_at_the_last_step_leaves_nothing(tmp_path, monkeypatch, suffix, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(Path, "replace", refuse)
    expected = CatalogStorageError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
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


@all_formats
@pytest.mark.parametrize("limit", [0, 5_000])
def test_a_full_disk_says_so_and_leaves_the_earlier_file(tmp_path, suffix, limit):
    path = tmp_path / f"out{suffix}"
    path.write_text("earlier")
    rows = [{"id": number, "text": hashlib.sha256(b"%d" % number).hexdigest() * 9} for number in range(600)]
    with pytest.raises(CatalogStorageError) as caught, files_limited_to(limit):
        write(path, rows)
    message = str(caught.value)
    assert message.startswith(f"no room for '{path}': the disk of '{tmp_path}' is full")
    assert "free some space" in message
    assert caught.value.retryable
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_disk_that_is_full_only_for_the_finished_file(tmp_path, suffix):
    with new_output(tmp_path / f"out{suffix}") as output:
        output.write({"text": hashlib.sha256(b"%d" % number).hexdigest() * 9} for number in range(1000))
        output.write(ROWS)  # so that the spool's buffer holds none of the above
        with pytest.raises(CatalogStorageError, match="is full"), files_limited_to(5_000):
            output.publish()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_rows_own_is_not_called_one_of_the_storage(tmp_path):
    def rows():
        yield {"a": 1}
        raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError), new_output(tmp_path / "out.csv") as output:
        output.write(rows())


@pytest.mark.parametrize(("before", "after"), [(None, 0o640), (0o604, 0o604)])
def test_a_new_file_has_the_rights_that_the_umask_gives_and_a_replaced_one_its_own(tmp_path, umask, before, after):
    path = tmp_path / "out.csv"
    if before:
        path.touch()
        path.chmod(before)
    write(path, ROWS[:1])
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


@pytest.mark.parametrize(("name", "unmatched"), [("o.csv", ["gone.x"]), ("o.jsonl", ["a", "b.c", "gone.x"])])
def test_field_types_that_name_no_column_are_told(tmp_path, name, unmatched):
    types = {"a": "int64", "b.c": "date", "gone.x": "date"}
    info = write(tmp_path / name, [{"a": 1}], transform=RowTransform(drop_fields=["gone"]), field_types=types)
    assert info.unmatched_field_types == unmatched
    assert info.columns == (["a"] if name == "o.jsonl" else ["a", "b_c"])


def test_csv_needs_no_pyarrow(save, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path, _ = save([{"t": "2024-04-11"}], name="out.csv", field_types={"t": "timestamp"})
    assert path.read_bytes() == b"t\r\n2024-04-11T00:00:00Z\r\n"


class TestObjectStores:
    @pytest.fixture
    def store(self):
        from airflow.sdk.io import attach
        from fsspec.implementations.memory import MemoryFileSystem

        store = MemoryFileSystem()
        attach("memory", conn_id="store", fs=store)
        yield store
        store.rm("/", recursive=True)

    @pytest.fixture
    def temporary(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path

    @all_formats
    def test_a_file_is_uploaded_in_one_step(self, store, temporary, monkeypatch, suffix):
        uploads = []
        put_file = store.put_file
        monkeypatch.setattr(type(store), "put_file", lambda _, *args: uploads.append(args) or put_file(*args))
        store.pipe(f"/bucket/folder/out{suffix}", b"earlier")
        with new_output(f"memory://store@bucket/folder/out{suffix}") as output:
            output.write(ROWS)
            assert store.cat(f"/bucket/folder/out{suffix}") == b"earlier"
            info = output.publish()
        content = store.cat(f"/bucket/folder/out{suffix}")
        assert (info.size_bytes, info.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert len(uploads) == 1
        assert list(temporary.iterdir()) == []

    @pytest.mark.parametrize("error", [PermissionError(13, "Access Denied"), LookupError("no such bucket")])
    def test_a_refused_upload_leaves_the_earlier_object(self, store, temporary, monkeypatch, error):
        def refuse(*_):
            raise error

        store.pipe("/bucket/out.csv", b"earlier")
        monkeypatch.setattr(type(store), "put_file", refuse)
        with pytest.raises(CatalogStorageError, match=f"can't upload 'memory://.*csv': {type(error).__name__}"):
            write("memory://store@bucket/out.csv", ROWS)
        assert store.cat("/bucket/out.csv") == b"earlier"
        assert list(temporary.iterdir()) == []
