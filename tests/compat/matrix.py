"""Run the tests on every supported version of Airflow and Python; ``make matrix`` from a shell.

The newest Airflow is the one in requirements.lock, and runs the whole suite. The older ones run what a version can
break: operators, sensors and triggers, the example DAGs, the connection and its form, what Airflow reads about the
provider. Their environments are resolved from constraints/, so that they are the same on every day and every machine.

A warning that is raised in the provider or in an example DAG, such as of a deprecated import, is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
NEWEST = re.search(r"^apache-airflow==(\S+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)[1]
PYTHONS = {NEWEST: ("3.11", "3.13"), "3.1.8": ("3.11", "3.13"), "3.0.6": ("3.11", "3.13"), "2.11.2": ("3.11", "3.12")}
OLDEST = list(PYTHONS)[-1]
# wtforms: Airflow 3.0 shows no connection form without it; the web interface of later versions does.
TOOLS = ("hypothesis", "pytest", "pytest-xdist", "wtforms")
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")  # as in the Makefile
OLDER_TESTS = (
    "tests/compat", "tests/example_dags/test_examples.py", "tests/hooks", "tests/operators", "tests/sensors",
    "tests/output/test_destination.py", "tests/tables", "tests/test_failures.py", "tests/test_provider_info.py",
    "tests/triggers",
)  # fmt: skip
NOT_ON_AIRFLOW_2 = (
    "tests/example_dags/test_examples.py",  # written for Airflow 3
    "tests/tables/test_examples.py",
    "tests/tables/test_leaks.py",
    "tests/test_provider_info.py",  # asks the API server
)
WARNINGS = ("default", "error:::airflow_provider_catalog", "error:::catalog_")
REMOVED = "error::airflow.exceptions.RemovedInAirflow4Warning"  # which Airflow 2 does not know


class Cell(NamedTuple):
    """A version of Airflow on a version of Python."""

    airflow: str
    python: str

    def __str__(self) -> str:
        return f"{self.airflow}/{self.python}"


def cells(which: str) -> list[Cell]:
    """Return ``all`` cells, the one named ``3.0.6/3.13``, or of the ``oldest`` Airflow the one on this Python."""
    if which == "oldest":
        return [Cell(OLDEST, ".".join(platform.python_version_tuple()[:2]))]
    every = [Cell(airflow, python) for airflow, pythons in PYTHONS.items() for python in pythons]
    return [cell for cell in every if which in ("all", str(cell))]


def uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, cwd=PROJECT)


def install(cell: Cell) -> str:
    """Make the cell's environment with the provider in it, and return its interpreter."""
    folder = PROJECT / ".venv" / "matrix" / f"airflow-{cell.airflow}-python-{cell.python}"
    python = str(folder / "bin" / "python")
    install = ("pip", "install", "--python", python)
    uv("venv", "--clear", "--python", cell.python, str(folder))
    if cell.airflow == NEWEST:
        uv("pip", "sync", "--python", python, "--require-hashes", "requirements.lock")
        # Without its dependencies, which are there: a resolution that changes them would be another one.
        uv(*install, "--no-deps", "--editable", ".")
    else:
        provider = ("--editable", ".[parquet,sandbox,sql]", "apache-airflow-providers-sqlite")
        constraints = ("-c", f"constraints/airflow-{cell.airflow}.txt", f"apache-airflow=={cell.airflow}")
        uv(*install, *constraints, *TOOLS, *provider)
    uv("pip", "check", "--python", python)
    return python


def test(cell: Cell, python: str, arguments: list[str]) -> int:
    """Run the cell's tests, and return pytest's exit code."""
    paths = arguments or ([] if cell.airflow == NEWEST else list(OLDER_TESTS))
    if cell.airflow.startswith("2."):
        paths = [path for path in paths if path not in NOT_ON_AIRFLOW_2]
        paths += [f"--ignore={path}" for path in NOT_ON_AIRFLOW_2]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SIDE_BY_SIDE]
    if cell.airflow == NEWEST:  # Python 3.13 warns of database connections that Airflow leaves to the end
        command += ["-W", "ignore:unclosed database:ResourceWarning"]
    else:
        # Older versions of Airflow warn of much in themselves.
        warnings = WARNINGS if cell.airflow.startswith("2.") else (*WARNINGS, REMOVED)
        command += ["-o", "filterwarnings=" + "\n".join(warnings)]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home}
        return subprocess.run([*command, *paths], cwd=PROJECT, env=environment, check=False).returncode


def main() -> int:
    """Run all cells, however many fail, and end with a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [str(cell) for cell in cells("all")]
    parser.add_argument("which", choices=("all", "oldest", "list", *names), nargs="?", default="all")
    options, arguments = parser.parse_known_args()
    if options.which == "list":  # as JSON, for CI
        print(json.dumps(names))  # noqa: T201
        return 0
    results: list[tuple[Cell, str, float]] = []
    for cell in cells(options.which):
        started = time.monotonic()
        print(f"== Airflow {cell.airflow}, Python {cell.python}", flush=True)  # noqa: T201
        try:
            code = test(cell, install(cell), arguments)
            outcome = "passed" if code == 0 else f"failed: pytest's exit code {code}"
        except subprocess.CalledProcessError as error:
            outcome = f"not installed: {' '.join(error.cmd[2:])}"
        results.append((cell, outcome, time.monotonic() - started))
    for cell, outcome, seconds in results:
        print(f"Airflow {cell.airflow:6} Python {cell.python:5} {seconds:4.0f} s  {outcome}")  # noqa: T201
    return int(any(outcome != "passed" for _, outcome, _ in results))


if __name__ == "__main__":
    sys.exit(main())
