"""What is to be written: the parameters of an operator that make a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from airflow_provider_catalog.client.endpoints import Endpoint, Row
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.transform import RowTransform

Compression = Literal["zstd", "snappy", "gzip", "none"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)


@dataclass(frozen=True)
class FileSpec:
    """Where a file goes, which rows it holds, and how; most names are those of the operator's parameters."""

    destination: Destination
    endpoint: Endpoint
    transform: RowTransform
    """What was done to the rows."""
    field_types: Mapping[str, str] = field(default_factory=dict)
    csv_escape_formulas: bool = False
    csv_for_excel: bool = False
    compression: Compression | None = None
    sample: Callable[[], list[Row]] | None = None
    """Returns some transformed rows of other days: for the first file of a dataset, and for a file without rows."""
