"""What MariaDB and MySQL do to loads."""

from __future__ import annotations

from contextlib import closing

import pytest

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from tests.airflow_names import AirflowFailException
from tests.tables.test_loads import ROWS
from tests.tables_servers.conftest import changed_connection


class TestServersThatBend:
    @pytest.mark.parametrize(
        ("kind", "value", "says"),
        [
            ("TINYINT", 300, "127"),
            ("INT UNSIGNED", -1, "0 to 4,294,967,295"),
            ("DECIMAL(5, 2)", "1.999", "digits after the point: 2"),
            ("TINYTEXT", "x" * 256, "255 bytes"),
            ("DATETIME", "2026-06-01T12:00:00.5Z", "fraction: 0"),
            ("TIMESTAMP", "2039-01-01T00:00:00Z", "2038"),
            ("DATETIME(6)", "0999-01-01T00:00:00Z", "1000"),
        ],
    )
    def test_nothing_is_clipped_or_rounded(self, mysql, kind, value, says):
        mysql.run(f"CREATE TABLE orders (n INT, thing {kind})", "SET GLOBAL sql_mode = ''")
        try:
            with pytest.raises(CatalogParameterError) as caught:
                mysql.load([{"n": 1}, {"n": 2, "thing": value}])
        finally:
            mysql.run("SET GLOBAL sql_mode = DEFAULT")
        assert says in str(caught.value)
        assert "row 2" in str(caught.value)
        assert mysql.rows("COUNT(*)") == [(0,)]

    @pytest.mark.parametrize(
        ("kind", "value"), [("VARCHAR(9) CHARACTER SET utf8mb3", "\U0001f600"), ("ENUM('a', 'b')", "c")]
    )
    def test_what_the_server_refuses(self, mysql, kind, value):
        mysql.run(f"CREATE TABLE orders (n INT, thing {kind})", "SET GLOBAL sql_mode = ''")
        try:
            with pytest.raises(CatalogStorageError, match="'thing'") as caught:
                mysql.load([{"n": 1}, {"n": 2, "thing": value}])
        finally:
            mysql.run("SET GLOBAL sql_mode = DEFAULT")
        assert isinstance(caught.value, AirflowFailException)
        assert mysql.rows("COUNT(*)") == [(0,)]

    def test_times_are_utc_whatever_the_server_s_zone(self, mysql):
        mysql.run("CREATE TABLE orders (at TIMESTAMP(6) NULL, made_at DATETIME(6))", "SET GLOBAL time_zone = '+05:00'")
        skipped = "2026-03-29T02:30:00Z"  # an hour that some zones don't have
        try:
            mysql.load([{"at": skipped, "made_at": skipped}], load_columns=False)
        finally:
            mysql.run("SET GLOBAL time_zone = DEFAULT")
        assert mysql.run("SET time_zone = '+00:00'", "SELECT CAST(at AS CHAR), CAST(made_at AS CHAR) FROM orders") == [
            ("2026-03-29 02:30:00.000000",) * 2
        ]

    def test_other_unique_indexes_overwrite_no_row(self, mysql):
        mysql.run(
            "CREATE TABLE orders (order_id BIGINT PRIMARY KEY, email VARCHAR(20) UNIQUE)",
            "INSERT INTO orders VALUES (1, 'a')",
        )
        with pytest.raises(CatalogStorageError, match=r"1062.*'email'"):
            mysql.load([{"order_id": 2, "email": "a"}], write_disposition="merge", primary_key="order_id")
        assert mysql.rows("order_id, email") == [(1, "a")]

    def test_keys_that_are_equal_to_the_table_alone(self, mysql):
        mysql.run("CREATE TABLE orders (code VARCHAR(20) PRIMARY KEY, n INT)")
        with pytest.raises(CatalogParameterError, match="rows 1 and 2 share the key code"):
            mysql.load([{"code": "a", "n": 1}, {"code": "A", "n": 2}], write_disposition="merge", primary_key="code")

    def test_a_latin1_database(self, mysql):
        mysql.run(f"ALTER DATABASE {mysql.connection['schema']} CHARACTER SET latin1")
        mysql.load([{"order_id": "😀", "name": "日本"}], write_disposition="merge", primary_key="order_id")
        with closing(mysql.connect()) as connection:
            connection.set_character_set("utf8mb4")
            cursor = connection.cursor()
            cursor.execute("SELECT order_id, name FROM orders")
            assert cursor.fetchall() == (("😀", "日本"),)

    def test_a_table_without_transactions(self, mysql):
        mysql.run("CREATE TABLE orders (order_id BIGINT) ENGINE = MyISAM")
        with pytest.raises(CatalogParameterError, match="InnoDB"):
            mysql.load(ROWS)
        assert not mysql.asked

    def test_a_row_larger_than_a_packet(self, mysql):
        mysql.run("SET GLOBAL max_allowed_packet = 1048576")
        try:
            with pytest.raises(CatalogStorageError):
                mysql.load([{"order_id": 1, "text": "x" * 2 * 1024 * 1024}])
        finally:
            mysql.run("SET GLOBAL max_allowed_packet = DEFAULT")
        assert mysql.tables() == []


class TestConnections:
    def test_connector_python(self, mysql):
        with changed_connection(mysql, extra={"client": "mysql-connector-python", "ssl_disabled": True}):
            for _ in range(2):
                mysql.load([{**row, "50 %": "😀"} for row in ROWS], write_disposition="merge", primary_key="order_id")
        assert mysql.rows("COUNT(*)") == [(25,)]

    def test_a_replica(self, mysql):
        mysql.load(ROWS)
        mysql.run("SET GLOBAL read_only = 1")
        try:
            with pytest.raises(CatalogParameterError, match="read-only"):
                mysql.load(ROWS)
        finally:
            mysql.run("SET GLOBAL read_only = 0")
        assert not mysql.asked

    def test_a_table_of_another_database(self, mysql):
        mysql.run("CREATE DATABASE IF NOT EXISTS catalog_tables_other")
        try:
            for _ in range(2):
                manifest = mysql.load(ROWS, table="catalog_tables_other.orders")
            assert manifest["deleted"] == 25
        finally:
            mysql.run("DROP DATABASE catalog_tables_other")
