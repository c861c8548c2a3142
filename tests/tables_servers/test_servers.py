"""What PostgreSQL and MariaDB have and SQLite lacks: foreign keys, others at the table, users with few rights, TLS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.sdk import AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_catalog.errors import CatalogStorageError
from tests.airflow_names import AirflowFailException
from tests.tables.databases import context
from tests.tables.test_loads import MERGE, ROWS
from tests.tables_servers.conftest import user

SLOW = {
    "postgres": (
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'",
        "CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION pause()",
    ),
    "mysql": ("CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW SET NEW.price = NEW.price + SLEEP(60)",),
}
AT_ONCE = {"postgres": "DROP TRIGGER slow ON orders", "mysql": "DROP TRIGGER slow"}
SESSION = {
    "postgres": "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE state = 'User sleep' AND db = DATABASE()",
}
KILL = {"postgres": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
def test_what_a_replace_would_cascade_into(database, rule):
    database.load(ROWS, primary_key="order_id")
    database.run(
        f"CREATE TABLE refunds (order_id BIGINT, FOREIGN KEY (order_id) REFERENCES orders (order_id) ON DELETE {rule})",
        "INSERT INTO refunds VALUES (1)",
    )
    database.refuse(f"refunds.*{rule}", ROWS)
    assert database.load(ROWS, **MERGE)["row_count"] == 25
    assert database.run("SELECT order_id FROM refunds") == [(1,)]


def test_a_dashboard_s_open_transaction(database):
    database.load(ROWS)
    with closing(database.connect()) as dashboard:
        dashboard.cursor().execute("SELECT * FROM orders")
        assert database.load(ROWS)["deleted"] == 25, "no column is new: nobody waits"
        with pytest.raises(CatalogStorageError, match="end the session") as caught:
            database.load([{**row, "new": 1} for row in ROWS])
        assert not isinstance(caught.value, AirflowFailException)
    assert database.rows("COUNT(*)") == [(25,)]
    assert database.load([{**row, "new": 1} for row in ROWS])["columns_added"] == ["new"]


def session_of_the_load(database):
    """Wait until a load is inside the slow trigger, and return the number of its session."""
    for _ in range(600):
        if found := database.run(SESSION[database.kind]):
            return found[0][0]
        time.sleep(0.1)
    raise AssertionError("no load")


def test_the_connection_is_killed_in_the_middle(database):
    database.load(ROWS)
    database.run(*SLOW[database.kind])
    kill = threading.Thread(target=lambda: database.run(KILL[database.kind].format(session_of_the_load(database))))
    kill.start()
    with pytest.raises(CatalogStorageError, match="try again") as caught:
        database.load(ROWS)
    kill.join()
    assert not isinstance(caught.value, AirflowFailException)
    assert database.rows("COUNT(*), SUM(price)") == [(25, 306.25)]


def signalled_in_the_middle(database, how):
    """Load in a process of its own, send it a signal, and return how it ended and what it said."""
    database.load(ROWS)
    database.run(*SLOW[database.kind])
    script = (
        "from tests.tables.databases import *\nfrom tests.tables.test_loads import ROWS\n"
        "import json, os, signal\n"
        "put = lambda name, value: os.environ.__setitem__(f'AIRFLOW_CONN_{name.upper()}', json.dumps(value))\n"
        "class Ended(OPERATORS['orders']):\n"
        "    def execute(self, context):\n"
        "        signal.signal(signal.SIGTERM, lambda *_: self.on_kill())  # as Airflow does\n"
        "        return super().execute(context)\n"
        "OPERATORS['orders'] = Ended\n"
        f"Database({database.kind!r}, {database.connection!r}, put).load(ROWS[:3])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], env=os.environ, stderr=subprocess.PIPE, text=True
    )
    session = session_of_the_load(database)
    child.send_signal(how)
    said = child.communicate()[1]
    database.run(KILL[database.kind].format(session))  # a server sees a lost client when it next writes
    database.run(AT_ONCE[database.kind])
    assert database.rows("COUNT(*), SUM(price)") == [(25, 306.25)]
    assert database.tables() == ["orders"]
    assert database.load(ROWS)["deleted"] == 25, "the lock has gone with the session"
    return child.returncode, said


def test_the_task_is_killed_in_the_middle(database):
    assert signalled_in_the_middle(database, signal.SIGKILL)[0] == -signal.SIGKILL


def test_the_task_is_ended_by_airflow_in_the_middle(postgres):  # while mysqlclient waits, Python hears no signal
    code, said = signalled_in_the_middle(postgres, signal.SIGTERM)
    assert code == 1
    assert "Airflow has ended the task" in said


def test_no_more_rights_than_a_load_needs(database, loader):
    database.load(ROWS, primary_key="order_id")
    rights = {
        "replace": "SELECT, INSERT, DELETE",
        "merge": "SELECT, INSERT, UPDATE",
        "append": "SELECT, INSERT, DELETE",
    }
    for number, (disposition, granted) in enumerate(rights.items()):
        parameters = {"write_disposition": disposition, "primary_key": "order_id", "run": disposition}
        parameters["changes"] = {"login": loader}
        for given in ("SELECT", granted):
            database.run(f"GRANT {given} ON orders TO {user(database, loader)}")
            rows = [{**row, "order_id": row["order_id"] + 100 * number} for row in ROWS]
            if given == granted:
                database.load(rows, **parameters)
            else:
                error = database.refuse(f"GRANT {granted} ON orders TO {loader}", rows, **parameters)
                assert isinstance(error, AirflowFailException)
        database.run(f"REVOKE {granted} ON orders FROM {user(database, loader)}")


def test_a_cursor_of_the_connection(database):
    for _ in range(2):
        database.load(ROWS, changes={"extra": {"cursor": "dictcursor"}}, **MERGE)
    assert database.rows("COUNT(*)") == [(25,)]


def test_tls_as_the_hook_has_it(database):
    extra = {
        "postgres": {"sslmode": "verify-full", "sslrootcert": "/nowhere/ca.pem"},
        "mysql": {"ssl": {"ca": "/nowhere/ca.pem"}, "ssl_mode": "VERIFY_IDENTITY"},
    }
    error = database.refuse("can't be reached", ROWS, changes={"extra": extra[database.kind]})
    with pytest.raises(Exception) as own:  # noqa: PT011 - whatever the driver raises
        replace(database, conn_id="changed").connect()
    assert str(own.value).strip()[-30:] in str(error)


def test_what_assets_and_openlineage_call_the_table(database):
    alias, events = AssetAlias("tables"), OutletEventAccessors()
    task = database.task(outlets=[alias])
    with database.catalog(ROWS):
        task.execute({**context(), "outlet_events": events})
    [event] = events[alias].asset_alias_events
    [output] = task.get_openlineage_facets_on_complete(None).outputs
    server, *names = {
        "postgres": ("postgres://127.0.0.1:5432", database.connection["schema"], "public", "orders"),
        "mysql": ("mysql://127.0.0.1:3306", database.connection["schema"], "orders"),
    }[database.kind]
    assert event.dest_asset_key.uri == "/".join([server, *names])
    assert (output.namespace, output.name) == (server, ".".join(names))
