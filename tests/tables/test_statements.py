"""What is sent to SQL Server, which can't be run here, as text."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from airflow_provider_catalog.output.tables.dialects import DIALECTS
from airflow_provider_catalog.output.tables.statements import ROW, create_table, insert, update
from airflow_provider_catalog.output.tables.types import known_type, new_type

DIALECT = mssql.dialect()
TYPES = ("string", "bool", "int64", "float64", "timestamp", "date", "decimal(38,9)", "list<string>")


def text(statement):
    return " ".join(str(statement.compile(dialect=DIALECT)).split())


def test_types():
    expected = "NVARCHAR(max) BIT BIGINT FLOAT(53) DATETIMEOFFSET DATETIME NUMERIC(38, 9) NVARCHAR(max)"
    assert " ".join(new_type(name).compile(dialect=DIALECT) for name in TYPES) == expected
    assert new_type("string", 2).compile(dialect=DIALECT) == "NVARCHAR(255)"
    assert known_type(sa.types.NullType()) == known_type(mssql.XML()) == "string", "what others don't have is text"


def test_a_merge():
    stage = sa.table("stage", sa.column("order_id"), sa.column("50 %"), sa.column(ROW))
    table = sa.table("orders", sa.column("order_id"), sa.column("50 %"), schema="dbo")
    assert text(update(table, stage, ["order_id"], ["order_id", "50 %"])) == (
        "UPDATE dbo.orders SET [50 %]=stage.[50 %] FROM dbo.orders, stage WHERE dbo.orders.order_id = stage.order_id"
    )
    assert text(insert(table, stage, ["order_id"], ["order_id"])) == (
        "INSERT INTO dbo.orders (order_id) SELECT stage.order_id FROM stage WHERE NOT (EXISTS (SELECT 1 FROM dbo.orders "
        "WHERE dbo.orders.order_id = stage.order_id))"
    )


def test_a_staging_table():
    made = DIALECTS["mssql"]
    statement = made.create_stage.format(kind=made.stage_kind, stage="#catalog_1", columns="order_id", table="orders")
    assert statement == "SELECT order_id INTO #catalog_1 FROM orders WHERE 1 = 0"
    new = create_table(
        DIALECT, f"{made.stage_name}1", None, [sa.Column(ROW, sa.BigInteger())], *made.stage_kind.split()
    )
    assert " ".join(new.split()) == "CREATE TABLE [#catalog_1] ( _catalog_row BIGINT NULL )"
    assert not made.is_verified, "so a WARNING says that"
