"""A local stand-in for a Catalog with made-up data, to try the provider and to test DAGs.

From a shell: ``python -m airflow_provider_catalog.sandbox --help``. From a test::

    from airflow_provider_catalog.sandbox import sandbox

    with sandbox(products=20, enrollments=500, paging="next-only") as catalog:
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", catalog.connection_json)
        dag.test()
        assert catalog.requests[0].body == {"product_statuses": ["OPEN"]}

Nothing of Airflow is needed, and the server's own dependencies are imported only when it starts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.sandbox.options import Options

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Options", "SandboxCatalog", "ServedRequest", "sandbox"]


@dataclass(frozen=True)
class ServedRequest:
    """
    An analytics request that a sandbox has answered.

    :param method: ``"POST"``.
    :param path: the URL's path, such as ``"/api/v1/analytics/products"``.
    :param query: the URL's query parameters.
    :param body: the filters as they were sent; a form's values are lists of strings. Empty when the body
        could not be read.
    :param content_type: the body's ``Content-Type``, empty when there was none.
    :param status: the status of the answer; 0 when the connection was dropped without one.
    :param in_flight: how many analytics requests were under way when this one came, itself included.
    """

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    content_type: str
    status: int
    in_flight: int


@dataclass(frozen=True)
class SandboxCatalog:
    """
    A sandbox that is running.

    :param url: where, such as ``"http://127.0.0.1:8474"``.
    :param token: the API token that may read everything.
    :param row_counts: the number of rows by endpoint.
    :param served: the requests that were answered.
    """

    url: str
    token: str
    row_counts: Mapping[str, int]
    served: Collection[ServedRequest] = field(repr=False)

    @property
    def connection_json(self) -> str:
        """The Airflow connection to it: the value for ``AIRFLOW_CONN_CATALOG_DEFAULT``."""
        return json.dumps({"conn_type": "instructure_catalog", "host": self.url, "password": self.token})

    @property
    def requests(self) -> list[ServedRequest]:
        """The analytics requests so far, oldest first; the last 10,000 are remembered."""
        return list(self.served)

    def row_count(self, endpoint: str) -> int:
        """
        Return how many rows an endpoint has without any filter.

        :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
        :raises KeyError: when there is no such endpoint.
        """
        return self.row_counts[endpoint]


class sandbox(Options):  # noqa: N801 - used like a function, as contextlib.suppress is
    """
    Run a sandbox for the length of a ``with`` block; its target is a :class:`SandboxCatalog`.

    It listens on a free loopback port unless told otherwise, and leaves nothing behind. Several can run at
    once. It takes the keyword arguments of :class:`Options`.

    :raises ValueError: when an option is wrong.
    :raises OSError: on entry, when it can't listen on the host and port.
    """

    _running: AbstractContextManager[SandboxCatalog]

    def __enter__(self) -> SandboxCatalog:
        """Make the data and start the server."""
        from airflow_provider_catalog.sandbox.server import running

        self._running = running(self)
        return self._running.__enter__()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server and throw the data away."""
        self._running.__exit__(error_type, error, traceback)
