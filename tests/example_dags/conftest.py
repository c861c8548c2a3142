"""The example DAGs, run for real against a sandbox."""

from __future__ import annotations

import hmac
import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "example_dags"
NEEDS_NEWER_COMMON_SQL = (
    set() if importlib.util.find_spec("airflow.providers.common.sql.config") else {"catalog_sql_over_files"}
)
DAG_IDS = sorted({path.stem for path in EXAMPLES.glob("*.py")} - NEEDS_NEWER_COMMON_SQL)
HASH_KEY = "a long hash secret for tests"

LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
BUNDLES = [{"name": "examples", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(EXAMPLES)}}]
"""Where dag.test() looks for the DAG's file."""


@dataclass(frozen=True)
class Run:
    """
    A finished run of a DAG.

    :param tasks: the states of each task's instances, by task id.
    :param xcoms: what each task returned, by task id; a list, by map index, where the task is mapped.
    :param folder: the run's param of that name, where its files are.
    """

    state: str
    tasks: dict[str, set[str]]
    xcoms: dict[str, Any]
    folder: Path


def load_dag(dag_id: str) -> Any:
    """Return a fresh object of an example DAG."""
    spec = importlib.util.spec_from_file_location(dag_id, EXAMPLES / f"{dag_id}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def json_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def keyed_hash(value: object) -> str:
    return hmac.digest(HASH_KEY.encode(), str(value).encode(), "sha256").hex()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make Airflow's tables in the temporary AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="module")
def catalog() -> Iterator[SandboxCatalog]:
    """Run a sandbox with few rows, and set the connection to it."""
    with (
        sandbox(products=30, users=80, enrollments=1500, as_of="2026-07-01") as running,
        pytest.MonkeyPatch.context() as environment,
    ):
        connection = json.loads(running.connection_json) | {"extra": {"hash_secret": HASH_KEY}}
        environment.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", json.dumps(connection))
        environment.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(BUNDLES))
        yield running


@pytest.fixture(scope="module")
def all_rows(catalog) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that gives every row of an endpoint, unfiltered: what a test computes its answers from."""
    return lambda endpoint: list(CatalogHook().iter_rows(endpoint))


@pytest.fixture(scope="module")
def run_example(airflow_database, catalog, tmp_path_factory) -> Callable[..., Run]:
    """Return a function that runs an example DAG; its files go into a new folder."""

    def run(dag_id: str, logical_date: datetime = datetime(2026, 7, 1, tzinfo=UTC), **params: Any) -> Run:
        folder = tmp_path_factory.mktemp(dag_id)
        dag_run = load_dag(dag_id).test(logical_date=logical_date, run_conf={"folder": str(folder), **params})
        tasks: dict[str, set[str]] = {}
        xcoms: dict[str, Any] = {}
        for instance in sorted(dag_run.get_task_instances(), key=lambda instance: instance.map_index):
            tasks.setdefault(instance.task_id, set()).add(str(instance.state))
            value = instance.xcom_pull(task_ids=instance.task_id, map_indexes=instance.map_index)
            if instance.map_index < 0:
                xcoms[instance.task_id] = value
            else:
                xcoms.setdefault(instance.task_id, []).append(value)
        return Run(str(dag_run.state), tasks, xcoms, folder)

    return run
