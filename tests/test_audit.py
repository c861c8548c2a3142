"""``make audit``: what it says of a service that knows of a vulnerability, of none, or does not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.catalog_server import Answer, catalog_server

AUDIT = Path(__file__).parents[1] / "scripts" / "audit.py"
AFFECTED = {
    "package": {"ecosystem": "PyPI", "name": "requests"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.99.0"}]}],
    "versions": ["2.31.0"],
}
MADE_UP = {"id": "GHSA-made-up", "summary": "", "details": "", "published": "2026-01-01T00:00:00Z"}


@pytest.fixture
def audit(tmp_path):
    """Return a function that audits two packages against a service, and gives the exit status and what was printed."""
    lock = tmp_path / "some.lock"
    lock.write_text(f"requests==2.31.0 --hash=sha256:{'a' * 64}\nidna==3.4 --hash=sha256:{'b' * 64}\n")

    def run(answer, *arguments: str) -> tuple[int, str]:
        with catalog_server(answer) as service:
            command = [sys.executable, AUDIT, lock, f"--osv-url={service.url}", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


def known(request):
    is_affected = json.loads(request.body)["package"]["name"] == "requests"
    return Answer({"vulns": [{**MADE_UP, "affected": [AFFECTED]}]} if is_affected else {})


@pytest.mark.parametrize(
    ("answer", "arguments", "status", "says"),
    [
        (lambda request: Answer({}), ["--if-it-answers"], 0, ["2 packages audited, 0 known vulnerabilities"]),
        (
            known,
            ["--if-it-answers"],
            1,
            ["requests 2.31.0: GHSA-made-up, fixed in 2.99.0", "audited, 1 known"],
        ),
        (lambda request: Answer(status=503), [], 2, ["NOT AUDITED"]),
        (lambda request: Answer(b"<html>"), ["--if-it-answers"], 0, ["NOT AUDITED"]),
    ],
    ids=["none", "one", "no answer", "no answer is needed"],
)
def test_an_answer(audit, answer, arguments, status, says):
    code, printed = audit(answer, *arguments)
    assert code == status
    assert all(each in printed for each in says)
