from __future__ import annotations

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.output import OutputFile
from airflow_provider_catalog.output.spec import FileSpec
from airflow_provider_catalog.output.transform import RowTransform


def new_output(path, *, endpoint="orders", transform=None, field_types=None, **options):
    destination, transform = Destination.parse(path), transform or RowTransform()
    return OutputFile(FileSpec(destination, ENDPOINTS[endpoint], transform, field_types or {}, **options))


def write(path, *pages, **options):
    """Write pages of rows as an operator does, with any of its parameters; return what is known of the file."""
    names = ("fields", "drop_fields", "hash_fields", "hash_secret")
    keep = RowTransform(**{name: options.pop(name) for name in names if name in options})
    with new_output(path, transform=keep, **options) as output:
        for page in pages:
            output.write(map(keep, page))
        return output.publish()


@pytest.fixture
def save(tmp_path):
    """Write pages of rows; return the file's path and what is known of it."""

    def save_rows(*pages, name="out.parquet", **options):
        return tmp_path / name, write(tmp_path / name, *pages, **options)

    return save_rows
