"""No value of a row, and no password, in a log, an error or a traceback, whatever a database makes of a load."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_catalog.errors import CatalogError
from tests.leaks.canaries import TOKEN, rows, search
from tests.leaks.runs import outcome
from tests.tables.databases import context

LOGGERS = ("", "airflow", "airflow_provider_catalog", "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "psycopg")
ROWS = rows("orders", 25)
TABLES = {
    "no table yet": "",
    "a unique column": "CREATE TABLE orders (number INT, student_name VARCHAR(99) UNIQUE)",
    "a check": "CREATE TABLE orders (number INT, student_name VARCHAR(99) CHECK (LENGTH(student_name) < 3))",
    "a column that is NOT NULL": "CREATE TABLE orders (number INT, student_note VARCHAR(9) NOT NULL)",
    "a column that is too short": "CREATE TABLE orders (number INT, student_name VARCHAR(3))",
    "another type": "CREATE TABLE orders (number INT, student_name INT)",
    "a foreign key": "CREATE TABLE orders (number INT, student_id BIGINT, FOREIGN KEY (student_id) REFERENCES students (id))",
}
PARAMETERS = {
    "a key that rows share": {"primary_key": "student_id"},
    "a key of personal data": {"primary_key": ["student_email"], "write_disposition": "merge"},
    "a type that is wrong": {"field_types": {"student_name": "int64"}},
}


@pytest.fixture
def load(caplog, capfd):
    """Return a function that loads rows with every log at DEBUG; it returns the error, if any, when nothing leaked."""
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, logger=name)

    def load_rows(database, **parameters):
        task = database.task(**parameters)
        with database.catalog(ROWS):
            told = outcome(lambda: task.execute(context()))
        said = capfd.readouterr()
        failed = told.pop("failed", None)
        assert failed is None or isinstance(failed, CatalogError), failed
        assert caplog.text
        places = {name: value if isinstance(value, str) else repr(value) for name, value in told.items()}
        assert search(places | {"log": caplog.text, "out": said.out, "err": said.err}) == []
        return failed

    return load_rows


@pytest.mark.parametrize("table", TABLES)
def test_tables(database, load, table):
    if "students" in TABLES[table]:
        database.run("CREATE TABLE students (id BIGINT PRIMARY KEY)")
    if TABLES[table]:
        database.run(TABLES[table])
    lax = database.kind == "sqlite" and "foreign" in table
    assert (load(database) is None) == (table == "no table yet" or lax)


@pytest.mark.parametrize("what", PARAMETERS)
def test_parameters(database, load, what):
    assert load(database, **PARAMETERS[what])


def test_the_password(database, load):
    elsewhere = {"host": "/nowhere/at/all"} if database.kind == "sqlite" else {"host": "127.0.0.2", "port": 9}
    assert load(database, changes={**elsewhere, "password": TOKEN})
