"""Pulls of many pages while requests fail at random: the file has to be the same, byte for byte."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import requests

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox
from tests.faults.pulls import OPERATORS, PAGE_ROWS, short_waits

RATES = (0.01, 0.05, 0.2)
FORMATS = ("jsonl", "csv", "parquet")
IN_FLIGHT = 8


@dataclass(frozen=True)
class RandomPull:
    """
    What is tried.

    :param rate: the probability that a request fails.
    :param pages: how many pages there are to read.
    """

    rate: float
    seed: int
    pages: int
    output: str = "jsonl"


@dataclass(frozen=True)
class RandomOutcome:
    """
    What became of it.

    :param same: whether the file is the one that is written without faults.
    :param requests: how many were made.
    """

    same: bool
    requests: int
    seconds: float


def run(pull: RandomPull) -> RandomOutcome:
    """Pull, and compare the file."""
    right = undisturbed(pull.pages, pull.output)
    started = time.monotonic()
    with short_waits(), _catalog(pull.pages, fault_rate=pull.rate, fault_seed=pull.seed) as catalog:
        written = _write(catalog, pull.output)
        made = len(catalog.requests)
    return RandomOutcome(written == right, made, time.monotonic() - started)


@cache
def undisturbed(pages: int, output: str) -> bytes:
    """Return the file that is written without faults; its rows are those that the sandbox has."""
    with _catalog(pages) as catalog:
        written = _write(catalog, output)
    if output == "jsonl":
        with _catalog(pages, paging="none") as catalog:
            headers = {"Authorization": f'Token token="{catalog.token}"'}
            answer = requests.post(f"{catalog.url}/api/v1/analytics/enrollments", headers=headers, timeout=60)
        if [json.loads(line) for line in written.splitlines()] != answer.json()["enrollments"]:
            raise AssertionError("without a fault, too, the rows are others than the sandbox has")
    return written


def _catalog(pages: int, **options: Any) -> sandbox:
    return sandbox(products=50, users=500, enrollments=pages * PAGE_ROWS, as_of="2026-07-01", **options)


def _write(catalog: SandboxCatalog, output: str) -> bytes:
    extra = {"page_size": PAGE_ROWS, "max_concurrency": IN_FLIGHT, "timeout": 10}
    value = json.dumps({**json.loads(catalog.connection_json), "extra": extra})
    with (
        TemporaryDirectory(prefix="faults-") as folder,
        mock.patch.dict(os.environ, AIRFLOW_CONN_CATALOG_DEFAULT=value),
    ):
        path = Path(folder) / f"rows.{output}"
        OPERATORS["enrollments"](task_id="pull", output_path=path).execute({})
        return path.read_bytes()
