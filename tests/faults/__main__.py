"""What becomes of a pull when something fails, as tables.

python -m tests.faults matrix     every fault, at the first, a middle and the last page, 1 and 8 in flight, all outputs
python -m tests.faults random     requests that fail at random, many seeds
python -m tests.faults            both

Ends with 1 when something is not as promised. With --write, the tables go into docs/faults.md.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import time
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import tests.conftest  # noqa: F401 - an AIRFLOW_HOME of its own, before Airflow is imported
from tests.faults import cases, random_faults
from tests.faults.pulls import PLACES, Outcome, Pull, quiet, run

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
SEEDS = 6
PAGES = 1000
WORDS = {"rows": "every row", "WRONG": "**wrong**"}


def main() -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["matrix", "random", "all"], default="all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="pulls at each rate (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="pulls of the matrix at once (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/faults.md")
    chosen = parser.parse_args()
    quiet()
    tables: dict[str, list[str]] = {}
    bad = 0
    if chosen.command in ("matrix", "all"):
        # Most of a pull is waiting: for timeouts, and for the sandbox to end.
        with ProcessPoolExecutor(chosen.workers, get_context("spawn"), quiet) as workers:
            for name, faults, pagings in (("faults", cases.FAULTS, ("link",)), ("moves", cases.MOVES, cases.PAGINGS)):
                tables[name], wrong = matrix(workers, faults, pagings)
                bad += wrong
    if chosen.command in ("random", "all"):
        tables["random"], wrong = at_random(chosen.seeds)
        bad += wrong
    if chosen.write:
        write(tables)
    return int(bad > 0)


def matrix(workers: Executor, faults: dict[str, str], pagings: tuple[str, ...]) -> tuple[list[str], int]:
    """Try everything, print the table row by row, and return it with the number of outcomes that were not promised."""
    several = len(pagings) > 1
    heads = [
        "what fails",
        *["paging"] * several,
        *[f"once: {place}" for place in PLACES],
        *[f"lasting: {place}" for place in PLACES],
    ]
    lines = _head(heads)
    sys.stdout.write("\n".join(lines) + "\n")
    started, count, bad = time.monotonic(), 0, 0
    for fault, what in faults.items():
        for paging in pagings:
            cells: dict[tuple[bool, str], list[tuple[Pull, Outcome]]] = {}
            pulls = list(cases.pulls(paging, {fault: what}))
            for pull, outcome in zip(pulls, workers.map(run, pulls), strict=True):
                count += 1
                cells.setdefault((pull.lasting, pull.place), []).append((pull, outcome))
                if outcome.kind not in cases.promised(pull):
                    bad += 1
                    sys.stderr.write(f"not as promised: {pull}: {outcome}\n")
            shown = [
                "not noticed"
                if (paging, fault, place, lasting) in cases.NOT_NOTICED
                else _cell(cells.get((lasting, place)))
                for lasting in (cases.ONCE, cases.LASTING)
                for place in PLACES
            ]
            lines.append(_row([what, *[f"`{paging}`"] * several, *shown]))
            sys.stdout.write(lines[-1] + "\n")
            sys.stdout.flush()
    ending = f"{count:,} pulls in {time.monotonic() - started:.0f} s, {bad} of them not as promised."
    sys.stdout.write(f"\n{ending}\n\n")
    return [*lines, "", ending], bad


def _cell(tried: list[tuple[Pull, Outcome]] | None) -> str:
    if not tried:
        return "-"
    kinds = {
        outcome.detail.partition(":")[0] if outcome.kind == "error" else WORDS[outcome.kind] for _, outcome in tried
    }
    return " or ".join(f"`{kind}`" if kind.startswith("Catalog") else kind for kind in sorted(kinds))


def at_random(seeds: int) -> tuple[list[str], int]:
    """Pull with faults at random, print the table row by row, and return it with the number of files that differ."""
    lines = _head(["requests that fail", "pulls", "the same file", "requests a pull, pages 1,000", "seconds a pull"])
    sys.stdout.write("\n".join(lines) + "\n")
    bad = 0
    for rate in random_faults.RATES:
        outcomes = []
        for seed in range(1, seeds + 1):
            output = random_faults.FORMATS[seed % len(random_faults.FORMATS)]
            outcomes.append(random_faults.run(random_faults.RandomPull(rate, seed, PAGES, output)))
        same = Counter(outcome.same for outcome in outcomes)[True]
        bad += seeds - same
        made = sum(outcome.requests for outcome in outcomes) / seeds
        seconds = sum(outcome.seconds for outcome in outcomes) / seeds
        lines.append(_row([f"{rate:.0%}", str(seeds), str(same), f"{made:,.0f}", f"{seconds:.1f}"]))
        sys.stdout.write(lines[-1] + "\n")
        sys.stdout.flush()
    return lines, bad


def _head(cells: list[str]) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(tables: dict[str, list[str]]) -> None:
    """Put tables into the page, each between its two comments."""
    text = PAGE.read_text()
    for name, lines in tables.items():
        dated = [f"*{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, `python -m tests.faults`*", "", *lines]
        content = "\n".join(dated).replace("\\", "\\\\")
        text, found = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\1{content}\n\2", text, flags=re.DOTALL)
        if not found:
            raise ValueError(f"{PAGE} has no place for the table {name!r}")
    PAGE.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
