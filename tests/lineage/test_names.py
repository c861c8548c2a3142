"""OpenLineage's naming rules, by which other tools know the same file."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.utils.openlineage import dataset_name


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/a b/ä#1.csv", ("file", "/data/a b/ä#1.csv")),
        ("s3://conn@bucket/day=1/b.csv", ("s3://bucket", "day=1/b.csv")),
        ("gs://bucket/b c.csv", ("gs://bucket", "b c.csv")),
        ("abfs://conn@box/100%.csv", ("abfs://box", "100%.csv")),
    ],
)
def test_names(path, expected):
    assert dataset_name(Destination.parse(path).uri) == expected
