"""What MariaDB and MySQL do to loads."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from decimal import Decimal

import pytest

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from tests.airflow_names import AirflowFailException
from tests.tables.test_loads import ROWS
from tests.tables_servers.test_postgres import changed_connection, killed_while


@pytest.fixture
def loader(mysql):
    """Return a user with no rights but to look at the database."""
    mysql.run(
        "CREATE OR REPLACE USER loader@'127.0.0.1'",
        f"GRANT CREATE TEMPORARY TABLES ON {mysql.connection['schema']}.* TO loader@'127.0.0.1'",
    )
    yield "loader"
    mysql.run("DROP USER loader@'127.0.0.1'")


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

    def test_what_a_replace_would_cascade_into(self, mysql):
        mysql.load(ROWS, primary_key="order_id")
        mysql.run(
            "CREATE TABLE refunds (order_id BIGINT, FOREIGN KEY (order_id) REFERENCES orders (order_id) ON DELETE CASCADE)"
        )
        with pytest.raises(CatalogParameterError, match=r"refunds.*CASCADE"):
            mysql.load(ROWS)
        assert not mysql.asked


class TestOthersAtTheTable:
    def test_a_dashboard_s_open_transaction(self, mysql):
        mysql.load(ROWS)
        with closing(mysql.connect()) as dashboard:
            dashboard.cursor().execute("SELECT * FROM orders")
            assert mysql.load(ROWS)["deleted"] == 25
            with pytest.raises(CatalogStorageError, match="end the session"):
                mysql.load([{**row, "new": 1} for row in ROWS])
        assert mysql.rows("COUNT(*)") == [(25,)]

    def test_the_connection_is_killed_in_the_middle(self, mysql):
        mysql.load(ROWS)
        mysql.run("CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW SET NEW.price = NEW.price + SLEEP(0.2)")
        stop = threading.Event()

        def kill():
            while not stop.is_set():
                for [number] in mysql.run("SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"):
                    mysql.run(f"KILL {number}")
                    return
                time.sleep(0.05)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            with pytest.raises(CatalogStorageError, match="try again"):
                mysql.load(ROWS)
        finally:
            stop.set()
            thread.join()
        assert mysql.rows("COUNT(*), SUM(price)") == [(25, Decimal("306.25"))]

    def test_killed_in_the_middle(self, mysql):
        mysql.load(ROWS)
        mysql.run("CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW SET NEW.price = NEW.price + SLEEP(60)")
        number = killed_while(mysql, "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'")
        mysql.run(f"KILL {number}")
        mysql.run("DROP TRIGGER slow")
        assert mysql.rows("COUNT(*), SUM(price)") == [(25, Decimal("306.25"))]
        assert mysql.tables() == ["orders"]
        assert mysql.load(ROWS)["deleted"] == 25, "the lock has gone with the session"


class TestConnections:
    def test_connector_python(self, mysql):
        with changed_connection(mysql, extra={"client": "mysql-connector-python", "ssl_disabled": True}):
            for _ in range(2):
                mysql.load([{**row, "50 %": "😀"} for row in ROWS], write_disposition="merge", primary_key="order_id")
        assert mysql.rows("COUNT(*)") == [(25,)]

    def test_a_dict_cursor(self, mysql):
        with changed_connection(mysql, extra={"cursor": "dictcursor"}):
            mysql.load(ROWS)

    def test_tls_as_the_hook_has_it(self, mysql):
        extra = {"ssl": {"ca": "/nowhere/ca.pem"}, "ssl_mode": "VERIFY_IDENTITY"}
        with changed_connection(mysql, extra=extra):
            with pytest.raises(Exception) as own:  # noqa: PT011 - whatever the driver raises
                mysql.connect()
            with pytest.raises(CatalogStorageError, match="can't be reached") as caught:
                mysql.load(ROWS)
        assert type(own.value).__name__ in str(caught.value)
        assert not mysql.asked

    def test_rights(self, mysql, loader):
        schema = mysql.connection["schema"]
        mysql.load(ROWS)
        for granted in (None, "SELECT", "SELECT, INSERT"):
            if granted:
                mysql.run(f"GRANT {granted} ON {schema}.orders TO loader@'127.0.0.1'")
            with changed_connection(mysql, login=loader), pytest.raises(CatalogStorageError) as caught:
                mysql.load(ROWS)
            assert isinstance(caught.value, AirflowFailException)
            assert not mysql.asked
        assert "GRANT SELECT, INSERT, DELETE ON orders TO loader" in str(caught.value)
        mysql.run(f"GRANT DELETE ON {schema}.orders TO loader@'127.0.0.1'")
        with changed_connection(mysql, login=loader):
            mysql.load(ROWS)

    def test_a_replica(self, mysql, loader):
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
