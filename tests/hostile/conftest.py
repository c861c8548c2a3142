from __future__ import annotations

from tests.operators.conftest import connection, endpoint, operator, serve  # noqa: F401 - fixtures
