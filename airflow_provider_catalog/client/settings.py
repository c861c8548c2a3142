"""What the client needs to know to talk to one Catalog, checked before the first request."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import from_json

from airflow_provider_catalog.client.endpoints import Endpoint, EndpointName
from airflow_provider_catalog.errors import CatalogParameterError

Pagination = Literal["auto", "link", "page", "none"]
OnDataMoved = Literal["fail", "accept"]

MAX_PAGE_SIZE = 100
"""The API's maximum of ``per_page`` (confirmed)."""
MAX_CONCURRENCY = 32
"""More requests at once than this are no longer polite to a server whose limits are not documented."""
SANDBOX_TOKEN_PREFIX = "sandbox-"  # noqa: S105 - opens nothing but made-up data
"""Tokens that begin with this may go to any host over plain ``http``, as from a container to the sandbox outside."""
MIN_REDACTABLE_TOKEN_LENGTH = 8
"""Characters of a token that are looked for in a link; fewer may stand in any."""


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine; ``localhost`` by that name only, so no look-alike passes."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def catalog_origin(host: str | None, schema: str | None = None, port: int | None = None) -> str:
    """
    Return the Catalog's origin, such as ``https://name.catalog.instructure.com``.

    :param host: a URL or a bare host name.
    :param schema: ``https`` (default) or ``http``, used when the host has none.
    :param port: used when the host has none.
    :raises CatalogParameterError: for a missing host, another scheme, user info or a path.
    """
    text = (host or "").strip()
    if not text:
        raise CatalogParameterError("Catalog URL is empty; give https://NAME.catalog.instructure.com or a host name")
    try:
        parts = urlsplit(text if "://" in text else f"{schema or 'https'}://{text}")
        port = parts.port or port
    except ValueError:
        raise CatalogParameterError(
            "Catalog URL is not a URL; give https://NAME.catalog.instructure.com or a host name"
        ) from None
    if "@" in parts.netloc:
        raise CatalogParameterError("Catalog URL has user info (…@); the token belongs in the API token field alone")
    scheme, name = parts.scheme.lower(), parts.hostname or ""
    if port is not None and not 0 < port < 65536:
        raise CatalogParameterError(f"Catalog URL has the port {port}; allowed: 1 to 65535")
    if scheme not in ("https", "http"):
        raise CatalogParameterError(f"Catalog URL has the scheme {scheme!r}; allowed: https")
    if not _HOST.fullmatch(name):
        raise CatalogParameterError(
            f"Catalog URL {text!r} has no valid host; give https://NAME.catalog.instructure.com"
        )
    host_part = f"[{name}]" if ":" in name else name
    is_default = port in (None, {"https": 443, "http": 80}[scheme])
    origin = f"{scheme}://{host_part}" + ("" if is_default else f":{port}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise CatalogParameterError(f"give {origin} alone: Catalog URL has more than a host")
    return origin


_HOST = re.compile(r"(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*\.?|[0-9a-f]*:[0-9a-f:.]+")


def _none_if_blank(value: Any) -> Any:
    # The connection form stores a field that was left empty as "" or null.
    return None if isinstance(value, str) and not value.strip() else value


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed")
    return value


OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_none_if_blank)]


class CatalogSettings(BaseModel):
    """
    One Catalog and how to talk to it. Its ``repr`` shows no secret.

    :param base_url: the origin, as :func:`catalog_origin` returns it; ``http`` only for this machine or a sandbox's
        token: the Catalog redirects to ``https`` after a token has gone out in the clear (confirmed).
    :param token: the API token.
    :param timeout: seconds without a byte after which a request is given up; connecting gets at most 10 of them.
    :param page_size: rows asked for in one page, 1 to 100, the API's maximum (confirmed).
    :param max_concurrency: requests in flight at once, 1 to 32.
    :param hash_secret: key of the HMAC that ``hash_fields`` uses.
    :param request_encoding: ``json`` or ``form``, the encoding of the older documentation.
    :param paths: endpoint name → path, where it differs from what is documented.
    :param verify: path of a CA bundle, or whether to verify TLS at all; false on loopback only.
    :param proxy: URL of a proxy for all requests.
    :param pagination: how the Catalog pages, where that is known: ``"link"``: follow the links to the next page;
        ``"page"``: count up ``page``; ``"none"``: all rows come at once; ``"auto"``: find out.
    :param conn_id: id of the Airflow connection, for messages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str
    token: SecretStr
    timeout: Annotated[float, BeforeValidator(_no_boolean)] = Field(default=60, gt=0, le=3600, allow_inf_nan=False)
    page_size: Annotated[int, BeforeValidator(_no_boolean)] = Field(default=MAX_PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE)
    max_concurrency: Annotated[int, BeforeValidator(_no_boolean)] = Field(default=4, ge=1, le=MAX_CONCURRENCY)
    hash_secret: OptionalSecret = None
    request_encoding: Literal["json", "form"] = "json"
    paths: dict[EndpointName, str] = Field(default_factory=dict)
    verify: bool | str = True
    proxy: OptionalSecret = None
    pagination: Pagination = "auto"
    conn_id: str | None = None

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """
        Build settings from what a connection holds; values that are ``None`` or blank take their default.

        :raises CatalogParameterError: naming each setting that is wrong, with what is allowed, never its value.
        """
        given = {name: value for name, value in values.items() if _none_if_blank(value) is not None}
        if "token" not in given:
            raise CatalogParameterError("API token is empty; make one at https://HOST/admin/api_keys of your Catalog")
        try:
            return cls(**given)
        except ValidationError as error:
            problems = [
                ": ".join([*map(str, each["loc"][:1]), each["msg"].removeprefix("Value error, ")])
                for each in error.errors()
            ]
            raise CatalogParameterError(f"the settings are wrong: {'; '.join(problems)}") from None

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value().strip()
        if '"' in text or not text.isascii() or not text.isprintable():
            raise ValueError("has characters that no API token has; copy it again")
        return SecretStr(text)

    @field_validator("paths", mode="before")
    @classmethod
    def _parse_paths(cls, paths: Any) -> Any:
        return from_json(paths) if isinstance(paths, str) else paths

    @field_validator("paths")
    @classmethod
    def _check_paths(cls, paths: dict[EndpointName, str]) -> dict[EndpointName, str]:
        for path in paths.values():
            if not path.startswith("/") or any(character in path for character in "?#\\ ") or not path.isprintable():
                raise ValueError("a path starts with / and has no query, such as /api/v1/analytics/orders")
        return paths

    @field_validator("verify")
    @classmethod
    def _check_verify(cls, verify: bool | str) -> bool | str:
        if isinstance(verify, str):
            if verify.strip().lower() in ("true", "false"):
                return verify.strip().lower() == "true"
            if not Path(verify).exists():
                raise ValueError("no such CA bundle on this machine; give the path of one, or true")
        return verify

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy:
            try:
                parts = urlsplit(proxy.get_secret_value())
                is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            except ValueError:  # its text has the password
                is_url = False
            if not is_url:
                raise ValueError("give a URL such as http://proxy.example.com:3128")
        return proxy

    @model_validator(mode="after")
    def _check_what_goes_out(self) -> Self:
        is_sandbox = self.is_loopback or self.token.get_secret_value().startswith(SANDBOX_TOKEN_PREFIX)
        if self.base_url.startswith("http:") and not is_sandbox:
            https = self.base_url.replace("http:", "https:", 1)
            raise ValueError(f"give {https}: Catalog URL {self.base_url} would send the token in the clear")
        if self.verify is False and not self.is_loopback:
            raise ValueError("verify may be false on loopback only; give the path of your CA bundle instead")
        if self.proxy and self.base_url.startswith("http:"):
            raise ValueError("proxy: a proxy would see the token of a Catalog that is asked over http")
        return self

    def path_of(self, endpoint: Endpoint) -> str:
        """Return the path of an endpoint's route."""
        return self.paths.get(endpoint.name, endpoint.path)

    @property
    def redactable_token(self) -> str | None:
        """The token, if it is so long that finding it in a text means something."""
        token = self.token.get_secret_value()
        return token if len(token) >= MIN_REDACTABLE_TOKEN_LENGTH else None

    def redacted(self, text: str) -> str:
        """Return what a server says without the token, should it be echoed."""
        token = self.token.get_secret_value()
        return re.sub("|".join({re.escape(token), re.escape(quote(token, safe=""))}), "***", text, flags=re.IGNORECASE)

    @property
    def is_loopback(self) -> bool:
        """Whether the Catalog is on this machine, as the sandbox is."""
        return is_loopback(urlsplit(self.base_url).hostname or "")


def check_reading_parameters(page_size: object, max_concurrency: object, on_data_moved: object) -> None:
    """Check how to read, which overrides a connection's settings; ``None`` overrides nothing."""
    bounds = {"page_size": (page_size, MAX_PAGE_SIZE), "max_concurrency": (max_concurrency, MAX_CONCURRENCY)}
    for name, (value, most) in bounds.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most):
            raise CatalogParameterError(f"{name} is {value!r}; allowed: an integer from 1 to {most}")
    if on_data_moved not in (None, "fail", "accept"):
        raise CatalogParameterError(f'set on_data_moved to "fail" or "accept"; it is {on_data_moved!r}')
