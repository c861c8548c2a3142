"""Where a file goes, and what is checked of that place; a path that can be none: tests/operators/test_parameters.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.destination import Destination
from tests.airflow_names import attach


@pytest.mark.parametrize(
    ("path", "output_format", "expected", "is_gzipped"),
    [
        ("/a/b.JSONL.GZ", None, "jsonl", True),
        ("/a/b.Parquet", None, "parquet", False),
        ("s3://conn@bucket/ds=2026-01-01/part.csv", None, "csv", False),
        ("/a/b", "csv", "csv", False),
        ("/a/b.csv.old", "parquet", "parquet", False),
        ("/a/b.gz", "csv", "csv", True),
    ],
)
def test_the_suffix_says_the_format_or_the_parameter_does(path, output_format, expected, is_gzipped):
    assert Destination.parse(path, output_format) == Destination(path, expected, is_gzipped)


def test_a_password_in_a_url_is_refused_without_showing_it():
    with pytest.raises(CatalogParameterError, match="id of an Airflow connection") as caught:
        Destination.parse("s3://user:hunter2@bucket/b.csv")
    assert "hunter2" not in str(caught.value)


def test_local_paths_are_absolute(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert Destination.parse("~/b.csv").path == "/home/someone/b.csv"
    for path in (Path("/a/b.csv"), "file:///a/b.csv", "file://conn@/a/b.csv"):
        assert Destination.parse(path).path == "/a/b.csv"


def test_object_storage_paths_keep_their_connection(tmp_path):
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    local = Destination.parse(ObjectStoragePath(f"file://{tmp_path}/b.csv", conn_id="unused"))
    assert (local.path, local.scheme) == (str(tmp_path / "b.csv"), None)
    for path in (ObjectStoragePath("memory://bucket/b.csv", conn_id="c"), ObjectStoragePath("memory://c@bucket/b.csv")):
        # fsspec prints the bucket of its memory file system as a folder.
        assert Destination.parse(path).path.replace("@/", "@") == "memory://c@bucket/b.csv"
        assert Destination.parse(path).scheme == "memory"
    with pytest.raises(CatalogParameterError, match="set token in the connection's extra"):
        Destination.parse(ObjectStoragePath("memory://bucket/b.csv", token="x"))


@pytest.mark.parametrize(
    ("module", "path", "extra"),
    [
        ("pyarrow", "/tmp/b.parquet", "parquet"),  # noqa: S108 - is not written
        ("pyarrow.parquet", "/tmp/b.parquet", "parquet"),  # noqa: S108 - is not written
        ("s3fs", "s3://bucket/b.csv", "s3"),
        ("s3fs", "s3a://bucket/b.csv", "s3"),
        ("gcsfs", "gs://bucket/b.csv", "gcs"),
        ("adlfs", "abfs://container/b.csv", "azure"),
    ],
)
def test_what_is_missing_is_told_with_what_to_install(monkeypatch, module, path, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CatalogParameterError, match=rf"pip install 'airflow-provider-catalog\[{extra}\]'"):
        Destination.parse(path).check()


def test_checking_leaves_nothing_behind(tmp_path):
    Destination.parse(tmp_path / "new" / "folder" / "b.csv").check()
    assert list(tmp_path.iterdir()) == []


def test_days_of_a_whole_bucket_have_types_of_their_own_which_is_told(caplog):
    attach("memory", conn_id="store", fs=MemoryFileSystem())
    Destination.parse("memory://store@bucket/day=1/b.csv").check()
    assert "put a folder above its first Hive folder" in caplog.text


@pytest.mark.parametrize(
    ("make", "name", "says"),
    [
        (Path.touch, "there/sub/b.csv", "there' is a file, not a folder"),
        (Path.mkdir, "there", r"there' is a folder"),
        (os.mkfifo, "there", "a device or a pipe"),
    ],
)
def test_what_is_there_and_no_file(tmp_path, make, name, says):
    make(tmp_path / "there")
    with pytest.raises(CatalogParameterError, match=says):
        Destination.parse(tmp_path / name, "csv").check()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param(
            "/proc/self/b.csv",
            r"can't write '/proc/self/b\.csv': .*'/proc/\d+'",
            marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, which refuses even root"),
        ),
        (f"/tmp/{'x' * 300}.csv", "File name too long"),  # noqa: S108 - is not written
        ("s4://bucket/b.csv", r"knows s4://; known are file://, s3://, .*gs://.*abfs://"),
    ],
)
def test_a_place_that_refuses_is_told_before_there_are_rows(path, says):
    with pytest.raises((CatalogParameterError, CatalogStorageError), match=says):
        Destination.parse(path).check()


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
    ("path", "uri", "name"),
    [
        ("/a b/ä#1.csv", "file:///a%20b/%C3%A4%231.csv", ("file", "/a b/ä#1.csv")),
        ("s3://conn@bucket/day=1/b c.csv", "s3://bucket/day=1/b%20c.csv", ("s3://bucket", "day=1/b c.csv")),
        ("S3://bucket/b.csv", "s3://bucket/b.csv", ("s3://bucket", "b.csv")),
        ("abfs://conn@box/b?1%.csv", "abfs://box/b%3F1%25.csv", ("abfs://box", "b?1%.csv")),
    ],
)
def test_assets_and_lineage_know_it_without_connection_and_without_what_a_url_would_misread(path, uri, name):
    from airflow_provider_catalog.utils.openlineage import dataset_name

    assert Destination.parse(path).uri == uri
    assert dataset_name(uri) == name
