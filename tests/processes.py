"""Scripts that are run in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]


def python(script: str, *arguments: Any, before: tuple[str, ...] = (), **environment: str) -> str:
    """
    Run a script; return what it has printed.

    :param before: words of a command that runs it.
    """
    variables = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [*before, sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
