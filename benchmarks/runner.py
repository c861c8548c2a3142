"""Runs contenders, each in a process of its own, against a server in another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contents import digest

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "benchmarks" / ".venv"
OWN = ("provider", "into_postgres", "requests_loop", "bare_reader")
"""Contenders that need no environment of their own."""
PEER_PACKAGES = ["apache-airflow-providers-http", "dlt[parquet]", "singer-sdk", "requests"]


@dataclass(frozen=True)
class Case:
    """
    One way of pulling, from one kind of server.

    :param contender: a module in ``benchmarks.contenders``.
    :param suffix: of the file that it writes.
    :param rows: how many the server has.
    :param latency: seconds before each of the server's answers.
    :param in_flight: the provider's ``max_concurrency``.
    :param paginated: whether the server has pages.
    :param settings: environment variables of the contender.
    """

    contender: str = "provider"
    suffix: str = ".jsonl"
    rows: int = 50_000
    latency: float = 0.0
    in_flight: int = 8
    paginated: bool = True
    settings: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def bound(self) -> float | None:
        """The rows a second that latency allows, with pages of 100."""
        return self.in_flight * 100 / self.latency if self.latency else None


def peers_python() -> str:
    """Return the Python of the peers' own environment, which is made when it is not there."""
    if given := os.environ.get("PEERS_PYTHON"):
        return given
    python = PEERS / "bin" / "python"
    if not python.exists():
        from importlib.metadata import version

        airflow = f"apache-airflow=={version('apache-airflow')}"
        subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", PEERS], check=True)  # noqa: S603 - our own arguments
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, airflow, *PEER_PACKAGES]
        subprocess.run(command, check=True)  # noqa: S603 - our own arguments
    return str(python)


@contextmanager
def server(case: Case) -> Iterator[str]:
    """Run the server that a case needs."""
    command = [sys.executable, "-m", "benchmarks.server", "--rows", str(case.rows), "--latency", str(case.latency)]
    if not case.paginated:
        command.append("--unpaginated")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own arguments
        try:
            yield process.stdout.readline().strip()  # type: ignore[union-attr]
        finally:
            process.terminate()


@cache
def _expected(rows: int) -> tuple[int, str]:
    with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as file:
        from benchmarks.server import Catalog

        catalog = Catalog(rows, 0, paginated=True)
        for number in range(1, catalog.last + 1):
            for row in json.loads(bytes(catalog.page(number)))["enrollments"]:
                file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        return digest(Path(file.name))


def run(case: Case, *, check: bool = True) -> dict[str, Any]:
    """
    Run a case once.

    :return: seconds, rows a second, CPU seconds, memory above the state after imports, XCom bytes, connections.
    :raises RuntimeError: when the file does not hold every row as it was sent.
    """
    python = (
        sys.executable
        if case.contender in ("provider", "requests_loop", "bare_reader", "into_postgres")
        else peers_python()
    )
    with tempfile.TemporaryDirectory() as folder, server(case) as url:
        path = Path(folder) / f"out{case.suffix}"
        environment = os.environ | {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "PYTHONPATH": str(ROOT),
            "IN_FLIGHT": str(case.in_flight),
            "PAGES": str(-(-case.rows // 100)),
            "IMPORT_PYARROW": "1" if case.suffix == ".parquet" else "",
            **case.settings,
        }
        command = [python, "-m", f"benchmarks.contenders.{case.contender}", url, str(path)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
        found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if not found or done.returncode:
            raise RuntimeError(f"{case}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(found[0].removeprefix("RESULT "))
        with urllib.request.urlopen(f"{url}/stats") as answer:  # noqa: S310 - our own server
            result |= json.load(answer)
        if check and digest(path) != _expected(case.rows):
            raise RuntimeError(f"{case}: the file does not hold the rows that were sent")
    result["rows_per_second"] = case.rows / result["seconds"]
    return result


def medians(cases: dict[str, Case], runs: int) -> dict[str, dict[str, Any]]:
    """Run each case several times, in turns, so that what else the machine does hits all; return medians."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for number in range(runs):
        for name, case in cases.items():
            result = run(case, check=number == 0)
            results[name].append(result)
            sys.stderr.write(
                f"{number + 1}/{runs} {name}: {result['rows_per_second']:,.0f} rows/s, cpu {result['cpu']:.2f} s, "
                f"+{result['memory_mb']:.0f} MB\n"
            )
    return {name: {key: median(each[key] for each in found) for key in found[0]} for name, found in results.items()}
