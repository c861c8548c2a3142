"""Write constraints/lowest.txt: the lowest release of each direct dependency, on the oldest Airflow 3.

For ``make lock``.
What these depend on is as in that Airflow's constraints, for older versions of Airflow don't start with today's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1]
AIRFLOW = {"apache-airflow-core", "apache-airflow-task-sdk"}
"""What is pinned by apache-airflow itself."""


def names(requirements: list[str]) -> set[str]:
    """Return the normalized names of requirements."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line, maxsplit=1)[0]).lower() for line in requirements}


def main() -> int:
    """Resolve, and return uv's exit status."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    direct = names(project["dependencies"] + project["optional-dependencies"]["parquet"]) | AIRFLOW
    oldest = min((PROJECT / "constraints").glob("airflow-3.*.txt"))  # the matrix tests Airflow 2
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as others:
        others.writelines(f"{line}\n" for line in oldest.read_text().splitlines() if not names([line]) & direct)
        others.flush()
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--resolution=lowest-direct"]
        command += ["--universal", "--python-version=3.11", "--no-emit-index-url", "--no-header", "--no-annotate"]
        command += ["--constraints", others.name, "--extra=parquet", "--group=compat", "pyproject.toml"]
        command += ["--output-file=constraints/lowest.txt"]
        return subprocess.run(command, cwd=PROJECT, check=False).returncode  # noqa: S603 - our own arguments


if __name__ == "__main__":
    sys.exit(main())
