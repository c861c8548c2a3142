"""As fast as plain means go: threads over a known number of pages, ``requests``, ``json``, and no checks."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from benchmarks.contenders.measured import run


def pull(url: str, path: str) -> int:
    """Get all pages, in order, and write JSON Lines."""
    of_thread = threading.local()

    def page(number: int) -> str:
        session = getattr(of_thread, "session", None)
        if session is None:
            session = of_thread.session = requests.Session()
            session.headers["Authorization"] = 'Token token="token"'
        address = f"{url}/api/v1/analytics/enrollments?per_page=100&page={number}"
        rows = session.post(address, json={}, timeout=60).json()["enrollments"]
        return "".join(json.dumps(row) + "\n" for row in rows)

    with ThreadPoolExecutor(int(os.environ["IN_FLIGHT"])) as threads, Path(path).open("w") as file:
        file.writelines(threads.map(page, range(1, int(os.environ["PAGES"]) + 1)))
    return 0


if __name__ == "__main__":
    run(pull)
