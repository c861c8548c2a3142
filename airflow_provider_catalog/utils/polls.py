"""One poll for rows, with its metrics and its line in the log: the same for sensors in every mode and for triggers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_catalog.client.endpoints import get_endpoint
from airflow_provider_catalog.client.usage import Usage

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient
    from airflow_provider_catalog.client.poll import Poll


def poll_once(
    client: CatalogClient, endpoint: str, filters: Mapping[str, Any], *, min_rows: int, exact: bool = True, log: Any
) -> Poll:
    """
    Ask once whether enough rows match; log what was seen, and send metrics.

    These are the counters ``catalog.<endpoint>.polls``, ``.polls_failed`` (of these, those without a proper answer) and
    ``.requests``, and, when there is something to tell, the timing ``.throttled``.

    :param client: with a single try for a request: the next poll is the next try.
    :param endpoint: the endpoint's name.
    :param filters: as they are sent.
    :param min_rows: how many rows have to match.
    :param exact: whether the number of rows has to be exact when there are more than ``min_rows``.
    :param log: gets one line: at INFO, or at WARNING when the server is down or throttles.
    :raises CatalogError: for what will last, such as a token or a filter that is refused.
    """
    from airflow_provider_catalog.client.poll import poll

    spec, usage, failed = get_endpoint(endpoint), Usage(), True
    try:
        result = poll(client, spec, filters, min_rows=min_rows, exact=exact, usage=usage)
        failed = result.row_count is None
    finally:
        Stats.incr(f"catalog.{endpoint}.polls")
        Stats.incr(f"catalog.{endpoint}.requests", usage.requests)
        if failed:
            Stats.incr(f"catalog.{endpoint}.polls_failed")
        if throttled := client.take_throttled_seconds():
            Stats.timing(f"catalog.{endpoint}.throttled", timedelta(seconds=throttled))
    if result.row_count is None:
        log.warning("Catalog %s: not yet, %s", endpoint, describe(result, min_rows))
    else:
        log.info("Catalog %s: %s", endpoint, describe(result, min_rows))
    return result


def describe(result: Poll, min_rows: int) -> str:
    """Return what a poll saw: ``"3 of 10 rows"``, or ``"never reached: ..."``."""
    if result.row_count is None:
        return f"never reached: {result.problem}"
    if result.is_done:
        return f"{result.row_count} rows, {min_rows} wanted"
    return f"{result.row_count} of {min_rows} rows"
