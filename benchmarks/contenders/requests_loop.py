"""What people write by hand: a session, a loop, a file."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from benchmarks.contenders.measured import run


def pull(url: str, path: str) -> int:
    """Follow the links, and write JSON Lines."""
    session = requests.Session()
    session.headers["Authorization"] = 'Token token="token"'
    page_url: str | None = f"{url}/api/v1/analytics/enrollments?per_page=100"
    with Path(path).open("w") as file:
        while page_url:
            response = session.post(page_url, json={}, timeout=60)
            response.raise_for_status()
            file.writelines(json.dumps(row) + "\n" for row in response.json()["enrollments"])
            page_url = response.links.get("next", {}).get("url")
    return 0


if __name__ == "__main__":
    run(pull)
