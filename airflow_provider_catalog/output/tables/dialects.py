"""What differs between databases: sessions, locks, staging tables and bulk inserts."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from typing_extensions import override

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.tables.dialect import Dialect, Values, cascades, read_only
from airflow_provider_catalog.output.tables.errors import is_locked
from airflow_provider_catalog.output.tables.values import copy_texts, sqlite_values

T = TypeVar("T")

LOCK_TIMEOUT = 3
"""Seconds that a statement waits for others' locks: whoever comes later queues behind it for as long."""
PAUSES = (1, 2, 4, 8, 15, 30, 30, 60, 60, 90)
"""Seconds between the attempts to get such a lock."""


class Postgres(Dialect):
    """PostgreSQL. All is one transaction, so that it works through PgBouncer's transaction mode."""

    is_verified = True
    is_ddl_transactional = True
    refuses_nul = True

    @staticmethod
    @override
    def prepare(raw: Any) -> None:
        if hasattr(raw, "prepare_threshold"):  # psycopg 3
            raw.prepare_threshold = None  # a prepared statement is one of a server's session, a pooler has many
            raw.row_factory = lambda cursor: tuple  # the connection may have another
        else:
            raw.cursor_factory = None

    @override
    def begin(self) -> bool:
        self.run(
            "SET LOCAL TIME ZONE 'UTC'",
            "SET LOCAL client_encoding = 'UTF8'",
            "SET LOCAL client_min_messages = 'error'",  # SQLAlchemy logs notices, in which triggers may quote rows
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'",
        )
        schema = self.schema or self.first("SELECT current_schema()")[0] or ""
        if not self.first("SELECT has_database_privilege(current_database(), 'TEMPORARY')")[0]:
            # An ordinary table, which this transaction makes and drops: nobody else ever sees it.
            self.create_stage = self.create_stage.replace("TEMPORARY", "UNLOGGED")
            self.stage_prefixes = ("UNLOGGED",)
            self.stage_schema = self.schema
        key = int.from_bytes(_digest(schema, self.table), signed=True)
        return bool(self.first("SELECT pg_try_advisory_xact_lock(:key)", key=key)[0])

    @override
    def check(self, *, deletes: bool) -> None:
        if self.first("SHOW transaction_read_only")[0] == "on":
            raise read_only()
        name = self.quoted(self.table, self.schema).replace("%%", "%")
        if not (found := self.first("SELECT to_regclass(:name)::oid", name=name)[0]):
            return
        if self.first("SELECT row_security_active(cast(:oid AS oid))", oid=found)[0]:
            raise CatalogParameterError(
                "give the connection's user BYPASSRLS, or load another table: row-level security hides rows of "
                f"{self.table!r} from the load"
            )
        statement = (
            "SELECT conrelid::regclass::text, confdeltype::text FROM pg_catalog.pg_constraint "
            "WHERE confrelid = :oid AND contype = 'f' AND confdeltype IN ('c', 'n', 'd')"
        )
        if deletes and (found := self.first(statement, oid=found)):
            raise cascades(found[0], {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}[found[1]])

    @override
    def change(self, ddl: list[str], write: Callable[[], T]) -> T:
        def in_savepoint() -> T:
            with self.connection.begin_nested():
                return super(Postgres, self).change(ddl, write)

        return _until_unlocked(in_savepoint)

    @override
    def commit(self, stage: Any) -> None:
        if stage is not None:
            self.run(f"DROP TABLE {self.quoted(stage.name, stage.schema)}")
        super().commit(stage)

    @override
    def analyze(self, stage: Any) -> None:
        self.run(f"ANALYZE {self.quoted(stage.name, stage.schema)}")

    @override
    def compared(self, column: Any) -> Any:
        return sa.cast(column, sa.Text)  # json has no equality

    @property
    @override
    def is_filled_at_once(self) -> bool:
        return hasattr(self.connection.connection.driver_connection, "prepare_threshold")

    @override
    def fill(self, stage: Any, types: list[str], batches: Iterable[list[Values]]) -> None:
        if not self.is_filled_at_once:
            return super().fill(stage, types, batches)
        driver: Any = self.connection.connection
        # The server takes the rows in while the next ones are converted.
        with driver.cursor() as cursor, cursor.copy(self._copy(stage)) as copying:
            for values in batches:
                copying.write(_copied(types, values))
        return None

    @override
    def insert(self, stage: Any, types: list[str], values: list[Values]) -> None:
        driver: Any = self.connection.connection
        with driver.cursor() as cursor:  # of psycopg2
            cursor.copy_expert(self._copy(stage), io.BytesIO(_copied(types, values)))

    def _copy(self, stage: Any) -> str:
        names = ", ".join(self.quoted(column.name) for column in stage.columns)
        return f"COPY {self.quoted(stage.name, stage.schema)} ({names}) FROM STDIN".replace("%%", "%")


class MySql(Dialect):
    """MySQL and MariaDB. DDL commits there, so it comes before the transaction that changes rows."""

    is_verified = True
    name_bytes = 64
    stage_grant = "GRANT CREATE TEMPORARY TABLES ON {schema}.* TO {user}"
    create_grant = "GRANT CREATE, ALTER ON {schema}.* TO {user}"
    has_time_zones = False
    is_schema_database = True

    @staticmethod
    @override
    def prepare(raw: Any) -> None:
        if hasattr(raw, "set_character_set"):  # mysqlclient; Connector/Python always talks utf8mb4
            raw.set_character_set("utf8mb4")
            raw.cursorclass = type(raw).default_cursor

    @override
    def begin(self) -> bool:
        self.run(
            "SET autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            f"SET lock_wait_timeout = {LOCK_TIMEOUT}, innodb_lock_wait_timeout = {LOCK_TIMEOUT}",
        )
        database = self.schema or self.first("SELECT DATABASE()")[0]
        return bool(self.first("SELECT GET_LOCK(:name, 0)", name=_digest(database, self.table).hex())[0])

    @override
    def check(self, *, deletes: bool) -> None:
        if self.first("SELECT @@read_only")[0]:
            raise read_only()
        where = {"schema": self.schema or self.first("SELECT DATABASE()")[0], "table": self.table}
        engine = "SELECT engine FROM information_schema.tables WHERE table_schema = :schema AND table_name = :table"
        found = self.first(engine, **where)
        if found and found[0] not in (None, "InnoDB"):
            raise CatalogParameterError(
                f"change the table with ALTER TABLE {self.table} ENGINE = InnoDB: its engine, {found[0]}, has no "
                "transactions, and a load that fails would leave half of the rows"
            )
        statement = (
            "SELECT table_name, delete_rule FROM information_schema.referential_constraints "
            "WHERE unique_constraint_schema = :schema AND referenced_table_name = :table "
            "AND delete_rule NOT IN ('NO ACTION', 'RESTRICT')"
        )
        if deletes and (found := self.first(statement, **where)):
            raise cascades(*found)

    @override
    def change(self, ddl: list[str], write: Callable[[], T]) -> T:
        for statement in ddl:
            _until_unlocked(partial(self.run, statement))

        def in_transaction() -> T:
            self.run("START TRANSACTION")
            try:
                return write()
            except BaseException:
                self.connection.rollback()
                raise

        return _until_unlocked(in_transaction)

    @override
    def reflected(self, name: str) -> str:
        return name.replace("``", "`")

    @override
    def compared(self, column: Any) -> Any:
        return sa.func.sha2(column, 256)  # to most collations 'a' and 'A' are equal, and long texts equal too early

    @override
    def insert(self, stage: Any, types: list[str], values: list[Values]) -> None:
        for number, type_name in enumerate(types):
            if type_name == "timestamp":
                values[number] = [value and value.replace(tzinfo=None) for value in values[number]]
        self._insert(stage, values)

    def _insert(self, stage: Any, values: list[Values]) -> None:
        """Insert rows by place: the driver makes statements of many rows of them, or prepares it once."""
        marker = "?" if self.connection.dialect.paramstyle == "qmark" else "%s"
        names = ", ".join(self.quoted(column.name) for column in stage.columns)
        markers = ", ".join([marker] * len(values))
        statement = f"INSERT INTO {self.quoted(stage.name)} ({names}) VALUES ({markers})"  # noqa: S608 - names only
        self.connection.exec_driver_sql(statement, list(zip(*values, strict=True)))


class Sqlite(MySql):
    """SQLite. It has one writer at a time, so the transaction is the lock."""

    name_bytes = 1000
    is_ddl_transactional = True

    @staticmethod
    @override
    def prepare(raw: Any) -> None:
        raw.isolation_level = None  # the driver begins no transaction of its own
        raw.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT * 1000}")

    @override
    def begin(self) -> bool:
        try:
            self.run("BEGIN IMMEDIATE")
        except sa.exc.OperationalError as error:
            if is_locked(error):
                return False
            raise
        return True

    @override
    def check(self, *, deletes: bool) -> None:
        if self.first("PRAGMA foreign_keys")[0]:
            Dialect.check(self, deletes=deletes)

    @override
    def change(self, ddl: list[str], write: Callable[[], T]) -> T:
        return Dialect.change(self, ddl, write)

    @override
    def commit(self, stage: Any) -> None:
        _until_unlocked(self.connection.commit)  # readers that have not finished

    @override
    def compared(self, column: Any) -> Any:
        return column

    @override
    def insert(self, stage: Any, types: list[str], values: list[Values]) -> None:
        columns = (sqlite_values(*each) for each in zip(stage.columns.keys(), types, values, strict=True))
        self._insert(stage, list(columns))


class SqlServer(Dialect):
    """SQL Server."""

    create_stage = "SELECT {columns} INTO {stage} FROM {table} WHERE 1 = 0"
    stage_prefixes = ()
    stage_name = "#catalog_"
    add_column = "ALTER TABLE {table} ADD {column}"


class Oracle(Dialect):
    """Oracle."""

    create_stage = (
        "CREATE PRIVATE TEMPORARY TABLE {stage} ON COMMIT DROP DEFINITION AS SELECT {columns} FROM {table} WHERE 1 = 0"
    )
    stage_prefixes = ("PRIVATE", "TEMPORARY")
    stage_options: Mapping[str, Any] = {"oracle_on_commit": "DROP DEFINITION"}
    stage_name = "ORA$PTT_"
    add_column = "ALTER TABLE {table} ADD {column}"
    joins_in_update = False


DIALECTS: dict[str, type[Dialect]] = {
    "postgresql": Postgres,
    "mysql": MySql,
    "mariadb": MySql,
    "sqlite": Sqlite,
    "mssql": SqlServer,
    "oracle": Oracle,
}
"""SQLAlchemy's name of a dialect → what is known of it; what is missing goes the way that all share."""


def _copied(types: list[str], values: list[Values]) -> bytes:
    columns = [copy_texts(*column) for column in zip(types, values, strict=True)]
    return "\n".join(map("\t".join, zip(*columns, strict=True))).encode() + b"\n"


def _digest(*names: str) -> bytes:
    """Return eight bytes that stand for a table in a lock's name."""
    return hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest()


def _until_unlocked(step: Callable[[], T]) -> T:
    for pause in PAUSES:
        try:
            return step()
        except sa.exc.DBAPIError as error:
            if not is_locked(error):
                raise
        time.sleep(pause)
    return step()
