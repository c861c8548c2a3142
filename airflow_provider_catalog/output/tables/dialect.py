"""What all databases that SQLAlchemy knows have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from airflow_provider_catalog.errors import CatalogParameterError

T = TypeVar("T")
Values = list[Any]


class Dialect:
    """
    What all databases that SQLAlchemy knows have in common.

    :param connection: SQLAlchemy's connection, in use by one load alone.
    :param schema: the table's schema; the connection's own where ``None``.
    :param table: the table's name.
    """

    is_verified = False
    create_stage = "CREATE TEMPORARY TABLE {stage} AS SELECT {columns} FROM {table} WHERE 1 = 0"
    stage_prefixes: tuple[str, ...] = ("TEMPORARY",)
    stage_name = "_catalog_"
    stage_options: Mapping[str, Any] = {}
    stage_schema: str | None = None
    stage_grant = "GRANT TEMPORARY ON DATABASE {database} TO {user}"
    add_column = "ALTER TABLE {table} ADD COLUMN {column}"
    create_grant = "GRANT CREATE ON SCHEMA {schema} TO {user}"
    is_ddl_transactional = False
    has_time_zones = True
    is_schema_database = False
    refuses_nul = False
    joins_in_update = True

    def __init__(self, connection: Connection, schema: str | None, table: str) -> None:
        self.connection = connection
        self.schema = schema
        self.table = table

    @property
    def name_bytes(self) -> int:
        """How many bytes a name may have."""
        return self.connection.dialect.max_identifier_length

    @property
    def is_filled_at_once(self) -> bool:
        """Whether all batches go in one statement, which then counts the rows from 1."""
        return False

    @staticmethod
    def prepare(raw: Any) -> None:
        """Set what has to be set on the driver's connection before its first statement."""

    def begin(self) -> bool:
        """Begin a transaction with the table's lock; return False while another load holds that."""
        return True

    def check(self, *, deletes: bool) -> None:
        """
        Check what shows only when there are rows.

        :param deletes: whether the load deletes rows of the table.
        """
        if not deletes:
            return
        inspector = sa.inspect(self.connection)
        for other in inspector.get_table_names(self.schema):
            for key in inspector.get_foreign_keys(other, self.schema):
                rule = key.get("options", {}).get("ondelete", "")
                if key["referred_table"] == self.table and rule not in ("", "NO ACTION", "RESTRICT"):
                    raise cascades(other, rule)

    def change(self, ddl: list[str], write: Callable[[], T]) -> T:
        """
        Change the table, which needs others' locks.

        :param ddl: statements that create it or add columns.
        :param write: changes its rows.
        """
        self.run(*ddl)
        return write()

    def commit(self, stage: Any) -> None:
        """
        Commit.

        :param stage: the staging table, if any.
        """
        self.connection.commit()

    def analyze(self, stage: Any) -> None:
        """Let the planner know the staging table's size."""

    def compared(self, column: Any) -> Any:
        """Return what is equal for the same values of a column, and for no others."""
        return column

    def reflected(self, name: str) -> str:
        """Return the name of a column that SQLAlchemy's inspector tells."""
        return name

    def own_type(self, column_type: Any) -> Any:
        """Return the database's own variant of a type."""
        return column_type.dialect_impl(self.connection.dialect)

    def bound(self, value: Any) -> Any:
        """Return a value as it is compared with a column's."""
        return value if self.has_time_zones or not isinstance(value, datetime) else value.replace(tzinfo=None)

    def grant(self, statement: str, connection: Any) -> str:
        """Return the statement that gives the user of an Airflow connection a right."""
        schema = self.schema or (connection.schema if self.is_schema_database else "public")
        return statement.format(database=connection.schema, schema=schema, user=connection.login)

    def fill(self, stage: Any, types: list[str], batches: Iterable[list[Values]]) -> None:
        """
        Insert rows.

        :param stage: the staging table.
        :param types: the types of its columns, as ``field_types`` names them.
        :param batches: of some rows each, a list for each column.
        """
        for values in batches:
            self.insert(stage, types, values)

    def insert(self, stage: Any, types: list[str], values: list[Values]) -> None:
        """Insert one batch as fast as the database lets one."""
        bound: dict[str, Any] = {column.name: sa.bindparam(f"p{number}") for number, column in enumerate(stage.columns)}
        rows = [{f"p{number}": value for number, value in enumerate(row)} for row in zip(*values, strict=True)]
        self.connection.execute(sa.insert(stage).values(bound), rows)

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


def read_only() -> CatalogParameterError:
    """Return the error of a server that takes no writes."""
    return CatalogParameterError("connect to the primary server: this one is read-only, a replica perhaps")


def cascades(table: str, rule: str) -> CatalogParameterError:
    """Return the error of a foreign key that deletes or changes rows elsewhere."""
    return CatalogParameterError(
        f"use write_disposition='merge', which deletes nothing, or change the foreign key of {table!r}: it is ON "
        f"DELETE {rule}, so deleting rows here would change rows there"
    )
