"""
Runs operators, each in a process of its own, and tells how each ended and how much memory it took.

Reads JSON from standard input: a list of jobs, each with ``case``, ``parameters`` and ``folder``. Writes
one line of JSON for each into the file that its argument names; Airflow logs to standard output. What all processes
need is imported once, and the first job is run without telling; then a process is forked for each of the others.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import msgspec

from airflow_provider_catalog.client import retry
from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator as Operator


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run(job: dict[str, Any]) -> dict[str, Any]:
    before = peak_mb()
    try:
        pull = Operator(task_id="pull", filters={"account_ids": job["case"]}, **job["parameters"])
        result = pull.execute({})
        if result and isinstance(result, list):
            Path(job["folder"], "xcom.json").write_bytes(msgspec.json.encode(result))
        outcome = "done"
        message = ""
    except CatalogError as error:
        outcome, message = type(error).__name__, str(error)
    except Exception as error:  # an error that no user should meet
        outcome, message = f"unexpected {type(error).__name__}", str(error)[:500]
    return {
        "outcome": outcome,
        "message": message,
        "grown_mb": peak_mb() - before,
    }


def main() -> None:
    import pandas  # noqa: F401 - pyarrow imports it when it sees one of Python's lists
    import pyarrow.json
    import pyarrow.parquet  # noqa: F401 - as above

    retry.MAX_BACKOFF = 0.0
    warm_up, *jobs = json.load(sys.stdin)
    run(warm_up)
    for job in jobs:
        sys.stdout.flush()
        if pid := os.fork():
            os.waitpid(pid, 0)
            continue
        with Path(sys.argv[1]).open("a") as results:
            results.write(f"{json.dumps(run(job))}\n")
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
