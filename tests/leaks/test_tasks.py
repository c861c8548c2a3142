"""
The token, the hash key and students: in nothing that a task leaves behind, but where rows were asked for.

An operator, a sensor, the triggers and the hook meet each of the scenarios, with all logs at DEBUG: the provider's,
Airflow's, those of urllib3 and requests, and what ``http.client`` prints when it is told to. Then all is searched:
logs, standard output, errors with all that is chained to them, the local variables of their tracebacks (which Sentry
sends, and which Airflow prints where ``DEV`` is set; its task logs have none), manifests, events of assets and of
triggers, arguments of triggers, names of files.
"""

from __future__ import annotations

import gzip
import http.client
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.output.transform import RowTransform
from tests.catalog_server import catalog_server
from tests.leaks import runs
from tests.leaks.canaries import CANARIES, HASH_KEY, TOKEN, search
from tests.leaks.scenarios import SCENARIOS, Scenario, served
from tests.tasks import OPERATORS

ENDPOINTS = tuple(OPERATORS)
PERSONAL = ["student", "purchaser", "learners", "custom_fields"]


@dataclass
class Played:
    """
    What the runs of a scenario have left behind, by place: what nobody has asked rows of, and XComs with rows.

    :param failed: the errors of those that failed, by kind.
    """

    places: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)

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
            monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", connection_of(scenario, catalog.url))
            for kind in scenario.kinds or runs.one_of_each(number):
                own = {**scenario.parameters, **parameters} if kind in runs.TASKS else {}
                played.add(kind, runs.ALL[kind](ENDPOINTS[number % len(ENDPOINTS)], tmp_path, **own))
        said = capfd.readouterr()
        played.places |= {"log": caplog.text, "standard output": said.out, "standard error": said.err}
        played.places["names of files"] = "\n".join(map(str, files_in(tmp_path)))
        return played

    return run


def connection_of(scenario: Scenario, url: str) -> str:
    fields = {"conn_type": "instructure_catalog", "host": url, "password": TOKEN, **scenario.connection}
    if fields.pop("tls", False):
        fields["host"] = url.replace("http:", "https:")
    return json.dumps({**fields, "extra": {"hash_secret": HASH_KEY, **scenario.extra}})


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_left_behind(play, name):
    scenario = SCENARIOS[name]
    played = play(scenario, number=[*SCENARIOS].index(name))
    assert search(played.places) == []

    if scenario.fails is None:
        assert played.failed == {}
    else:
        operated = {kind: error for kind, error in played.failed.items() if kind in runs.OPERATED}
        assert operated
        assert {kind: error for kind, error in operated.items() if not isinstance(error, scenario.fails)} == {}


def test_rows_are_where_they_were_asked_for(play):
    """Or the search would have found nothing because there was nothing."""
    played = play(SCENARIOS["all is well"])
    assert len(played.asked) == 1 + len(runs.SENSED)
    for place, text in played.asked.items():
        assert {each.canary for each in search({place: text})} == set(CANARIES) - {"token", "hash key"}


@pytest.mark.parametrize("how", ["drop_fields", "hash_fields"])
def test_what_is_dropped_or_hashed_is_nowhere_at_all(play, tmp_path, how):
    played = play(Scenario(served(), kinds=runs.TASKS), **{how: PERSONAL})
    assert not played.failed
    assert search(played.places) == []
    assert search(played.asked) == []
    files = {str(path): content(path) for path in files_in(tmp_path)}
    assert len(files) == len(runs.STORED)
    assert search(files) == []
    assert all("12.5" in text for text in files.values()), "what was not dropped is there"


def content(path) -> str:
    """Return all that can be read of a file: its bytes as they are, and what they mean."""
    text = path.read_bytes().decode("latin-1")
    if path.suffix == ".gz":
        text += gzip.decompress(path.read_bytes()).decode()
    if path.suffix == ".parquet":
        text += str(pq.read_table(path).to_pylist()) + str(pq.read_metadata(path).to_dict())
    return text


@pytest.mark.parametrize("error", [RuntimeError, KeyError, MemoryError, UnicodeError])
def test_a_bug_of_ours_takes_no_row_along(play, monkeypatch, error):
    """Whatever is raised amid rows, their values are not among the local variables of its traceback."""

    def broken(self, row):
        student = row["student"]
        raise error("a bug") from ValueError(f"of {len(student)}")

    monkeypatch.setattr(RowTransform, "__call__", broken)
    played = play(Scenario(served(), kinds=runs.TASKS))
    assert len(played.failed) == 8
    assert search(played.places) == []


@pytest.mark.parametrize(
    "leak",
    [
        "log.debug('a row: %s', row)",
        "print(base64.b64encode(json.dumps(row).encode()))",
        "raise CatalogError(f\"no such student: {row['student']['name']}\")",
        "raise CatalogError('no such student') from KeyError(row['student']['email'])",
        "Path(folder, row['student']['email']).touch()",
        "raise RuntimeError",  # whose traceback has the row, where it is not taken out
    ],
)
def test_a_leak_is_found(play, monkeypatch, tmp_path, leak):
    """Or the search would have found nothing because it finds nothing."""
    names = {"log": logging.getLogger("airflow_provider_catalog.output.transform"), "CatalogError": CatalogError}
    if leak == "raise RuntimeError":
        monkeypatch.setattr("airflow_provider_catalog.utils.failures.forget_locals", lambda error: None)

    def leaking(self, row):
        exec("import base64, json\nfrom pathlib import Path\n" + leak, names, {"row": row, "folder": tmp_path})  # noqa: S102
        return row

    monkeypatch.setattr(RowTransform, "__call__", leaking)
    assert search(play(Scenario(served(1), kinds=["csv"])).places)
