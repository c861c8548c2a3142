"""What stays of a file whose writer is killed: a hidden one, which the next writer of the same file removes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.output.conftest import new_output, write
from tests.processes import python

ROWS = [{"text": "new"}]
NEW = '{"text":"new"}\n'
BEGIN = """
import os, sys
from tests.output.conftest import new_output
new_output(sys.argv[1]).__enter__()
print("begun", flush=True)
sys.stdin.read()
os._exit(0)
"""


@pytest.fixture
def begin(tmp_path):
    """Return a function that lets another process begin a file, and die or live on; it returns the hidden file."""
    processes = []

    def begin_one(name, *, lives):
        before = {*tmp_path.iterdir()}
        command = [sys.executable, "-c", BEGIN, str(tmp_path / name)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "begun\n"
        if not lives:
            process.communicate("")
        [path] = {*tmp_path.iterdir()} - before
        return path

    yield begin_one
    for process in processes:
        if process.poll() is None:
            process.communicate("")


@pytest.mark.parametrize(
    ("name", "lives", "days", "machine", "is_removed"),
    [
        ("out.jsonl", False, 0, None, True),
        ("another.jsonl", False, 0, None, False),
        ("out.jsonl", True, 0, None, False),
        ("out.jsonl", True, 0.1, None, True),  # another process has got the number of a killed one
        ("out.jsonl", False, 0.9, "another", False),  # nobody knows whether it lives
        ("out.jsonl", False, 1.1, "another", True),
    ],
)
def test_what_a_killed_writer_has_left_is_removed_by_the_next_one_of_the_same_file(
    tmp_path, begin, monkeypatch, name, lives, days, machine, is_removed
):
    path = begin(name, lives=lives)
    os.utime(path, (time.time() - days * 86400,) * 2)
    if machine:
        monkeypatch.setattr(socket, "gethostname", lambda: machine)
    with new_output(tmp_path / "out.jsonl") as output:
        output.write(ROWS)
        write(tmp_path / "out.jsonl", [])  # which leaves alone what this process is still writing
        output.publish()
    assert (tmp_path / "out.jsonl").read_text() == NEW
    assert path.exists() is not is_removed


def test_a_name_that_is_as_long_as_names_may_be(tmp_path):
    path = tmp_path / f"{'é' * 100}{'x' * 49}.jsonl"
    write(path, ROWS)
    assert path.read_text() == NEW


@pytest.mark.parametrize("refused", [PermissionError(1, "not permitted"), OSError(95, "not supported")])
def test_a_mount_that_decides_on_rights_alone(tmp_path, monkeypatch, refused):
    def refuse(*_, **__):
        raise refused

    monkeypatch.setattr(Path, "chmod", refuse)
    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    write(tmp_path / "out.jsonl", ROWS)
    assert (tmp_path / "out.jsonl").read_text() == NEW


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are looked up in /proc")
def test_a_mount_that_does_not_rename_open_files(tmp_path, monkeypatch):
    replace = os.replace

    def replace_closed(source, target):
        if Path(source) in [descriptor.resolve() for descriptor in Path("/proc/self/fd").iterdir()]:
            raise OSError(26, "Text file busy")
        replace(source, target)

    monkeypatch.setattr(Path, "replace", replace_closed)
    write(tmp_path / "out.jsonl", ROWS)
    assert (tmp_path / "out.jsonl").read_text() == NEW


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
    assert path.read_bytes() in ((old, new) if was_killed else (new,)), step
    left += len(others())
    assert not any(each.startswith("rows") for each in others()), (step, "in the dataset, which Polars would refuse")
    write(path, [{"text": "new"}])
    assert path.read_bytes() == new, step
    assert others() == [], step
print(step, left)
"""


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows/day=1/rows.csv"])
def test_killed_at_each_step(tmp_path, name):
    """Before each operation on files, one after the other: the old file or the new one; then a retry tidies up."""
    steps, left = map(int, python(KILLED_AT_EACH_STEP, tmp_path / name, tmp_path).split())
    assert steps > 5
    assert left >= 1, "killed while there was a temporary file, too"
