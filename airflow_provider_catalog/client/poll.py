"""One look at whether enough rows are there: the same for sensors in every mode and for triggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.decoding import Row
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.usage import Usage
from airflow_provider_catalog.errors import CatalogError


@dataclass(frozen=True)
class Poll:
    """
    What one look has found.

    :param endpoint: the endpoint's name.
    :param min_rows: how many rows are wanted.
    :param row_count: how many rows match; ``None`` when the server gave no proper answer.
    :param rows: those of the first page.
    :param problem: why there is no proper answer.
    """

    endpoint: str
    min_rows: int
    row_count: int | None
    rows: Iterable[Row] = field(default=(), repr=False)
    problem: str = ""

    @property
    def is_done(self) -> bool:
        """Whether there are as many rows as are wanted."""
        return self.row_count is not None and self.row_count >= self.min_rows


def poll(
    client: CatalogClient,
    endpoint: Endpoint,
    filters: Mapping[str, Any],
    usage: Usage | None = None,
    *,
    min_rows: int,
    exact: bool = True,
) -> Poll:
    """
    Look once how many rows match.

    What may pass by itself (a server that is down or throttles, data that moves) is an answer, too: "not yet".

    :param client: with a single try for a request: the next poll is the next try.
    :param filters: as :func:`~airflow_provider_catalog.client.filter_check.check_filters` returns them.
    :param usage: counts the requests.
    :param min_rows: how many rows are wanted.
    :param exact: whether ``row_count`` has to be exact when there are more rows than are wanted.
    :return: with the rows of the first page, or as many as a page holds when the server sends all rows at once.
    :raises CatalogError: for what will last, such as a token or a filter that is refused.
    """
    try:
        with client.reading(endpoint, filters, usage=usage) as reading:
            first, count = reading.count() if exact else reading.count(limit=min_rows)
    except CatalogError as error:
        if not error.retryable:
            raise
        return Poll(endpoint.name, min_rows, None, problem=str(error))
    rows = islice(first.rows, client.settings.page_size)
    return Poll(endpoint.name, min_rows, count, rows)
