"""What PostgreSQL does to loads, and PgBouncer in front of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from scripts.local_airflow import free_port
from tests.airflow_names import AirflowFailException
from tests.certificates import make_certificate
from tests.stores.servers import running
from tests.tables.test_loads import MERGE, ROWS

UUIDS = [f"00000000-0000-4000-8000-{n:012}" for n in range(3)]


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

    def test_row_level_security(self, postgres, loader):
        postgres.load(ROWS)
        postgres.run("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", f"GRANT ALL ON orders TO {loader}")
        postgres.refuse("BYPASSRLS", ROWS, changes={"login": loader})

    def test_a_published_table_without_identity(self, postgres):
        postgres.load(ROWS)
        postgres.run("CREATE PUBLICATION everything FOR ALL TABLES")
        try:
            postgres.refuse("replica identity", ROWS)
        finally:
            postgres.run("DROP PUBLICATION everything")

    def test_a_view_and_a_partitioned_table(self, postgres):
        postgres.run(
            "CREATE TABLE parts (order_id bigint, price numeric) PARTITION BY RANGE (order_id)",
            "CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (100)",
            "CREATE VIEW orders AS SELECT * FROM parts",
        )
        for _ in range(2):
            postgres.load(ROWS, on_new_columns="ignore", load_columns=False, **MERGE)
        assert postgres.run("SELECT COUNT(*) FROM high") == [(15,)]


class TestRights:
    def test_staging_tables(self, postgres, loader):
        postgres.load(ROWS)
        name = postgres.connection["schema"]
        postgres.run(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC", f"GRANT ALL ON orders TO {loader}")
        try:
            postgres.refuse(f"GRANT TEMPORARY ON DATABASE {name}", ROWS, changes={"login": loader})
            postgres.run(f"GRANT CREATE, USAGE ON SCHEMA public TO {loader}")
            into = {"changes": {"login": loader}}
            assert postgres.load(ROWS, **into)["deleted"] == 25
            assert postgres.load(ROWS, table="public.orders", **into, **MERGE)["updated"] == 25
            assert postgres.load(ROWS, table="public.others", **into, **MERGE)["inserted"] == 25
        finally:
            postgres.run(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
        assert postgres.tables() == ["orders", "others"]

    def test_a_new_table(self, postgres, loader):
        postgres.refuse("GRANT CREATE ON SCHEMA public", ROWS, changes={"login": loader})
        postgres.run(f"GRANT CREATE, USAGE ON SCHEMA public TO {loader}")
        postgres.load(ROWS, changes={"login": loader})

    def test_a_new_column_of_a_table_of_others(self, postgres, loader):
        postgres.load(ROWS)
        postgres.run(f"GRANT ALL ON orders TO {loader}")
        postgres.load(ROWS, changes={"login": loader})
        with pytest.raises(CatalogStorageError, match="ALTER TABLE orders ADD COLUMN coupon TEXT"):
            postgres.load([{**row, "coupon": "x"} for row in ROWS], changes={"login": loader})
        assert postgres.rows("COUNT(*)") == [(25,)]

    def test_a_role_that_owns_the_tables(self, postgres, loader):
        postgres.run(f"GRANT CREATE, USAGE ON SCHEMA public TO {loader}")
        postgres.load(ROWS, changes={"extra": {"options": f"-c role={loader}"}})
        assert postgres.run("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'") == [(loader,)]

    def test_a_replica(self, postgres):
        options = "-c default_transaction_read_only=on"
        postgres.refuse("read-only", ROWS, changes={"extra": {"options": options}})

    def test_the_search_path_of_the_connection(self, postgres):
        postgres.run("CREATE SCHEMA analytics")
        postgres.load(ROWS, changes={"extra": {"options": "-c search_path=analytics"}})
        try:
            assert postgres.rows("COUNT(*)", "analytics.orders") == [(25,)]
            assert postgres.load(ROWS, table="analytics.orders")["deleted"] == 25
        finally:
            postgres.run("DROP SCHEMA analytics CASCADE")


class TestOthersAtTheTable:
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
            postgres.load(rows, **MERGE)
        assert postgres.run('SELECT DISTINCT "50 % of" FROM orders') == [("tab\t\\ \n",)]
        postgres.run("CREATE TABLE things (n int, thing uuid)")
        with pytest.raises(CatalogStorageError, match=r"row 2"):
            postgres.load([{"n": 1}, {"n": 2, "thing": "x"}], table="things")

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
        def load(number):
            into = {"table": f"t{number % 2}", "run": str(number), "catalog_conn_id": f"c{number}"}
            postgres.load(ROWS, changes={"port": port}, **into)

        with pgbouncer(postgres.connection["schema"]) as port:
            for _ in range(8):  # psycopg prepares what it sees for the fifth time
                postgres.load(ROWS, changes={"port": port}, **MERGE)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(load, range(4)))
        assert postgres.rows("COUNT(*)", "t0") == postgres.rows("COUNT(*)") == [(25,)]

    def test_tls_that_is_required(self, postgres, tmp_path):
        """With the CA bundle that the connection's extra names, as any hook of Airflow's does it."""
        bundle, _ = make_certificate(tmp_path)
        with pgbouncer(postgres.connection["schema"], certificate=tmp_path) as port:
            verified = {"sslmode": "verify-full", "sslrootcert": str(bundle)}
            postgres.load(ROWS, changes={"port": port, "extra": verified}, **MERGE)
            for extra in ({"sslmode": "disable"}, {"sslmode": "verify-full", "sslrootcert": "system"}):
                says = "check the connection 'changed'.*(TLS|SSL|certificate)"
                postgres.refuse(says, ROWS, changes={"port": port, "extra": extra})
        assert postgres.rows("COUNT(*)") == [(25,)]


@contextmanager
def pgbouncer(database: str, *, certificate: Path | None = None):
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tls = ""
        if certificate:
            for file in ("ca.pem", "key.pem"):
                shutil.copy(certificate / file, folder)
            tls = (
                f"client_tls_sslmode = require\nclient_tls_cert_file = {folder}/ca.pem\n"
                f"client_tls_key_file = {folder}/key.pem\n"
            )
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{database} = host=127.0.0.1 port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nauth_type = trust\nauth_file = {folder}/users.txt\npool_mode = transaction\n"
            f"default_pool_size = 2\nunix_socket_dir =\n{tls}"
        )
        command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", str(folder / "pgbouncer.ini")]
        if os.getuid() == 0:  # it refuses to run as root
            command[1:1] = ["-u", "postgres"]
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "postgres")
        with running(command, port):
            yield port
