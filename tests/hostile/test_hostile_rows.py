"""Rows that no Catalog should send, into XCom and every format: the right file or a clear error, in bounded memory."""

from __future__ import annotations

import csv
import json
import os
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import msgspec
import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.errors import CatalogError
from tests.catalog_server import Answer, catalog_server
from tests.tasks import operator

OUTPUTS = ("xcom", "jsonl", "csv", "parquet")
MIB = 1024 * 1024
MOST_MB = 400
"""What a task may need beyond what it has when it starts, whatever the rows."""


@dataclass(frozen=True)
class Case:
    """
    An answer with hostile rows, which is made when it is asked for.

    :param rows: gives JSON of the rows.
    :param errors: format → a part of the error's message; ``all`` for an error while reading, whatever the format.
    :param table: gives the rows as columns; those of the JSON where ``None``.
    :param parameters: of the operator.
    """

    rows: Callable[[], str]
    errors: dict[str, str] = field(default_factory=dict)
    table: Callable[[], dict[str, list]] | None = None
    parameters: dict = field(default_factory=dict)

    def right_table(self) -> dict[str, list]:
        if self.table:
            return self.table()
        rows = json.loads(self.rows())
        return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def nested(opening: str, closing: str, depth: int) -> Callable[[], str]:
    return lambda: '[{"id":1,"deep":' + opening * depth + "1" + closing * depth + "}]"


EMPTY_OBJECTS = "[" + "{}," * 200_000 + "{}]"
CASES = {
    "200,000 keys": Case(
        lambda: "[{" + ",".join(f'"k{n}":{n}' for n in range(200_000)) + "}]",
        dict.fromkeys(("csv", "parquet"), "more than 20,000 columns"),
    ),
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
    "a text of 12 MB": Case(lambda: '[{"id":1,"text":"' + "x" * 12 * MIB + '"}]'),
    "200,000 empty objects in a row": Case(
        lambda: '[{"id":1,"list":' + EMPTY_OBJECTS + '},{"id":2}]',
        table=lambda: {"id": [1, 2], "list": [EMPTY_OBJECTS, None]},
    ),
    "a key twice in a row": Case(lambda: '[{"a":1,"b":2.5,"a":3.5}]'),
}


@pytest.fixture(scope="module")
def pull():
    """Return a function that pulls a case in a process of its own: how it ended, and how many MB that took."""

    def answer(request):
        return Answer(f'{{"orders":{CASES[names[request.filters["account_ids"][0]]].rows()}}}'.encode())

    names, processes = list(CASES), get_context("forkserver")
    # What all of them need is there when they start.
    processes.set_forkserver_preload(["pandas", "pyarrow.json", "pyarrow.parquet", __name__])
    with catalog_server(answer) as catalog, ProcessPoolExecutor(1, processes, max_tasks_per_child=1) as pool:

        def run(name, **parameters):
            parameters |= CASES[name].parameters | {"filters": {"account_ids": names.index(name)}}
            return pool.submit(pulled, catalog.connection(hash_secret="k" * 16), parameters).result()

        yield run


def pulled(connection, parameters):
    os.environ["AIRFLOW_CONN_CATALOG_DEFAULT"] = connection
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        result, error = operator(**parameters).execute({}), None
    except CatalogError as raised:
        result, error = None, str(raised)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return None if result is None else msgspec.json.encode(result), error, grown // 1024


@pytest.mark.parametrize(
    ("name", "output"),
    [(name, each) for name, case in CASES.items() for each in (("xcom", "csv") if "all" in case.errors else OUTPUTS)],
)
def test_the_right_file_or_a_clear_error(pull, tmp_path, name, output):
    case, path = CASES[name], tmp_path / f"rows.{output}"
    where = {"max_xcom_bytes": 10**9} if output == "xcom" else {"output_path": str(path)}
    result, error, grown_mb = pull(name, **where)
    print(f"{name}, {output}: {grown_mb} MB")  # noqa: T201 - for docs/storage.md, with -rP
    assert grown_mb < MOST_MB
    if expected_error := case.errors.get(output) or case.errors.get("all"):
        assert expected_error in error
        assert len(error) < 600
        assert not list(tmp_path.iterdir())
        return
    assert error is None
    if output == "xcom":
        assert json.loads(result) == json.loads(case.rows())
    elif output == "jsonl":
        *lines, end = path.read_text().split("\n")
        assert [json.loads(line) for line in lines] == json.loads(case.rows())
        assert end == ""
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
