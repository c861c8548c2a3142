"""The hook: an Airflow connection, and what can be asked of the Catalog with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_catalog.client.endpoints import EndpointName, get_endpoint
from airflow_provider_catalog.client.filter_check import check_filters
from airflow_provider_catalog.client.settings import (
    CatalogSettings,
    OnDataMoved,
    catalog_origin,
    check_reading_parameters,
)
from airflow_provider_catalog.errors import CatalogParameterError, forget_locals
from airflow_provider_catalog.get_provider_info import (
    CONNECTION_FIELDS,
    CONNECTION_TYPE,
    HOOK_NAME,
    UI_FIELD_BEHAVIOUR,
)
from airflow_provider_catalog.version_compat import mask_secret

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient

__all__ = ["CatalogHook"]

EXTRAS = (
    "timeout", "page_size", "max_concurrency", "hash_secret", "request_encoding", "paths", "verify", "proxy",
    "pagination",
)  # fmt: skip
"""The keys of the connection's extra that the provider reads; ``hash_key`` is an old name of ``hash_secret``."""
MIN_HASH_SECRET = 16
"""Characters. Who has a hash finds a shorter secret by trying."""


class CatalogHook(BaseHook):
    """
    Asks a Catalog's Analytics API, with the URL and token of an Airflow connection.

    :param catalog_conn_id: id of a connection of the type ``instructure_catalog``. It is looked up once for each hook.
    """

    conn_name_attr = "catalog_conn_id"
    default_conn_name = "catalog_default"
    conn_type = CONNECTION_TYPE
    hook_name = HOOK_NAME

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """
        Return the connection form's own fields, for Airflow before 3.2; later versions read them from the metadata.

        Where ``wtforms`` is not installed, Airflow 3.1 puts a stand-in in its place, and Airflow 3.0 shows no fields.
        """
        from wtforms import IntegerField, PasswordField  # type: ignore[import-untyped] # has none
        from wtforms.validators import Optional  # type: ignore[import-untyped] # has none

        kinds = {"integer": IntegerField, "number": IntegerField, "password": PasswordField}
        widgets = {}
        for name, field in CONNECTION_FIELDS.items():
            schema = field["schema"]
            kind = kinds[schema.get("format") or schema["type"][0]]
            widgets[name] = kind(
                field["label"], [Optional()], description=field["description"], default=schema.get("default")
            )
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form shows the fields that every connection has, for Airflow before 3.2."""
        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    def __init__(self, catalog_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.catalog_conn_id = catalog_conn_id

    def __repr__(self) -> str:
        return f"CatalogHook(catalog_conn_id={self.catalog_conn_id!r})"

    @cached_property
    def settings(self) -> CatalogSettings:
        """
        The connection's settings; secrets in them are masked in every log from then on.

        :raises CatalogParameterError: when the connection lacks something, or has a value that is not allowed.
        """
        try:
            return self.settings_of(self.get_connection(self.catalog_conn_id))
        except CatalogParameterError as error:
            forget_locals(error)  # secrets are among them
            raise

    def settings_of(self, connection: Any) -> CatalogSettings:
        """Return the settings that a connection holds, wherever it was looked up."""
        extra = connection.extra_dejson
        if not isinstance(extra, dict):
            raise CatalogParameterError(f"connection {self.catalog_conn_id!r}: its extra is not a JSON object")
        unknown = sorted(set(extra) - {*EXTRAS, "hash_key"})
        if unknown:
            self.log.warning(
                "Connection %r: ignoring %s in its extra; known are %s",
                self.catalog_conn_id,
                ", ".join(unknown),
                ", ".join(EXTRAS),
            )
        for secret in (connection.password, extra.get("hash_secret"), extra.get("hash_key"), extra.get("proxy")):
            if secret:
                mask_secret(str(secret).strip())
        try:
            return CatalogSettings.parse(
                base_url=catalog_origin(connection.host, connection.schema, connection.port),
                token=connection.password,
                conn_id=self.catalog_conn_id,
                **{name: extra.get(name) for name in EXTRAS} | {"hash_secret": self._hash_secret(extra)},
            )
        except CatalogParameterError as error:
            raise CatalogParameterError(f"connection {self.catalog_conn_id!r}: {error}") from None

    def _hash_secret(self, extra: Mapping[str, Any]) -> Any:
        """Return the hash secret, or what an older connection has as ``hash_key``."""
        secret, old = ((extra.get(name) or None) for name in ("hash_secret", "hash_key"))
        is_short = len(str(secret or old).strip()) < MIN_HASH_SECRET
        if secret and is_short:
            raise CatalogParameterError(
                'make another hash_secret with python -c "import secrets; print(secrets.token_urlsafe(32))": it is '
                f"shorter than {MIN_HASH_SECRET} characters, so that it can be guessed"
            )
        if secret and old and secret != old:
            raise CatalogParameterError(
                "hash_secret and hash_key differ, and each gives other hashes: keep the one that your data was hashed "
                "with, as hash_secret"
            )
        if old and not secret:
            advice = "rename the extra hash_key to hash_secret, which Airflow masks everywhere; hashes stay the same"
            if is_short:
                advice = (
                    f"give a hash_secret of {MIN_HASH_SECRET} characters or more instead of the extra hash_key, which "
                    "can be guessed; hashes change with it"
                )
            self.log.warning("Connection %r: %s", self.catalog_conn_id, advice)
        return secret or old

    @cached_property
    def _client(self) -> CatalogClient:
        # Imported here: requests is not needed to parse a DAG.
        from airflow_provider_catalog.client.client import CatalogClient

        return CatalogClient(self.settings)

    def get_conn(self) -> CatalogClient:
        """Return the HTTP client, one for each hook."""
        return self._client

    def iter_rows(
        self,
        endpoint: EndpointName,
        filters: Mapping[str, Any] | None = None,
        *,
        page_size: int | None = None,
        max_concurrency: int | None = None,
        on_data_moved: OnDataMoved = "fail",
    ) -> Iterator[dict[str, Any]]:
        """
        Yield every matching row, a dict as the API sent it, in the API's order.

        :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
        :param filters: the endpoint's filters, such as ``{"account_ids": [1, 2]}``; all rows where ``None``.
        :param page_size: rows asked for in one page, 1 to 100; the connection's where ``None``.
        :param max_concurrency: requests in flight at once, 1 to 32; the connection's where ``None``.
        :param on_data_moved: what to do when rows entered or left while they were read, so that some may be missing or
            there twice: ``"fail"`` after the last row, or ``"accept"`` it with a WARNING.
        :raises ValueError: for an unknown endpoint.
        :raises CatalogFilterError: for a filter that is unknown or has a value that is not allowed.
        :raises CatalogAuthError: when the token is refused, or lacks analytics rights.
        :raises CatalogRequestError: when the request is refused.
        :raises CatalogUnavailableError: when tries are used up.
        :raises CatalogResponseError: for an answer without rows.
        :raises CatalogPaginationError: when links go in circles, when the server says that there are more rows than it
            gives, and when rows moved (``CatalogDataMovedError``): those handed out already can't be taken back.
        """
        spec = get_endpoint(endpoint)
        sent = check_filters(spec, filters)
        check_reading_parameters(page_size, max_concurrency, on_data_moved)
        return self.get_conn().iter_rows(
            spec,
            sent,
            page_size=page_size,
            max_concurrency=max_concurrency,
            accept_moved=on_data_moved == "accept",
        )

    def count_rows(self, endpoint: EndpointName, filters: Mapping[str, Any] | None = None) -> int:
        """
        Return the number of matching rows, in as few requests as the server's links allow.

        Where links tell the last page, two: the number is exact where all pages but the last are full. Else every page
        is read.

        :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
        :param filters: the endpoint's filters; all rows where ``None``.
        :raises CatalogError: as :meth:`iter_rows` does, but for rows that moved: a count is of a moment.
        """
        spec = get_endpoint(endpoint)
        with self.get_conn().reading(spec, check_filters(spec, filters)) as reading:
            return reading.count()[1]

    def test_connection(self) -> tuple[bool, str]:
        """
        Check URL, TLS, token and analytics rights with real requests.

        :return: whether all is well, and a sentence that says so, or what failed and what to do.
        """
        from airflow_provider_catalog.client.connection_check import check_connection

        try:
            client = self.get_conn()
        except CatalogParameterError as error:
            return False, str(error)
        return check_connection(client)
