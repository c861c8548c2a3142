"""What importing the operators costs over ``airflow.sdk`` alone, as when a DAG is parsed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from statistics import median
from typing import Any

SCRIPT = """
import json, sys, time
import airflow.sdk
from airflow.sdk import BaseOperator, ObjectStoragePath, DAG
before, started = set(sys.modules), time.perf_counter()
import airflow_provider_catalog.operators.analytics
took = time.perf_counter() - started
heavy = {"pyarrow", "pandas", "boto3", "s3fs", "gcsfs", "adlfs", "requests", "numpy"} & (set(sys.modules) - before)
print(json.dumps({"ms": took * 1000, "heavy": sorted(heavy)}))
"""


def measure(runs: int) -> dict[str, Any]:
    """Return the milliseconds that it takes (a median), and the heavy modules among what it brings."""
    found = []
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        for _ in range(runs):
            command = [sys.executable, "-c", SCRIPT]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own arguments
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return {"ms": median(each["ms"] for each in found), "heavy": found[0]["heavy"]}
