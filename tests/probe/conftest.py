from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_catalog.probe import asking
from airflow_provider_catalog.probe.__main__ import main


@dataclass
class Outcome:
    """What the command did: its exit status, its report (none when it printed none), and what it told the person."""

    status: int
    report: dict[str, Any]
    told: str

    def __getitem__(self, endpoint: str) -> dict[str, Any]:
        return self.report["endpoints"][endpoint]

    def finding(self, name: str) -> dict[str, Any]:
        [found] = [each for each in self.report["assumptions"] if each["id"] == name]
        return found

    def verdict(self, name: str) -> str:
        return self.finding(name)["verdict"]

    @property
    def to_do(self) -> set[str]:
        return {each["id"] for each in self.report["assumptions"] if each["act"]}


@pytest.fixture
def probe(capsys, monkeypatch) -> Callable[..., Outcome]:
    """Run the command, with --json, against a sandbox or a stand-in."""

    def run(url: str, *arguments: str, token: str) -> Outcome:
        monkeypatch.setenv("CATALOG_TOKEN", token)
        status = main(["--url", url, "--json", *arguments])
        printed = capsys.readouterr()
        return Outcome(status, json.loads(printed.out) if printed.out else {}, printed.err)

    return run


@pytest.fixture
def no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(asking, "BACKOFF", 0)
    monkeypatch.setattr(asking, "MAX_WAIT", 0)
