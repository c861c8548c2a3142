"""The same loads as on SQLite, on PostgreSQL and MariaDB."""

from tests.tables.test_loads import *  # noqa: F403
