"""The benchmarks' command line; each command adds its results to ``benchmarks/results.json``.

python -m benchmarks table     the provider beside a bare reader and a loop, in turns
python -m benchmarks large     1,000,000 rows: memory
python -m benchmarks peers     the provider and others on the same server, each in a process of its own
python -m benchmarks rates     servers that allow 1 to 100 requests a second
python -m benchmarks parse     what importing the operators costs when a DAG is parsed
python -m benchmarks tables    loading into databases beside other ways; needs PostgreSQL and MariaDB, and only prints
python -m benchmarks report    the table and the plot in docs/performance.md, from the results
python -m benchmarks quick     under a minute, ratios with wide margins only: exits 1 when something is 2 x too slow
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import parse, rates, report, runner, tables
from benchmarks.runner import Case

RESULTS = Path(__file__).parent / "results.json"

TABLE = {
    "bare reader": Case("bare_reader", latency=0.05),
    "jsonl": Case(latency=0.05),
    "csv": Case(suffix=".csv", latency=0.05),
    "parquet": Case(suffix=".parquet", latency=0.05),
    "bare reader, 20,000": Case("bare_reader", rows=20_000, latency=0.05),
    "jsonl, 20,000": Case(rows=20_000, latency=0.05),
    "loop, two pages": Case("requests_loop", rows=200, latency=0.05),
    "two pages": Case(rows=200, latency=0.05, in_flight=4),
    "loop, ten pages": Case("requests_loop", rows=1_000, latency=0.05),
    "ten pages": Case(rows=1_000, latency=0.05, in_flight=4),
    "loop, no latency": Case("requests_loop"),
    "one in flight, no latency": Case(in_flight=1),
}
LARGE = {
    "jsonl, 1,000,000": Case(rows=1_000_000),
    "csv, 1,000,000": Case(rows=1_000_000, suffix=".csv"),
    "parquet, 1,000,000": Case(rows=1_000_000, suffix=".parquet"),
    "one body of 1,000,000": Case(rows=1_000_000, paginated=False),
}
PEERS = {
    "provider, 8 in flight": Case(latency=0.05),
    "HttpOperator": Case("http_operator", latency=0.05, in_flight=1),
    "requests loop": Case("requests_loop", latency=0.05, in_flight=1),
    "Singer SDK": Case("singer_stream", latency=0.05, in_flight=1),
    "dlt rest_api, parquet": Case("dlt_rest_api", ".parquet", latency=0.05, in_flight=1),
    "provider, no latency": Case(),
    "provider, one in flight, no latency": Case(in_flight=1),
    "provider, parquet, no latency": Case(suffix=".parquet"),
    "HttpOperator, no latency": Case("http_operator", in_flight=1),
    "requests loop, no latency": Case("requests_loop", in_flight=1),
    "Singer SDK, no latency": Case("singer_stream", in_flight=1),
    "dlt rest_api, parquet, no latency": Case("dlt_rest_api", ".parquet", in_flight=1),
}


def main() -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["table", "large", "peers", "rates", "parse", "tables", "report", "quick"])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if options.command == "quick":
        return quick()
    if options.command == "tables":
        tables.main()
        return 0
    if options.command == "report":
        report.write(json.loads(RESULTS.read_text()))
        return 0
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results |= _measure(options.command, options.runs)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def _measure(command: str, runs: int) -> dict[str, Any]:
    load = os.getloadavg()[0]
    if command == "parse":
        return {"parse": parse.measure(runs * 2)}
    if command == "rates":
        return {"rates": measure_rates(), "workers": [rates.workers(count) for count in (1, 2, 3, 4, 6)]}
    cases = {"table": TABLE, "large": LARGE, "peers": PEERS}[command]
    return {command: runner.medians(cases, runs), f"{command} runs": runs, f"{command} load": load}


def measure_rates() -> list[dict[str, Any]]:
    """Measure some at the same time: they mostly wait."""
    found: list[dict[str, Any]] = []
    with ThreadPoolExecutor(4) as pool:
        for latency in (0.0, 0.05):
            found += pool.map(lambda rate, latency=latency: rates.used(rate, latency), (1, 2, 3, 5, 10, 20, 50))
    found += [rates.used(100, latency) for latency in (0.0, 0.05)]
    return sorted(found, key=lambda each: (each["latency"], each["rate"]))


def quick() -> int:
    """Compare the provider with a loop on the same server; a bar is missed by what takes twice as long as usual."""
    found = runner.medians(
        {
            "loop, 50 ms": Case("requests_loop", rows=5_000, latency=0.05),
            "8 in flight, 50 ms": Case(rows=5_000, latency=0.05),
            "loop": Case("requests_loop", rows=10_000),
            "one in flight": Case(rows=10_000, in_flight=1),
            "parquet": Case(rows=10_000, suffix=".parquet"),
        },
        2,
    )
    bars = (
        # Where answers take time: time. Where they don't: CPU time, which other work on the machine hardly changes.
        ("8 in flight, times the speed of a loop at 50 ms", "loop, 50 ms", "8 in flight, 50 ms", "seconds", 2.5, None),
        ("CPU of one in flight, times that of a loop", "one in flight", "loop", "cpu", None, 1.5),
        ("CPU of a pull to Parquet, times that of a loop", "parquet", "loop", "cpu", None, 3.4),
    )
    failed = False
    for text, name, other, what, least, most in bars:
        ratio = found[name][what] / found[other][what]
        failed |= (least is not None and ratio < least) or (most is not None and ratio > most)
        limit = f"at least {least}" if least else f"at most {most}"
        sys.stdout.write(f"{text}: {ratio:.2f} ({limit})\n")
    memory = found["8 in flight, 50 ms"]["memory_mb"]
    sys.stdout.write(f"memory of a pull above imports: {memory:.0f} MB (at most 60)\n")
    return 1 if failed or memory > 60 else 0


if __name__ == "__main__":
    sys.exit(main())
