"""Loads the rows of a spool into a table: under one lock, in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any

import sqlalchemy as sa

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.convert import to_timestamp
from airflow_provider_catalog.output.spool import RowSpool
from airflow_provider_catalog.output.tables.database import Database
from airflow_provider_catalog.output.tables.dialect import Dialect
from airflow_provider_catalog.output.tables.errors import Doing, database_errors
from airflow_provider_catalog.output.tables.plan import (
    LOAD_ID,
    LOADED_AT,
    Existing,
    TablePlan,
    Target,
    check_existing,
    constants,
    existing_columns,
    table_name,
    targets,
)
from airflow_provider_catalog.output.tables.statements import (
    ROW,
    column_ddl,
    create_table,
    differing_rows,
    insert,
    key_count,
    null_key,
    update,
    without_earlier,
)
from airflow_provider_catalog.output.tables.types import check_fit, new_type

log = logging.getLogger(__name__)

LOAD_PAUSE, LOAD_PATIENCE = 2.0, 3600.0
"""Seconds between two looks whether another load of the table has ended, and until the wait is given up."""
MOST_TRIES = 100
"""How many later tries of a task are looked for."""


@dataclass(frozen=True)
class Loaded:
    """
    What a load has done.

    :param uri: the table's, as assets and OpenLineage name it.
    :param row_count: rows that were read.
    :param inserted: rows that were new to the table.
    :param updated: rows that were there and got new values.
    :param deleted: rows that were removed.
    :param columns: column → its type in the database.
    :param columns_added: the names of those that the table did not have.
    """

    uri: str
    row_count: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    columns_added: list[str] = field(default_factory=list)


class TableLoad:
    """
    A load of one table.

    :param database: where the table is.
    :param plan: what the load is to do.
    """

    def __init__(self, database: Database, plan: TablePlan) -> None:
        self._database = database
        self._plan = plan
        self._started_at = datetime.now(UTC)
        self.known_columns: list[str] = []
        """The table's columns, once :meth:`check` has looked."""
        self._doing = Doing(f"table={plan.name!r}, sql_conn_id={database.conn_id!r}", self._table_grant)

    def check(self) -> None:
        """
        Check, before there are rows, that the database can be reached and the load may do what it has to.

        :raises CatalogParameterError: when the table is not as the load needs it.
        :raises CatalogStorageError: when the database can't be reached, or refuses.
        """
        plan = self._plan
        with self._connected() as dialect:
            is_free = dialect.begin()
            schemas = [schema.casefold() for schema in sa.inspect(dialect.connection).get_schema_names()]
            if plan.schema and plan.schema.casefold() not in schemas:
                raise CatalogParameterError(
                    f"create the schema with CREATE SCHEMA {plan.schema}, or correct table={plan.name!r}: it is not in "
                    f"the database of sql_conn_id={self._database.conn_id!r}"
                )
            dialect.check(deletes=plan.write_disposition == "replace")
            if is_free:
                self._try_rights(dialect)

    def load(self, spool: RowSpool) -> Loaded:
        """
        Load the rows, all or none.

        :raises CatalogParameterError: when a row does not fit the table, or a key is null or not unique.
        :raises CatalogStorageError: when the database fails or refuses.
        """
        with self._connected() as dialect:
            self._wait_for_lock(dialect)
            existing = existing_columns(dialect)
            self._refuse_late_try(dialect, existing)
            loaded_at = datetime.now(UTC).isoformat()
            columns = targets(self._plan, dialect, spool, existing, loaded_at) if spool.row_count else []
            if not (columns or existing):
                # Without rows there are no columns, nothing that a table could be made of.
                return Loaded(self._database.uri(dialect), 0)
            stage = self._stage(dialect, columns, existing) if columns else None
            if stage is not None:
                types = [*(each.type_name for each in columns), "int64"]
                dialect.fill(stage, types, self._batches(dialect, columns, spool))
            loaded = self._change(dialect, stage, columns, existing, spool.row_count)
            dialect.commit(stage)
            return loaded

    @contextmanager
    def _connected(self) -> Iterator[Dialect]:
        plan = self._plan
        with database_errors(self._doing), self._database.connect(plan.schema, plan.table) as dialect:
            yield dialect

    @property
    def _table_grant(self) -> str:
        plan = self._plan
        rights = {"replace": "SELECT, INSERT, DELETE", "append": "SELECT, INSERT", "merge": "SELECT, INSERT, UPDATE"}
        if plan.load_id is not None:
            rights["append"] += ", DELETE"
        return f"GRANT {rights[plan.write_disposition]} ON {plan.name} TO {self._database.connection.login}"

    @contextmanager
    def _granted(self, grant: str) -> Iterator[None]:
        """Within the block, other rights are needed as well."""
        self._doing.grant = f"{grant}; {self._table_grant}"
        yield
        self._doing.grant = self._table_grant  # not after an error, which is told with it

    def _wait_for_lock(self, dialect: Dialect) -> None:
        started = time.monotonic()
        while not dialect.begin():
            dialect.connection.rollback()
            if time.monotonic() - started > LOAD_PATIENCE:
                raise CatalogStorageError(
                    f"try again later: another load of {self._plan.name!r} has not ended in an hour"
                )
            log.info("Waiting for another load of %s to end", self._plan.name)
            time.sleep(LOAD_PAUSE)

    def _try_rights(self, dialect: Dialect) -> None:
        """Make the statements of a load, without rows; they are rolled back."""
        plan = self._plan
        existing = existing_columns(dialect)
        self.known_columns = list(existing)
        if existing:
            names = check_existing(plan, dialect, existing)
            columns = [Target(name, existing[name]["type"], "", is_new=False) for name in names]
        elif dialect.is_ddl_transactional:
            columns = [
                Target(name, new_type("string", 1), "", is_new=True)
                for name in dict.fromkeys((*plan.primary_key, *plan.partition, LOAD_ID))
            ]
        else:
            return
        stage = self._stage(dialect, columns, existing)
        if not existing:
            with self._granted(dialect.grant(dialect.create_grant, self._database.connection)):
                dialect.run(*self._ddl(dialect, columns, existing))
        self._write(dialect, stage, columns, existing, is_trial=True)

    def _refuse_late_try(self, dialect: Dialect, existing: Existing) -> None:
        """
        Let a try that was given up, and went on nevertheless, write nothing when a later one has loaded.

        What a later try has loaded before this one began is of an earlier run of the same name.
        """
        plan = self._plan
        if plan.load_id is None or not {LOADED_AT, LOAD_ID} <= existing.keys():
            return
        table = self._table(existing, [])
        later = plan.load_ids(range(plan.try_number + 1, plan.try_number + MOST_TRIES))
        newest = sa.select(sa.func.max(table.c[LOADED_AT])).where(table.c[LOAD_ID].in_(later))
        found = dialect.connection.execute(newest).scalar()
        if found and to_timestamp(str(found)) >= self._started_at:
            raise CatalogStorageError(
                f"nothing was loaded: a later try of this task has loaded {plan.name!r} already", retryable=False
            )

    def _stage(self, dialect: Dialect, columns: list[Target], existing: Existing) -> Any:
        """Make the staging table: with the types of the table's own columns, and those of new ones."""
        name, schema = dialect.stage_name + token_hex(8), dialect.stage_schema
        new = [*(sa.Column(each.name, each.type) for each in columns if each.is_new), sa.Column(ROW, sa.BigInteger())]
        sql_dialect = dialect.connection.dialect
        with self._granted(dialect.grant(dialect.stage_grant, self._database.connection)):
            if existing:
                stage, table = dialect.quoted(name, schema), dialect.quoted(dialect.table, dialect.schema)
                old = ", ".join(dialect.quoted(each.name) for each in columns if not each.is_new)
                dialect.run(dialect.create_stage.format(stage=stage, columns=old, table=table))
                for column in new:
                    dialect.run(dialect.add_column.format(table=stage, column=column_ddl(sql_dialect, column)))
            else:
                options = {"prefixes": dialect.stage_prefixes, "schema": schema, **dialect.stage_options}
                dialect.run(create_table(sql_dialect, name, new, **options))
        own = (sa.column(each.name, each.type) for each in columns)
        return sa.table(name, *own, sa.column(ROW), schema=schema)

    def _batches(self, dialect: Dialect, columns: list[Target], spool: RowSpool) -> Iterator[list[list[Any]]]:
        """Yield the values of the staging table's columns, checked."""
        kinds = [dialect.own_type(each.type) if each.is_new else each.type for each in columns]
        for batch in spool.batches([each.source for each in columns if each.source]):
            self._doing.first_row = 1 if dialect.is_filled_at_once else batch.first_row
            values, row_count = iter(batch.values), len(batch.values[0])
            filled = [next(values) if each.source else [each.value] * row_count for each in columns]
            for each, kind, cells in zip(columns, kinds, filled, strict=True):
                if each.source:
                    check_fit(cells, kind, each.name, batch.first_row, refuses_nul=dialect.refuses_nul)
            yield [*filled, list(range(batch.first_row, batch.first_row + row_count))]

    def _change(
        self, dialect: Dialect, stage: Any, columns: list[Target], existing: Existing, row_count: int
    ) -> Loaded:
        """Check the keys, then change the table."""
        source, key_total = self._checked_keys(dialect, stage, existing, row_count)
        ddl = self._ddl(dialect, columns, existing) if columns else []
        with self._granted(
            "; ".join(ddl) if existing else dialect.grant(dialect.create_grant, self._database.connection)
        ):
            deleted, inserted = dialect.change(ddl, lambda: self._write(dialect, source, columns, existing))
        return Loaded(
            self._database.uri(dialect),
            row_count,
            inserted=inserted,
            updated=key_total - inserted if self._plan.write_disposition == "merge" else 0,
            deleted=deleted,
            columns={each.name: each.type.compile(dialect.connection.dialect) for each in columns},
            columns_added=[each.name for each in columns if each.is_new],
        )

    def _checked_keys(self, dialect: Dialect, stage: Any, existing: Existing, row_count: int) -> tuple[Any, int]:
        """
        Return the rows to write, and how many they are.

        :raises CatalogParameterError: when a key is null, or rows that differ share one.
        """
        keys = self._keys(dialect, existing)
        if stage is None or not keys:
            return stage, row_count
        execute = dialect.connection.execute
        dialect.analyze(stage)
        named = ", ".join(keys)
        if row := execute(null_key(stage, keys)).scalar():
            raise CatalogParameterError(f"choose another primary_key than {named}, or filters: it is null in row {row}")
        key_total = execute(key_count(stage, keys)).scalar() or 0
        if key_total == row_count:
            return stage, row_count
        fails = self._plan.on_duplicate_key == "fail"
        if fails and (pair := execute(differing_rows(stage, keys, dialect.compared)).first()):
            raise CatalogParameterError(
                f"add columns to primary_key, or set on_duplicate_key='last': the rows {pair[0]} and {pair[1]} share "
                f"the key {named} and differ, as others may ({row_count:,} rows have {key_total:,} keys)"
            )
        return without_earlier(stage, keys), key_total

    def _keys(self, dialect: Dialect, existing: Existing) -> list[str]:
        return [table_name(key, existing, dialect) for key in self._plan.primary_key]

    def _ddl(self, dialect: Dialect, columns: list[Target], existing: Existing) -> list[str]:
        """Return the statements that make the table, or add what it does not have."""
        plan, sql_dialect = self._plan, dialect.connection.dialect
        keys = [] if existing else self._keys(dialect, existing)
        new = [
            sa.Column(each.name, each.type, primary_key=each.name in keys, autoincrement=False)
            for each in columns
            if each.is_new
        ]
        if not existing:
            return [create_table(sql_dialect, plan.table, new, schema=plan.schema)]
        table = dialect.quoted(plan.table, plan.schema)
        return [dialect.add_column.format(table=table, column=column_ddl(sql_dialect, each)) for each in new]

    def _write(
        self, dialect: Dialect, source: Any, columns: list[Target], existing: Existing, *, is_trial: bool = False
    ) -> tuple[int, int]:
        """
        Change the table's rows; return how many were deleted and inserted.

        :param is_trial: whether nothing is to be deleted.
        """
        execute = partial(dialect.connection.execute, execution_options={"preserve_rowcount": True})
        table, deleted = self._table(existing, columns), 0
        where = self._replaced(dialect, table, existing)
        if where is not None:
            deleted = execute(sa.delete(table).where(*where, *[sa.false()] * is_trial)).rowcount
        if source is None:
            return deleted, 0
        names = [each.name for each in columns]
        keys = self._keys(dialect, existing) if self._plan.write_disposition == "merge" else []
        if keys and set(names) - set(keys):
            execute(update(table, source, keys, names, is_joined=dialect.joins_in_update))
        return deleted, execute(insert(table, source, names, keys)).rowcount

    def _table(self, existing: Existing, columns: list[Target]) -> Any:
        types = {name: column["type"] for name, column in existing.items()}
        types |= {each.name: each.type for each in columns if each.is_new}
        plan = self._plan
        return sa.table(plan.table, *(sa.column(name, kind) for name, kind in types.items()), schema=plan.schema)

    def _replaced(self, dialect: Dialect, table: Any, existing: Existing) -> list[Any] | None:
        """Return the conditions for the rows that this load replaces; ``None`` where there are none."""
        plan = self._plan
        if plan.write_disposition == "merge" or not existing:
            return None
        if plan.write_disposition == "append":
            if plan.load_id is None or LOAD_ID not in existing:
                return None
            return [table.c[LOAD_ID].startswith(f"{plan.load_id}#", autoescape=True)]
        partition = {table_name(name, existing, dialect) for name in plan.partition}
        own = [each for each in constants(plan, dialect, existing, "") if each.name in partition]
        if any(each.is_new for each in own):
            return None
        return [table.c[each.name] == dialect.bound(each.value) for each in own]
