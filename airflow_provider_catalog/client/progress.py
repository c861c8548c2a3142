"""Logs the progress of a long read."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two lines."""


class Progress:
    """
    Counts pages and rows, and logs them at INFO every :data:`INTERVAL` seconds.

    :param endpoint: the endpoint's name, for the log.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._started = self._logged = time.monotonic()
        self._last_page: int | None = None
        self.pages = 0
        self.rows = 0

    def add(self, rows: int, last_page: int | None) -> None:
        """
        Count a page, and log when it is time.

        :param rows: the rows of the page.
        :param last_page: the number of the last page, where the server tells it.
        """
        self.pages += 1
        self._last_page = last_page = last_page or self._last_page
        self.rows += rows
        now = time.monotonic()
        if now - self._logged < INTERVAL:
            return
        self._logged = now
        seconds = now - self._started
        pages = f"{self.pages:,} of {last_page:,}" if last_page else f"{self.pages:,}"
        left = f", about {(last_page - self.pages) * seconds / self.pages:,.0f} s left" if last_page else ""
        log.info(
            "Catalog %s: %s pages, %s rows, %s rows/s%s",
            self._endpoint, pages, f"{self.rows:,}", f"{self.rows / seconds:,.0f}", left,
        )  # fmt: skip
