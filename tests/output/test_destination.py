from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.destination import Destination


@pytest.mark.parametrize(
    ("path", "output_format", "expected", "is_gzipped"),
    [
        ("/a/b.jsonl", None, "jsonl", False),
        ("/a/b.JSONL.GZ", None, "jsonl", True),
        ("/a/b.csv.gz", None, "csv", True),
        ("/a/b.Parquet", None, "parquet", False),
        ("s3://conn@bucket/ds=2026-01-01/part.csv", None, "csv", False),
        ("/a/b", "csv", "csv", False),
        ("/a/b.csv.old", "parquet", "parquet", False),
        ("s3://bucket/b.dat", "jsonl", "jsonl", False),
        ("/a/b.gz", "csv", "csv", True),
    ],
)
def test_the_suffix_says_the_format_or_the_parameter_does(path, output_format, expected, is_gzipped):
    assert Destination.parse(path, output_format) == Destination(path, expected, is_gzipped)


@pytest.mark.parametrize(("suffix", "file_format"), [("jsonl", "csv"), ("CSV", "jsonl"), ("csv.gz", "parquet")])
def test_a_suffix_of_another_format_is_refused(suffix, file_format):
    """Whoever reads the file would be misled by its name."""
    said = suffix.lower().removesuffix(".gz")
    assert Destination.parse(f"/a/b.{suffix}", said).format == said
    with pytest.raises(CatalogParameterError, match=f"ends in '.{said}', but output_format is '{file_format}'"):
        Destination.parse(f"/a/b.{suffix}", file_format)


@pytest.mark.parametrize(
    ("path", "output_format", "message"),
    [
        ("/a/b.xlsx", None, "'/a/b.xlsx' does not end in .*parquet.*output_format"),
        ("/a/b", None, "does not end in"),
        ("/a/b.gz", None, "does not end in"),
        ("/a/csv", None, "does not end in"),
        ("/a/b.parquet.gz", None, "compressed inside; leave out '.gz'"),
        ("/a/b.gz", "parquet", "compressed inside"),
        ("/a/b.csv", "xml", "output_format='xml' is not one of 'jsonl', 'csv', 'parquet'"),
        ("/a/b.csv", "CSV", "output_format='CSV' is not one of"),
        ("", None, "names a folder"),
        ("/a/", "csv", "names a folder"),
        ("/a/..", "csv", "names a folder"),
        ("~", "csv", "names a folder"),
        ("s3://bucket/folder/", "csv", "names a folder"),
        ("/a/\0.csv", None, "NUL"),
        (None, None, "not NoneType"),
        (7, None, "not int"),
        ("b.csv", None, "write an absolute path"),
        ("file://relative/b.csv", None, "write an absolute path"),
        ("~no-such-user-here/b.csv", None, "home directory"),
    ],
)
def test_what_can_be_no_file_is_refused(path, output_format, message):
    with pytest.raises(CatalogParameterError, match=message):
        Destination.parse(path, output_format)


def test_a_password_in_a_url_is_refused_without_showing_it():
    with pytest.raises(CatalogParameterError, match="id of an Airflow connection") as caught:
        Destination.parse("s3://user:hunter2@bucket/b.csv")
    assert "hunter2" not in str(caught.value)


def test_local_paths_are_absolute(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert Destination.parse("~/b.csv").path == "/home/someone/b.csv"
    assert Destination.parse(Path("/a/b.csv")).path == "/a/b.csv"
    assert Destination.parse("file:///a/b.csv").path == "/a/b.csv"
    assert Destination.parse("file://conn@/a/b.csv").path == "/a/b.csv"


def test_object_storage_paths_keep_their_connection(tmp_path):
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    local = Destination.parse(ObjectStoragePath(f"file://{tmp_path}/b.csv", conn_id="unused"))
    assert (local.path, local.scheme) == (str(tmp_path / "b.csv"), None)
    for path in (ObjectStoragePath("memory://bucket/b.csv", conn_id="c"), ObjectStoragePath("memory://c@bucket/b.csv")):
        destination = Destination.parse(path)
        # fsspec prints the bucket of its memory file system as a folder.
        assert destination.path.replace("@/", "@") == "memory://c@bucket/b.csv"
        assert destination.scheme == "memory"
    without = Destination.parse(ObjectStoragePath("memory://bucket/b.csv"))
    assert without.path.replace(":///", "://") == "memory://bucket/b.csv"


def test_parsing_touches_no_disk_and_imports_nothing_heavy():
    script = """
import sys
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output import output
Destination.parse("/no/such/folder/b.parquet")
Destination.parse("s3://conn@bucket/b.parquet")
print([name for name in ("airflow", "pyarrow", "pandas", "fsspec") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("missing", ["pyarrow", "pyarrow.parquet"])
def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(CatalogParameterError, match=r"pip install 'airflow-provider-catalog\[parquet\]'"):
        Destination.parse(tmp_path / "b.parquet").check()
    Destination.parse(tmp_path / "b.csv").check()


def test_checking_leaves_nothing_behind(tmp_path):
    Destination.parse(tmp_path / "new" / "folder" / "b.csv").check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "name", "says"),
    [
        (Path.touch, "file/sub/b.csv", "file' is a file, not a folder"),
        (Path.mkdir, "file/b.csv", r"b\.csv' is a folder"),
        (os.mkfifo, "file/b.csv", "a device or a pipe"),
    ],
)
def test_what_is_there_and_no_file(tmp_path, make, name, says):
    path = tmp_path / name
    if says.startswith("file'"):
        make(tmp_path / "file")
    else:
        path.parent.mkdir()
        make(path)
    with pytest.raises(CatalogParameterError, match=says):
        Destination.parse(path).check()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, which refuses even root")
def test_a_folder_that_refuses_is_named_before_there_are_rows():
    with pytest.raises(CatalogStorageError, match=r"can't write '/proc/self/b\.csv': .*'/proc/\d+'"):
        Destination.parse("/proc/self/b.csv").check()


def test_a_name_that_is_too_long_is_told_before_there_are_rows(tmp_path):
    with pytest.raises(CatalogStorageError, match="File name too long"):
        Destination.parse(tmp_path / f"{'x' * 300}.csv").check()


@pytest.mark.parametrize(
    ("url", "client", "extra"),
    [
        ("s3://bucket/b.csv", "s3fs", "s3"),
        ("s3a://bucket/b.csv", "s3fs", "s3"),
        ("gs://bucket/b.csv", "gcsfs", "gcs"),
        ("abfs://container/b.csv", "adlfs", "azure"),
    ],
)
def test_a_missing_client_says_what_to_install(monkeypatch, url, client, extra):
    monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises(CatalogParameterError, match=rf"pip install 'airflow-provider-catalog\[{extra}\]'"):
        Destination.parse(url).check()


def test_an_unknown_scheme_names_the_known_ones():
    with pytest.raises(CatalogParameterError, match=r"knows s4://; known are file://, s3://, .*gs://.*abfs://"):
        Destination.parse("s4://bucket/b.csv").check()


@pytest.mark.parametrize(
    ("error", "is_retryable"), [(ValueError("no account_name"), False), (TimeoutError("no secrets backend"), True)]
)
def test_a_connection_that_fails(monkeypatch, error, is_retryable):
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda path: (_ for _ in ()).throw(error)))
    told = rf"the connection can't be used \({type(error).__name__}: no "
    with pytest.raises(CatalogParameterError, match=told) as caught:
        Destination.parse("s3://conn@bucket/b.csv").check()
    assert caught.value.retryable is is_retryable


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/a b/ä#1.csv", "file:///a%20b/%C3%A4%231.csv"),
        ("s3://conn@bucket/day=1/b c.csv", "s3://bucket/day=1/b%20c.csv"),
        ("S3://bucket/b.csv", "s3://bucket/b.csv"),
        ("abfs://conn@box/b?.csv", "abfs://box/b%3F.csv"),
    ],
)
def test_a_uri_has_no_connection_and_nothing_that_a_url_would_misread(path, uri):
    assert Destination.parse(path).uri == uri
