"""Parquet: typed columns, zstd, row groups that bound memory."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from airflow_provider_catalog import __version__
from airflow_provider_catalog.storage.columns import Batch, Column, ColumnSpool, Values
from airflow_provider_catalog.storage.convert import convert, decimal_type, list_item_type
from airflow_provider_catalog.storage.kinds import NULL

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 100_000
"""Rows of a row group,"""
ROW_GROUP_BYTES = 24 * 1024 * 1024
"""or fewer where they are large, measured in Arrow's memory."""

# The Python types of which pyarrow makes a column of the type without loss, or else raises.
_EXACT: dict[str, set[type]] = {
    "string": {str},
    "bool": {bool},
    "int64": {int},
    "float64": {int, float},
    "list<string>": {list},
}


def write_parquet(file: IO[bytes], spool: ColumnSpool, endpoint: str) -> list[str]:
    """
    Write all rows of a spool.

    :param file: where to; somebody else closes it. Python's own, so that its errors keep their ``errno``.
    :param spool: the rows.
    :param endpoint: the endpoint's name, for the file's metadata.
    :returns: the names of the columns.
    :raises CatalogParameterError: when a value does not fit the type of its column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = spool.columns()
    metadata: dict[bytes | str, bytes | str] = {
        "provider": "airflow-provider-catalog",
        "provider_version": __version__,
        "endpoint": endpoint,
    }
    schema = pa.schema([pa.field(column.name, _arrow_type(column.type_name)) for column in columns], metadata=metadata)
    writer = pq.ParquetWriter(file, schema, compression="zstd")
    try:
        group: list[pa.RecordBatch] = []
        for batch in spool.batches(len(columns)):
            arrays = [_array(column, kind, batch) for column, kind in zip(columns, schema.types, strict=True)]
            group.append(pa.record_batch(arrays, schema=schema))
            if _is_full(group):
                writer.write_table(pa.Table.from_batches(group, schema))
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group, schema))
        writer.close()
    finally:
        # After an error, closing would write a footer to a file that nobody wants, and may fail again.
        writer.is_open = False
    return schema.names


def _is_full(group: list[pa.RecordBatch]) -> bool:
    rows = sum(batch.num_rows for batch in group)
    return rows >= ROW_GROUP_ROWS or sum(batch.nbytes for batch in group) >= ROW_GROUP_BYTES


def _array(column: Column, arrow_type: pa.DataType, batch: Batch) -> pa.Array[Any]:
    import pyarrow as pa

    values, type_name = batch.column(column.path), column.type_name
    array = _fast_array(values, type_name, arrow_type)
    if array is None:
        array = pa.array(convert(values, type_name, column.name, batch.first_row), arrow_type)
    return array


def _fast_array(values: Values, type_name: str, arrow_type: pa.DataType) -> pa.Array[Any] | None:
    """Return the array where pyarrow alone makes the same of the values as ``convert`` does, else None."""
    import pyarrow as pa

    types = set(map(type, values)) - {NULL}
    try:
        if types <= _EXACT.get(type_name, set()):
            return pa.array(values, arrow_type)
        if type_name == "timestamp" and types == {str}:
            return pa.array(values, pa.string()).cast(arrow_type)
        if decimal_type(type_name) and types <= {int, float, str}:
            texts = [None if value is None else str(value) for value in values]
            return pa.array(texts, pa.string()).cast(arrow_type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass  # some value takes more care
    return None


def _arrow_type(type_name: str) -> pa.DataType:
    import pyarrow as pa

    if decimal := decimal_type(type_name):
        return pa.decimal128(*decimal)
    if item_type := list_item_type(type_name):
        return pa.list_(_arrow_type(item_type))
    plain: dict[str, pa.DataType] = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
    }
    return plain[type_name]
