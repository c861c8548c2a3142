from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tables.conftest import no_long_waits  # noqa: F401 - a fixture
from tests.tables.databases import Database, setter

NAME = f"catalog_tables_{os.getpid()}"
SERVERS = {
    "postgres": {"conn_type": "postgres", "host": "127.0.0.1", "login": "postgres", "schema": "postgres"},
    "mysql": {"conn_type": "mysql", "host": "127.0.0.1", "login": "root", "schema": ""},
}


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, dict[str, str]]]:
    """Make a database on each server, for this process alone."""
    with pytest.MonkeyPatch.context() as environment:
        set_connection = setter(environment)
        admins = {}
        for kind, connection in SERVERS.items():
            set_connection(f"admin_{kind}", connection)
            admins[kind] = Database(kind, connection, set_connection, f"admin_{kind}")
            try:
                outside_transaction(admins[kind], f"CREATE DATABASE {NAME}")
            except Exception as error:
                pytest.skip(f"needs {kind} on this machine: {type(error).__name__}")
        yield {kind: {**connection, "schema": NAME} for kind, connection in SERVERS.items()}
        outside_transaction(admins["postgres"], f"DROP DATABASE {NAME} WITH (FORCE)")
        outside_transaction(admins["mysql"], f"DROP DATABASE {NAME}")


def outside_transaction(database: Database, statement: str) -> None:
    connection = database.connect()
    if database.kind == "postgres":
        connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def made(kind: str, servers, monkeypatch, lock: int = fcntl.LOCK_SH) -> Iterator[Database]:
    set_connection = setter(monkeypatch)
    set_connection("warehouse", servers[kind])
    database = Database(kind, servers[kind], set_connection)
    with Path(tempfile.gettempdir(), "catalog_tables.lock").open("w") as file:
        fcntl.flock(file, lock)
        yield database
        if kind == "postgres":
            ours = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            staging = database.run("SELECT relname FROM pg_class WHERE relname LIKE '\\_catalog%'")
            locks = database.run(f"SELECT * FROM pg_locks WHERE locktype = 'advisory' AND {ours}")
            database.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO PUBLIC")
            assert staging + locks == [], "a load leaves nothing behind"
        else:
            database.run(f"DROP DATABASE {NAME}", f"CREATE DATABASE {NAME}")


@pytest.fixture(params=["postgres", "mysql"])
def database(request, servers, monkeypatch) -> Iterator[Database]:
    yield from made(request.param, servers, monkeypatch)


@pytest.fixture
def postgres(servers, monkeypatch) -> Iterator[Database]:
    yield from made("postgres", servers, monkeypatch)


@pytest.fixture
def mysql(servers, monkeypatch) -> Iterator[Database]:
    """Alone on the server, for these tests change settings that all sessions have."""
    yield from made("mysql", servers, monkeypatch, fcntl.LOCK_EX)


def user(database: Database, login: str) -> str:
    """Return a login as statements name it."""
    return login if database.kind == "postgres" else f"{login}@'127.0.0.1'"


@pytest.fixture
def loader(request) -> Iterator[str]:
    """Return the login of a user of the test's database with no rights but to look at it."""
    database = request.getfixturevalue("postgres" if "postgres" in request.fixturenames else "database")
    login = f"loader_{os.getpid()}"
    loader = user(database, login)
    if database.kind == "postgres":
        database.run(f"CREATE ROLE {loader} LOGIN")
        yield login
        database.run(f"DROP OWNED BY {loader}", f"DROP ROLE {loader}")
    else:
        database.run(f"CREATE USER {loader}", f"GRANT CREATE TEMPORARY TABLES ON {NAME}.* TO {loader}")
        yield login
        database.run(f"DROP USER {loader}")
