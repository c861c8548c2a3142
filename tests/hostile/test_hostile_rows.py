"""Rows that no Catalog should send, into XCom and every format: the right file or a clear error, in bounded memory."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.catalog_server import TOKEN, Answer, catalog_server
from tests.hostile import in_own_process

PROJECT = Path(__file__).parents[2]
OUTPUTS = ("xcom", "jsonl", "csv", "parquet")
MIB = 1024 * 1024
MOST_MB = 400
"""What a task may need beyond what it has when it starts, whatever the rows."""


@dataclass(frozen=True)
class Case:
    """
    An answer with hostile rows.

    What is large is made when it is asked for.

    :param rows: gives JSON of the rows.
    :param errors: format → a part of the error's message; ``all`` for an error while reading, whatever the format.
    :param expected: gives the rows as they are to be in XCom and JSON Lines; those of the JSON where ``None``.
    :param table: gives the same as columns.
    :param parameters: of the operator.
    """

    rows: Callable[[], str]
    errors: dict[str, str] = field(default_factory=dict)
    expected: Callable[[], list] | None = None
    table: Callable[[], dict[str, list]] | None = None
    parameters: dict = field(default_factory=dict)

    def outputs(self) -> tuple[str, ...]:
        return ("xcom", "csv") if "all" in self.errors else OUTPUTS

    def right_rows(self) -> list:
        return self.expected() if self.expected else json.loads(self.rows())

    def right_table(self) -> dict[str, list]:
        if self.table:
            return self.table()
        rows = self.right_rows()
        return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def nested(opening: str, closing: str, depth: int) -> Callable[[], str]:
    return lambda: '[{"id":1,"deep":' + opening * depth + "1" + closing * depth + "}]"


def wide() -> str:
    return "[{" + ",".join(f'"k{n}":{n}' for n in range(200_000)) + "}]"


def long_text(megabytes: int) -> Callable[[], str]:
    return lambda: '[{"id":1,"text":"' + "x" * megabytes * MIB + '"}]'


def empty_objects() -> str:
    return "[" + "{}," * 200_000 + "{}]"


NAMES = ["", ".", "a.b", "../x", "a\nb", "a\r\nb", "\t", '"', "'", ",", "\0", "a\0b", "\u202e", "NULL", "é"]
DIGITS = "9" * 400

WARM_UP = {"case": -1, "folder": "", "parameters": {}}
CASES = {
    "200,000 keys": Case(wide, dict.fromkeys(("csv", "parquet"), "more than 20,000 columns")),
    "lists nested 10,000 deep": Case(nested("[", "]", 10_000), {"all": "nested too deeply"}),
    "objects nested 10,000 deep": Case(nested('{"a":', "}", 10_000), {"all": "nested too deeply"}),
    "objects nested 200 deep": Case(
        nested('{"a":', "}", 200),
        {"xcom": "more than 100 levels", "csv": "more than 100 objects", "parquet": "more than 100 objects"},
    ),
    "lists nested 200 deep": Case(
        nested("[", "]", 200),
        {"xcom": "more than 100 levels"},
        table=lambda: {"id": [1], "deep": ["[" * 200 + "1" + "]" * 200]},
    ),
    "hashed lists nested 990 deep": Case(
        nested("[", "]", 990), {"all": "nested too deeply"}, parameters={"hash_fields": ["deep"]}
    ),
    "a text of 12 MB": Case(long_text(12)),
    "200,000 empty objects in a row": Case(
        lambda: '[{"id":1,"list":' + empty_objects() + '},{"id":2}]',
        table=lambda: {"id": [1, 2], "list": [empty_objects(), None]},
    ),
    "names of columns": Case(lambda: json.dumps([dict.fromkeys(NAMES, 1.5)])),
    "NUL in a text": Case(lambda: r'[{"a":"x\u0000y"}]'),
    "400 digits": Case(lambda: f'[{{"a":{DIGITS}}},{{"a":-{DIGITS}}}]', table=lambda: {"a": [DIGITS, f"-{DIGITS}"]}),
    "a key twice in a row": Case(lambda: '[{"a":1,"b":2.5,"a":3.5}]'),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Case and format → how it ended, and the folder of the output; all of them in one go, for the sake of imports."""
    names = list(CASES)

    def answer(request):
        [number] = request.filters["account_ids"]
        return Answer({"orders": []} if number < 0 else f'{{"orders":{CASES[names[number]].rows()}}}'.encode())

    jobs, results = {}, tmp_path_factory.mktemp("results") / "lines"
    for number, (name, case) in enumerate(CASES.items()):
        for output in CASES[name].outputs():
            folder = tmp_path_factory.mktemp("out")
            parameters = {"max_xcom_bytes": 10**9} if output == "xcom" else {"output_path": f"{folder}/rows.{output}"}
            jobs[name, output] = {
                "case": number,
                "folder": str(folder),
                "parameters": {**parameters, **case.parameters},
            }
    with catalog_server(answer) as catalog:
        connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN}
        connection["extra"] = {"hash_secret": "k" * 16}
        environment = os.environ | {"AIRFLOW_CONN_CATALOG_DEFAULT": json.dumps(connection), "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(
            [sys.executable, in_own_process.__file__, results],
            input=json.dumps([WARM_UP, *jobs.values()]), env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = results.read_text().splitlines()
    return {
        key: json.loads(line) | {"folder": Path(job["folder"])}
        for (key, job), line in zip(jobs.items(), lines, strict=True)
    }


@pytest.mark.parametrize(("name", "output"), [(name, each) for name, case in CASES.items() for each in case.outputs()])
def test_the_right_file_or_a_clear_error(outcomes, name, output):
    outcome, case = outcomes[name, output], CASES[name]
    files = list(outcome["folder"].iterdir())
    assert outcome["grown_mb"] < MOST_MB
    expected_error = case.errors.get(output) or case.errors.get("all")
    if expected_error:
        assert outcome["outcome"].startswith("Catalog")
        assert expected_error in outcome["message"]
        assert len(outcome["message"]) < 600
        assert not files
        return
    assert outcome["outcome"] == "done", outcome["message"]
    [path] = files
    if output == "xcom":
        assert json.loads(path.read_text()) == case.right_rows()
    elif output == "jsonl":
        assert [json.loads(line) for line in path.read_text().removesuffix("\n").split("\n")] == case.right_rows()
    elif output == "csv":
        csv.field_size_limit(64 * MIB)
        with path.open(newline="") as file:
            header, *lines = csv.reader(file)
        found = {name: list(column) for name, column in zip(header, zip(*lines, strict=True), strict=True)}
        assert found == {
            name: ["" if v is None else str(v) for v in column] for name, column in case.right_table().items()
        }
    else:
        assert pq.read_table(path).to_pydict() == case.right_table()
