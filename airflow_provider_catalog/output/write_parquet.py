"""Parquet: typed columns, compressed, in row groups that bound memory."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_catalog import __version__
from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.convert import decimal_type
from airflow_provider_catalog.output.kinds import NULL
from airflow_provider_catalog.output.spool import Block, RowSpool
from airflow_provider_catalog.output.transform import Path

if TYPE_CHECKING:
    import pyarrow as pa

Compression = Literal["zstd", "snappy", "gzip", "none"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

ROW_GROUP_ROWS = 100_000
"""Rows of a row group,"""
ROW_GROUP_BYTES = 12 * 1024 * 1024
"""or fewer where they are large, measured in Arrow's memory."""
_READ_BYTES = 256 * 1024
"""Bytes of JSON that one of Arrow's threads reads at a time,"""
_MANY_COLUMNS = 1_000
"""or all of a block at once beyond so many columns: each time takes as long as it takes to set all of them up."""


class ParquetWriter:
    """
    Writes blocks of rows as Parquet.

    :param file: where to; somebody else closes it. Python's own, so that its errors keep their ``errno``.
    :param columns: the columns.
    :param spool: converts the rows.
    :param endpoint: the endpoint's name, for the file's metadata.
    :param compression: how the file is compressed.
    """

    def __init__(
        self,
        file: IO[bytes],
        columns: list[Column],
        spool: RowSpool,
        endpoint: str,
        compression: Compression = "zstd",
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.columns = columns
        self.names = [column.name for column in columns]
        metadata: dict[bytes | str, bytes | str] = {
            "provider": "airflow-provider-catalog",
            "provider_version": __version__,
            "endpoint": endpoint,
        }
        self._schema = pa.schema(
            [pa.field(column.name, _arrow_type(column.type)) for column in columns], metadata=metadata
        )
        # The system's pool gives back what is freed when it is told to; Arrow's own one keeps up to 50 MB of it.
        self._pool = pa.system_memory_pool()
        self._sink = _Sink(file)
        sink: Any = self._sink
        self._writer = pq.ParquetWriter(sink, self._schema, compression=compression, memory_pool=self._pool)
        self._arrays = _ArrayMaker(columns, spool)
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0

    def write(self, block: Block) -> None:
        """
        Write some rows.

        :raises CatalogParameterError: when a value does not fit the type of its column.
        """
        import pyarrow as pa

        batch = pa.record_batch(self._arrays(block), schema=self._schema)
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

    def abandon(self) -> None:
        """Write nothing more: Arrow would write a footer even when the writer is only forgotten."""
        self._sink.file = None

    def _write_group(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(self._group, self._schema))
        self._group = []
        self._group_rows = self._group_bytes = 0
        self._pool.release_unused()


class _Sink:
    """
    A file as Arrow writes to it.

    :param file: the file; ``None`` drops what is written from then on.
    """

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self.file: IO[bytes] | None = file

    def write(self, data: Any) -> int:
        """Write bytes."""
        return self.file.write(data) if self.file else len(data)

    def flush(self) -> None:
        """Leave it to the file when to write to the disk."""

    def close(self) -> None:
        """Leave the file open."""


class _ArrayMaker:
    """
    Blocks of rows into Arrow arrays.

    Arrow itself reads the columns whose values are what JSON says they are, many times faster than by way of Python's
    objects; the others are converted value by value.

    :param columns: the columns to make.
    :param spool: knows the kinds of their values, and converts them.
    """

    def __init__(self, columns: list[Column], spool: RowSpool) -> None:
        self._columns = columns
        self._spool = spool
        self._reads_decimals = True

    def __call__(self, block: Block) -> list[pa.Array[Any]]:
        read = self._read(block)
        arrays = ((column, _cast(read.get(column.path), column)) for column in self._columns)
        return [self._converted(block, column) if array is None else array for column, array in arrays]

    def _read(self, block: Block) -> dict[Path, Any]:
        """Return the arrays of the columns that Arrow can read."""
        import pyarrow as pa

        while columns := {column.path: column for column in self._columns if self._is_readable(column)}:
            try:
                return _read_json(block.lines, columns)
            except pa.ArrowInvalid:
                if not self._reads_decimals:
                    break
                self._reads_decimals = False  # an amount that is to be rounded, or an empty text
        return {}

    def _is_readable(self, column: Column) -> bool:
        """Tell whether all values seen so far are, in JSON, what Arrow reads as the column's type, exactly."""
        kinds = self._spool.kinds.get(column.path)
        if kinds is None or not kinds.has_values or self._spool.holds_objects(column.path):
            return False
        for length in range(1, len(column.path)):
            parent = self._spool.kinds.get(column.path[:length])
            if parent and parent.has_values:
                return False
        if column.type == "list<string>":
            return kinds.types <= {list, NULL}
        if decimal_type(column.type):
            return self._reads_decimals and kinds.types <= {int, float, str, NULL}
        if column.type == "float64":
            return kinds.types <= {int, float, NULL} and not kinds.rounds
        return kinds.are_plain("string" if column.type == "timestamp" else column.type)

    def _converted(self, block: Block, column: Column) -> Any:
        import pyarrow as pa

        kinds = self._spool.kinds.get(column.path)
        if kinds is None or kinds.is_null:
            return pa.nulls(block.row_count, _arrow_type(column.type))
        values = self._spool.converted(block, column)
        if column.type == "string":
            return _strings(values)
        if decimal_type(column.type):
            return _strings([None if value is None else f"{value:f}" for value in values]).cast(
                _arrow_type(column.type)
            )
        return pa.array(values, _arrow_type(column.type))


def _read_json(lines: bytes, columns: dict[Path, Column]) -> dict[Path, Any]:
    import pyarrow.json as pj

    longest = max(map(len, lines.splitlines())) if len(lines) > _READ_BYTES else 0
    at_once = max(_READ_BYTES, longest + 1) if len(columns) < _MANY_COLUMNS else len(lines)
    table = pj.read_json(
        io.BytesIO(lines),
        read_options=pj.ReadOptions(block_size=at_once),
        parse_options=pj.ParseOptions(explicit_schema=_nested_schema(columns), unexpected_field_behavior="ignore"),
    )
    arrays: dict[Path, Any] = {}
    pending: list[tuple[Path, Any]] = [((name,), table.column(name).combine_chunks()) for name in table.column_names]
    while pending:
        path, array = pending.pop()
        if path in columns:
            arrays[path] = array
        else:
            names = [field.name for field in array.type]
            pending += [((*path, name), child) for name, child in zip(names, array.flatten(), strict=True)]
    return arrays


def _nested_schema(columns: dict[Path, Column]) -> pa.Schema:
    import pyarrow as pa

    tree: dict[str, Any] = {}
    for path, column in columns.items():
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = _arrow_type("string" if column.type == "timestamp" else column.type)

    def fields(node: dict[str, Any]) -> list[pa.Field[Any]]:
        return [
            pa.field(name, pa.struct(fields(child)) if isinstance(child, dict) else child)
            for name, child in node.items()
        ]

    return pa.schema(fields(tree))


def _cast(array: pa.Array[Any] | None, column: Column) -> Any:
    """Return the array in the column's type; None when some value takes more care."""
    import pyarrow as pa

    if array is None or column.type != "timestamp":
        return array
    try:
        return array.cast(_arrow_type("timestamp"))
    except pa.ArrowInvalid:
        return None


def _strings(values: list[str | None]) -> Any:
    """Return an array of texts."""
    import pyarrow as pa

    # pyarrow.array would also import pandas where that is installed: a second, and 60 MB.
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


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
