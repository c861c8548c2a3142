from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_catalog.probe.__main__ import main
from tests.catalog_server import TOKEN, Answer, Request, catalog_server


@dataclass
class Outcome:
    """What the command did: its exit status, its report (none when it printed none), and what it told the person."""

    status: int
    report: dict[str, Any]
    told: str

    def __getitem__(self, endpoint: str) -> dict[str, Any]:
        return self.report["endpoints"][endpoint]

    @property
    def extra(self) -> dict[str, Any]:
        return self.report["extra"]

    @property
    def to_do(self) -> str:
        return "\n".join(self.report["to_do"])


@pytest.fixture
def probe(capsys, monkeypatch) -> Callable[..., Outcome]:
    """Run the command with --json; with a connection of Airflow's, when it is to have an extra."""

    def run(url: str, *arguments: str, token: str = TOKEN, extra: dict[str, Any] | None = None) -> Outcome:
        monkeypatch.setenv("CATALOG_TOKEN", token)
        fields = {"conn_type": "instructure_catalog", "host": url, "password": token, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_PROBED", json.dumps(fields))
        status = main([*(["--url", url] if extra is None else ["--conn-id", "probed"]), "--json", *arguments])
        printed = capsys.readouterr()
        return Outcome(status, json.loads(printed.out) if printed.out else {}, printed.err)

    return run


@pytest.fixture
def found_in(probe, no_backoff) -> Callable[..., Outcome]:
    """Run the command against answers."""

    def run(answer: Callable[[Request], Answer], *arguments: str, **more: Any) -> Outcome:
        with catalog_server(answer) as catalog:
            return probe(catalog.url, *arguments, **more)

    return run
