"""OpenLineage: from which Catalog a file came, what columns it has and how many rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage


@dataclass(frozen=True)
class WrittenFile:
    """
    A file, or a table, as lineage sees it.

    :param uri: its URL, without a connection.
    :param columns: name → type; the type is ``None`` where the format has none.
    :param size_bytes: its size; ``None`` of a table.
    """

    uri: str
    columns: Mapping[str, str | None]
    row_count: int
    size_bytes: int | None


def operator_lineage(origin: str | None, endpoint: str, file: WrittenFile | None) -> OperatorLineage:
    """
    Return the lineage of a task; needs ``apache-airflow-providers-openlineage``, whose listener alone asks for it.

    The filters are left out: they may name students.

    :param origin: the Catalog's URL; ``None`` where the task failed before it was known.
    :param file: what was written; ``None`` where rows went to XCom, or nowhere.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs = [Dataset(namespace=origin, name=endpoint)] if origin else []
    return OperatorLineage(inputs=inputs, outputs=[_output(file)] if file else [])


def dataset_name(uri: str) -> tuple[str, str]:
    """Return namespace and name by OpenLineage's rules, such as ``("s3://bucket", "folder/name")``."""
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return "file", path
    return f"{parts.scheme}://{parts.netloc}", path.lstrip("/")


def _output(file: WrittenFile) -> OutputDataset:
    from airflow.providers.common.compat.openlineage.facet import (
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    namespace, name = dataset_name(file.uri)
    if file.size_bytes is None:
        name = name.replace("/", ".")  # postgres://host:5432, database.schema.table
    fields = [SchemaDatasetFacetFields(name=column, type=kind) for column, kind in file.columns.items()]
    return OutputDataset(
        namespace=namespace,
        name=name,
        facets={"schema": SchemaDatasetFacet(fields=fields)},
        outputFacets={
            "outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=file.row_count, size=file.size_bytes)
        },
    )
