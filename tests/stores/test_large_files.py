"""A large file goes up in bounded memory. It has 250 MB; CATALOG_STORES_MB=1024 makes it a gigabyte."""

from __future__ import annotations

import json
import os

import pytest

from tests.processes import python

SIZE_MB = int(os.environ.get("CATALOG_STORES_MB", "250"))
MOST_MB = 200
"""What an upload may need more: parts that are sent at once, each of them twice or so."""
pytestmark = pytest.mark.takes(seconds=40)

WRITE = """
import random, resource, sys
from tests.output.conftest import new_output

url, size_mb = sys.argv[1], int(sys.argv[2])
text = random.Random(0).randbytes(500_000).hex()
with new_output(url) as output:
    for n in range(size_mb):
        output.write([{"id": n, "text": text}])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info = output.publish()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(info.size_bytes, before // 1024, (after - before) // 1024)
"""


def test_memory_is_bounded(store):
    connection = json.dumps(store.connection())
    said = python(WRITE, store.url("large.jsonl", "store"), SIZE_MB, AIRFLOW_CONN_STORE=connection)
    size, before, grown = map(int, said.splitlines()[-1].split())
    assert size > SIZE_MB * 1_000_000
    told = f"{size // 1_000_000} MB uploaded: {before} MB of memory before, {grown} MB more at its peak"
    print(store.scheme, told)  # noqa: T201 - for docs/storage.md, with -rP
    assert grown < MOST_MB, told
