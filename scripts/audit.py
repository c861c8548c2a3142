"""Look for known vulnerabilities in lock files, and never take a question without an answer for a "none".

Exit status: 0 when all packages were asked about and none is known, 1 when some are, 2 when the service did not answer.
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


def ask(lock: Path, options: list[str]) -> tuple[list[dict[str, Any]], str]:
    """Return what pip-audit tells of each package of a lock file, and why the service did not answer, or ``""``."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--disable-pip",
        "--no-deps",
        "--timeout=15",
    ]
    command += ["--vulnerability-service=osv", "--format=json", "--progress-spinner=off", *options]
    command += [f"--ignore-vuln={accepted}" for accepted in ACCEPTED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})  # noqa: S603 - our own arguments
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["no output"])[-1]
    # The status of pip-audit is 0 for packages that the service does not know.
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    return (
        packages,
        f"{len(skipped)} packages were not found: {skipped[0]}" if skipped else "" if packages else "no packages",
    )


def main() -> int:
    """Audit the lock files that are named; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("locks", nargs="+", type=Path, help="files of requirements with hashes")
    parser.add_argument("--osv-url", help="another server of the OSV API")
    parser.add_argument("--if-it-answers", action="store_true", help="0 also when the service can't be reached")
    options = parser.parse_args()
    vulnerable = False
    for lock in options.locks:
        packages, no_answer = ask(lock, [f"--osv-url={options.osv_url}"] if options.osv_url else [])
        if no_answer:
            print(f"{lock}: NOT AUDITED, the service does not answer: {no_answer}")
            return 1 if vulnerable else 0 if options.if_it_answers else 2
        found = [(package, each) for package in packages for each in package["vulns"]]
        for package, each in found:
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            print(f"{lock}: {package['name']} {package['version']}: {each['id']}, fixed in {fixed}")
        print(f"{lock}: {len(packages)} packages audited, {len(found)} known vulnerabilities")
        vulnerable = vulnerable or bool(found)
    return int(vulnerable)


if __name__ == "__main__":
    sys.exit(main())
