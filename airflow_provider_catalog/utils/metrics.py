"""What a pull has cost, sent through Airflow's own metrics (StatsD, OpenTelemetry, Datadog)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient


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
