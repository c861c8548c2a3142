"""What PostgreSQL does to loads, and PgBouncer in front of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from tests.airflow_names import AirflowFailException
from tests.tables.test_loads import ROWS

UUIDS = [f"00000000-0000-4000-8000-{n:012}" for n in range(3)]


DATABASE = "(SELECT oid FROM pg_database WHERE datname = current_database())"


def left_behind(postgres):
    """What a load may leave on a server: tables, locks, sessions."""
    staging = postgres.run("SELECT relname FROM pg_class WHERE relname LIKE '\\_catalog%'")
    locks = postgres.run(f"SELECT * FROM pg_locks WHERE locktype = 'advisory' AND database = {DATABASE}")
    return staging + locks


@pytest.fixture(autouse=True)
def nothing_is_left(postgres):
    yield
    assert left_behind(postgres) == []


class TestTypes:
    def test_of_a_table_that_is_there(self, postgres):
        postgres.run(
            "CREATE TYPE state AS ENUM ('new', 'paid')",
            "CREATE TABLE orders (id uuid PRIMARY KEY, state state, at timestamp, day date, extra jsonb, plain json, "
            "tags text[], amount numeric, ip inet)",
        )
        rows = [
            {"id": key, "state": "new", "at": "2026-03-29T02:30:00+02:00", "day": "2026-03-29", "extra": [1], "plain": [2],
             "tags": ['a "b" \\', None, "c,d"], "amount": "1.000000001", "ip": "10.0.0.1"}
            for key in UUIDS
        ]  # fmt: skip
        for _ in range(2):
            postgres.load([*rows, rows[0]], write_disposition="merge", primary_key="id", load_columns=False)
        [first, *_] = postgres.run(
            "SELECT id, state, at::text, day::text, extra::text, plain::text, tags, amount::text FROM orders"
        )
        assert first == (
            UUID(UUIDS[0]), "new", "2026-03-29 00:30:00", "2026-03-29", "[1]", "[2]", ['a "b" \\', None, "c,d"], "1.000000001",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("uuid", "no uuid at all"), ("jsonb", "{broken"), ("jsonb", ["\0"]), ("inet", "somewhere"), ("real", 1e300)],
    )
    def test_what_the_server_refuses(self, postgres, kind, value):
        postgres.run(f"CREATE TABLE orders (n int, thing {kind})")
        rows = [*({"n": n} for n in range(6_000)), {"n": 6_000, "thing": value}]
        with pytest.raises(CatalogStorageError, match=r"row 6001, 'thing'") as caught:
            postgres.load(rows)
        assert isinstance(caught.value, AirflowFailException), "a retry can't mend it"
        assert str(value) not in str(caught.value)
        assert postgres.rows("COUNT(*)") == [(0,)]

    def test_nul(self, postgres):
        with pytest.raises(CatalogParameterError, match=r"'name'.*row 2.*NUL"):
            postgres.load([{"id": 1, "name": "a"}, {"id": 2, "name": "a\0b"}])
        assert postgres.tables() == []

    def test_generated_columns_and_identities(self, postgres):
        postgres.run(
            "CREATE TABLE orders (key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric, "
            "gross numeric GENERATED ALWAYS AS (price * 2) STORED)"
        )
        postgres.load([{"price": 2.5, "gross": 1}])
        assert postgres.rows("key, price, gross") == [(1, 2.5, 5)]
        with pytest.raises(CatalogParameterError, match=r"'key'.*ALWAYS AS IDENTITY"):
            postgres.load([{"price": 2.5, "key": 7}])


class TestWhatHangsOnTheTable:
    def test_views_grants_and_triggers_stay(self, postgres):
        postgres.load(ROWS)
        postgres.run(
            "CREATE MATERIALIZED VIEW totals AS SELECT SUM(price) FROM orders",
            "CREATE TABLE noted (deleted int)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO noted VALUES (OLD.order_id); RETURN OLD; END'",
            "CREATE TRIGGER note AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note()",
            "GRANT SELECT ON orders TO PUBLIC",
        )
        before = postgres.run("SELECT oid, relacl::text FROM pg_class WHERE relname = 'orders'")
        postgres.load([{**row, "new": 1} for row in ROWS])
        assert postgres.run("SELECT oid, relacl::text FROM pg_class WHERE relname = 'orders'") == before
        assert postgres.run("SELECT COUNT(*) FROM noted") == [(25,)]

    @pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
    def test_what_a_replace_would_cascade_into(self, postgres, rule):
        postgres.load(ROWS, primary_key="order_id")
        postgres.run(
            f"CREATE TABLE refunds (order_id bigint REFERENCES orders ON DELETE {rule})",
            "INSERT INTO refunds VALUES (1)",
        )
        with pytest.raises(CatalogParameterError, match=f"refunds.*{rule}"):
            postgres.load(ROWS)
        assert not postgres.asked
        assert postgres.load(ROWS, write_disposition="merge", primary_key="order_id")["updated"] == 25
        assert postgres.run("SELECT order_id FROM refunds") == [(1,)]

    def test_row_level_security(self, postgres, loader):
        postgres.load(ROWS)
        postgres.run("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", f"GRANT ALL ON orders TO {loader}")
        with as_loader(postgres, loader), pytest.raises(CatalogParameterError, match="BYPASSRLS"):
            postgres.load(ROWS)
        assert not postgres.asked

    def test_a_published_table_without_identity(self, postgres):
        if postgres.run("SHOW wal_level") != [("logical",)]:
            postgres.run("SET client_min_messages = error")
        postgres.load(ROWS)
        postgres.run("CREATE PUBLICATION everything FOR ALL TABLES")
        try:
            with pytest.raises(CatalogStorageError, match="replica identity"):
                postgres.load(ROWS)
        finally:
            postgres.run("DROP PUBLICATION everything")
        assert not postgres.asked

    def test_a_view_and_a_partitioned_table(self, postgres):
        postgres.run(
            "CREATE TABLE parts (order_id bigint, price numeric) PARTITION BY RANGE (order_id)",
            "CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (100)",
            "CREATE VIEW orders AS SELECT * FROM parts",
        )
        for _ in range(2):
            parameters = {"write_disposition": "merge", "primary_key": "order_id", "load_columns": False}
            postgres.load(ROWS, on_new_columns="ignore", **parameters)
        assert postgres.run("SELECT COUNT(*) FROM high") == [(15,)]


class TestRights:
    def test_no_more_than_a_load_needs(self, postgres, loader):
        postgres.load(ROWS, primary_key="order_id")
        rights = {
            "replace": "SELECT, INSERT, DELETE",
            "merge": "SELECT, INSERT, UPDATE",
            "append": "SELECT, INSERT, DELETE",
        }
        for disposition, granted in rights.items():
            postgres.run(f"REVOKE ALL ON orders FROM {loader}")
            with as_loader(postgres, loader):
                with pytest.raises(CatalogStorageError, match=f"GRANT {granted} ON orders TO {loader}") as caught:
                    postgres.load(ROWS, write_disposition=disposition, primary_key="order_id")
                assert isinstance(caught.value, AirflowFailException)
                assert not postgres.asked, "told before the first request"
            postgres.run(f"GRANT {granted} ON orders TO {loader}")
            with as_loader(postgres, loader):
                rows = [{**row, "order_id": row["order_id"] + 100} for row in ROWS] if disposition == "append" else ROWS
                postgres.load(rows, write_disposition=disposition, primary_key="order_id", run=disposition)

    def test_staging_tables(self, postgres, loader):
        postgres.load(ROWS)
        name = postgres.connection["schema"]
        postgres.run(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC", f"GRANT ALL ON orders TO {loader}")
        try:
            with (
                as_loader(postgres, loader),
                pytest.raises(CatalogStorageError, match=f"GRANT TEMPORARY ON DATABASE {name}"),
            ):
                postgres.load(ROWS)
            assert not postgres.asked
            postgres.run(f"GRANT CREATE, USAGE ON SCHEMA public TO {loader}")
            with as_loader(postgres, loader):
                assert postgres.load(ROWS)["deleted"] == 25
                merge = {"write_disposition": "merge", "primary_key": "order_id"}
                assert postgres.load(ROWS, table="public.orders", **merge)["updated"] == 25
                assert postgres.load(ROWS, table="public.others", **merge)["inserted"] == 25
        finally:
            postgres.run(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
        assert postgres.tables() == ["orders", "others"]

    def test_a_new_table(self, postgres, loader):
        with as_loader(postgres, loader), pytest.raises(CatalogStorageError, match="GRANT CREATE ON SCHEMA public"):
            postgres.load(ROWS)
        assert not postgres.asked
        postgres.run(f"GRANT CREATE, USAGE ON SCHEMA public TO {loader}")
        with as_loader(postgres, loader):
            postgres.load(ROWS)

    def test_a_new_column_of_a_table_of_others(self, postgres, loader):
        postgres.load(ROWS)
        postgres.run(f"GRANT ALL ON orders TO {loader}")
        with as_loader(postgres, loader):
            postgres.load(ROWS)
            with pytest.raises(CatalogStorageError, match="ALTER TABLE orders ADD COLUMN coupon TEXT"):
                postgres.load([{**row, "coupon": "x"} for row in ROWS])
        assert postgres.rows("COUNT(*)") == [(25,)]

    def test_a_role_that_owns_the_tables(self, postgres, loader):
        options = "-c role=" + loader
        postgres.run(f"GRANT CREATE, USAGE ON SCHEMA public TO {loader}")
        with changed_connection(postgres, extra={"options": options}):
            postgres.load(ROWS)
        assert postgres.run("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'") == [(loader,)]

    def test_a_replica(self, postgres):
        with changed_connection(postgres, extra={"options": "-c default_transaction_read_only=on"}):
            with pytest.raises(CatalogParameterError, match="read-only"):
                postgres.load(ROWS)
        assert not postgres.asked

    def test_the_search_path_of_the_connection(self, postgres):
        postgres.run("CREATE SCHEMA analytics")
        with changed_connection(postgres, extra={"options": "-c search_path=analytics"}):
            postgres.load(ROWS)
        try:
            assert postgres.rows("COUNT(*)", "analytics.orders") == [(25,)]
            assert postgres.load(ROWS, table="analytics.orders")["deleted"] == 25
        finally:
            postgres.run("DROP SCHEMA analytics CASCADE")


class TestOthersAtTheTable:
    def test_a_dashboard_s_open_query(self, postgres):
        postgres.load(ROWS)
        with closing(postgres.connect()) as dashboard:
            dashboard.cursor().execute("SELECT * FROM orders")
            assert postgres.load(ROWS)["deleted"] == 25, "no column is new: nobody waits"
            with pytest.raises(CatalogStorageError, match="end the session") as caught:
                postgres.load([{**row, "new": 1} for row in ROWS])
            assert not isinstance(caught.value, AirflowFailException)
        assert postgres.rows("COUNT(*)") == [(25,)]
        assert postgres.load([{**row, "new": 1} for row in ROWS])["columns_added"] == ["new"]

    def test_it_goes_on_as_soon_as_the_query_has_ended(self, postgres, monkeypatch):
        monkeypatch.setattr("airflow_provider_catalog.output.tables.dialects.PAUSES", (0.1,) * 30)
        postgres.load(ROWS)
        dashboard = postgres.connect()
        dashboard.cursor().execute("SELECT * FROM orders")
        timer = threading.Timer(3, dashboard.close)
        timer.start()
        assert postgres.load([{**row, "new": 1} for row in ROWS])["columns_added"] == ["new"]
        timer.join()

    def test_readers_see_the_old_rows_or_the_new(self, postgres):
        postgres.load(ROWS)
        seen, stop = set(), threading.Event()

        def look():
            with closing(postgres.connect()) as reader:
                reader.autocommit = True
                while not stop.is_set():
                    seen.add(
                        reader.cursor().execute("SELECT COUNT(*), COUNT(DISTINCT _load_id) FROM orders").fetchone()
                    )

        thread = threading.Thread(target=look)
        thread.start()
        for number in range(5):
            postgres.load([{"order_id": n} for n in range(1000)] if number % 2 else ROWS, run=str(number))
        stop.set()
        thread.join()
        assert seen <= {(25, 1), (1000, 1)}


class TestConnections:
    def test_psycopg2(self, postgres, monkeypatch):
        monkeypatch.setattr("airflow.providers.postgres.hooks.postgres.USE_PSYCOPG3", False)
        rows = [{**row, "50 % of": "tab\t\\ \n"} for row in ROWS]
        for _ in range(2):
            postgres.load(rows, write_disposition="merge", primary_key="order_id")
        assert postgres.run('SELECT DISTINCT "50 % of" FROM orders') == [("tab\t\\ \n",)]
        postgres.run("CREATE TABLE things (n int, thing uuid)")
        with pytest.raises(CatalogStorageError, match=r"row 2"):
            postgres.load([{"n": 1}, {"n": 2, "thing": "x"}], table="things")

    def test_a_cursor_of_the_connection(self, postgres):
        with changed_connection(postgres, extra={"cursor": "dictcursor"}):
            for _ in range(2):
                postgres.load(ROWS, write_disposition="merge", primary_key="order_id")
        assert postgres.rows("COUNT(*)") == [(25,)]

    def test_tls_as_the_hook_has_it(self, postgres, tmp_path):
        ca = tmp_path / "ca.pem"
        ca.write_text("-----BEGIN CERTIFICATE-----\n")
        for extra in (
            {"sslmode": "verify-full", "sslrootcert": str(ca)},
            {"sslmode": "verify-full", "sslrootcert": "/nowhere"},
        ):
            with changed_connection(postgres, extra=extra):
                with pytest.raises(Exception) as own:  # noqa: PT011 - whatever the driver raises
                    postgres.connect()
                with pytest.raises(CatalogStorageError, match="can't be reached") as caught:
                    postgres.load(ROWS)
            assert str(own.value).strip()[-60:] in str(caught.value)
        assert not postgres.asked

    def test_the_connection_is_encrypted_where_the_extras_say_so(self, postgres):
        if postgres.run("SHOW ssl") != [("on",)]:
            with changed_connection(postgres, extra={"sslmode": "require"}):
                with pytest.raises(CatalogStorageError, match="SSL"):
                    postgres.load(ROWS)
            return
        postgres.run(
            "CREATE TABLE sessions (encrypted boolean)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
            "INSERT INTO sessions SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid(); RETURN NULL; END'",
            "CREATE TABLE orders (order_id bigint)",
            "CREATE TRIGGER note AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION note()",
        )
        with changed_connection(postgres, extra={"sslmode": "require"}):
            postgres.load(ROWS)
        assert postgres.run("SELECT DISTINCT encrypted FROM sessions") == [(True,)]

    def test_the_backend_is_terminated_in_the_middle(self, postgres):
        postgres.load(ROWS)
        postgres.run(
            "CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'",
            "CREATE TRIGGER kill BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION kill()",
        )
        with pytest.raises(CatalogStorageError, match=r"57P01|try again") as caught:
            postgres.load(ROWS[:3])
        assert not isinstance(caught.value, AirflowFailException)
        postgres.run("DROP TRIGGER kill ON orders")
        assert postgres.rows("COUNT(*)") == [(25,)]

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended by Airflow"])
    def test_killed_in_the_middle(self, postgres, how):
        postgres.load(ROWS)
        postgres.run(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'",
            "CREATE TRIGGER pause BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION pause()",
        )
        inside = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        number = killed_while(postgres, inside, how)
        postgres.run(f"SELECT pg_terminate_backend({number})")  # a server sees a lost client when it next writes
        postgres.run("DROP TRIGGER pause ON orders")
        time.sleep(0.2)
        assert postgres.rows("COUNT(*)") == [(25,)]

    def test_a_full_disk(self, postgres):
        """As the server tells it."""
        postgres.load(ROWS)
        postgres.run(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''53100''; END'",
            "CREATE TRIGGER fail BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        with pytest.raises(CatalogStorageError, match=r"try again.*53100.*No space left") as caught:
            postgres.load(ROWS[:3])
        assert not isinstance(caught.value, AirflowFailException)
        postgres.run("DROP TRIGGER fail ON orders")
        assert postgres.rows("COUNT(*)") == [(25,)]


class TestPgBouncer:
    def test_transaction_mode(self, postgres):
        with (
            tempfile.TemporaryDirectory() as folder,
            pgbouncer(Path(folder), postgres.connection["schema"]) as port,
            changed_connection(postgres, port=port),
        ):
            for _ in range(8):  # psycopg prepares what it sees for the fifth time
                postgres.load(ROWS, write_disposition="merge", primary_key="order_id")
            manifests, failed = [], []

            def load(number):
                try:
                    manifests.append(postgres.load(ROWS, table=f"t{number % 2}", run=str(number)))
                except Exception as error:
                    failed.append(error)

            threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not failed
        assert postgres.rows("COUNT(*)", "t0") == postgres.rows("COUNT(*)") == [(25,)]


@pytest.fixture
def loader(postgres):
    """Return a role without any rights."""
    name = f"loader_{os.getpid()}"
    postgres.run(f"CREATE ROLE {name} LOGIN")
    yield name
    postgres.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@contextmanager
def changed_connection(database, **fields):
    database.set_connection(database.conn_id, {**database.connection, **fields})
    try:
        yield
    finally:
        database.set_connection(database.conn_id, database.connection)


def killed_while(database, inside, how=signal.SIGKILL):
    """Load in a process of its own, send that a signal once a query finds its session, and return what it found."""
    script = (
        "from tests.tables.databases import *\nfrom tests.tables.test_loads import ROWS\n"
        "import json, os, signal\n"
        "put = lambda name, value: os.environ.__setitem__(f'AIRFLOW_CONN_{name.upper()}', json.dumps(value))\n"
        "Load = OPERATORS['orders']\n"
        "class Ended(Load):\n"
        "    def execute(self, context):\n"
        "        signal.signal(signal.SIGTERM, lambda *_: self.on_kill())  # as Airflow does\n"
        "        return super().execute(context)\n"
        "OPERATORS['orders'] = Ended\n"
        f"Database({database.kind!r}, {database.connection!r}, put).load(ROWS[:3])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], env=os.environ, stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if found := database.run(inside):
            break
        time.sleep(0.1)
    child.send_signal(how)
    said = child.communicate()[1]
    assert child.returncode == (-how if how == signal.SIGKILL else 1), said
    assert how == signal.SIGKILL or "Airflow has ended the task" in said
    return found[0][0]


def as_loader(database, name):
    return changed_connection(database, login=name)


@contextmanager
def pgbouncer(folder: Path, database: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host=127.0.0.1 port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = trust\nauth_file = {folder}/users.txt\npool_mode = transaction\n"
        f"default_pool_size = 2\nunix_socket_dir =\n"
    )
    command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", str(folder / "pgbouncer.ini")]
    if os.getuid() == 0:  # it refuses to run as root
        command[1:1] = ["-u", "postgres"]
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
