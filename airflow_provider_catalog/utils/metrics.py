"""What a pull, or a poll, has cost, sent through Airflow's own metrics (StatsD, OpenTelemetry, Datadog)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_catalog.client.usage import Usage

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient
    from airflow_provider_catalog.client.poll import Poll


@contextmanager
def reported(endpoint: str, client: CatalogClient) -> Iterator[None]:
    """
    Send the metrics of the block when it ends, whether or not it went well.

    These are the counters ``catalog.<endpoint>.rows``, ``.requests`` and ``.retries``, and the timings ``.throttled``
    (how long the server made all requests wait) and ``.duration`` (of the whole block, writing included). Airflow puts
    its own prefix before them, ``airflow.`` unless configured.

    :param endpoint: the endpoint's name.
    :param client: what the block reads with.
    """
    before, started = replace(client.usage), time.monotonic()
    client.take_throttled_seconds()  # of what was read before
    try:
        yield
    finally:
        for name in ("rows", "requests", "retries"):
            Stats.incr(f"catalog.{endpoint}.{name}", getattr(client.usage, name) - getattr(before, name))
        Stats.timing(f"catalog.{endpoint}.throttled", timedelta(seconds=client.take_throttled_seconds()))
        Stats.timing(f"catalog.{endpoint}.duration", timedelta(seconds=time.monotonic() - started))


def reported_poll(endpoint: str, client: CatalogClient, look: Callable[[Usage], Poll]) -> Poll:
    """
    Poll, and send the metrics of it, whether or not it went well.

    These are the counters ``catalog.<endpoint>.polls``, ``.polls_failed`` (of these, those without a proper answer) and
    ``.requests``, and, when there is something to tell, the timing ``.throttled``.

    :param endpoint: the endpoint's name.
    :param client: what ``look`` polls with.
    :param look: polls; gets what to count its requests with.
    """
    usage, failed = Usage(), True
    try:
        result = look(usage)
        failed = result.row_count is None
        return result
    finally:
        Stats.incr(f"catalog.{endpoint}.polls")
        Stats.incr(f"catalog.{endpoint}.requests", usage.requests)
        if failed:
            Stats.incr(f"catalog.{endpoint}.polls_failed")
        if throttled := client.take_throttled_seconds():
            Stats.timing(f"catalog.{endpoint}.throttled", timedelta(seconds=throttled))
