"""Loading into tables, beside other ways: ``.venv/stores/bin/python -m benchmarks tables``.

Needs PostgreSQL and MariaDB on this machine, with trust authentication. Ratios of one run count; the figures differ
from machine to machine.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.runner import Case, run

ROWS = int(os.environ.get("BENCHMARK_ROWS", "50000"))
NAME = "catalog_benchmark"
START = datetime(2026, 1, 1, tzinfo=UTC)
CONNECTIONS = {
    "PostgreSQL": {"conn_type": "postgres", "host": "127.0.0.1", "login": "postgres", "schema": NAME},
    "MariaDB": {"conn_type": "mysql", "host": "127.0.0.1", "login": "root", "schema": NAME},
    "SQLite": {"conn_type": "sqlite", "host": f"{tempfile.gettempdir()}/{NAME}.db"},
}


def row(number: int) -> dict[str, Any]:
    """Return a row of 22 columns, as orders have them."""
    at = (START + timedelta(seconds=number)).isoformat()
    return {
        "order_id": number, "account_id": number % 7, "account_name": f"School of {number % 7}", "currency": "USD",
        "product": {"id": number % 300, "name": f"Course {number % 300}", "url": f"https://c.example/{number % 300}"},
        "product_status": "OPEN", "purchase_date": at, "seats": 1, "bulk_purchase": False, "list_price": 49.99,
        "discount": 5.5, "revenue": "44.49", "promo_codes": ["WELCOME10"], "created_at": at,
        "certificate_offered": True,
        "student": {"id": number, "canvas_user_id": 10**13 + number, "name": f"Zoë {number}",
        "email": f"s{number}@x.example"}, "completion": number / 7,
        "note": None if number % 3 else "paid by the department",
    }  # fmt: skip


def flat(number: int) -> dict[str, Any]:
    """Return the same row as what is loaded by other ways: one level."""
    flattened: dict[str, Any] = {}
    for name, value in row(number).items():
        if isinstance(value, dict):
            flattened |= {f"{name}_{key}": each for key, each in value.items()}
        else:
            flattened[name] = json.dumps(value) if isinstance(value, list) else value
    return flattened


def spooled(first: int, count: int) -> Any:
    """Return a spool with rows."""
    from airflow_provider_catalog.output.spool import RowSpool

    spool = RowSpool(Path(tempfile.gettempdir()))
    for start in range(first, first + count, 500):
        spool.write([row(number) for number in range(start, min(start + 500, first + count))])
    return spool


def load(kind: str, spool: Any, disposition: str, *, key: str | None = None) -> float:
    """Load a spool into a table; return the seconds from spool to commit."""
    from airflow_provider_catalog.client.endpoints import ENDPOINTS
    from airflow_provider_catalog.output.tables.database import Database
    from airflow_provider_catalog.output.tables.load import TableLoad
    from airflow_provider_catalog.output.tables.plan import TablePlan
    from airflow_provider_catalog.output.transform import RowTransform

    os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(CONNECTIONS[kind])
    plan = TablePlan(
        ENDPOINTS["orders"], RowTransform(), None, "orders", disposition, (key,) if key else (), load_id="d/r/t/-1"
    )
    started = time.monotonic()
    TableLoad(Database("warehouse"), plan).load(spool)
    return time.monotonic() - started


@contextmanager
def databases() -> Iterator[None]:
    """Make the databases anew, and remove them at the end."""
    import MySQLdb
    import psycopg

    path = Path(CONNECTIONS["SQLite"]["host"])
    postgres = psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres", autocommit=True)
    mysql = MySQLdb.connect(host="127.0.0.1", user="root")

    def drop() -> None:
        postgres.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        mysql.cursor().execute(f"DROP DATABASE IF EXISTS {NAME}")
        path.unlink(missing_ok=True)

    drop()
    postgres.execute(f"CREATE DATABASE {NAME}")
    mysql.cursor().execute(f"CREATE DATABASE {NAME}")
    try:
        yield
    finally:
        drop()


def plain_copy(*, is_ready: bool) -> float:
    """
    ``COPY`` a CSV into a table of the same types, the fastest that PostgreSQL has; return the seconds.

    :param is_ready: whether the CSV is there already, so that nothing is counted but the server's own work.
    """
    import psycopg2

    rows = [flat(number) for number in range(ROWS)]
    with psycopg2.connect(f"host=127.0.0.1 user=postgres dbname={NAME}") as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS plain; CREATE TABLE plain (LIKE orders)")
        started = time.monotonic()
        content = io.StringIO()
        csv.writer(content).writerows(each.values() for each in rows)
        content.seek(0)
        if is_ready:
            started = time.monotonic()
        cursor.copy_expert(f"COPY plain ({', '.join(rows[0])}) FROM STDIN (FORMAT csv)", content)
        connection.commit()
    return time.monotonic() - started


def insert_rows() -> float:
    """Insert rows with Airflow's own hook; return the seconds for as many as the others load."""
    from airflow.sdk import BaseHook

    os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(CONNECTIONS["PostgreSQL"])
    count = ROWS // 10
    rows = [tuple(flat(number).values()) for number in range(count)]
    started = time.monotonic()
    BaseHook.get_connection("warehouse").get_hook().insert_rows("plain", rows, list(flat(0)), commit_every=5_000)
    return (time.monotonic() - started) * ROWS / count


DLT = """
import sys, time
sys.path.insert(0, {root!r})
from benchmarks.tables import NAME, ROWS, row
import dlt
pipeline = dlt.pipeline("benchmark", destination=dlt.destinations.postgres(credentials=f"postgresql://postgres:any@127.0.0.1:5432/{{NAME}}"),
    dataset_name="dlt", pipelines_dir={folder!r})
rows = [row(number) for number in range(ROWS)]
started = time.monotonic()
pipeline.run(rows, table_name="orders", write_disposition="replace")
print(time.monotonic() - started)
"""


def with_dlt() -> float | None:
    """Let dlt load the same dicts, in the environment that ``DLT_PYTHON`` names; return the seconds."""
    if not (python := os.environ.get("DLT_PYTHON")):
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = DLT.format(root=str(Path(__file__).parent.parent), folder=folder)
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    return float(done.stdout.splitlines()[-1])


def peak_megabytes(rows: int) -> float:
    """Return by how much a load of so many rows raises the memory of a process of its own."""
    script = f"from benchmarks.tables import memory; memory({rows})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    return float(done.stdout.splitlines()[-1])


def memory(rows: int) -> None:
    """Load rows, and print by how many megabytes the peak has risen above that of a small load."""
    with closing(spooled(0, 1_000)) as spool:
        load("PostgreSQL", spool, "replace")
    before = peak()
    with closing(spooled(0, rows)) as spool:
        load("PostgreSQL", spool, "replace")
    print((peak() - before) / 1024)  # noqa: T201


def peak() -> int:
    """Return the most memory that this process has had, in KiB; getrusage counts its parent's, too."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def end_to_end(runs: int = 3) -> float:
    """Return by how much longer a pull of 50 ms an answer takes into PostgreSQL than to JSON Lines, 0.5 for a half."""
    settings = {"AIRFLOW_CONN_WAREHOUSE": json.dumps(CONNECTIONS["PostgreSQL"])}
    cases = (Case(rows=ROWS, latency=0.05), Case("into_postgres", rows=ROWS, latency=0.05, settings=settings))
    found = [[run(case, check=False)["seconds"] for case in cases] for _ in range(runs)]
    to_file, to_table = (median(seconds) for seconds in zip(*found, strict=True))
    return to_table / to_file - 1


def main() -> None:
    """Measure, and print the figures and the ratios that count."""
    found: dict[str, float] = {}

    def tell(what: str, seconds: float | None, rows: int = ROWS) -> None:
        if seconds is not None:
            found[what] = rows / seconds
            sys.stdout.write(f"{what:60} {rows / seconds:10,.0f} rows/s\n")

    many = int(os.environ.get("BENCHMARK_MANY", "1000000"))
    with databases():
        with closing(spooled(0, ROWS)) as spool:
            for kind in CONNECTIONS:
                load(kind, spool, "replace")
                # The best of three, and what is compared right after it: the machine may have other work.
                tell(f"{kind}, replace", min(load(kind, spool, "replace") for _ in range(3)))
                if kind == "PostgreSQL":
                    tell("COPY of a ready CSV", min(plain_copy(is_ready=True) for _ in range(3)))
                    tell("COPY of dicts, as CSV", min(plain_copy(is_ready=False) for _ in range(3)))
        tell("insert_rows", insert_rows())
        tell("dlt, given dicts, replace", with_dlt())
        for rows in (ROWS, many):
            sys.stdout.write(f"memory for {rows:,} rows: {peak_megabytes(rows):.0f} MB above a small load\n")
        merged(tell, many)
        sys.stdout.write(f"end to end at 50 ms, 8 in flight: {end_to_end():.0%} longer than to JSON Lines\n")
    for other in ("COPY of a ready CSV", "COPY of dicts, as CSV", "insert_rows"):
        ratio = found["PostgreSQL, replace"] / found[other]
        sys.stdout.write(f"PostgreSQL, replace, times the speed of {other}: {ratio:.2f}\n")


def merged(tell: Callable[..., None], many: int) -> None:
    """Merge rows, half of them new, into a table of a million."""
    import psycopg

    with psycopg.connect(f"host=127.0.0.1 user=postgres dbname={NAME}") as connection:
        connection.execute("DROP TABLE orders")
    with closing(spooled(0, many)) as spool:
        what = f"PostgreSQL, a new table of {many:,}, with a key"
        tell(what, load("PostgreSQL", spool, "replace", key="order_id"), many)
    with closing(spooled(many - ROWS // 2, ROWS)) as spool:
        tell(f"PostgreSQL, merge into {many:,}", load("PostgreSQL", spool, "merge", key="order_id"))
