"""What differs between databases: sessions, locks, staging tables, bulk inserts, and values as drivers take them."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import Connection
from typing_extensions import override

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.tables.errors import is_locked

T = TypeVar("T")
Values = list[Any]

LOCK_TIMEOUT = 3
"""Seconds that a statement waits for others' locks: whoever comes later queues behind it for as long."""
PAUSES = (1, 2, 4, 8, 15, 30, 30, 60, 60, 90)
"""Seconds between the attempts to get such a lock."""
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Dialect:
    """What all databases that SQLAlchemy knows have in common; the schema is the connection's own where ``None``."""

    is_verified = False
    is_ddl_transactional = False
    is_schema_database = False
    has_time_zones = True
    has_untyped_columns = False
    refuses_nul = False
    create_stage = "CREATE {kind} TABLE {stage} AS SELECT {columns} FROM {table} WHERE 1 = 0"
    stage_kind = "TEMPORARY"
    stage_name = "_catalog_"
    stage_schema: str | None = None
    stage_grant = "GRANT TEMPORARY ON DATABASE {database} TO {user}"
    add_column = "ALTER TABLE {table} ADD COLUMN {column}"
    create_grant = "GRANT CREATE ON SCHEMA {schema} TO {user}"

    def __init__(self, connection: Connection, schema: str | None, table: str) -> None:
        self.connection = connection
        self.schema = schema
        self.table = table

    @property
    def name_bytes(self) -> int:
        """How many bytes a name may have."""
        return self.connection.dialect.max_identifier_length

    @staticmethod
    def prepare(raw: Any) -> None:
        """Set what has to be set on the driver's connection before its first statement."""

    def begin(self) -> bool:
        """Begin a transaction with the table's lock; return False while another load holds it."""
        return True

    def check(self, *, deletes: bool) -> None:
        """Check what would show only when there are rows: that it may write, and where it deletes, what else goes."""
        if not deletes:
            return
        inspector = sa.inspect(self.connection)
        for other in inspector.get_table_names(self.schema):
            for key in inspector.get_foreign_keys(other, self.schema):
                rule = key.get("options", {}).get("ondelete", "")
                if key["referred_table"] == self.table and rule not in ("", "NO ACTION", "RESTRICT"):
                    raise _cascades(other, rule)

    def change(self, ddl: list[str], write: Callable[[], T]) -> T:
        """Create the table or add its columns, and change its rows, which needs others' locks."""
        self.run(*ddl)
        return write()

    def commit(self, stage: Any) -> None:
        """Commit, and remove the staging table, if there is one, where that does not go by itself."""
        self.connection.commit()

    def analyze(self, stage: Any) -> None:
        """Let the planner know the staging table's size."""

    def compared(self, column: Any) -> Any:
        """Return what is equal for the same values of a column, and for no others."""
        return column

    def reflected(self, name: str) -> str:
        """Return the name of a column that SQLAlchemy's inspector tells."""
        return name

    def bound(self, value: Any) -> Any:
        """Return a value as it is compared with a column's."""
        return value if self.has_time_zones or not isinstance(value, datetime) else value.replace(tzinfo=None)

    def grant(self, statement: str, connection: Any) -> str:
        """Return the statement that gives the user of an Airflow connection a right."""
        schema = self.schema or (connection.schema if self.is_schema_database else "public")
        return statement.format(database=connection.schema, schema=schema, user=connection.login)

    def insert(self, stage: Any, types: list[str], batches: Iterable[list[Values]]) -> None:
        """Insert batches, lists of values for each column, into the staging table as fast as the database can."""
        bound: dict[str, Any] = {column.name: sa.bindparam(f"p{number}") for number, column in enumerate(stage.columns)}
        for values in batches:
            rows = [{f"p{number}": value for number, value in enumerate(row)} for row in zip(*values, strict=True)]
            self.connection.execute(sa.insert(stage).values(bound), rows)

    def insert_by_place(self, stage: Any, values: list[Values]) -> None:
        """Insert rows as the driver takes them, which makes statements of many rows, or prepares it once."""
        marker = "?" if self.connection.dialect.paramstyle == "qmark" else "%s"
        names = ", ".join(self.quoted(column.name) for column in stage.columns)
        markers = ", ".join([marker] * len(values))
        statement = f"INSERT INTO {self.quoted(stage.name)} ({names}) VALUES ({markers})"  # noqa: S608 - names only
        self.connection.exec_driver_sql(statement, list(zip(*values, strict=True)))

    def quoted(self, name: str, schema: str | None = None) -> str:
        """Return a name as SQL has it."""
        preparer = self.connection.dialect.identifier_preparer
        return (f"{preparer.quote_schema(schema)}." if schema else "") + str(preparer.quote(name))

    def run(self, *statements: str) -> None:
        """Execute statements as they are."""
        for statement in statements:
            self.connection.exec_driver_sql(statement)

    def first(self, statement: str, **parameters: Any) -> Any:
        """Return the first row of a statement's result, or ``None``."""
        return self.connection.execute(sa.text(statement), parameters).first()


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
            self.stage_kind, self.stage_schema = "UNLOGGED", self.schema
        key = int.from_bytes(_digest(schema, self.table), signed=True)
        return bool(self.first("SELECT pg_try_advisory_xact_lock(:key)", key=key)[0])

    @override
    def check(self, *, deletes: bool) -> None:
        if self.first("SHOW transaction_read_only")[0] == "on":
            raise _read_only()
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
            raise _cascades(found[0], {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}[found[1]])

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

    @override
    def insert(self, stage: Any, types: list[str], batches: Iterable[list[Values]]) -> None:
        names = ", ".join(self.quoted(column.name) for column in stage.columns)
        # In quoted names % is doubled, for statements with parameters; this one has none.
        statement = f"COPY {self.quoted(stage.name, stage.schema)} ({names}) FROM STDIN".replace("%%", "%")
        lines = (_copy_lines(types, values) for values in batches)
        driver: Any = self.connection.connection
        with driver.cursor() as cursor:
            if hasattr(cursor, "copy_expert"):  # of psycopg2
                cursor.copy_expert(statement, _Chunks(lines))
            else:
                with cursor.copy(statement) as copying:
                    for each in lines:
                        copying.write(each)


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
            raise _read_only()
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
            raise _cascades(*found)

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
    def insert(self, stage: Any, types: list[str], batches: Iterable[list[Values]]) -> None:
        times = [number for number, type_name in enumerate(types) if type_name == "timestamp"]
        for values in batches:
            for number in times:
                values[number] = [value and value.replace(tzinfo=None) for value in values[number]]
            self.insert_by_place(stage, values)


class _UpdateFrom(SQLiteCompiler):
    """Knows SQLite's ``UPDATE … FROM``, which SQLAlchemy does from version 2."""

    @override
    def update_from_clause(
        self, update_stmt: Any, from_table: Any, extra_froms: Any, from_hints: Any, **kw: Any
    ) -> str:
        kw["asfrom"] = True
        return "FROM " + ", ".join(each._compiler_dispatch(self, fromhints=from_hints, **kw) for each in extra_froms)


class Sqlite(Dialect):
    """SQLite. It has one writer at a time, so the transaction is the lock."""

    is_verified = True
    name_bytes = 1000
    is_ddl_transactional = True
    has_time_zones = False
    has_untyped_columns = True
    is_schema_database = True

    @override
    def __init__(self, connection: Connection, schema: str | None, table: str) -> None:
        super().__init__(connection, schema, table)
        if sa.__version__.startswith("1."):
            connection.dialect.statement_compiler = _UpdateFrom

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
            super().check(deletes=deletes)

    @override
    def commit(self, stage: Any) -> None:
        _until_unlocked(self.connection.commit)  # readers that have not finished

    @override
    def insert(self, stage: Any, types: list[str], batches: Iterable[list[Values]]) -> None:
        for values in batches:
            columns = (_sqlite_values(*each) for each in zip(stage.columns.keys(), types, values, strict=True))
            self.insert_by_place(stage, list(columns))


class SqlServer(Dialect):
    """SQL Server."""

    create_stage = "SELECT {columns} INTO {stage} FROM {table} WHERE 1 = 0"
    stage_kind = ""
    stage_name = "#catalog_"
    add_column = "ALTER TABLE {table} ADD {column}"


DIALECTS: dict[str, type[Dialect]] = {
    "postgresql": Postgres,
    "mysql": MySql,
    "mariadb": MySql,
    "sqlite": Sqlite,
    "mssql": SqlServer,
}
"""SQLAlchemy's name of a dialect → what is known of it; what is missing goes the way that all share."""


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


def _read_only() -> CatalogParameterError:
    return CatalogParameterError("connect to the primary server: this one is read-only, a replica perhaps")


def _cascades(table: str, rule: str) -> CatalogParameterError:
    return CatalogParameterError(
        f"use write_disposition='merge', which deletes nothing, or change the foreign key of {table!r}: it is ON "
        f"DELETE {rule}, so deleting rows here would change rows there"
    )


class _Chunks(io.RawIOBase):
    """A file that psycopg2 reads, made of pieces that are there when they are needed."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or fewer; none at the end."""
        self._rest = self._rest or next(self._chunks, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _copy_lines(types: list[str], values: list[Values]) -> bytes:
    """Return rows in the text format of PostgreSQL's ``COPY``."""
    columns = [_copy_texts(*column) for column in zip(types, values, strict=True)]
    return "\n".join(map("\t".join, zip(*columns, strict=True))).encode() + b"\n"


def _copy_texts(type_name: str, values: Values) -> Values:
    """Return values of a type as the text format of PostgreSQL's ``COPY`` has them."""
    if type_name == "list<string>":
        values = [None if value is None else _array(value) for value in values]
    if type_name in ("string", "list<string>"):
        if any(map("".join(filter(None, values)).__contains__, "\\\t\n\r")):
            values = [value and value.translate(_COPY_ESCAPES) for value in values]
        return ["\\N" if value is None else value for value in values]
    if None in values:
        return ["\\N" if value is None else str(value) for value in values]
    if all(value is values[0] for value in values):  # such as the time of the load
        return [str(values[0])] * len(values)
    return list(map(str, values))


def _array(items: list[str | None]) -> str:
    quoted = (item and item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join("NULL" if item is None else f'"{item}"' for item in quoted) + "}"


def _sqlite_values(name: str, type_name: str, values: Values) -> Values:
    """Return the values of a column as SQLite stores them: times in UTC and dates as text, decimals as floats."""
    if type_name == "timestamp":
        return [value and value.isoformat(" ", "microseconds")[:26] for value in values]
    if type_name == "date":
        return [value and value.isoformat() for value in values]
    if type_name.startswith("decimal"):
        return [None if value is None else _sqlite_number(name, value) for value in values]
    return values


def _sqlite_number(name: str, value: Decimal) -> float:
    number = float(value)
    if Decimal(repr(number)) != value or len(value.normalize().as_tuple().digits) > 15:
        raise CatalogParameterError(
            f"store the column as text with field_types={{{name!r}: 'string'}}: SQLite has no decimals, and a value "
            "has more than 15 digits"
        )
    return number
