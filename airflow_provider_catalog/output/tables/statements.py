"""The statements of a load, for every database that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

ROW = "_catalog_row"
"""The column of a staging table that numbers the rows, from 1."""
_RANK = "_catalog_rank"


def create_table(dialect: Any, name: str, schema: str | None, columns: Sequence[Any], *prefixes: str) -> str:
    """Return the statement that makes a table; prefixes stand between ``CREATE`` and ``TABLE``."""
    table = sa.Table(name, sa.MetaData(), *columns, schema=schema, prefixes=list(prefixes))
    return str(sa.schema.CreateTable(table).compile(dialect=dialect))


def column_ddl(dialect: Any, column: Any) -> str:
    """Return a column's name and type as ``ALTER TABLE`` has them."""
    sa.Table("t", sa.MetaData(), column)
    return str(sa.schema.CreateColumn(column).compile(dialect=dialect))


def without_earlier(stage: Any, keys: Sequence[str]) -> Any:
    """Return the rows of a staging table, of those that share a key the last."""
    last_first = sa.func.row_number().over(partition_by=[stage.c[key] for key in keys], order_by=stage.c[ROW].desc())
    ranked = sa.select(*stage.columns, last_first.label(_RANK)).subquery("ranked")
    columns = [ranked.c[column.name] for column in stage.columns]
    return sa.select(*columns).where(ranked.c[_RANK] == 1).subquery("last_rows")


def null_key(stage: Any, keys: Sequence[str]) -> Any:
    """Return the query for the first row that has no key."""
    return sa.select(sa.func.min(stage.c[ROW])).where(sa.or_(*(stage.c[key].is_(None) for key in keys)))


def key_count(stage: Any, keys: Sequence[str]) -> Any:
    """Return the query for how many different keys there are."""
    distinct = sa.select(*(stage.c[key] for key in keys)).distinct().subquery("keys")
    return sa.select(sa.func.count()).select_from(distinct)


def differing_rows(stage: Any, keys: Sequence[str], compared: Any) -> Any:
    """Return the query for the numbers of two rows that share a key and differ; see :meth:`Dialect.compared`."""
    others = [compared(column) for column in stage.columns if column.name not in (*keys, ROW)]
    own = [stage.c[key] for key in keys]
    each = sa.select(
        *(column.label(f"k{number}") for number, column in enumerate(own)), sa.func.min(stage.c[ROW]).label("first")
    )
    different = each.group_by(*own, *others).subquery("different")
    shared = [different.c[f"k{number}"] for number in range(len(keys))]
    first, last = sa.func.min(different.c.first), sa.func.max(different.c.first)
    return sa.select(first, last).group_by(*shared).having(sa.func.count() > 1).order_by(first).limit(1)


def update(target: Any, source: Any, keys: Sequence[str], names: Sequence[str]) -> Any:
    """Return the statement that gives rows of known keys their new values."""
    new = {target.c[name]: source.c[name] for name in names if name not in keys}
    return sa.update(target).values(new).where(_same_key(target, source, keys))


def insert(target: Any, source: Any, names: Sequence[str], new_keys: Sequence[str] = ()) -> Any:
    """Return the statement that inserts rows; where there are columns of a key, only those with new keys."""
    rows = sa.select(*(source.c[name] for name in names))
    if new_keys:
        known: Any = sa.select(sa.literal_column("1")).select_from(target).where(_same_key(target, source, new_keys))
        rows = rows.where(~known.exists())
    return sa.insert(target).from_select(list(names), rows)


def _same_key(target: Any, source: Any, keys: Sequence[str]) -> Any:
    return sa.and_(*(target.c[key] == source.c[key] for key in keys))
