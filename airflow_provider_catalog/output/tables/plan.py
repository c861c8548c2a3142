"""What a load is to do, and which columns of the table it fills."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.convert import convert
from airflow_provider_catalog.output.spool import RowSpool
from airflow_provider_catalog.output.tables.dialects import Dialect
from airflow_provider_catalog.output.tables.types import known_type, new_type, takes
from airflow_provider_catalog.output.transform import RowTransform

log = logging.getLogger(__name__)

LOADED_AT, LOAD_ID = "_loaded_at", "_load_id"


@dataclass(frozen=True)
class TablePlan:
    """What a load is to do; its names are those of the operator's parameters."""

    endpoint: Endpoint
    transform: RowTransform
    schema: str | None
    """The connection's own where ``None``."""
    table: str
    write_disposition: str
    primary_key: tuple[str, ...] = ()
    on_duplicate_key: str = "fail"
    partition: Mapping[str, Any] = field(default_factory=dict)
    on_new_columns: str = "add"
    field_types: Mapping[str, str] = field(default_factory=dict)
    load_id: str | None = None
    """What tells the loads of different tasks apart; ``None`` where no load columns are wanted."""
    try_number: int = 1

    @property
    def name(self) -> str:
        """The table's name, with its schema where it has one."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def load_ids(self, tries: range) -> list[str]:
        """Return what the column ``_load_id`` has for tries of the task."""
        return [f"{self.load_id}#{number}" for number in tries]


@dataclass(frozen=True)
class LoadColumn:
    """A column that is loaded: from a column of the rows, or with one value for all of them."""

    name: str
    type: Any
    type_name: str
    """The type of the values that go there, as ``field_types`` names it."""
    is_new: bool
    source: Column | None = None
    value: Any = field(default=None, repr=False)


class Table:
    """The table as the database has it, and the columns that the load fills."""

    def __init__(self, plan: TablePlan, dialect: Dialect) -> None:
        self.plan = plan
        self.dialect = dialect
        self.existing = _existing_columns(dialect)
        """Column → what SQLAlchemy's inspector tells of it; nothing where there is no such table."""
        self.keys = list(map(self.name_of, plan.primary_key))
        self.columns: list[LoadColumn] = []
        """The columns to load, once :meth:`choose_certain` or :meth:`choose` has chosen them."""
        self._constants = dict(plan.partition)
        """The columns that every row gets, and their values."""
        if plan.load_id is not None:
            self._constants[LOADED_AT] = datetime.now(UTC)
            [self._constants[LOAD_ID]] = plan.load_ids(range(plan.try_number, plan.try_number + 1))

    def name_of(self, name: str) -> str:
        """Return what a column is called in the table: whatever the case; shortened, with a hash, where it is long."""
        if name in self.existing:
            return name
        content, limit = name.encode(), self.dialect.name_bytes
        if len(content) > limit:
            digest = hashlib.blake2b(content, digest_size=4).hexdigest()
            name = f"{content[: limit - 9].decode(errors='ignore')}_{digest}"
        alike = [column for column in self.existing if column.casefold() == name.casefold()]
        return alike[0] if len(alike) == 1 else name

    def choose_certain(self) -> None:
        """Choose the columns that are sure to be loaded, and check them before there are rows."""
        plan = self.plan
        if not self.existing:
            names = dict.fromkeys((*plan.primary_key, *plan.partition, LOAD_ID))
            self.columns = [LoadColumn(name, new_type("string", 1), "", is_new=True) for name in names]
            return
        if missing := [key for key in plan.primary_key if self.name_of(key) not in self.existing]:
            raise CatalogParameterError(
                f"correct primary_key, or add the column: the table {plan.name!r} has no {_listed(missing)}"
            )
        for raw, kind in plan.field_types.items():
            column = self.existing.get(self.name_of(raw.replace(".", "_")))
            if column and not takes(column["type"], kind):
                raise CatalogParameterError(
                    f"alter the column {column['name']!r} of {plan.name!r}, or change its type in field_types or "
                    f"hash_fields: it is to hold {kind!r}, and is {column['type']}"
                )
        documented = [path.replace(".", "_") for path in plan.endpoint.columns]
        certain = map(self.name_of, (*plan.primary_key, *self._constants, *documented, *self._required()))
        writable = {
            name: column["type"]
            for name, column in self.existing.items()
            if not (column.get("computed") or (column.get("identity") or {}).get("always"))
        }
        names = dict.fromkeys((*certain, *list(writable)[:1]))
        self.columns = [LoadColumn(name, writable[name], "", is_new=False) for name in names if name in writable]

    def choose(self, spool: RowSpool) -> None:
        """Choose the columns to load."""
        targets = self._of_rows(spool)
        if not targets:
            raise CatalogParameterError("drop fewer fields: no field of the rows is left to be a column")
        for target in self.constants():
            if target.name in targets:
                raise CatalogParameterError(
                    f"leave the field out with drop_fields: the rows have a column {target.name!r} of their own"
                )
            targets[target.name] = target
        self.columns = list(filter(self._is_loaded, targets.values()))
        self._check()

    def constants(self) -> list[LoadColumn]:
        """Return the columns that have the same value in every row: the partition's, and those of the load."""
        return [self._constant(self.name_of(name), value) for name, value in self._constants.items()]

    def _of_rows(self, spool: RowSpool) -> dict[str, LoadColumn]:
        """Return the columns of the rows by what they are called in the table."""
        plan = self.plan
        pinned = {name: kind for name, kind in plan.field_types.items() if name not in self._constants}
        every = spool.columns(plan.endpoint, plan.transform, pinned, {})
        names = {column.name: self.name_of(column.name) for column in every}
        known = {
            raw: known_type(self.existing[name]["type"])
            for raw, name in names.items()
            if name in self.existing and not self._is_untyped(name)
        }
        columns = spool.columns(plan.endpoint, plan.transform, pinned, known)
        if unknown := [column.name for column in columns if not column.type and column.path in spool.kinds]:
            log.warning(
                "Left out, since they are null in every row: %s. To have them in the table, name a type in field_types",
                _listed(unknown),
            )
        targets: dict[str, LoadColumn] = {}
        for column in filter(attrgetter("type"), columns):
            name = names[column.name]
            if name in targets:
                both = " and ".join(repr(raw) for raw, each in names.items() if each == name)
                raise CatalogParameterError(f"leave one out with drop_fields: {both} are one column, {name!r}")
            target = self._target(name, column.type, source=column)
            if target.is_new and column.type == "list<string>":  # JSON: only what is there may be an array
                target = replace(target, type_name="string", source=replace(column, type="string"))
            targets[name] = target
        return targets

    def _is_untyped(self, name: str) -> bool:
        return self.dialect.has_untyped_columns and isinstance(self.existing[name]["type"], sa.types.NullType)

    def _constant(self, name: str, value: Any) -> LoadColumn:
        kinds = {bool: "bool", int: "int64", float: "float64"}
        if name in self.existing:
            type_name = known_type(self.existing[name]["type"])
        elif name == LOADED_AT:
            type_name = "timestamp"
        else:
            type_name = self.plan.field_types.get(name, kinds.get(type(value), "string"))
        try:
            [value] = convert([value.isoformat() if isinstance(value, date) else value], type_name, name, 1)
        except CatalogParameterError:
            raise CatalogParameterError(
                f"correct partition={{{name!r}: …}}, or the column's type: {value!r} is no {type_name}"
            ) from None
        return self._target(name, type_name, value=value)

    def _target(self, name: str, type_name: str, *, source: Column | None = None, value: Any = None) -> LoadColumn:
        is_new = name not in self.existing
        text_keys = len(self.keys) if name in self.keys else 0
        kind = new_type(type_name, text_keys) if is_new else self.existing[name]["type"]
        return LoadColumn(name, kind, type_name, is_new, source, value)

    def _is_loaded(self, target: LoadColumn) -> bool:
        if target.is_new:
            return not self.existing or self.plan.on_new_columns != "ignore"
        column = self.existing[target.name]
        if (column.get("identity") or {}).get("always"):
            raise CatalogParameterError(
                f"leave the field out with drop_fields, or make the column GENERATED BY DEFAULT: {target.name!r} is "
                "GENERATED ALWAYS AS IDENTITY, and takes no value"
            )
        return not column.get("computed")

    def _required(self) -> list[str]:
        """Return the columns that have to get a value."""
        return [
            name
            for name, column in self.existing.items()
            if not (column["nullable"] or column.get("default") or column.get("identity") or column.get("computed"))
            and column.get("autoincrement") is not True
        ]

    def _check(self) -> None:
        plan, names = self.plan, [target.name for target in self.columns]
        new = [target.name for target in self.columns if target.is_new]
        if self.existing and new and plan.on_new_columns == "fail":
            raise CatalogParameterError(
                f"add them to the table, or set on_new_columns='add' (load_columns=False for {LOADED_AT} and "
                f"{LOAD_ID}): {plan.name!r} has no {_listed(new)}"
            )
        if unfilled := [name for name in self._required() if name not in names]:
            raise CatalogParameterError(
                f"give them a default, or let them be null: the rows have nothing for {_listed(unfilled)}, which the "
                f"table {plan.name!r} has as NOT NULL"
            )
        if missing := [key for key in plan.primary_key if self.name_of(key) not in names]:
            raise CatalogParameterError(
                f"correct primary_key: no column is called {_listed(missing)}; there are {', '.join(names)}"
            )


def _existing_columns(dialect: Dialect) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types that it does not know
        try:
            columns = sa.inspect(dialect.connection).get_columns(dialect.table, dialect.schema)
        except sa.exc.NoSuchTableError:
            return {}
    return {dialect.reflected(column["name"]): column for column in columns}


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
