"""``make audit``: what it says of a service that knows of a vulnerability, of none, or does not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_in import Answer, stand_in

PROJECT = Path(__file__).parents[1]
VULNERABILITY = {
    "id": "GHSA-made-up",
    "summary": "made up",
    "details": "made up",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "requests"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.99.0"}]}],
            "versions": ["2.31.0"],
        }
    ],
}


@pytest.fixture
def audit(tmp_path):
    """Return a function that audits two packages, and gives the exit status and what was printed."""
    lock = tmp_path / "some.lock"
    lock.write_text(f"requests==2.31.0 --hash=sha256:{'a' * 64}\nidna==3.4 --hash=sha256:{'b' * 64}\n")

    def run(url: str, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, str(PROJECT / "scripts" / "audit.py"), str(lock), f"--osv-url={url}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


def knows(*vulnerable):
    def answer(request):
        name = json.loads(request.body)["package"]["name"]
        return Answer({"vulns": [VULNERABILITY]} if name in vulnerable else {})

    return stand_in(answer)


def test_none_is_known(audit):
    with knows() as service:
        status, printed = audit(service.url, "--if-it-answers")
    assert status == 0
    assert "2 packages audited, 0 with known vulnerabilities" in printed
    assert len(service.requests) == 2


def test_one_is_known(audit):
    with knows("requests") as service:
        status, printed = audit(service.url, "--if-it-answers")
    assert status == 1
    assert "requests 2.31.0: GHSA-made-up, fixed in 2.99.0" in printed
    assert "2 packages audited, 1 with known vulnerabilities" in printed


@pytest.mark.parametrize(("arguments", "expected"), [((), 2), (("--if-it-answers",), 0)])
@pytest.mark.parametrize("answer", [Answer(status=503), Answer(b"<html>"), None], ids=["503", "HTML", "nobody"])
def test_no_answer_is_not_taken_for_none(audit, answer, arguments, expected):
    with stand_in(lambda request: answer) as service:
        url = service.url
        if answer is not None:
            status, printed = audit(url, *arguments)
    if answer is None:  # nobody listens any more
        status, printed = audit(url, *arguments)
    assert status == expected
    assert "NOT AUDITED" in printed
