"""What a load is to do, and into which columns."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.convert import convert
from airflow_provider_catalog.output.spool import RowSpool
from airflow_provider_catalog.output.tables.dialect import Dialect
from airflow_provider_catalog.output.tables.types import known_type, new_type, takes
from airflow_provider_catalog.output.transform import RowTransform

log = logging.getLogger(__name__)

LOADED_AT, LOAD_ID = "_loaded_at", "_load_id"

Existing = dict[str, Any]
"""Column → what SQLAlchemy's inspector tells of it."""


@dataclass(frozen=True)
class TablePlan:
    """
    What a load is to do.

    :param endpoint: the endpoint that the rows are of.
    :param transform: what is done to the rows.
    :param schema: the table's schema; the connection's own where ``None``.
    :param table: the table's name.
    :param write_disposition: ``"replace"``, ``"append"`` or ``"merge"``.
    :param primary_key: the columns that tell rows apart.
    :param on_duplicate_key: ``"fail"`` or ``"last"``.
    :param partition: column → value, of every row.
    :param on_new_columns: ``"add"``, ``"ignore"`` or ``"fail"``.
    :param field_types: column → type.
    :param load_id: what tells the loads of different tasks apart; ``None`` where no load columns are wanted.
    :param try_number: of the task.
    """

    endpoint: Endpoint
    transform: RowTransform
    schema: str | None
    table: str
    write_disposition: str
    primary_key: tuple[str, ...] = ()
    on_duplicate_key: str = "fail"
    partition: Mapping[str, Any] = field(default_factory=dict)
    on_new_columns: str = "add"
    field_types: Mapping[str, str] = field(default_factory=dict)
    load_id: str | None = None
    try_number: int = 1

    @property
    def name(self) -> str:
        """The table's name, with its schema where it has one."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def load_ids(self, tries: range) -> list[str]:
        """Return what the column ``_load_id`` has for tries of the task."""
        return [f"{self.load_id}#{number}" for number in tries]

    def constants(self, loaded_at: str) -> dict[str, Any]:
        """Return the columns that every row gets, and their values."""
        if self.load_id is None:
            return dict(self.partition)
        return {**self.partition, LOADED_AT: loaded_at, LOAD_ID: f"{self.load_id}#{self.try_number}"}


@dataclass(frozen=True)
class Target:
    """
    A column that is loaded.

    :param name: its name in the table.
    :param type: its SQLAlchemy type.
    :param type_name: the type of the values that go there, as ``field_types`` names it.
    :param is_new: whether the table has not got it yet.
    :param source: the column of the spool; ``None`` where every row has the same value.
    :param value: that value.
    """

    name: str
    type: Any
    type_name: str
    is_new: bool
    source: Column | None = None
    value: Any = field(default=None, repr=False)


def existing_columns(dialect: Dialect) -> Existing:
    """Return the table's columns; none where there is no such table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types that it does not know
        try:
            columns = sa.inspect(dialect.connection).get_columns(dialect.table, dialect.schema)
        except sa.exc.NoSuchTableError:
            return {}
    return {dialect.reflected(column["name"]): column for column in columns}


def targets(plan: TablePlan, dialect: Dialect, spool: RowSpool, existing: Existing, loaded_at: str) -> list[Target]:
    """
    Return the columns to load.

    :param plan: what the load is to do.
    :param dialect: of the database.
    :param spool: the rows.
    :param existing: the table's columns.
    :param loaded_at: when this load began.
    :raises CatalogParameterError: when rows and table don't fit together.
    """
    own = constants(plan, dialect, existing, loaded_at)
    sources = _sources(plan, dialect, spool, existing)
    if not sources:
        raise CatalogParameterError("drop fewer fields: no field of the rows is left to be a column")
    found = {name: _of_rows(plan, name, source, existing) for name, source in sources.items()}
    for target in own:
        if target.name in found:
            raise CatalogParameterError(
                f"leave the field out with drop_fields: the rows have a column {target.name!r} of their own"
            )
        found[target.name] = target
    found = {name: target for name, target in found.items() if _is_loaded(plan, target, existing)}
    _check_new(plan, found, existing)
    _check_key(plan, found, existing, dialect)
    return list(found.values())


def constants(plan: TablePlan, dialect: Dialect, existing: Existing, loaded_at: str) -> list[Target]:
    """Return the columns that have the same value in every row: the partition's, and those of the load."""
    values = plan.constants(loaded_at)
    return [_constant(plan, table_name(name, existing, dialect), value, existing) for name, value in values.items()]


def table_name(name: str, existing: Existing, dialect: Dialect) -> str:
    """
    Return what a column is called in the table: whatever the case, where only one matches.

    A name that is too long for the database ends in a hash of it, the same each time.
    """
    if name in existing:
        return name
    content = name.encode()
    if len(content) > dialect.name_bytes:
        digest = hashlib.blake2b(content, digest_size=4).hexdigest()
        name = f"{content[: dialect.name_bytes - 9].decode(errors='ignore')}_{digest}"
    alike = [column for column in existing if column.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else name


def check_existing(plan: TablePlan, dialect: Dialect, existing: Existing) -> list[str]:
    """
    Check what is known before there are rows against the table's columns; return which of them are sure to be loaded.

    :raises CatalogParameterError: when the table has no column of the key, or one of another type.
    """
    if missing := [key for key in plan.primary_key if table_name(key, existing, dialect) not in existing]:
        raise CatalogParameterError(
            f"correct primary_key, or add the column: the table {plan.name!r} has no {', '.join(map(repr, missing))}"
        )
    for raw, kind in plan.field_types.items():
        column = existing.get(table_name(raw.replace(".", "_"), existing, dialect))
        if column and not takes(column["type"], kind):
            raise CatalogParameterError(
                f"alter the column {column['name']!r} of {plan.name!r}, or change its type in field_types or "
                f"hash_fields: it is to hold {kind!r}, and is {column['type']}"
            )
    documented = [column.path.replace(".", "_") for column in plan.endpoint.columns]
    sure = (*plan.primary_key, *plan.constants(""), *documented, *_required(existing))
    names = [table_name(name, existing, dialect) for name in sure]
    writable = [
        name
        for name, column in existing.items()
        if not (column.get("computed") or (column.get("identity") or {}).get("always"))
    ]
    return [name for name in dict.fromkeys((*names, *writable[:1])) if name in writable]


def _sources(plan: TablePlan, dialect: Dialect, spool: RowSpool, existing: Existing) -> dict[str, Column]:
    """Return the columns of the rows by what they are called in the table."""
    pinned = {name: kind for name, kind in plan.field_types.items() if name not in plan.constants("")}
    every = spool.columns(plan.endpoint, plan.transform, pinned)
    names = {column.name: table_name(column.name, existing, dialect) for column in every}
    known = {raw: known_type(existing[name]["type"]) for raw, name in names.items() if name in existing}
    columns = spool.columns(plan.endpoint, plan.transform, pinned, known)
    if unknown := [column.name for column in columns if not column.type and column.path in spool.kinds]:
        log.warning(
            "Left out, since they are null in every row: %s. To have them in the table, name a type in field_types",
            ", ".join(map(repr, unknown)),
        )
    sources: dict[str, Column] = {}
    for column in filter(attrgetter("type"), columns):
        name = names[column.name]
        if name in sources:
            raise CatalogParameterError(
                f"leave one out with drop_fields: {column.name!r} and {sources[name].name!r} are one column, {name!r}"
            )
        sources[name] = column
    return sources


def _of_rows(plan: TablePlan, name: str, source: Column, existing: Existing) -> Target:
    if name in existing:
        kind = existing[name]["type"]
        is_array = isinstance(kind, postgresql.ARRAY)
    else:
        is_key = source.name in plan.primary_key
        kind, is_array = new_type(source.type, len(plan.primary_key) if is_key else 0), False
    if source.type == "list<string>" and not is_array:
        source = replace(source, type="string")  # JSON
    return Target(name, kind, source.type, name not in existing, source)


def _constant(plan: TablePlan, name: str, value: Any, existing: Existing) -> Target:
    kinds = {bool: "bool", int: "int64", float: "float64"}
    type_name = "timestamp" if name == LOADED_AT else plan.field_types.get(name, kinds.get(type(value), "string"))
    if name in existing:
        type_name = known_type(existing[name]["type"])
    text = value.isoformat() if isinstance(value, date) else value
    try:
        value = convert([text], type_name, name, 1)[0]
    except CatalogParameterError:
        raise CatalogParameterError(
            f"correct partition={{{name!r}: …}}, or the column's type: {value!r} is no {type_name}"
        ) from None
    is_key = name in plan.primary_key
    kind = existing[name]["type"] if name in existing else new_type(type_name, len(plan.primary_key) if is_key else 0)
    return Target(name, kind, type_name, name not in existing, None, value)


def _is_loaded(plan: TablePlan, target: Target, existing: Existing) -> bool:
    column = existing.get(target.name)
    if column is None:
        return not existing or plan.on_new_columns != "ignore"
    if (column.get("identity") or {}).get("always"):
        raise CatalogParameterError(
            f"leave the field out with drop_fields, or make the column GENERATED BY DEFAULT: {target.name!r} is "
            "GENERATED ALWAYS AS IDENTITY, and takes no value"
        )
    return not column.get("computed")


def _required(existing: Existing) -> list[str]:
    """Return the columns that have to get a value."""
    return [
        name
        for name, column in existing.items()
        if not (column["nullable"] or column.get("default") or column.get("identity") or column.get("computed"))
        and column.get("autoincrement") is not True
    ]


def _check_new(plan: TablePlan, found: dict[str, Target], existing: Existing) -> None:
    new = [name for name, target in found.items() if target.is_new]
    if existing and new and plan.on_new_columns == "fail":
        raise CatalogParameterError(
            f"add them to the table, or set on_new_columns='add' (load_columns=False for {LOADED_AT} and {LOAD_ID}): "
            f"{plan.name!r} has no {', '.join(map(repr, new))}"
        )
    if unfilled := [name for name in _required(existing) if name not in found]:
        raise CatalogParameterError(
            f"give them a default, or let them be null: the rows have nothing for {', '.join(map(repr, unfilled))}, "
            f"which the table {plan.name!r} has as NOT NULL"
        )


def _check_key(plan: TablePlan, found: dict[str, Target], existing: Existing, dialect: Dialect) -> None:
    missing = [key for key in plan.primary_key if table_name(key, existing, dialect) not in found]
    if missing:
        raise CatalogParameterError(
            f"correct primary_key: no column is called {', '.join(map(repr, missing))}; there are {', '.join(found)}"
        )
