"""Measures a pull in this process; needs nothing but Python, for every contender has an environment of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


def resident_kb(field: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (the peak) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def run(pull: Callable[[str, str], int]) -> None:
    """
    Call ``pull(url, path)`` with the command line's arguments, and print what it took, as JSON.

    :param pull: returns the size of the task's XCom in bytes.
    """
    url, path = sys.argv[1:]
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident_kb("VmRSS")
    started, cpu = time.monotonic(), os.times()
    xcom = pull(url, path)
    seconds, cpu_after = time.monotonic() - started, os.times()
    result = {
        "seconds": seconds,
        "cpu": sum(cpu_after[:4]) - sum(cpu[:4]),  # of child processes, too
        "at_start_mb": before / 1000,
        "memory_mb": (resident_kb("VmHWM") - before) / 1000,
        "xcom_bytes": xcom,
    }
    sys.stdout.write("RESULT " + json.dumps(result) + "\n")
