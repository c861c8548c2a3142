"""The session that requests are made with: the token in one header, to one origin, and shown by nothing."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy

import requests
from requests.auth import AuthBase

from airflow_provider_catalog import __version__
from airflow_provider_catalog.client.connections import AbandoningAdapter
from airflow_provider_catalog.client.settings import CatalogSettings


class TokenAuth(AuthBase):
    """
    Puts the token into the one header that carries it (confirmed), and keeps ``requests`` from asking ``.netrc``.

    :param token: the API token.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f'Token token="{self._token}"'
        return request


class _Session(requests.Session):
    """A session that follows no redirect; ``requests`` would look where one leads even when told not to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that there is nowhere to go."""


def new_session(settings: CatalogSettings, pool_size: int) -> requests.Session:
    """
    Return a session for one Catalog.

    :param settings: which Catalog, with which token, by way of which proxy.
    :param pool_size: connections that are kept open for the next request.
    """
    session = _Session()
    session.auth = TokenAuth(settings.token.get_secret_value())
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": f"airflow-provider-catalog/{__version__}",
        }
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A connection to this machine is plain http: it must not go by way of a proxy from the environment.
    session.trust_env = not settings.is_loopback
    adapter = AbandoningAdapter(pool_connections=1, pool_maxsize=pool_size)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
