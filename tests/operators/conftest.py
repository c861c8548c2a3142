from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_litter(tmp_path):
    """Every test leaves its folder without hidden files."""
    yield
    left = [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert not left, left
    assert os.umask(0o022) == 0o022
