"""One look at whether enough rows are there: the same for sensors in every mode and for triggers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_catalog.client.endpoints import get_endpoint
from airflow_provider_catalog.errors import CatalogError

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient


@dataclass(frozen=True)
class Poll:
    """
    What one look has found; as text, for the log and for the error of a sensor that gives up.

    :param row_count: how many rows match; ``None`` when the server gave no proper answer.
    :param problem: why there is no proper answer.
    """

    min_rows: int
    row_count: int | None
    rows: Iterable[dict[str, Any]] = field(default=(), repr=False)
    problem: str = ""

    @property
    def is_done(self) -> bool:
        """Whether there are as many rows as are wanted."""
        return self.row_count is not None and self.row_count >= self.min_rows

    def __str__(self) -> str:
        if self.row_count is None:
            return f"never reached: {self.problem}"
        if self.is_done:
            return f"{self.row_count} rows, {self.min_rows} wanted"
        return f"{self.row_count} of {self.min_rows} rows"


def poll_once(
    client: CatalogClient, endpoint: str, filters: Mapping[str, Any], *, min_rows: int, exact: bool = True, log: Any
) -> Poll:
    """
    Ask once whether enough rows match; log what was seen, and send metrics.

    What may pass by itself (a server that is down or throttles, data that moves) is an answer, too: "not yet".
    The metrics are the counters ``catalog.<endpoint>.polls``, ``.polls_failed`` (of these, those without a proper
    answer) and ``.requests``, and, when there is something to tell, the timing ``.throttled``.

    :param client: with a single try for a request: the next poll is the next try.
    :param exact: whether the number of rows has to be exact when there are more than ``min_rows``.
    :return: with the rows of the first page, or as many as a page holds when the server sends all rows at once.
    :raises CatalogError: for what will last, such as a token or a filter that is refused.
    """
    result = Poll(min_rows, None)
    try:
        with client.reading(get_endpoint(endpoint), filters) as reading:
            try:
                first, count = reading.count(math.inf if exact else min_rows, enough=min_rows)
            finally:
                Stats.incr(f"catalog.{endpoint}.requests", reading.usage.requests)
        result = Poll(min_rows, count, islice(first.rows, client.settings.page_size))
    except CatalogError as error:
        if not error.retryable:
            raise
        result = Poll(min_rows, None, problem=str(error))
    finally:
        Stats.incr(f"catalog.{endpoint}.polls")
        if result.row_count is None:
            Stats.incr(f"catalog.{endpoint}.polls_failed")
        if throttled := client.take_throttled_seconds():
            Stats.timing(f"catalog.{endpoint}.throttled", timedelta(seconds=throttled))
    if result.row_count is None:
        log.warning("Catalog %s: not yet, %s", endpoint, result)
    else:
        log.info("Catalog %s: %s", endpoint, result)
    return result
