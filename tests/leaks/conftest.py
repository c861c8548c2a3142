from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.catalog_server import catalog_server
from tests.leaks import runs
from tests.leaks.canaries import HASH_KEY, TOKEN
from tests.leaks.scenarios import Scenario
from tests.tasks import OPERATORS

ENDPOINTS = tuple(OPERATORS)


class Played:
    """
    What the runs of a scenario have left behind, by place.

    :param places: name → text, of what nobody has asked rows of.
    :param asked: the same of what somebody has: XComs with rows.
    :param failed: the errors of those that failed, by kind.
    """

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.asked: dict[str, str] = {}
        self.failed: dict[str, Exception] = {}

    def add(self, kind: str, told: runs.Told) -> None:
        if "failed" in told:
            self.failed[kind] = told.pop("failed")
        for what, value in told.items():
            # The hook's is a number, a file's is a manifest, a trigger's is an event.
            has_rows = what == "xcom" and (kind == "xcom" or kind in runs.SENSED)
            places = self.asked if has_rows else self.places
            places[f"{kind}: {what}"] = value if isinstance(value, str) else repr(value)


@pytest.fixture
def play(monkeypatch, caplog, capfd, tmp_path, no_backoff, new_triggers) -> Callable[..., Played]:
    """Return a function that runs a scenario with every log at DEBUG, and returns what that has left behind."""
    caplog.set_level(logging.DEBUG)
    for name in ("airflow", "airflow_provider_catalog", "urllib3", "requests", "asyncio", "fsspec"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    monkeypatch.setattr("airflow_provider_catalog.triggers.pace.SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr("airflow_provider_catalog.triggers.watch.HAND_OVER", 0.0)

    def run(scenario: Scenario, number: int = 0, **parameters: Any) -> Played:
        played = Played()
        with catalog_server(scenario.answers) as catalog:
            monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", connection(scenario, catalog.url))
            for kind in scenario.kinds or runs.one_of_each(number):
                own = {**scenario.parameters, **parameters} if kind in runs.TASKS else {}
                played.add(kind, runs.ALL[kind](ENDPOINTS[number % len(ENDPOINTS)], tmp_path, **own))
        said = capfd.readouterr()
        played.places |= {"log": caplog.text, "standard output": said.out, "standard error": said.err}
        played.places["names of files"] = "\n".join(map(str, files_in(tmp_path)))
        return played

    return run


def connection(scenario: Scenario, url: str) -> str:
    fields = {"conn_type": "instructure_catalog", "host": url, "password": TOKEN, **scenario.connection}
    if fields.pop("tls", False):
        fields["host"] = url.replace("http:", "https:")
    return json.dumps({**fields, "extra": {"hash_secret": HASH_KEY, **scenario.extra}})


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))
