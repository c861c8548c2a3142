"""Loads the rows of a spool into a table: under one lock, in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import NullType

from airflow_provider_catalog.errors import CatalogError, CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.convert import to_timestamp
from airflow_provider_catalog.output.spool import RowSpool
from airflow_provider_catalog.output.tables.database import Database
from airflow_provider_catalog.output.tables.dialects import Dialect
from airflow_provider_catalog.output.tables.errors import storage_error
from airflow_provider_catalog.output.tables.plan import LOAD_ID, LOADED_AT, Table, TablePlan
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
from airflow_provider_catalog.output.tables.types import check_fit

log = logging.getLogger(__name__)

LOAD_PAUSE, LOAD_PATIENCE = 2.0, 3600.0
"""Seconds between two looks whether another load of the table has ended, and until the wait is given up."""
MOST_TRIES = 100
"""How many later tries of a task are looked for."""


@dataclass(frozen=True)
class Loaded:
    """What a load has done."""

    uri: str
    """The table's, as assets and OpenLineage name it."""
    row_count: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    """Column → its type in the database."""
    columns_added: list[str] = field(default_factory=list)


class TableLoad:
    """A load of one table."""

    def __init__(self, database: Database, plan: TablePlan) -> None:
        self._database = database
        self._plan = plan
        self._started_at = datetime.now(UTC)
        self.known_columns: list[str] = []
        """The table's columns, once :meth:`check` has looked."""
        rights = {"replace": "SELECT, INSERT, DELETE", "append": "SELECT, INSERT", "merge": "SELECT, INSERT, UPDATE"}
        if plan.load_id is not None:
            rights["append"] += ", DELETE"
        login = database.connection.login
        self._table_grant = self._grant = f"GRANT {rights[plan.write_disposition]} ON {plan.name} TO {login}"
        """The statement that helps where a right is missing."""

    def check(self) -> None:
        """Check, before there are rows, that the database can be reached and the load may do what it has to."""
        plan = self._plan
        with self._connected() as dialect:
            is_free = dialect.begin()
            schemas = [schema.casefold() for schema in sa.inspect(dialect.connection).get_schema_names()]
            if plan.schema and plan.schema.casefold() not in schemas:
                raise CatalogParameterError(
                    f"write table={plan.table!r}, or create the schema {plan.schema!r}: table={plan.name!r} is in a "
                    f"schema that the database of sql_conn_id={self._database.conn_id!r} does not have"
                )
            dialect.check(deletes=plan.write_disposition == "replace")
            if is_free:
                self._try_rights(Table(plan, dialect))

    def load(self, spool: RowSpool) -> Loaded:
        """Load the rows, all or none."""
        with self._connected() as dialect:
            self._wait_for_lock(dialect)
            table = Table(self._plan, dialect)
            self._refuse_late_try(table)
            stage = None
            if spool.row_count:
                table.choose(spool)
                stage = self._stage(table)
                self._fill(stage, table, spool)
            elif not table.existing:
                # Without rows there are no columns, nothing that a table could be made of.
                return Loaded(self._database.uri(dialect), 0)
            loaded = self._change(table, stage, spool.row_count)
            dialect.commit(stage)
            return loaded

    @contextmanager
    def _connected(self) -> Iterator[Dialect]:
        """Connect within the block, and tell the database's errors without values."""
        plan, database = self._plan, self._database
        try:
            with database.connect(plan.schema, plan.table) as dialect:
                yield dialect
        except CatalogError:
            raise
        except Exception as error:
            where = f"table={plan.name!r}, sql_conn_id={database.conn_id!r}"
            raise storage_error(error, where, self._grant) from None  # the database's own error has values

    @contextmanager
    def _granted(self, grant: str) -> Iterator[None]:
        """Within the block, other rights are needed as well."""
        self._grant = f"{grant}; {self._table_grant}"
        yield
        self._grant = self._table_grant  # not after an error, which is told with it

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

    def _try_rights(self, table: Table) -> None:
        """Make the statements of a load, without rows; they are rolled back."""
        self.known_columns = list(table.existing)
        if not (table.existing or table.dialect.is_ddl_transactional):
            return
        table.choose_certain()
        stage = self._stage(table)
        if not table.existing:
            with self._granted(table.dialect.grant(table.dialect.create_grant, self._database.connection)):
                table.dialect.run(*self._ddl(table))
        self._write(table, stage, is_trial=True)

    def _refuse_late_try(self, table: Table) -> None:
        """Let a try that was given up, and went on nevertheless, write nothing when a later one has loaded."""
        plan = self._plan
        if plan.load_id is None or not {LOADED_AT, LOAD_ID} <= table.existing.keys():
            return
        columns = _sa_table(table).c
        later = plan.load_ids(range(plan.try_number + 1, plan.try_number + MOST_TRIES))
        newest = sa.select(sa.func.max(columns[LOADED_AT])).where(columns[LOAD_ID].in_(later))
        found = table.dialect.connection.execute(newest).scalar()
        # What a later try has loaded before this one began is of an earlier run of the same name.
        if found and to_timestamp(str(found)) >= self._started_at:
            raise CatalogStorageError(
                f"nothing was loaded: a later try of this task has loaded {plan.name!r} already", retryable=False
            )

    def _stage(self, table: Table) -> Any:
        """Make the staging table: with the types of the table's own columns, and those of new ones."""
        dialect = table.dialect
        name, schema, sql_dialect = dialect.stage_name + token_hex(8), dialect.stage_schema, dialect.connection.dialect
        new = [*_new_columns(table), sa.Column(ROW, sa.BigInteger())]
        with self._granted(dialect.grant(dialect.stage_grant, self._database.connection)):
            if table.existing:
                stage = dialect.quoted(name, schema)
                old = ", ".join(dialect.quoted(each.name) for each in table.columns if not each.is_new)
                source = dialect.quoted(dialect.table, dialect.schema)
                kind = dialect.stage_kind
                dialect.run(dialect.create_stage.format(kind=kind, stage=stage, columns=old, table=source))
                for column in new:
                    dialect.run(dialect.add_column.format(table=stage, column=column_ddl(sql_dialect, column)))
            else:
                dialect.run(create_table(sql_dialect, name, schema, new, *dialect.stage_kind.split()))
        own = (sa.column(each.name, each.type) for each in table.columns)
        return sa.table(name, *own, sa.column(ROW), schema=schema)

    def _fill(self, stage: Any, table: Table, spool: RowSpool) -> None:
        """Copy the rows into the staging table, checked."""
        dialect, columns = table.dialect, table.columns
        kinds = [each.type.dialect_impl(dialect.connection.dialect) if each.is_new else each.type for each in columns]

        def batches() -> Iterator[list[list[Any]]]:
            for block in spool.blocks(len(columns)):
                first = block.first_row
                values = []
                for each, kind in zip(columns, kinds, strict=True):
                    cells = block.converted(each.source) if each.source else [each.value] * block.row_count
                    if each.source:
                        check_fit(cells, kind, each.name, first, refuses_nul=dialect.refuses_nul)
                    values.append(cells)
                yield [*values, list(range(first, first + block.row_count))]

        dialect.insert(stage, [*(each.type_name for each in columns), "int64"], batches())

    def _change(self, table: Table, stage: Any, row_count: int) -> Loaded:
        """Check the keys, then change the table."""
        dialect = table.dialect
        source, key_total = self._checked_keys(table, stage, row_count)
        ddl = self._ddl(table)
        grant = "; ".join(ddl) if table.existing else dialect.grant(dialect.create_grant, self._database.connection)
        with self._granted(grant):
            deleted, inserted = dialect.change(ddl, lambda: self._write(table, source))
        return Loaded(
            self._database.uri(dialect),
            row_count,
            inserted=inserted,
            updated=key_total - inserted if self._plan.write_disposition == "merge" else 0,
            deleted=deleted,
            columns={
                each.name: "" if isinstance(each.type, NullType) else each.type.compile(dialect.connection.dialect)
                for each in table.columns  # SQLite has columns without a type
            },
            columns_added=[each.name for each in table.columns if each.is_new],
        )

    def _checked_keys(self, table: Table, stage: Any, row_count: int) -> tuple[Any, int]:
        """Return the rows to write, and how many they are."""
        keys = table.keys
        if stage is None or not keys:
            return stage, row_count
        execute = table.dialect.connection.execute
        table.dialect.analyze(stage)
        named = ", ".join(keys)
        if row := execute(null_key(stage, keys)).scalar():
            raise CatalogParameterError(f"choose another primary_key than {named}, or filters: it is null in row {row}")
        key_total = execute(key_count(stage, keys)).scalar() or 0
        if key_total == row_count:
            return stage, row_count
        fails = self._plan.on_duplicate_key == "fail"
        if fails and (pair := execute(differing_rows(stage, keys, table.dialect.compared)).first()):
            raise CatalogParameterError(
                f"add columns to primary_key, or set on_duplicate_key='last': the rows {pair[0]} and {pair[1]} share "
                f"the key {named} and differ, as others may ({row_count:,} rows have {key_total:,} keys)"
            )
        return without_earlier(stage, keys), key_total

    def _ddl(self, table: Table) -> list[str]:
        """Return the statements that make the table, or add what it does not have."""
        dialect = table.dialect
        if not table.existing:
            new = _new_columns(table, table.keys)
            return [create_table(dialect.connection.dialect, dialect.table, dialect.schema, new)]
        name = dialect.quoted(dialect.table, dialect.schema)
        columns = [column_ddl(dialect.connection.dialect, column) for column in _new_columns(table)]
        return [dialect.add_column.format(table=name, column=column) for column in columns]

    def _write(self, table: Table, source: Any, *, is_trial: bool = False) -> tuple[int, int]:
        """Change the table's rows, of which a trial deletes none; return how many were deleted and inserted."""
        execute = partial(table.dialect.connection.execute, execution_options={"preserve_rowcount": True})
        target, deleted = _sa_table(table), 0
        where = self._replaced(table, target)
        if where is not None:
            deleted = execute(sa.delete(target).where(*where, *[sa.false()] * is_trial)).rowcount
        if source is None:
            return deleted, 0
        names = [each.name for each in table.columns]
        keys = table.keys if self._plan.write_disposition == "merge" else []
        if keys and set(names) - set(keys):
            execute(update(target, source, keys, names))
        return deleted, execute(insert(target, source, names, keys)).rowcount

    def _replaced(self, table: Table, target: Any) -> list[Any] | None:
        """Return the conditions for the rows that this load replaces; ``None`` where there are none."""
        plan = self._plan
        if plan.write_disposition == "merge" or not table.existing:
            return None
        if plan.write_disposition == "append":
            if plan.load_id is None or LOAD_ID not in table.existing:
                return None
            return [target.c[LOAD_ID].startswith(f"{plan.load_id}#", autoescape=True)]
        partition = set(map(table.name_of, plan.partition))
        own = [each for each in table.constants() if each.name in partition]
        if any(each.is_new for each in own):
            return None
        return [target.c[each.name] == table.dialect.bound(each.value) for each in own]


def _new_columns(table: Table, keys: Sequence[str] = ()) -> list[Any]:
    """Return the columns that the table does not have, the keys as its primary key."""
    return [
        sa.Column(each.name, each.type, primary_key=each.name in keys, autoincrement=False)
        for each in table.columns
        if each.is_new
    ]


def _sa_table(table: Table) -> Any:
    types = {name: column["type"] for name, column in table.existing.items()}
    types |= {each.name: each.type for each in table.columns if each.is_new}
    columns = (sa.column(name, kind) for name, kind in types.items())
    return sa.table(table.dialect.table, *columns, schema=table.dialect.schema)
