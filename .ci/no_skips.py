"""Fail when a test was skipped: in CI everything that a test may need is there."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

OF_OTHER_VERSIONS = ("for Airflow", "this machine has no IPv6")
"""How the reasons begin of what is not missing: tests for an Airflow that another cell of the matrix has."""

skipped = [
    f"{case.get('classname')}.{case.get('name')}: {case.find('skipped').get('message')}"
    for case in ElementTree.fromstring(Path(sys.argv[1]).read_text()).iter("testcase")  # noqa: S314 - pytest's own
    if case.find("skipped") is not None and not case.find("skipped").get("message", "").startswith(OF_OTHER_VERSIONS)
]
if skipped:
    sys.exit("skipped, though CI has what is needed:\n" + "\n".join(skipped))
