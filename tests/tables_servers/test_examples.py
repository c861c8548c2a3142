"""The example DAGs on PostgreSQL and MariaDB."""

from tests.tables.test_examples import *  # noqa: F403
from tests.tables.test_examples import airflow_database, catalog, pytestmark  # noqa: F401
