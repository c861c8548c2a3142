"""Rows on disk as JSON Lines, until all are there and their columns are known: files and tables are made from it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import eq, itemgetter
from pathlib import Path as FilePath
from types import TracebackType
from typing import Any, Self

import msgspec

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.columns import Column, check_clashes, column_name, suggested_type
from airflow_provider_catalog.output.convert import convert
from airflow_provider_catalog.output.kinds import NULL, Kinds
from airflow_provider_catalog.output.temporary import spool_file
from airflow_provider_catalog.output.transform import Path, Row, RowTransform, dotted

BATCH_ROWS = 5_000
"""Rows that are converted and written at once,"""
BATCH_CELLS = 500_000
"""or fewer where there are many columns,"""
BATCH_BYTES = 2 * 1024 * 1024
"""or where rows are large, measured as JSON."""

MAX_COLUMNS = 20_000
MAX_DEPTH = 100
"""Objects within each other. What has more columns or more depth is no table, and would take memory without bound."""

Values = list[Any]
_DECODER = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Batch:
    """
    The converted values of some successive rows.

    :param first_row: the number of the first of them, counted from 1.
    :param values: a list for each column: ``str``, ``bool``, ``int``, ``float``, ``Decimal``, ``datetime`` in UTC,
        ``date``, a list of ``str``, or ``None``.
    """

    first_row: int
    values: list[Values] = field(repr=False)


class Block:
    """
    Some successive rows as they stand in the spool.

    :param first_row: the number of the first of them, counted from 1.
    :param row_count: how many there are.
    :param lines: JSON Lines.
    :param rows: the same rows, where they are at hand.
    """

    def __init__(self, first_row: int, row_count: int, lines: bytes, rows: list[Row] | None = None) -> None:
        self.first_row = first_row
        self.row_count = row_count
        self.lines = lines
        self._rows = rows

    @property
    def rows(self) -> list[Row]:
        """The rows, decoded."""
        if self._rows is None:
            self._rows = _DECODER.decode_lines(self.lines)
        return self._rows

    @classmethod
    def joined(cls, blocks: list[Block]) -> Block:
        """Return successive blocks as one."""
        rows = list(chain.from_iterable(block.rows for block in blocks))
        return cls(blocks[0].first_row, len(rows), b"".join(block.lines for block in blocks), rows)


class RowSpool:
    """
    Rows on disk, in a file without a name; a context manager that removes it.

    While rows are written, the kinds of their values are noted, field by field.

    :param folder: where the file is made.
    :ivar row_count: how many rows there are.
    :ivar kinds: the kinds of the values at each path.
    :ivar revision: changes whenever other columns, or other types, may follow from the kinds.
    :raises OSError: from all methods, when the disk is full.
    """

    def __init__(self, folder: FilePath) -> None:
        self.row_count = 0
        self.kinds: dict[Path, Kinds] = {}
        self.revision = 0
        self._objects: set[Path] = set()
        self._encoder = msgspec.json.Encoder()
        self._file = spool_file(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def write(self, rows: list[Row]) -> Block:
        """
        Add some rows, few enough to be held in memory.

        :returns: the same rows as they stand in the spool.
        :raises CatalogParameterError: when two fields of different paths would share a column, when there are too many
            columns, or objects are nested too deeply.
        """
        self.note(rows)
        block = Block(self.row_count + 1, len(rows), self._encoder.encode_lines(rows), rows)
        self._file.write(block.lines)
        self.row_count += len(rows)
        return block

    def note(self, rows: list[Row]) -> None:
        """
        Take account of the kinds of rows' values, without adding the rows.

        :raises CatalogParameterError: as :meth:`write` does.
        """
        columns, objects = _columns_of(rows)
        if not objects <= self._objects:
            self._objects |= objects
            self.revision += 1
        is_new = bool(columns.keys() - self.kinds.keys())
        if is_new:
            if len(self.kinds.keys() | columns.keys()) > MAX_COLUMNS:
                raise _too_many_columns()
            # Row by row, so that the order does not depend on how rows were cut into chunks.
            for path in chain.from_iterable(map(_leaf_paths, rows)):
                if path not in self.kinds:
                    self.kinds[path] = Kinds(suggested_type(path))
        for path, (values, types) in columns.items():
            self.revision += self.kinds[path].add(values, types)
        if is_new:
            # Long before the last row, and anew then: a null may yet turn out to be an object.
            check_clashes(path for path, kinds in self.kinds.items() if kinds.has_values)

    def columns(
        self,
        endpoint: Endpoint,
        transform: RowTransform,
        field_types: Mapping[str, str] | None = None,
        known: Mapping[str, str] | None = None,
        *,
        null_type: str | None = None,
    ) -> list[Column]:
        """
        Return the columns of the rows, with their types.

        What tells a column's type, the first that does: ``known``, ``field_types``, the API's documentation, its name
        and the kind of its values. A column that is documented or in ``field_types`` is there even if no row has it.

        :param endpoint: the endpoint that the rows are of.
        :param transform: what was done to the rows.
        :param field_types: column or dotted path → type.
        :param known: column → type, as earlier files or a database table have it; it adds no columns.
        :param null_type: the type of columns that are null in every row and that nothing tells the type of; without it
            they are left out, and :meth:`null_columns` returns them.
        :raises CatalogParameterError: when two fields of different paths would share a column.
        """
        typed = self._typed(endpoint, transform, field_types or {}, known or {})
        columns = ((path, type_name or null_type) for path, type_name in typed.items())
        return [Column(column_name(path), path, type_name) for path, type_name in columns if type_name]

    def null_columns(
        self,
        endpoint: Endpoint,
        transform: RowTransform,
        field_types: Mapping[str, str] | None = None,
        known: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the names of the columns that are null in every row that has them, and of no known type."""
        typed = self._typed(endpoint, transform, field_types or {}, known or {})
        return [column_name(path) for path, type_name in typed.items() if type_name is None and path in self.kinds]

    def blocks(self, column_count: int) -> Iterator[Block]:
        """Yield all rows in order, in blocks that bound memory."""
        max_rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, column_count)))
        first_row, size = 1, 0
        lines: list[bytes] = []
        self._file.seek(0)
        for line in self._file:
            if lines and (len(lines) >= max_rows or size + len(line) > BATCH_BYTES):
                yield Block(first_row, len(lines), b"".join(lines))
                first_row, lines, size = first_row + len(lines), [], 0
            lines.append(line)
            size += len(line)
        if lines:
            yield Block(first_row, len(lines), b"".join(lines))
        self._file.seek(0, os.SEEK_END)

    def batches(self, columns: list[Column]) -> Iterator[Batch]:
        """
        Yield all rows in order, converted, in batches that bound memory.

        :param columns: the columns to convert, as :meth:`columns` returns them, or fewer.
        :raises CatalogParameterError: when a value does not fit its column's type; it names column and row, and how to
            pin the type, never the value.
        """
        for block in self.blocks(len(columns)):
            yield Batch(block.first_row, [self.converted(block, column) for column in columns])

    def converted(self, block: Block, column: Column) -> Values:
        """
        Return a column's values in some rows, converted.

        :raises CatalogParameterError: when a value does not fit the column's type.
        """
        kinds = self.kinds.get(column.path)
        if kinds is None or kinds.is_null:
            return [None] * block.row_count
        values = self._values(block.rows, column.path)
        if kinds.are_plain(column.type):
            return values
        return convert(values, column.type, column.name, block.first_row)

    def holds_objects(self, path: Path) -> bool:
        """Tell whether some row has an object at a path."""
        return path in self._objects

    def _values(self, rows: list[Row], path: Path) -> Values:
        for key in path[:-1]:
            rows = [child if type(child := row.get(key)) is dict else {} for row in rows]
        values = [row.get(path[-1]) for row in rows]
        return _without_objects(values) if path in self._objects else values

    def _typed(
        self, endpoint: Endpoint, transform: RowTransform, field_types: Mapping[str, str], known: Mapping[str, str]
    ) -> dict[Path, str | None]:
        """Return the path of each column and its type; ``None`` where that can't be told."""
        documented = {
            path: column.type for column in endpoint.columns if transform.keeps(path := tuple(column.path.split(".")))
        }
        paths = list(dict.fromkeys((*documented, *self.kinds, *transform.fields)))
        names = set(map(column_name, paths))
        pinned = {name if name in names else name.replace(".", "_"): name for name in field_types}
        paths += [
            path for name, key in pinned.items() if name not in names and transform.keeps(path := tuple(key.split(".")))
        ]
        if transform.fields:
            paths.sort(key=lambda path: _rank(path, transform.fields))
        # Rows may hold the same column flat (product_id) as is documented nested (product.id).
        filled = {path: column_name(path) for path, kinds in self.kinds.items() if kinds.has_values}
        names = set(filled.values())
        typed: dict[Path, str | None] = {}
        for path in paths:
            name = column_name(path)
            if path not in filled and name in names:
                continue
            kinds = self.kinds.get(path)
            typed[path] = (
                known.get(name)
                or field_types.get(pinned.get(name, name), "").replace(" ", "")
                or _hashed(documented.get(path), transform.hashes(path))
                or (kinds.type_name() if kinds and kinds.has_values else None)
            )
        told = {column_name(path) for path, type_name in typed.items() if type_name} | known.keys()
        parents = {name[:end] for name in told for end, letter in enumerate(name) if letter == "_"}
        typed = {
            path: type_name
            for path, type_name in typed.items()
            if type_name or not (column_name(path) in parents or self._stands_for_others(path))
        }
        check_clashes(typed)
        return typed

    def _stands_for_others(self, path: Path) -> bool:
        """Tell whether a path that is null everywhere is that of an object, or of a field within a list."""
        parents = (path[:length] for length in range(1, len(path)))
        return path in self._objects or any(
            list in self.kinds[parent].types for parent in parents if parent in self.kinds
        )


def _columns_of(rows: list[Row]) -> tuple[dict[Path, tuple[Values, set[type]]], set[Path]]:
    """Return the values of each column of some rows, and their types; and the paths where objects stand."""
    columns: dict[Path, tuple[Values, set[type]]] = {}
    objects: set[Path] = set()
    levels: list[tuple[Path, list[Row]]] = [((), rows)]
    while levels:
        parent, level = levels.pop()
        if len(parent) > MAX_DEPTH:
            raise CatalogParameterError(
                f"the field {shown(dotted(parent[:3]))} has more than {MAX_DEPTH} objects within each other, too many "
                f"for columns; leave it out with drop_fields, or write JSON Lines"
            )
        for key in dict.fromkeys(chain.from_iterable(level)):
            path = (*parent, key)
            values = _values_of(level, key)
            types = set(map(type, values))
            if dict in types:
                objects.add(path)
                levels.append((path, [value if type(value) is dict else {} for value in values]))
                values = _without_objects(values)
                types = {NULL, *types} - {dict}
                if types == {NULL}:
                    continue
            columns[path] = (values, types)
            if len(columns) + len(levels) > MAX_COLUMNS:
                raise _too_many_columns()
    return columns, objects


def _hashed(documented_type: str | None, is_hashed: bool) -> str | None:
    if not is_hashed:
        return documented_type
    return "list<string>" if documented_type == "list<string>" else "string"


def _too_many_columns() -> CatalogParameterError:
    return CatalogParameterError(
        f"the rows have more than {MAX_COLUMNS:,} columns; name those to keep in fields, leave out the object that has "
        "so many keys with drop_fields, or write JSON Lines"
    )


def _values_of(rows: list[Row], key: str) -> Values:
    try:
        return list(map(itemgetter(key), rows))
    except KeyError:
        return [row.get(key) for row in rows]


def _without_objects(values: Values) -> Values:
    return [None if type(value) is dict else value for value in values]


def _leaf_paths(row: Row, parent: Path = ()) -> Iterator[Path]:
    for key, value in row.items():
        if type(value) is dict:
            yield from _leaf_paths(value, (*parent, key))
        else:
            yield (*parent, key)


def _rank(path: Path, fields: tuple[Path, ...]) -> int:
    ranks = (rank for rank, field in enumerate(fields) if all(map(eq, field, path)))
    return next(ranks, len(fields))
