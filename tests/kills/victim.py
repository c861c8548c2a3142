"""A task that is killed while it overwrites a file: the real operator, in a process of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from tests.kills.places import Place

OLD = {"order_fee": "PAID"}
"""The filters that give the earlier file; without them there are more rows."""

AFTERWARDS = 0.1
"""Seconds that the process of a task still lives when it has published; Airflow's does, to push the XCom."""


@dataclass
class Case:
    """
    :param place: where the file goes.
    :param suffix: the file's format.
    :param catalog: the options of the sandbox to read from.
    :param paging: for the table: how it pages.
    """

    place: Place
    suffix: str
    catalog: tuple[str, ...]
    paging: str
    url: str = ""
    old: bytes = b""
    new: bytes = b""
    seconds: float = 0.0
    kills: int = 0
    kept: int = 0
    replaced: int = 0
    littered: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def file(self) -> str:
        return f"rows.{self.suffix}"


class Killer:
    """
    Starts tasks and kills them.

    :param temporary: the tasks' folder for temporary files.
    :param log: where their output goes.
    :param seed: of the moments.
    """

    def __init__(self, temporary: Path, log: Path, seed: int) -> None:
        self._temporary = temporary
        self._log = log
        self._random = random.Random(seed)  # noqa: S311 - no secret

    def prepare(self, case: Case) -> None:
        """Find out what the earlier and the new file are like, and how long writing takes."""
        self._run(case, OLD)
        case.old = case.place.read(case.file) or b""
        case.seconds = self._run(case)
        case.new = case.place.read(case.file) or b""
        if not case.old or case.old == case.new:
            raise RuntimeError("the earlier and the new file can't be told apart")

    def kill(self, case: Case) -> None:
        """Kill one task, look at what it has left, and let another one try again."""
        while True:
            case.place.write(case.file, case.old)
            # Half of them near the end, where the file is put in its place.
            start = 0.0 if self._random.random() < 0.5 else 0.7
            moment = self._random.uniform(start, 1.0) * case.seconds
            if self._start(case).killed_after(moment):
                break
            case.seconds *= 0.9  # it had ended: the machine is less busy than it was
        case.kills += 1
        content = case.place.read(case.file)
        case.kept += content == case.old
        case.replaced += content == case.new
        where = f"{case.place.name}, {case.file}, killed after {moment:.3f} s"
        if content not in (case.old, case.new):
            case.wrong.append(f"{where}: neither the earlier file nor the new one")
        case.littered += bool(case.place.left())
        case.seconds = self._run(case)
        if case.place.read(case.file) != case.new:
            case.wrong.append(f"{where}: after the retry it is not the new file")
        if left := case.place.left():
            case.wrong.append(f"{where}: after the retry there is still {', '.join(left)}")

    def _run(self, case: Case, filters: dict[str, str] | None = None) -> float:
        """Let a task write the file; return how long it took."""
        task = self._start(case, filters)
        started = time.monotonic()
        if status := task.ended():
            raise RuntimeError(f"a task that nobody killed ended with {status}: {self._log.read_text()[-3000:]}")
        return time.monotonic() - started

    def _start(self, case: Case, filters: dict[str, str] | None = None) -> Task:
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            self._be_a_task(case, filters, write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            pipe.read(1)  # now it begins
        return Task(pid)

    def _be_a_task(self, case: Case, filters: dict[str, str] | None, pipe: int) -> NoReturn:
        status = 1
        try:
            log = os.open(self._log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            tempfile.tempdir = str(self._temporary)
            connection = {"conn_type": "instructure_catalog", "host": case.url, "password": "sandbox-token"}
            os.environ["AIRFLOW_CONN_CATALOG_DEFAULT"] = json.dumps(connection)
            pull = CatalogOrdersAnalyticsOperator(
                task_id="pull", filters=filters, output_path=case.place.url(case.file)
            )
            os.close(pipe)
            pull.execute({})
            time.sleep(AFTERWARDS)
            status = 0
        except BaseException as error:
            os.write(2, repr(error).encode())
        finally:
            os._exit(status)


@dataclass
class Task:
    """
    A process that runs a task.

    :param pid: its number.
    """

    pid: int

    def ended(self) -> int:
        """Wait for its end; return its exit status, or the signal that ended it as a negative number."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def killed_after(self, seconds: float) -> bool:
        """Kill it at that moment; return whether it had not ended before."""
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGKILL)
        return self.ended() == -signal.SIGKILL
