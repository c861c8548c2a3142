"""A few of the tasks that ``make kills`` kills while they write to S3."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("moto.server", reason="moto is not installed: make test-stores")

pytestmark = pytest.mark.takes(seconds=15)

KILLS = 4


def test_tasks_that_are_killed_while_they_overwrite_a_file():
    command = [sys.executable, "-m", "tests.kills", str(KILLS), "--s3", "--cases", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert f"{KILLS} kills, {KILLS} retries" in done.stdout
