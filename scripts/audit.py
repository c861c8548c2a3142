"""Look for known vulnerabilities in the pinned dependencies, and never take a question without an answer for a "none".

Exit status: 0 when all of them were asked about and none is known, 1 when some are, 2 when the service did not answer.
``--if-it-answers`` makes a 0 of the 2, for a gate that also runs where the service can't be reached; it says so.
"""

# ruff: noqa: T201 - what it is for is to print

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that don't concern the project: id → why."""
TIMEOUT = 15
"""Seconds that the service has for an answer."""

NONE_KNOWN, SOME_KNOWN, NOT_ASKED = 0, 1, 2


class NoAnswerError(Exception):
    """The service could not be asked; the message says why."""


def audit(lock: Path, service: list[str]) -> list[dict[str, Any]]:
    """
    Return what is known of each package, as pip-audit's JSON has it.

    :param lock: a file of requirements with hashes.
    :param service: pip-audit's arguments for the service to ask.
    :raises NoAnswerError: when it does not answer, for one package or for all.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip", "--no-deps", *service]
    command += ["--format=json", "--progress-spinner=off", f"--timeout={TIMEOUT}"]
    for accepted in ACCEPTED:
        command.append(f"--ignore-vuln={accepted}")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})  # noqa: S603 - our own arguments
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise NoAnswerError(last) from None
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped or not packages:
        # pip-audit's own status is 0 then.
        reason = skipped[0]["skip_reason"] if skipped else "no packages"
        raise NoAnswerError(f"{len(skipped)} of {len(packages)} packages were not found by the service: {reason}")
    return packages


def main() -> int:
    """Audit the lock files that are named; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("locks", nargs="+", type=Path, help="files of requirements with hashes")
    parser.add_argument("--service", default="osv", choices=["osv", "pypi"], help="whom to ask (osv)")
    parser.add_argument("--osv-url", help="another server of the OSV API")
    parser.add_argument("--if-it-answers", action="store_true", help="0 also when the service can't be reached")
    options = parser.parse_args()
    service = [f"--vulnerability-service={options.service}"]
    if options.osv_url:
        service.append(f"--osv-url={options.osv_url}")
    status = NONE_KNOWN
    for lock in options.locks:
        try:
            packages = audit(lock, service)
        except NoAnswerError as error:
            print(f"{lock}: NOT AUDITED, the service does not answer: {error}")
            return NONE_KNOWN if options.if_it_answers and status == NONE_KNOWN else NOT_ASKED
        vulnerable = [package for package in packages if package["vulns"]]
        for package in vulnerable:
            for found in package["vulns"]:
                fixed = ", ".join(found["fix_versions"]) or "no version yet"
                print(f"{lock}: {package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
        print(f"{lock}: {len(packages)} packages audited, {len(vulnerable)} with known vulnerabilities")
        status = SOME_KNOWN if vulnerable else status
    return status


if __name__ == "__main__":
    sys.exit(main())
