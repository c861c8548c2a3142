"""A part of ``python -m tests.faults``: every fault once and lastingly, places, outputs and endpoints in turns."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from airflow_provider_catalog.sandbox.fault_plan import FAULTS
from tests.faults import cases, front, random_faults
from tests.faults.pulls import Pull, run


def one_of_each(pulls: list[Pull]) -> list[Pull]:
    """Return one pull of each fault and duration; places, outputs, endpoints and requests in flight take turns."""
    groups = [list(group) for _, group in groupby(pulls, lambda pull: (pull.fault, pull.lasting))]
    return [group[7 * index % len(group)] for index, group in enumerate(groups)]


PULLS = one_of_each(list(cases.pulls()))
MOVES = [pull for paging in cases.PAGINGS[1:] for pull in one_of_each(list(cases.pulls(paging, cases.MOVES)))[::2]]


def name(pull: Pull) -> str:
    kind = "lasting" if pull.lasting else "once"
    return f"{pull.paging}-{pull.fault}-{kind}-{pull.place}-{pull.in_flight}-{pull.output}-{pull.endpoint}"


def test_the_table_has_every_fault_there_is():
    assert {*cases.FAULTS, *cases.MOVES} == {*FAULTS, *front.FAULTS}


def test_the_page_explains_every_fault_of_the_sandbox():
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    table = page.partition("| fault | the answer |")[2].partition("\n\n")[0]
    assert {name for line in table.splitlines()[2:] for name in re.findall(r"`([\w-]+)`", line.split("|")[1])} == {
        *FAULTS
    }


@pytest.mark.parametrize("pull", [*PULLS, *MOVES], ids=name)
def test_a_fault(pull):
    outcome = run(pull)
    assert outcome.kind in cases.promised(pull), outcome


@pytest.mark.parametrize(("rate", "seed", "output"), [(0.01, 1, "csv"), (0.05, 2, "parquet"), (0.2, 3, "jsonl")])
def test_faults_at_random(rate, seed, output):
    outcome = random_faults.run(random_faults.RandomPull(rate, seed, 200, output))
    assert outcome.same
    assert outcome.requests > 200 * (1 + rate / 2), "faults did happen"
