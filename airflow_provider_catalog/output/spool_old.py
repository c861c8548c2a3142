"""Rows into flat columns, kept on disk until all of them are known.

Which columns there are, and of what type, is only known after the last row. So rows are spooled a chunk at a time,
column by column, while the kinds of values are noted; then the file is written from the spool.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from operator import eq, itemgetter
from pathlib import Path as FilePath
from typing import Any

import msgspec

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.kinds_old import NULL, Kinds
from airflow_provider_catalog.output.transform import Path, Row, RowTransform, dotted

BATCH_ROWS = 5_000
"""Rows that are converted and written at once,"""
BATCH_CELLS = 500_000
"""or fewer where there are many columns,"""
BATCH_BYTES = 2 * 1024 * 1024
"""or where rows are large, measured in the spool."""

MAX_COLUMNS = 20_000
MAX_DEPTH = 100
"""Objects within each other. What has more columns or more depth is no table, and would take memory without bound."""

Values = list[Any]


@dataclass(frozen=True)
class Column:
    """
    A column of the file.

    :param name: its name: the keys that lead to it, joined with ``_``.
    :param path: where its values stand in a row.
    :param kinds: the kinds of its values.
    :param documented_type: the type that the API's documentation gives it, if any.
    :param wanted_type: the type that ``field_types`` gives it, if any.
    """

    name: str
    path: Path
    kinds: Kinds
    documented_type: str | None
    wanted_type: str | None

    @property
    def type_name(self) -> str:
        """The type it has in Parquet."""
        return self.wanted_type or self.documented_type or self.kinds.type_name()


@dataclass(frozen=True)
class Block:
    """
    Some successive rows as they stand in the spool.

    :param first_row: the number of the first of them, counted from 1.
    :param row_counts: how many rows each line holds.
    :param lines: JSON objects: the number of a column → its values; a column that is missing is all null.
    """

    first_row: int
    row_counts: list[int]
    lines: list[bytes] = field(repr=False)

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return sum(self.row_counts)


@dataclass(frozen=True)
class Batch:
    """
    Some successive rows, decoded.

    :param first_row: the number of the first of them, counted from 1.
    :param row_count: how many there are.
    :param values: the values of each column; a column that is missing is all null.
    """

    first_row: int
    row_count: int
    values: dict[Path, Values] = field(repr=False)

    def column(self, path: Path) -> Values:
        """Return the values of a column, ``None`` where a row has none."""
        return self.values.get(path) or [None] * self.row_count


class ColumnSpool:
    """
    Rows on disk, as flat columns.

    :param folder: where the spool file is made; it has no name there and goes with the process.
    :param endpoint: the endpoint that the rows are of.
    :param transform: what was done to the rows before they come here.
    :param field_types: flattened column → type name.
    """

    def __init__(
        self, folder: FilePath, endpoint: Endpoint, transform: RowTransform, field_types: dict[str, str]
    ) -> None:
        self._transform = transform
        self._documented = {
            path: column.type for column in endpoint.columns if transform.keeps(path := tuple(column.path.split(".")))
        }
        self._field_types = field_types
        self._kinds: dict[Path, Kinds] = {}
        self._objects: set[Path] = set()
        self._row_count = 0
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(dict[int, Values])
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()

    def close(self) -> None:
        """Remove the spool."""
        self._file.close()

    def write(self, rows: list[Row]) -> Batch:
        """
        Add some rows, few enough to be held in memory, and return them as columns.

        :raises CatalogParameterError: when two fields of different paths would share a column, when there are too many
            columns, or objects are nested too deeply.
        """
        columns, objects = _columns_of(rows)
        self._objects |= objects
        is_new = bool(columns.keys() - self._kinds.keys())
        if is_new:
            if len(self._kinds.keys() | columns.keys()) > MAX_COLUMNS:
                raise _too_many_columns()
            # Row by row, so that the order does not depend on how rows were cut into chunks.
            for path in chain.from_iterable(map(_leaf_paths, rows)):
                self._kinds.setdefault(path, Kinds())
        numbered = {}
        for number, (path, kinds) in enumerate(self._kinds.items()):
            if path in columns:
                kinds.add(columns[path])
                numbered[number] = columns[path]
        if is_new:
            # Long before the last row, and anew then: a null may yet turn out to be an object.
            _check_clashes(path for path, kinds in self._kinds.items() if kinds.has_values())
        self._file.write(b"%d\n%b\n" % (len(rows), self._encoder.encode(numbered)))
        self._row_count += len(rows)
        return Batch(self._row_count - len(rows) + 1, len(rows), columns)

    def columns(self) -> list[Column]:
        """
        Return the columns of the file, all rows being written.

        :raises CatalogParameterError: when two fields of different paths would share a column.
        """
        paths = list(dict.fromkeys((*self._documented, *self._kinds, *self._transform.fields)))
        paths = [path for path in paths if path in self._documented or not self._stands_for_others(path)]
        if self._transform.fields:
            paths.sort(key=self._rank)
        # Rows may hold the same column flat (product_id) as is documented nested (product.id).
        filled = {path: _name(path) for path, kinds in self._kinds.items() if kinds.has_values()}
        names = set(filled.values())
        paths = [path for path in paths if path in filled or _name(path) not in names]
        _check_clashes(paths)
        return [self._column(path) for path in paths]

    def blocks(self, column_count: int) -> Iterator[Block]:
        """Yield all rows in order, in blocks that bound memory."""
        max_rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, column_count)))
        block, row_count, size = Block(1, [], []), 0, 0
        self._file.seek(0)
        for head in self._file:
            count, line = int(head), self._file.readline()
            if row_count and (row_count + count > max_rows or size + len(line) > BATCH_BYTES):
                yield block
                block, row_count, size = Block(block.first_row + row_count, [], []), 0, 0
            block.row_counts.append(count)
            block.lines.append(line)
            row_count, size = row_count + count, size + len(line)
        if row_count:
            yield block

    def batches(self, column_count: int) -> Iterator[Batch]:
        """Yield all rows in order, decoded, in batches that bound memory."""
        return map(self.decode, self.blocks(column_count))

    def decode(self, block: Block) -> Batch:
        """Decode a block."""
        paths = list(self._kinds)
        values: dict[Path, Values] = {}
        row_count = 0
        for count, line in zip(block.row_counts, block.lines, strict=True):
            for number, column in self._decoder.decode(line).items():
                earlier = values.setdefault(paths[number], [])
                earlier.extend([None] * (row_count - len(earlier)))
                earlier.extend(column)
            row_count += count
        for column in values.values():
            column.extend([None] * (row_count - len(column)))
        return Batch(block.first_row, row_count, values)

    def keys(self) -> dict[Path, str]:
        """Return under which key of a line the values of each column stand."""
        return {path: str(number) for number, path in enumerate(self._kinds)}

    def _column(self, path: Path) -> Column:
        name = _name(path)
        documented_type = self._documented.get(path)
        if documented_type and self._transform.hashes(path):
            documented_type = "list<string>" if documented_type.startswith("list<") else "string"
        return Column(name, path, self._kinds.get(path, Kinds()), documented_type, self._field_types.get(name))

    def _stands_for_others(self, path: Path) -> bool:
        """Tell whether a path without values is that of an object, or of a field within a list."""
        if path in self._kinds and self._kinds[path].has_values():
            return False
        parents = (path[:length] for length in range(1, len(path)))
        return (
            path in self._objects
            or any(documented[: len(path)] == path for documented in self._documented)
            or any(list in self._kinds[parent].types for parent in parents if parent in self._kinds)
        )

    def _rank(self, path: Path) -> int:
        fields = self._transform.fields
        ranks = (rank for rank, field in enumerate(fields) if all(map(eq, field, path)))
        return next(ranks, len(fields))


def _columns_of(rows: list[Row]) -> tuple[dict[Path, Values], set[Path]]:
    """Return the values of each column of some rows, and the paths where objects stand."""
    columns: dict[Path, Values] = {}
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
                values = [None if type(value) is dict else value for value in values]
            if types - {dict, NULL} or types == {NULL}:
                columns[path] = values
            if len(columns) + len(levels) > MAX_COLUMNS:
                raise _too_many_columns()
    return columns, objects


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


def _leaf_paths(row: Row, parent: Path = ()) -> Iterator[Path]:
    for key, value in row.items():
        if type(value) is dict:
            yield from _leaf_paths(value, (*parent, key))
        else:
            yield (*parent, key)


def _name(path: Path) -> str:
    return "_".join(path)


def _check_clashes(paths: Iterable[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(_name(path), path)
        if other != path:
            raise CatalogParameterError(
                f"the fields {shown(dotted(other))} and {shown(dotted(path))} would both be the column "
                f"{shown(_name(path))}; leave one of them out, for example drop_fields=[{shown(dotted(path))}], or "
                "choose with fields"
            )
