from __future__ import annotations

import resource
from contextlib import contextmanager

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.output import OutputFile
from airflow_provider_catalog.output.transform import RowTransform

FORMAT_SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")


def new_output(path, *, endpoint="orders", transform=None, field_types=None, **options):
    return OutputFile(Destination.parse(path), ENDPOINTS[endpoint], transform or RowTransform(), field_types, **options)


def write(path, rows, **options):
    """Write rows as they are, and return what is known of the file."""
    with new_output(path, **options) as output:
        output.write([dict(row) for row in rows])
        return output.publish()


@pytest.fixture
def save(tmp_path):
    """Write pages of rows as an operator does; return the file's path and what is known of it."""

    def save_rows(*pages, name="out.parquet", endpoint="orders", field_types=None, **transform):
        path, keep = tmp_path / name, RowTransform(**transform)
        Destination.parse(path).check()
        with new_output(path, endpoint=endpoint, transform=keep, field_types=field_types) as output:
            for page in pages:
                output.write(map(keep, page))
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
