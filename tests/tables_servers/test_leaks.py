"""The same on PostgreSQL and MariaDB, and what only they do."""

import pytest

from tests.tables.test_leaks import *  # noqa: F403
from tests.tables.test_leaks import load  # noqa: F401 - a fixture

ON_POSTGRES = {
    "json": "CREATE TABLE orders (number int, student_name jsonb)",
    "an enum": "CREATE TYPE state AS ENUM ('new'); CREATE TABLE orders (number int, student_name state)",
    "a trigger": "CREATE TABLE orders (number int, student_name text); CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql "
    "AS 'BEGIN RAISE NOTICE ''%'', NEW.student_name; RAISE EXCEPTION ''not %'', NEW.student_name USING DETAIL = NEW.student_name; END'; "
    "CREATE TRIGGER complain BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION complain()",
    "a cast": "CREATE TABLE orders (number int, student_name text); CREATE UNIQUE INDEX ON orders ((student_name::int))",
}


@pytest.mark.parametrize("table", ON_POSTGRES)
def test_on_postgres(postgres, load, table):  # noqa: F811
    postgres.run(ON_POSTGRES[table])
    assert load(postgres)


def test_a_signal_on_mariadb(mysql, load):  # noqa: F811
    mysql.run(
        "CREATE TABLE orders (number INT, student_name TEXT)",
        "CREATE TRIGGER complain BEFORE INSERT ON orders FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.student_name",
    )
    assert load(mysql)
