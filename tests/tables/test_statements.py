"""What is executed on databases that can't be run here, as text."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from airflow_provider_catalog.output.tables.dialects import DIALECTS, Dialect
from airflow_provider_catalog.output.tables.statements import ROW, insert, update
from airflow_provider_catalog.output.tables.types import known_type, new_type

TYPES = ("string", "bool", "int64", "float64", "timestamp", "date", "decimal(38,9)", "list<string>")
STAGE = sa.table("stage", sa.column("order_id"), sa.column("50 %"), sa.column(ROW))
TABLE = sa.table("orders", sa.column("order_id"), sa.column("50 %"), schema="dbo")
both = pytest.mark.parametrize("dialect", [mssql.dialect(), oracle.dialect()], ids=["mssql", "oracle"])


def text(statement, dialect):
    return " ".join(str(statement.compile(dialect=dialect)).split())


@both
def test_types(dialect):
    expected = {
        "mssql": "NVARCHAR(max) BIT BIGINT FLOAT(53) DATETIMEOFFSET DATETIME NUMERIC(38, 9) NVARCHAR(max)",
        # Oracle has got a boolean, and newer SQLAlchemys know it.
        "oracle": "VARCHAR2(2000 CHAR) BOOLEAN NUMERIC(19, 0) BINARY_DOUBLE TIMESTAMP WITH TIME ZONE DATE NUMERIC(38, 9) VARCHAR2(2000 CHAR)",
    }[dialect.name]
    found = " ".join(new_type(name).compile(dialect=dialect) for name in TYPES)
    assert found in (expected, expected.replace("BOOLEAN", "SMALLINT"))
    assert known_type(sa.types.NullType()) == known_type(mssql.XML()) == "string", "what others don't have is text"


@both
def test_a_merge(dialect):
    joined = DIALECTS[dialect.name].joins_in_update
    assert (
        text(update(TABLE, STAGE, ["order_id"], ["order_id", "50 %"], is_joined=joined), dialect)
        == {
            "mssql": "UPDATE dbo.orders SET [50 %]=stage.[50 %] FROM dbo.orders, stage WHERE dbo.orders.order_id = stage.order_id",
            "oracle": 'UPDATE dbo.orders SET "50 %"=(SELECT stage."50 %" FROM stage WHERE dbo.orders.order_id = stage.order_id) '
            "WHERE EXISTS (SELECT 1 FROM stage WHERE dbo.orders.order_id = stage.order_id)",
        }[dialect.name]
    )
    assert text(insert(TABLE, STAGE, ["order_id"], ["order_id"]), dialect) == (
        "INSERT INTO dbo.orders (order_id) SELECT stage.order_id FROM stage WHERE NOT (EXISTS (SELECT 1 FROM dbo.orders "
        "WHERE dbo.orders.order_id = stage.order_id))"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mssql", "SELECT order_id INTO #catalog_1 FROM orders WHERE 1 = 0"),
        (
            "oracle",
            "CREATE PRIVATE TEMPORARY TABLE ORA$PTT_1 ON COMMIT DROP DEFINITION AS SELECT order_id FROM orders WHERE 1 = 0",
        ),
        ("snowflake", "CREATE TEMPORARY TABLE _catalog_1 AS SELECT order_id FROM orders WHERE 1 = 0"),
    ],
)
def test_staging_tables(name, expected):
    made = DIALECTS.get(name, Dialect)
    assert made.create_stage.format(stage=made.stage_name + "1", columns="order_id", table="orders") == expected
    assert not made.is_verified, "so a WARNING says that"
