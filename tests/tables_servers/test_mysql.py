"""What MariaDB and MySQL do to loads."""

from __future__ import annotations

from contextlib import closing, contextmanager

import pytest

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from tests.airflow_names import AirflowFailException
from tests.tables.test_loads import MERGE, ROWS


@contextmanager
def server_with(mysql, name, value):
    """Let the whole server have a setting within the block."""
    mysql.run(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        mysql.run(f"SET GLOBAL {name} = DEFAULT")


@pytest.mark.parametrize(
    ("kind", "value", "error", "says"),
    [
        ("TINYINT", 300, CatalogParameterError, r"row 2 .*127"),
        ("INT UNSIGNED", -1, CatalogParameterError, r"row 2 .*0 to 4,294,967,295"),
        ("DECIMAL(5, 2)", "1.999", CatalogParameterError, r"row 2 .*digits after the point: 2"),
        ("TINYTEXT", "x" * 256, CatalogParameterError, r"row 2 .*255 bytes"),
        ("DATETIME", "2026-06-01T12:00:00.5Z", CatalogParameterError, r"row 2 .*fraction: 0"),
        ("TIMESTAMP", "2039-01-01T00:00:00Z", CatalogParameterError, r"row 2 .*2038"),
        ("DATETIME(6)", "0999-01-01T00:00:00Z", CatalogParameterError, r"row 2 .*1000"),
        # What the server refuses, whatever it would bend by itself.
        ("VARCHAR(9) CHARACTER SET utf8mb3", "\U0001f600", CatalogStorageError, "'thing'"),
        ("ENUM('a', 'b')", "c", CatalogStorageError, "'thing'"),
    ],
)
def test_nothing_is_clipped_or_rounded(mysql, kind, value, error, says):
    mysql.run(f"CREATE TABLE orders (n INT, thing {kind})")
    with server_with(mysql, "sql_mode", "''"), pytest.raises(error, match=says) as caught:
        mysql.load([{"n": 1}, {"n": 2, "thing": value}])
    assert isinstance(caught.value, AirflowFailException)
    assert mysql.rows("COUNT(*)") == [(0,)]


def test_times_are_utc_whatever_the_server_s_zone(mysql):
    mysql.run("CREATE TABLE orders (at TIMESTAMP(6) NULL, made_at DATETIME(6))")
    skipped = "2026-03-29T02:30:00Z"  # an hour that some zones don't have
    with server_with(mysql, "time_zone", "'+05:00'"):
        mysql.load([{"at": skipped, "made_at": skipped}], load_columns=False)
    assert mysql.run("SET time_zone = '+00:00'", "SELECT CAST(at AS CHAR), CAST(made_at AS CHAR) FROM orders") == [
        ("2026-03-29 02:30:00.000000",) * 2
    ]


def test_other_unique_indexes_overwrite_no_row(mysql):
    mysql.run(
        "CREATE TABLE orders (order_id BIGINT PRIMARY KEY, email VARCHAR(20) UNIQUE)",
        "INSERT INTO orders VALUES (1, 'a')",
    )
    with pytest.raises(CatalogStorageError, match=r"1062.*'email'"):
        mysql.load([{"order_id": 2, "email": "a"}], **MERGE)
    assert mysql.rows("order_id, email") == [(1, "a")]


def test_keys_that_are_equal_to_the_table_alone(mysql):
    mysql.run("CREATE TABLE orders (code VARCHAR(20) PRIMARY KEY, n INT)")
    with pytest.raises(CatalogParameterError, match="rows 1 and 2 share the key code"):
        mysql.load([{"code": "a", "n": 1}, {"code": "A", "n": 2}], write_disposition="merge", primary_key="code")


def test_a_latin1_database(mysql):
    mysql.run(f"ALTER DATABASE {mysql.connection['schema']} CHARACTER SET latin1")
    mysql.load([{"order_id": "😀", "name": "日本"}], **MERGE)
    with closing(mysql.connect()) as connection:
        connection.set_character_set("utf8mb4")
        cursor = connection.cursor()
        cursor.execute("SELECT order_id, name FROM orders")
        assert cursor.fetchall() == (("😀", "日本"),)


def test_a_table_without_transactions(mysql):
    mysql.run("CREATE TABLE orders (order_id BIGINT) ENGINE = MyISAM")
    mysql.refuse("InnoDB", ROWS)


def test_a_row_larger_than_a_packet(mysql):
    with server_with(mysql, "max_allowed_packet", 1048576), pytest.raises(CatalogStorageError):
        mysql.load([{"order_id": 1, "text": "x" * 2 * 1024 * 1024}])
    assert mysql.tables() == []


def test_connector_python(mysql):
    extra = {"client": "mysql-connector-python", "ssl_disabled": True}
    for _ in range(2):
        mysql.load([{**row, "50 %": "😀"} for row in ROWS], changes={"extra": extra}, **MERGE)
    assert mysql.rows("COUNT(*)") == [(25,)]


def test_a_replica(mysql):
    mysql.load(ROWS)
    with server_with(mysql, "read_only", 1):
        mysql.refuse("read-only", ROWS)


def test_a_table_of_another_database(mysql):
    mysql.run("CREATE DATABASE IF NOT EXISTS catalog_tables_other")
    try:
        for _ in range(2):
            manifest = mysql.load(ROWS, table="catalog_tables_other.orders")
        assert manifest["deleted"] == 25
    finally:
        mysql.run("DROP DATABASE catalog_tables_other")
