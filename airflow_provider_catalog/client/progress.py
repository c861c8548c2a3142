"""Progress of a long pull, for the person who reads the task's log."""

from __future__ import annotations

import logging
import time

from airflow_provider_catalog.client.numbered_pages import NumberedPages
from airflow_provider_catalog.client.page import Page

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two lines."""


class Interval:
    """Says when it is time for the next line."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def is_over(self) -> bool:
        """Return whether the interval is over, and start the next one if so."""
        now = time.monotonic()
        over = now - self._last >= INTERVAL
        if over:
            self._last = now
        return over


class Progress:
    """
    Counts pages and rows, and logs them at INFO every :data:`INTERVAL` seconds.

    :param endpoint: the endpoint's name, for the log.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._started = time.monotonic()
        self._interval = Interval()
        self._total: int | None = None
        self.pages = 0
        self.rows = 0

    def add(self, page: Page) -> None:
        """Count a page, and log when it is time."""
        if self.pages == 0 and (numbered := NumberedPages.after(page)):
            self._total = 1 + len(numbered)
        self.pages += 1
        self.rows += page.content.count
        if self._interval.is_over():
            log.info("Catalog %s: %s", self._endpoint, str(self))  # now: logging renders late

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self._started, 0.001)
        of_total = f" of {self._total:,}" if self._total else ""
        text = f"{self.pages:,}{of_total} pages, {self.rows:,} rows, {self.rows / seconds:,.0f} rows/s"
        if self._total:
            text += f", {(self._total - self.pages) * seconds / max(self.pages, 1):,.0f} s left"
        return text
