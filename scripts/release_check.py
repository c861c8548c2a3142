"""Try what is in dist/ as a user would: install the wheel on the oldest and on the newest Airflow, and use it.

Given a tag (``v0.2.0``), the versions of tag, wheel and changelog have to be one.
"""

# ruff: noqa: T201, S603 - what it is for is to print, and to run commands of its own

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[1]
ENVIRONMENTS = PROJECT / ".venv" / "release"
CONSTRAINTS = {"oldest": "constraints/lowest.txt", "newest": "requirements.lock"}
USE = """
import importlib
from importlib.metadata import entry_points, version
[provider] = [each for each in entry_points(group="apache_airflow_provider") if "provider_catalog" in each.value]
info = provider.load()()
for section in ("hooks", "operators", "sensors", "triggers"):
    for entry in info[section]:
        for module in entry["python-modules"]:
            importlib.import_module(module)
ours, airflow = version("airflow-provider-catalog"), version("apache-airflow")
print("  imported on Airflow", airflow, "as", info["package-name"], ours)
"""


def run(*command: str | Path, **environment: str) -> None:
    """Run a command, which has to succeed."""
    subprocess.run([*map(str, command)], cwd=PROJECT, check=True, env=os.environ | environment)


def check_versions(tag: str, wheel: Path) -> None:
    """Compare the tag with the wheel's version and the changelog's newest section."""
    version = wheel.name.split("-")[1]
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    [released, *_] = re.findall(r"^## ([\d.\w]+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE) or [None]
    if not tag == f"v{version}" == f"v{released}":
        sys.exit(f"tag {tag}, wheel {version}, newest dated section of CHANGELOG.md {released}: not one version")


def check_contents(sdist: Path) -> None:
    """Look for what an sdist needs for its tests, and for what it must not hold."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "requirements.lock", "tests/conftest.py"} - names
    extra = [name for name in names if name.startswith((".venv", ".git/", "dist")) or name.endswith(".pyc")]
    if missing or extra:
        sys.exit(f"{sdist.name} lacks {sorted(missing)} and holds {extra[:5]}")


def try_wheel(which: str, wheel: Path) -> None:
    """Install the wheel with what it asks for, and use it from a folder where nothing else of the project is."""
    folder = ENVIRONMENTS / which
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    run(*uv, "venv", "--clear", "--python", sys.executable, folder)
    run(*uv, "pip", "install", "--python", python, "--constraints", CONSTRAINTS[which], wheel)
    run(*uv, "pip", "check", "--python", python)
    with tempfile.TemporaryDirectory() as home:
        for arguments in (["-c", USE], ["-m", "airflow_provider_catalog.probe", "--help"]):
            done = subprocess.run(
                [python, "-I", "-W", "ignore", *arguments],
                cwd=home,
                env=os.environ | {"AIRFLOW_HOME": home},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(f"{which}: {' '.join(arguments)}\n{done.stderr}")
            print(done.stdout.splitlines()[-1] if arguments[0] == "-c" else f"  {arguments[1]} answers")


def main() -> int:
    """Check everything; return 0, or leave with a message."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tag", nargs="?", help="such as v0.2.0")
    options = parser.parse_args()
    [wheel] = (PROJECT / "dist").glob("*.whl")
    [sdist] = (PROJECT / "dist").glob("*.tar.gz")
    if options.tag:
        check_versions(options.tag, wheel)
    check_contents(sdist)
    for which in CONSTRAINTS:
        print(f"{wheel.name} on the {which} Airflow")
        try_wheel(which, wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
