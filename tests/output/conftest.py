from __future__ import annotations

import resource
from contextlib import contextmanager

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.output import OutputFile
from airflow_provider_catalog.output.transform import RowTransform

FORMAT_SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")


@pytest.fixture
def save(tmp_path):
    """Write pages of rows as an operator does; return the file's path and what is known of it."""

    def save_rows(*pages, name="out.parquet", endpoint="orders", field_types=None, **transform):
        path = tmp_path / name
        transform = RowTransform(**transform)
        destination = Destination.parse(str(path))
        destination.check()
        with OutputFile(destination, ENDPOINTS[endpoint], transform, field_types) as output:
            for page in pages:
                output.write(map(transform, page))
            return path, output.publish()

    return save_rows


@contextmanager
def files_limited_to(size):
    """Let the operating system refuse to write beyond a size, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
