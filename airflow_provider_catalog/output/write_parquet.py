"""Parquet: typed columns, zstd, row groups that bound memory."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_catalog import __version__
from airflow_provider_catalog.output.convert_old import convert, decimal_type, list_item_type
from airflow_provider_catalog.output.kinds_old import NULL, Kinds
from airflow_provider_catalog.output.spool_old import Batch, Block, Column, ColumnSpool
from airflow_provider_catalog.output.transform import Path

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 100_000
"""Rows of a row group,"""
ROW_GROUP_BYTES = 12 * 1024 * 1024
"""or fewer where they are large, measured in Arrow's memory."""
_READ_BYTES = 256 * 1024
"""Bytes of the spool that one of Arrow's threads reads at a time,"""
_MANY_COLUMNS = 1_000
"""or all of a block at once beyond so many columns: each time takes as long as it takes to set all of them up."""

# The Python types that a column of the type holds as they are.
_EXACT: dict[str, set[type]] = {
    "string": {str},
    "bool": {bool},
    "int64": {int},
    "float64": {int, float},
    "timestamp": {str},
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
    # The system's pool gives back what is freed when it is told to; Arrow's own one keeps up to 50 MB of it.
    pool = pa.system_memory_pool()
    writer = pq.ParquetWriter(file, schema, compression="zstd", memory_pool=pool)
    try:
        group: list[pa.RecordBatch] = []
        convert_block = _BlockConverter(spool, columns)
        for block in spool.blocks(len(columns)):
            group.append(pa.record_batch(convert_block(block), schema=schema))
            if _is_full(group):
                writer.write_table(pa.Table.from_batches(group, schema))
                group = []
                pool.release_unused()
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


class _BlockConverter:
    """
    Blocks of the spool into Arrow arrays.

    Arrow itself reads the columns whose values are what JSON says they are, many times faster than by way of Python's
    objects. (``pyarrow.array``, given a list, would also import pandas where that is installed: a second, and 60 MB.)
    The others are converted value by value.

    :param spool: where the blocks come from.
    :param columns: the columns to make.
    """

    def __init__(self, spool: ColumnSpool, columns: list[Column]) -> None:
        import pyarrow as pa
        import pyarrow.json as pj

        self._spool = spool
        self._columns = columns
        keys = spool.keys()
        self._read = {
            column.path: keys[column.path]
            for column in columns
            if column.path in keys and _is_exact(column.kinds, column.type_name)
        }
        types = [(self._read[column.path], _read_type(column)) for column in columns if column.path in self._read]
        self._schema = pa.schema([(key, pa.list_(kind)) for key, kind in types])
        self._options = pj.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="ignore")

    def __call__(self, block: Block) -> list[pa.Array[Any]]:
        read = self._read_exact(block)
        batch: Batch | None = None
        arrays = []
        for column in self._columns:
            array = _cast(read.get(column.path), column)
            if array is None:
                batch = batch or self._spool.decode(block)
                array = _converted(column, batch)
            arrays.append(array)
        return arrays

    def _read_exact(self, block: Block) -> dict[Path, Any]:
        import pyarrow as pa
        import pyarrow.json as pj

        if not self._read:
            return {}
        content = b"".join(block.lines)
        at_once = max(map(len, block.lines)) if len(self._read) < _MANY_COLUMNS else len(content)
        table = pj.read_json(
            io.BytesIO(content),
            read_options=pj.ReadOptions(block_size=max(at_once + 1, _READ_BYTES)),
            parse_options=self._options,
            memory_pool=pa.system_memory_pool(),
        ).combine_chunks(pa.system_memory_pool())
        return {path: _joined(table.column(key).chunk(0), block.row_counts) for path, key in self._read.items()}


def _joined(lines: Any, row_counts: list[int]) -> Any:
    """Return the values of all lines; a line without the column has nulls."""
    import pyarrow as pa

    if not lines.null_count:
        return lines.flatten()
    kind: Any = lines.type.value_type
    pairs = zip(lines, row_counts, strict=True)
    return pa.concat_arrays([line.values if line.is_valid else pa.nulls(count, kind) for line, count in pairs])


def _cast(array: Any, column: Column) -> Any:
    """Return the array in the column's type; None when some value takes more care."""
    import pyarrow as pa

    if array is None or column.type_name != "timestamp":
        return array
    try:
        return array.cast(_arrow_type("timestamp"))
    except pa.ArrowInvalid:
        return None


def _converted(column: Column, batch: Batch) -> Any:
    """Return the array of a column whose values are converted one by one."""
    import pyarrow as pa

    values, type_name = batch.column(column.path), column.type_name
    arrow_type: Any = _arrow_type(type_name)
    if not column.kinds.has_values():
        return pa.nulls(batch.row_count, arrow_type)
    if decimal_type(type_name) and column.kinds.types <= {int, float, str, NULL}:
        try:
            return _strings([None if value is None else str(value) for value in values]).cast(arrow_type)
        except pa.ArrowInvalid:
            pass  # some value takes more care
    return pa.array(convert(values, type_name, column.name, batch.first_row), arrow_type)


def _strings(values: list[str | None]) -> Any:
    import pyarrow as pa

    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def _is_exact(kinds: Kinds, type_name: str) -> bool:
    """Tell whether Arrow reads the values from JSON as the type, all of them exactly."""
    types = kinds.types - {NULL}
    if item_type := list_item_type(type_name):
        return types == {list} and kinds.items is not None and _is_exact(kinds.items, item_type)
    if not types <= _EXACT.get(type_name, set()):
        return False
    return kinds.fits_int64() if type_name == "int64" else not (type_name == "float64" and kinds.rounds)


def _read_type(column: Column) -> pa.DataType:
    return _arrow_type("string" if column.type_name == "timestamp" else column.type_name)


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
