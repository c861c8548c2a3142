"""What stays of a file whose writer is killed: a hidden one, which the next writer of the same file removes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_catalog.output.temporary import TemporaryFile

LEAVE = """
import os, sys
from pathlib import Path
from airflow_provider_catalog.output.temporary import TemporaryFile
print(TemporaryFile(Path(sys.argv[1]), sys.argv[2]).path, flush=True)
if sys.argv[3] == "lives":
    sys.stdin.read()
os._exit(0)
"""


@pytest.fixture
def leave(tmp_path):
    """Return a function that lets another process begin a file, and end or live on."""
    processes = []

    def leave_one(name="out", *, lives=False):
        command = [sys.executable, "-c", LEAVE, str(tmp_path), name, "lives" if lives else "ends"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        path = Path(process.stdout.readline().strip())
        processes.append(process)
        if not lives:
            process.wait()
        return path

    yield leave_one
    for process in processes:
        process.communicate("")


def begin(folder, name="out"):
    file = TemporaryFile(folder, name)
    file.file.write(b"new")
    return file


def test_nobody_else_can_read_it_and_it_is_hidden(tmp_path):
    file = begin(tmp_path)
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.startswith(".out.")
    assert path.suffix == ".tmp"
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_it_is_moved_to_its_place(tmp_path):
    (tmp_path / "out").write_text("earlier")
    file = begin(tmp_path)
    file.move_to(tmp_path / "out")
    file.close()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "new")]


def test_what_a_killed_writer_has_left_is_removed_by_the_next_one_of_the_same_file(tmp_path, leave):
    paths = [leave(), leave()]
    other = leave("another")
    begin(tmp_path).close()
    assert not any(path.exists() for path in paths)
    assert other.exists()


def test_what_is_still_being_written_stays(tmp_path, leave):
    path = leave(lives=True)
    own = begin(tmp_path)
    begin(tmp_path).close()
    assert path.exists()
    own.move_to(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.parametrize("days", [0.9, 1.1])
def test_another_machines_is_left_behind_when_it_is_a_day_old(tmp_path, leave, monkeypatch, days):
    path = leave()
    os.utime(path, (time.time() - days * 86400,) * 2)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    begin(tmp_path).close()
    assert path.exists() is (days < 1)


def test_another_process_that_got_the_number_of_a_killed_one(tmp_path, leave):
    path = leave(lives=True)
    os.utime(path, (time.time() - 3600,) * 2)
    begin(tmp_path).close()
    assert not path.exists()


def test_a_name_that_is_as_long_as_names_may_be(tmp_path):
    name = "é" * 100 + "x" * 50
    file = begin(tmp_path, name)
    file.move_to(tmp_path / name)
    assert (tmp_path / name).read_text() == "new"


@pytest.mark.parametrize("refused", [PermissionError(1, "not permitted"), OSError(95, "not supported")])
def test_a_mount_that_decides_on_rights_alone(tmp_path, monkeypatch, refused):
    def refuse(*_, **__):
        raise refused

    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)
    begin(tmp_path).move_to(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are looked up in /proc")
def test_a_mount_that_does_not_rename_open_files(tmp_path, monkeypatch):
    replace = os.replace

    def replace_closed(source, target):
        if Path(source) in [descriptor.resolve() for descriptor in Path("/proc/self/fd").iterdir()]:
            raise OSError(26, "Text file busy")
        replace(source, target)

    monkeypatch.setattr(Path, "replace", replace_closed)
    begin(tmp_path).move_to(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new"


KILLED_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from tests.output.conftest import write

path = Path(sys.argv[1])
folder = Path(sys.argv[2])  # which holds nothing but what belongs to the file

def killed_at(step):
    steps = iter(range(1, step))
    def audit(event, args):
        if event == "os.kill" or not event.startswith(("open", "os.", "tempfile.", "pathlib.")):
            return
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(audit)
    write(path, [{"text": "new"}])

def others():
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*.tmp"))

write(path, [{"text": "new"}])
new = path.read_bytes()
write(path, [{"text": "old"}])
old = path.read_bytes()
step, was_killed, left = 0, True, 0
while was_killed:
    step += 1
    path.write_bytes(old)
    child = os.fork()
    if not child:
        killed_at(step)
        os._exit(0)
    was_killed = os.waitpid(child, 0)[1] == signal.SIGKILL
    content = path.read_bytes()
    if content not in (old, new) or not (was_killed or content == new):
        sys.exit(f"killed at step {step}: {content}")
    left += len(others())
    if any(each.startswith("rows") for each in others()):
        sys.exit(f"killed at step {step}: {others()} in the dataset, which Polars would refuse")
    write(path, [{"text": "new"}])
    if path.read_bytes() != new or others():
        sys.exit(f"after step {step}: {others()}")
print(step, left)
"""


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows/day=1/rows.csv"])
def test_killed_at_each_step(tmp_path, name):
    """Before each operation on files, one after the other: the old file or the new one; then a retry tidies up."""
    command = [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path / name), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, left = map(int, done.stdout.split())
    assert steps > 5
    assert left >= 1, "killed while there was a temporary file, too"
