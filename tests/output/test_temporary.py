"""What stays of a file whose writer is killed: nothing, or what the next writer in the folder removes."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_catalog.output import temporary as spool_module
from airflow_provider_catalog.output.temporary import Spool


@pytest.fixture(params=["nameless", "named"])
def named(request, monkeypatch):
    """Run the test on a file system that has files without a name, and on one that has not."""
    if request.param == "named":
        monkeypatch.setattr(spool_module, "_open_nameless", lambda folder: None)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("only Linux has files without a name")
    return request.param == "named"


@pytest.fixture
def leave(tmp_path):
    """Return a function that leaves a spool behind; its writer has ended, or lives."""
    descriptors = []

    def leave_one(*, lives=False, machine=None, age=0.0):
        descriptor, path = spool_module._open_named(tmp_path)
        if machine:
            other = path.with_name(path.name.replace(spool_module._own_prefix(), f".airflow-catalog-{machine}-"))
            path = path.rename(other)
        os.utime(path, (time.time() - age,) * 2)
        if lives:
            descriptors.append(descriptor)
        else:
            os.close(descriptor)
        return path

    yield leave_one
    for descriptor in descriptors:
        os.close(descriptor)


def write_out(folder):
    """Write ``new`` into the folder's file ``out``, by way of a spool."""
    spool = Spool(folder)
    spool.file.write(b"new")
    spool.file.flush()
    spool.move_to(folder / "out")
    spool.close()


def test_nobody_else_can_read_it(tmp_path, named):
    spool = Spool(tmp_path)
    assert stat.S_IMODE(os.fstat(spool.file.fileno()).st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == named
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_it_is_moved_to_its_place(tmp_path, named):
    (tmp_path / "out").write_text("earlier")
    write_out(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "new")]


def test_others_open_it_by_its_path(tmp_path, named):
    spool = Spool(tmp_path)
    spool.file.write(b"new")
    spool.file.flush()
    with spool.path() as path:
        assert Path(path).read_bytes() == b"new"
        assert Path(path).stat().st_size == 3
    spool.close()
    assert not Path(path).exists()


def test_the_path_leads_to_no_other_file_after_an_interrupt(tmp_path, named):
    """A client's thread may open the path a moment after the task was killed, when its number could be another's."""
    spool = Spool(tmp_path)
    with pytest.raises(KeyboardInterrupt), spool.path() as path:
        raise KeyboardInterrupt
    spool.close()
    with ExitStack() as others:
        (tmp_path / "other").write_text("other")
        for _ in range(3):
            others.enter_context((tmp_path / "other").open("rb"))
        if named:
            assert not Path(path).exists()
        else:
            assert Path(path).read_bytes() == b""
            os.close(int(Path(path).name))


@pytest.mark.parametrize("machine", [None, "0badcafe"])
def test_what_a_killed_writer_has_left_is_removed_by_the_next_one(tmp_path, leave, named, machine):
    paths = [leave(machine=machine, age=2 * 24 * 3600 if machine else 0) for _ in range(3)]
    Spool(tmp_path).close()
    assert not any(path.exists() for path in paths)


def test_what_is_still_being_written_stays(tmp_path, leave, named):
    paths = [leave(lives=True), leave(lives=True, age=10 * 24 * 3600), leave(machine="0badcafe", age=3600)]
    (tmp_path / ".airflow-catalog-notes.txt").touch()
    others = [Spool(tmp_path), Spool(tmp_path)]
    for spool in others:
        spool.file.write(b"whole")
        spool.file.flush()
    Spool(tmp_path).close()
    for number, spool in enumerate(others):
        spool.move_to(tmp_path / f"{number}")
        spool.close()
    assert all(path.exists() for path in paths)
    assert (tmp_path / ".airflow-catalog-notes.txt").exists()
    assert [(tmp_path / name).read_text() for name in "01"] == ["whole"] * 2


def test_what_is_no_file_is_left_alone(tmp_path, named):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / ".airflow-catalog-link.tmp").symlink_to(kept)
    (tmp_path / ".airflow-catalog-folder.tmp").mkdir()
    Spool(tmp_path).close()
    assert kept.read_text() == "kept"


def test_a_spool_that_was_taken_for_left_behind_before_it_was_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "_open_nameless", lambda folder: None)
    lock, removed = spool_module._lock, []

    def too_late(descriptor):
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        lock(descriptor)

    monkeypatch.setattr(spool_module, "_lock", too_late)
    spool = Spool(tmp_path)
    [path] = tmp_path.iterdir()
    assert path != removed[0]
    spool.close()


def test_a_file_system_that_gives_names_to_no_file(tmp_path, monkeypatch):
    """Some sandboxes forbid it."""

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_out(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "new")]


def test_a_file_system_without_locks(tmp_path, leave, named, monkeypatch):
    """Nothing is removed there: whether its writer lives can't be told."""

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    path = leave()
    monkeypatch.setattr(fcntl, "flock", refuse)
    write_out(tmp_path)
    assert path.exists()
    assert (tmp_path / "out").read_text() == "new"


KILLED_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.output.transform import RowTransform
from airflow_provider_catalog.output import temporary as spool
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.output import OutputFile

folder, kind = Path(sys.argv[1]), sys.argv[2]
if kind == "named":
    spool._open_nameless = lambda folder: None
path = folder / "rows.csv"

def write(text):
    with OutputFile(Destination.parse(path), ENDPOINTS["orders"], RowTransform()) as output:
        output.write([{"text": text}])
        output.publish()

def killed_at(step):
    steps = iter(range(1, step))
    def audit(event, args):
        if event == "os.kill" or not event.startswith(("open", "os.", "fcntl.", "tempfile.")):
            return
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(audit)
    write("new")

write("new")
new = path.read_bytes()
write("old")
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
    found = sorted(each.name for each in folder.iterdir() if each != path)
    left += len(found)
    if len(found) > 1 or (found and kind == "nameless" and (folder / found[0]).stat().st_size not in (0, len(new))):
        sys.exit(f"killed at step {step}: {found}")
    write("new")
    if path.read_bytes() != new or list(folder.iterdir()) != [path]:
        sys.exit(f"after step {step}: {list(folder.iterdir())}")
print(step, left)
"""


@pytest.mark.parametrize("kind", ["nameless", "named"])
def test_killed_at_each_step(tmp_path, kind):
    """Before each operation on files, one after the other: the old file or the new one; then a retry tidies up."""
    if kind == "nameless" and not hasattr(os, "O_TMPFILE"):
        pytest.skip("only Linux has files without a name")
    command = [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, left = map(int, done.stdout.split())
    assert steps >= 10
    assert left <= 2 if kind == "nameless" else left > 2, "a name is there for two moments only, or all the time"
