"""Nested rows as columns: the values at each path, in lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.convert import convert
from airflow_provider_catalog.output.paths import FieldPath, dotted

MAX_COLUMNS = 20_000
MAX_DEPTH = 100
"""Objects within each other. What has more columns or more depth is no table, and would take memory without bound."""

Values = list[Any]


@dataclass(frozen=True)
class Block:
    """Some successive rows, flattened."""

    first_row: int
    """The number of the first of them, counted from 1."""
    row_count: int
    columns: dict[FieldPath, Values] = field(repr=False)
    """Path → the values there that are no objects, with ``None`` for rows that have none."""
    types: dict[FieldPath, set[type]]
    """Path → the Python types of these values."""
    objects: set[FieldPath]
    """The paths where objects stand."""

    def converted(self, column: Column) -> Values:
        """Return a column's values as its type has them; the error of one that does not fit names column and row."""
        values = self.columns.get(column.path) or [None] * self.row_count
        return convert(values, column.type, column.name, self.first_row)


def flatten(rows: list[Row], first_row: int = 1) -> Block:
    """Return rows as a block."""
    block = Block(first_row, len(rows), {}, {}, set())
    levels: list[tuple[FieldPath, list[Row]]] = [((), rows)]
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
                block.objects.add(path)
                levels.append((path, [value if type(value) is dict else {} for value in values]))
                types = types - {dict} | {NoneType}
                if types == {NoneType}:
                    continue
                values = [None if type(value) is dict else value for value in values]
            block.columns[path], block.types[path] = values, types
            check_column_count(len(block.columns) + len(levels))
    return block


def leaf_paths(row: Row, parent: FieldPath = ()) -> Iterator[FieldPath]:
    """Yield the paths of a row's values that are no objects."""
    for key, value in row.items():
        if type(value) is dict:
            yield from leaf_paths(value, (*parent, key))
        else:
            yield (*parent, key)


def check_column_count(count: int) -> None:
    """Check that there are not too many columns."""
    if count > MAX_COLUMNS:
        raise CatalogParameterError(
            f"the rows have more than {MAX_COLUMNS:,} columns; name those to keep in fields, leave out the object that "
            "has so many keys with drop_fields, or write JSON Lines"
        )


def _values_of(rows: list[Row], key: str) -> Values:
    try:
        return list(map(itemgetter(key), rows))
    except KeyError:
        return [row.get(key) for row in rows]
