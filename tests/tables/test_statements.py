"""What is executed on databases that can't be run here, as text."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from airflow_provider_catalog.output.tables.dialects import DIALECTS, Dialect
from airflow_provider_catalog.output.tables.statements import (
    ROW,
    column_ddl,
    create_table,
    differing_rows,
    insert,
    update,
    without_earlier,
)
from airflow_provider_catalog.output.tables.types import known_type, new_type

TYPES = ("string", "bool", "int64", "float64", "timestamp", "date", "decimal(38,9)", "list<string>")
STAGE = sa.table("stage", sa.column("order_id"), sa.column("50 %"), sa.column(ROW))
TABLE = sa.table("orders", sa.column("order_id"), sa.column("50 %"), schema="dbo")


def text(statement, dialect):
    return " ".join(str(statement.compile(dialect=dialect)).split())


@pytest.mark.parametrize(
    ("dialect", "types"),
    [
        (mssql.dialect(), "NVARCHAR(max) BIT BIGINT FLOAT(53) DATETIMEOFFSET DATETIME NUMERIC(38, 9) NVARCHAR(max)"),
        (
            oracle.dialect(),
            "VARCHAR2(2000 CHAR) BOOLEAN NUMERIC(19, 0) BINARY_DOUBLE TIMESTAMP WITH TIME ZONE DATE NUMERIC(38, 9) VARCHAR2(2000 CHAR)",
        ),
    ],
)
def test_types(dialect, types):
    found = " ".join(new_type(name).compile(dialect=dialect) for name in TYPES)
    assert found in (types, types.replace("BOOLEAN", "SMALLINT")), "Oracle has got a boolean, and SQLAlchemy knows it"
    columns = [sa.Column("order_id", new_type("string", 1), primary_key=True), sa.Column("50 %", new_type("int64"))]
    assert "PRIMARY KEY (order_id)" in create_table(dialect, "orders", columns)
    assert "50 %" in column_ddl(dialect, sa.Column("50 %", sa.Text()))


def test_a_merge_on_sql_server():
    dialect = mssql.dialect()
    assert text(update(TABLE, STAGE, ["order_id"], ["order_id", "50 %"]), dialect) == (
        "UPDATE dbo.orders SET [50 %]=stage.[50 %] FROM dbo.orders, stage WHERE dbo.orders.order_id = stage.order_id"
    )
    assert text(insert(TABLE, STAGE, ["order_id"], ["order_id"]), dialect) == (
        "INSERT INTO dbo.orders (order_id) SELECT stage.order_id FROM stage WHERE NOT (EXISTS (SELECT 1 FROM dbo.orders "
        "WHERE dbo.orders.order_id = stage.order_id))"
    )


def test_a_merge_on_oracle():
    statement = update(TABLE, STAGE, ["order_id"], ["order_id", "50 %"], is_joined=DIALECTS["oracle"].joins_in_update)
    assert text(statement, oracle.dialect()) == (
        'UPDATE dbo.orders SET "50 %"=(SELECT stage."50 %" FROM stage WHERE dbo.orders.order_id = stage.order_id) WHERE '
        "EXISTS (SELECT 1 FROM stage WHERE dbo.orders.order_id = stage.order_id)"
    )


@pytest.mark.parametrize("name", ["mssql", "oracle", "snowflake"])
def test_staging_tables(name):
    made = DIALECTS.get(name, Dialect)
    statement = made.create_stage.format(stage=made.stage_name + "1", columns="order_id", table="orders")
    assert (
        statement
        == {
            "mssql": "SELECT order_id INTO #catalog_1 FROM orders WHERE 1 = 0",
            "oracle": "CREATE PRIVATE TEMPORARY TABLE ORA$PTT_1 ON COMMIT DROP DEFINITION AS SELECT order_id FROM orders WHERE 1 = 0",
            "snowflake": "CREATE TEMPORARY TABLE _catalog_1 AS SELECT order_id FROM orders WHERE 1 = 0",
        }[name]
    )
    assert not made.is_verified, "so a WARNING says that"


def test_duplicates():
    for dialect in (mssql.dialect(), oracle.dialect()):
        assert "HAVING count(*) >" in text(differing_rows(STAGE, ["order_id"], lambda column: column), dialect)
        assert "PARTITION BY stage.order_id" in text(sa.select(without_earlier(STAGE, ["order_id"])), dialect)


def test_types_that_a_database_does_not_have_elsewhere_are_text():
    assert known_type(sa.types.NullType()) == known_type(mssql.XML()) == "string"
