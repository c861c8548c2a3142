"""A local stand-in for a Catalog with made-up data, to try the provider and to test DAGs.

From a shell: ``python -m airflow_provider_catalog.sandbox --help``. From a test::

    from airflow_provider_catalog.sandbox import sandbox

    with sandbox(products=20, enrollments=500, paging="next-only") as catalog:
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", catalog.connection_json)
        dag.test()
        assert catalog.requests[0].body == {"product_statuses": ["OPEN"]}
        catalog.advance(days=1)  # orders come in, enrollments end, refunds are made
        dag.test()

Nothing of Airflow is needed, and the server's own dependencies are imported only when it starts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.sandbox.options import Options

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    from airflow_provider_catalog.sandbox.app import Service

__all__ = ["Options", "SandboxCatalog", "ServedRequest", "sandbox"]

ENDPOINTS = ("products", "enrollments", "orders", "users")


@dataclass(frozen=True)
class ServedRequest:
    """
    An analytics request that a sandbox has answered.

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
    """

    url: str
    token: str
    _service: Service = field(repr=False)

    @property
    def connection_json(self) -> str:
        """The Airflow connection to it: the value for ``AIRFLOW_CONN_CATALOG_DEFAULT``."""
        return json.dumps({"conn_type": "instructure_catalog", "host": self.url, "password": self.token})

    @property
    def requests(self) -> list[ServedRequest]:
        """The analytics requests so far, oldest first; the last 10,000 are remembered."""
        return list(self._service.served)

    @property
    def now(self) -> datetime:
        """The Catalog's time, in UTC: nothing in its data is later."""
        return self._service.store.now

    @property
    def row_counts(self) -> dict[str, int]:
        """How many rows each endpoint has without any filter."""
        return {endpoint: self.row_count(endpoint) for endpoint in ENDPOINTS}

    def row_count(self, endpoint: str) -> int:
        """Return how many rows an endpoint has without any filter."""
        return len(self._service.store.matching(endpoint))

    def advance(self, days: float = 1) -> datetime:
        """
        Let time pass in the Catalog, whether it is ``live`` or not, and return its new time.

        New users, products and orders come in; enrollments that were active complete, drop or conclude; refunds
        lower the revenue of orders of up to 46 days ago.

        :param days: how long, 0 to 3,660; may be a part of a day.
        """
        return self._service.store.advance(days)

    def set_faults(self, faults: str) -> None:
        """
        Replace the faults that were planned; what went before is forgotten.

        :param faults: as :class:`Options` has it, such as ``"503@3x2"``; empty for none.
        :raises ValueError: naming the part that is wrong, and what it may be.
        """
        self._service.faults.plan(faults)


class sandbox(Options):  # noqa: N801 - used like a function, as contextlib.suppress is
    """
    Run a sandbox for the length of a ``with`` block; its target is a :class:`SandboxCatalog`.

    It listens on a free loopback port unless told otherwise, and leaves nothing behind. Several can run at
    once. It takes the keyword arguments of :class:`Options`.

    :raises ValueError: when an option is wrong.
    :raises ImportError: on entry, without FastAPI and uvicorn, which Airflow 2 does not bring.
    :raises OSError: on entry, when it can't listen on the host and port.
    """

    _running: AbstractContextManager[SandboxCatalog]

    def __enter__(self) -> SandboxCatalog:
        """Make the data and start the server."""
        try:
            from airflow_provider_catalog.sandbox.server import running
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "install airflow-provider-catalog[sandbox], or activate the environment that has Airflow: the sandbox "
                f"needs {error.name}",
                name=error.name,
            ) from error
        self._running = running(self)
        return self._running.__enter__()

    def __exit__(self, *error: Any) -> None:  # noqa: PYI036 - they are only handed on
        """Stop the server and throw the data away."""
        self._running.__exit__(*error)
