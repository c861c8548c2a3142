"""No value of a row, and no password, in a log, an error or a traceback, whatever a database makes of a load."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_catalog.errors import CatalogError
from tests.catalog_server import Pages, catalog_server
from tests.leaks.canaries import TOKEN, rows, search
from tests.leaks.runs import outcome
from tests.tables.databases import OPERATORS, catalog_connection, context

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
def everything_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, logger=name)


def leaks(database, caplog, capfd, **parameters):
    with catalog_server(Pages(ROWS)) as catalog:
        database.set_connection("catalog_default", catalog_connection(catalog))
        parameters = {"sql_conn_id": "warehouse", "table": "orders", "write_disposition": "replace", **parameters}
        task = OPERATORS["orders"](task_id="load", **parameters)
        told = outcome(lambda: task.execute(context()))
    said = capfd.readouterr()
    failed = told.pop("failed", None)
    assert failed is None or isinstance(failed, CatalogError), failed
    assert caplog.text
    places = {name: value if isinstance(value, str) else repr(value) for name, value in told.items()}
    return failed, search(places | {"log": caplog.text, "out": said.out, "err": said.err})


@pytest.mark.parametrize("table", TABLES)
def test_tables(database, everything_is_logged, caplog, capfd, table):
    if "students" in TABLES[table]:
        database.run("CREATE TABLE students (id BIGINT PRIMARY KEY)")
    if TABLES[table]:
        database.run(TABLES[table])
    failed, found = leaks(database, caplog, capfd)
    assert found == []
    lax = database.kind == "sqlite" and "foreign" in table
    assert (failed is None) == (table == "no table yet" or lax)


@pytest.mark.parametrize("what", PARAMETERS)
def test_parameters(database, everything_is_logged, caplog, capfd, what):
    failed, found = leaks(database, caplog, capfd, **PARAMETERS[what])
    assert failed is not None
    assert found == []


def test_the_password(database, everything_is_logged, caplog, capfd):
    connection = {**database.connection, "password": TOKEN}
    if database.kind == "sqlite":
        connection["host"] = "/nowhere/at/all"
    else:
        connection |= {"host": "127.0.0.2", "port": 9}
    database.set_connection("warehouse", connection)
    failed, found = leaks(database, caplog, capfd)
    database.set_connection("warehouse", database.connection)
    assert failed is not None
    assert found == []
