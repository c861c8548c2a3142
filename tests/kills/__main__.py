"""
Kill tasks at random moments while they overwrite a file, and see what is there afterwards; ``make kills``.

``python -m tests.kills 100`` kills a hundred that write local files, ``python -m tests.kills 100 --s3`` a hundred that
write to S3 (moto's server; see ``make test-stores`` for what has to be installed). The table says for how many the file
was the earlier one or the new one afterwards, and after how many there was litter. The exit status is 1 when a file was
neither, when the task that tried again did not write the new one, or when litter was still there after that.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import tests.conftest  # noqa: F401 - sets up Airflow's environment
from tests.kills.places import folder, s3
from tests.kills.victim import Case, Killer

PAGED = ("--enrollments", "4000", "--latency", "0.005")
WHOLE = ("--enrollments", "40000", "--paging", "none")
"""All rows in one answer of 12 MB, which is more than is kept in memory."""


@contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """Run a sandbox in a process of its own, since this one forks; return its URL."""
    command = [sys.executable, "-m", "airflow_provider_catalog.sandbox", "--port", "0", *options]
    # It complains of clients that are gone in the middle of a request.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            [url] = re.findall(r"http://\S+:\d+", process.stdout.readline())[:1]
            yield url
        finally:
            process.terminate()


def import_all(*modules: str) -> None:
    """Import what each task would import anew otherwise, to be killed at that most of the time."""
    for module in modules:
        importlib.import_module(module)


def local_cases(home: Path, temporary: Path) -> list[Case]:
    (home / "files").mkdir()
    local = folder(home / "files", temporary)
    return [
        Case(local, "jsonl", PAGED, "pages"),
        Case(local, "csv", PAGED, "pages"),
        Case(local, "parquet", PAGED, "pages"),
        Case(local, "jsonl.gz", WHOLE, "one answer"),
    ]


def s3_cases(stack: ExitStack, temporary: Path) -> list[Case]:
    from airflow.sdk.io.fs import has_fs

    has_fs("s3")  # imports what all providers have for it
    import_all("airflow.providers.amazon.aws.hooks.s3", "s3fs")
    place = stack.enter_context(s3(temporary))
    return [
        Case(place, "jsonl", PAGED, "pages"),
        Case(place, "whole.jsonl", WHOLE, "one answer, which goes up in parts"),
        Case(place, "csv", PAGED, "pages"),
        Case(place, "parquet", PAGED, "pages"),
    ]


def table(cases: list[Case]) -> str:
    lines = [
        "| where | format | the Catalog gives | kills | earlier file | new file | neither | litter | after the retry |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        neither = case.kills - case.kept - case.replaced
        after = "new file, no litter" if not case.wrong else f"{len(case.wrong)} wrong"
        cells = (case.place.name, case.suffix, case.paging, case.kills, case.kept, case.replaced, neither)
        lines.append(f"| {' | '.join(map(str, cells))} | {case.littered} | {after} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, nargs="?", default=100)
    parser.add_argument("--s3", action="store_true", help="write to S3 instead of a folder")
    parser.add_argument("--cases", type=int, metavar="N", help="the first N rows of the table only")
    parser.add_argument("--seed", type=int, default=1, help="of the moments; the machine's speed has its say, too")
    options = parser.parse_args()
    started = time.monotonic()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        temporary = home / "temporary"
        temporary.mkdir()
        cases = s3_cases(stack, temporary) if options.s3 else local_cases(home, temporary)
        cases = cases[: options.cases]
        urls = {catalog: stack.enter_context(sandbox(*catalog)) for catalog in {case.catalog for case in cases}}
        import_all("airflow_provider_catalog.client.client", "airflow.sdk.execution_time.supervisor")
        import_all("pyarrow.compute", "pyarrow.json", "pyarrow.parquet")
        killer = Killer(temporary, home / "log", options.seed)
        for case in cases:
            case.url = urls[case.catalog]
            killer.prepare(case)
        for _, case in zip(range(options.kills), itertools.cycle(cases), strict=False):
            killer.kill(case)
        unfinished = cases[0].place.unfinished()
    wrong = [line for case in cases for line in case.wrong]
    print(table(cases))  # noqa: T201
    print(f"\n{options.kills} kills, {options.kills} retries; {time.monotonic() - started:.0f} s, seed {options.seed}")  # noqa: T201
    if options.s3:
        print(f"Uploads that were begun and never ended, to be removed by a lifecycle rule: {unfinished}")  # noqa: T201
    print(*wrong, sep="\n", file=sys.stderr)  # noqa: T201
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
