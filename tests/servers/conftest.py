from __future__ import annotations

from functools import partial

import pytest


@pytest.fixture(autouse=True)
def at_once(no_backoff, new_triggers):
    """Let nothing here wait between two tries, but where the server says so."""


@pytest.fixture
def connection(connection):
    """The same as elsewhere, but that pages are of 10 rows."""
    return partial(connection, page_size=10)
