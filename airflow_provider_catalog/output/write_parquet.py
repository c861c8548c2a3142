"""Parquet: typed columns, compressed, in row groups that bound memory."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog import __version__
from airflow_provider_catalog.output.columns import Column, Kinds
from airflow_provider_catalog.output.convert import decimal_type, to_text
from airflow_provider_catalog.output.flatten import Block, Values
from airflow_provider_catalog.output.paths import FieldPath
from airflow_provider_catalog.output.spec import FileSpec

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 100_000
"""Rows of a row group,"""
ROW_GROUP_BYTES = 12 * 1024 * 1024
"""or fewer where they are large, measured in Arrow's memory."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ParquetWriter:
    """
    Writes blocks of rows as Parquet, to a file that somebody else closes; of all rows it needs the kinds of values.

    The file is Python's own, so that its errors keep their ``errno``.
    """

    def __init__(self, file: Any, columns: list[Column], spec: FileSpec, kinds: Mapping[FieldPath, Kinds]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.columns = columns
        self.names = [column.name for column in columns]
        self._kinds = kinds
        metadata: dict[bytes | str, bytes | str] = {
            "provider": "airflow-provider-catalog",
            "provider_version": __version__,
            "endpoint": spec.endpoint.name,
        }
        self._schema = pa.schema(
            [pa.field(column.name, _arrow_type(column.type)) for column in columns], metadata=metadata
        )
        # The system's pool gives back what is freed when it is told to; Arrow's own one keeps up to 50 MB of it.
        self._pool = pa.system_memory_pool()
        compression = spec.compression or "zstd"
        self._writer = pq.ParquetWriter(file, self._schema, compression=compression, memory_pool=self._pool)
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0

    def write(self, block: Block) -> None:
        """Write some rows."""
        import pyarrow as pa

        batch = pa.record_batch([self._array(block, column) for column in self.columns], schema=self._schema)
        self._group.append(batch)
        self._group_rows += batch.num_rows
        self._group_bytes += batch.nbytes
        if self._group_rows >= ROW_GROUP_ROWS or self._group_bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def finish(self) -> None:
        """Write what is still to be written."""
        if self._group:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(self._group, self._schema))
        self._group = []
        self._group_rows = self._group_bytes = 0
        self._pool.release_unused()

    def _array(self, block: Block, column: Column) -> Any:
        import pyarrow as pa

        if column.path not in block.columns:
            return pa.nulls(block.row_count, _arrow_type(column.type))
        kinds = self._kinds[column.path]
        if column.type == kinds.suggestion != "int64" and kinds.fits:
            # Arrow reads the text of a time or an amount much faster, but not every one, and it does not round.
            values = block.columns[column.path]
            texts = [None if value is None or value == "" else to_text(value) for value in values]
            try:
                return _texts(texts).cast(_arrow_type(column.type))
            except pa.ArrowInvalid:
                pass
        return _to_arrow(block.converted(column), column.type)


def _to_arrow(values: Values, type_name: str) -> pa.Array[Any]:
    """Return converted values as an array."""
    import pyarrow as pa

    # From buffers: pyarrow.array would also import pandas where that is installed, a second and 60 MB.
    arrow_type = _arrow_type(type_name)
    if type_name == "string":
        return _texts(values)
    if type_name == "list<string>":
        return _lists(values)
    if decimal_type(type_name):
        return _texts([None if value is None else f"{value:f}" for value in values]).cast(arrow_type)
    if type_name == "timestamp":
        values = [None if value is None else (value - _EPOCH) // timedelta(microseconds=1) for value in values]
    if type_name == "date":
        values = [None if value is None else (value - _EPOCH.date()).days for value in values]
    stored: dict[str, tuple[str, Any]] = {
        "bool": ("B", pa.uint8()),
        "float64": ("d", pa.float64()),
        "date": ("i", pa.int32()),
    }
    code, number_type = stored.get(type_name, ("q", pa.int64()))
    valid, filled = _without_nulls(values, 0)
    return pa.Array.from_buffers(number_type, len(values), [valid, pa.py_buffer(array(code, filled))]).cast(arrow_type)


def _texts(values: list[str | None]) -> pa.Array[Any]:
    import pyarrow as pa

    valid, filled = _without_nulls(values, "")
    encoded = list(map(str.encode, filled))
    buffers = [valid, _offsets(encoded), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _lists(values: list[list[str | None] | None]) -> pa.Array[Any]:
    import pyarrow as pa

    valid, filled = _without_nulls(values, [])
    items = _texts([item for each in filled for item in each])
    return pa.Array.from_buffers(_arrow_type("list<string>"), len(values), [valid, _offsets(filled)], children=[items])


def _offsets(values: Values) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(array("i", accumulate(map(len, values), initial=0)))


def _without_nulls(values: Values, filler: Any) -> tuple[pa.Buffer | None, Values]:
    """Return a bit for each value, where some are null, and the values with the filler instead of nulls."""
    import pyarrow as pa

    if None not in values:
        return None, values
    valid = pa.py_buffer(bytes([value is not None for value in values]))
    bits = pa.Array.from_buffers(pa.uint8(), len(values), [None, valid]).cast(pa.bool_())
    return bits.buffers()[1], [filler if value is None else value for value in values]


def _arrow_type(type_name: str) -> Any:
    import pyarrow as pa

    if decimal := decimal_type(type_name):
        return pa.decimal128(*decimal)
    plain: dict[str, pa.DataType] = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "list<string>": pa.list_(pa.string()),
    }
    return plain[type_name]
