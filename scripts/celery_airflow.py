"""A real Airflow with Celery workers on this machine: CeleryExecutor, Redis as the broker, PostgreSQL as the database.

Redis and PostgreSQL have to run already. Workers share nothing but these two, the API server and the DAGs' folder: each
has an ``AIRFLOW_HOME`` and a temporary folder of its own, and is not told where Airflow's database is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import psutil
import psycopg2
import redis

from scripts.local_airflow import LocalAirflow, members

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
POSTGRES = {
    "host": os.environ.get("PGHOST", "127.0.0.1"),
    "port": os.environ.get("PGPORT", "5432"),
    "user": os.environ.get("PGUSER", "postgres"),
    "password": os.environ.get("PGPASSWORD", ""),
}


class ServiceMissingError(Exception):
    """Redis or PostgreSQL does not answer; the message says which, and where it was looked for."""


@contextmanager
def services() -> Iterator[dict[str, str]]:
    """
    Make a database, a queue and a prefix of Redis's keys that nobody else has; the target is Airflow's settings.

    All are gone when the ``with`` block is left. PostgreSQL is looked for where ``PGHOST``, ``PGPORT``, ``PGUSER`` and
    ``PGPASSWORD`` say, Redis where ``REDIS_URL`` says; on this machine by default.

    :raises ServiceMissingError: on entry.
    """
    name = f"catalog_{uuid4().hex[:12]}"
    with _database(name) as url, _redis_keys(f"{name}:"):
        yield {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__CELERY__BROKER_URL": REDIS_URL,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}",
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",  # the scheduler needs no processes of its own to talk to Redis
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": f"{name}:",
            "AIRFLOW__OPERATORS__DEFAULT_QUEUE": name,
        }


@contextmanager
def _database(name: str) -> Iterator[str]:
    try:
        connection = psycopg2.connect(dbname="postgres", connect_timeout=5, **POSTGRES)
    except psycopg2.OperationalError as error:
        where = "{user}@{host}:{port}".format(**POSTGRES)
        raise ServiceMissingError(f"PostgreSQL does not answer at {where} (PGHOST, PGPORT, PGUSER): {error}") from error
    with closing(connection), connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield "postgresql+psycopg2://{user}:{password}@{host}:{port}/".format(**POSTGRES) + name
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _redis_keys(prefix: str) -> Iterator[None]:
    with closing(redis.Redis.from_url(REDIS_URL, socket_connect_timeout=5)) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            raise ServiceMissingError(f"Redis does not answer at {REDIS_URL} (REDIS_URL): {error}") from error
        try:
            yield
        finally:
            for key in client.scan_iter(f"{prefix}*"):
                client.delete(key)


class CeleryAirflow(LocalAirflow):
    """
    Run Airflow with Celery workers; a context manager, as :class:`LocalAirflow` is.

    :param workers: the workers to begin with: name → how many tasks each runs at once.
    :param variables: those of :func:`services`, and more.
    :param rest: what :class:`LocalAirflow` takes.
    """

    def __init__(self, *, workers: Mapping[str, int], variables: Mapping[str, str], **rest: Any) -> None:
        super().__init__(variables=variables, **rest)
        self._workers = workers
        self._queue = variables["AIRFLOW__OPERATORS__DEFAULT_QUEUE"]

    def _start_parts(self) -> None:
        super()._start_parts()
        for name, slots in self._workers.items():
            self.start_worker(name, slots)

    def start_worker(self, name: str, slots: int) -> None:
        """Start one more worker, which runs so many tasks at once."""
        home = self._home / f"worker-{name}"
        temporary = home / "temporary"
        temporary.mkdir(parents=True)
        self._start(
            name,
            [
                *("celery", "worker", "--queues", self._queue, "--concurrency", str(slots), "--celery-hostname", name),
                *("--pid", str(home / "worker.pid"), "--skip-serve-logs", "--without-gossip", "--without-mingle"),
            ],
            {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/not-the-database.db",
                "TMPDIR": str(temporary),
            },
        )

    def temporary_files(self, name: str) -> list[str]:
        """Return the names of the files that a worker has in its temporary folder."""
        return [path.name for path in (self._home / f"worker-{name}/temporary").rglob("*") if path.is_file()]

    def processes_of(self, name: str) -> list[psutil.Process]:
        """Return the processes of a worker, those of its tasks included."""
        return members({self._processes[name].pid})

    def kill_worker(self, name: str) -> None:
        """Kill a worker and its tasks, as ``kill -9`` does."""
        for process in self.processes_of(name):
            process.kill()
        self._processes.pop(name).wait()
