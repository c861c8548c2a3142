"""HTTP to one Catalog: a session that sends the token to one origin, and what goes wrong below HTTP in plain words."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from http.client import BadStatusLine, HTTPResponse
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ClosedPoolError, LocationParseError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from airflow_provider_catalog import __version__
from airflow_provider_catalog.client.retry import TransientError
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.errors import CatalogParameterError, CatalogUnavailableError, causes, forget_locals

CONNECT_TIMEOUT = 10.0
"""Seconds to connect, where the timeout for a request is not shorter."""
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_NOT_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST|UNKNOWN_PROTOCOL", re.IGNORECASE)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d+) ?([^'\")]*)")
_EXPIRED = 10
"""OpenSSL's code for a certificate that has expired, which its owner will mend."""


def _keep_alive() -> list[tuple[int, int, int]]:
    """Return socket options that keep a quiet connection alive behind a NAT, and notice one that was dropped."""
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 45), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):  # seconds, seconds, probes
        if hasattr(socket, name):  # not on every system
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class CatalogSession:
    """
    Makes requests of one Catalog; safe to use from several threads.

    :param pool_size: how many connections are kept open for the next request.
    :raises CatalogParameterError: when a CA bundle is missing.
    """

    def __init__(self, settings: CatalogSettings, pool_size: int) -> None:
        self._settings = settings
        self._session = session = requests.Session()
        session.auth = _token_auth(settings.token.get_secret_value())
        session.headers.update(
            {
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": f"airflow-provider-catalog/{__version__}",
            }
        )
        # A connection to this machine is plain http: it must not go through a proxy from the environment.
        session.trust_env = not settings.is_loopback
        # Once, for there is one origin. The connection's own settings go before those of the environment.
        proxies = dict.fromkeys(("http", "https"), settings.proxy.get_secret_value()) if settings.proxy else {}
        self._environment: Any = session.merge_environment_settings(
            settings.base_url, proxies, True, settings.verify if settings.verify is not True else None, None
        )
        _check_ca_bundle(self._environment["verify"])
        adapter = _Adapter(
            pool_size, trusts_system=self._environment["verify"] is True and settings.base_url.startswith("https:")
        )
        session.mount("https://", adapter)
        session.mount("http://", adapter)

    def prepare(
        self, method: str, body: bytes | None = None, content_type: str | None = None
    ) -> requests.PreparedRequest:
        """Return a request without its path; to prepare one for each page would take a tenth of the time."""
        request = requests.Request(method, self._settings.base_url, headers={"Content-Type": content_type}, data=body)
        with transport_errors(self._settings):
            return self._session.prepare_request(request)

    def send(self, request: requests.PreparedRequest, target: str, timeout: float) -> requests.Response:
        """
        Make a request of the Catalog's own origin, and return the response, whose body has not been read.

        :param timeout: seconds without a byte after which it is given up.
        """
        request = copy(request)  # its own method would copy headers and cookies, too
        request.url = f"{self._settings.base_url}{target}"
        try:
            response = self._send(request, timeout)
            if response.status_code != 408:  # which proxies send before they close a quiet connection
                return response
            response.close()
        except requests.Timeout:
            # A server with one worker may be stuck on one of our idle connections: to close them frees it.
            self.close()
            raise
        except requests.ConnectionError as error:
            if not _was_dropped(error):
                raise
            forget_locals(error)
        # A connection that was kept open may be dead without anybody having said so; then so may the others.
        self.close()
        return self._send(request, timeout)

    def close(self) -> None:
        """Close the connections that are kept open."""
        adapter: Any = self._session.get_adapter(self._settings.base_url)
        for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - no dict, and can't be iterated over
                if pool := manager.pools.get(key):  # another thread may be here, too
                    pool.close()  # which clear() leaves to whoever collects the garbage
            manager.clear()

    def _send(self, request: Any, timeout: float) -> requests.Response:
        timeouts = (min(CONNECT_TIMEOUT, timeout), timeout)
        # Session.send would keep cookies, and look where a redirect leads even when told not to follow it.
        adapter = self._session.get_adapter(self._settings.base_url)
        return adapter.send(request, timeout=timeouts, **self._environment)


def _token_auth(token: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return what adds the header with the token (confirmed); with it, ``requests`` does not ask ``.netrc``."""

    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f'Token token="{token}"'
        return request

    return add


class _Adapter(HTTPAdapter):
    """
    Connections with TCP keep-alive, which trust what the operating system trusts as well as what ``requests`` does.

    :param trusts_system: whether to; not where a CA bundle is named, which then is all that is trusted.
    """

    def __init__(self, pool_size: int, *, trusts_system: bool) -> None:
        self._options: dict[str, Any] = {"socket_options": _keep_alive()}
        if trusts_system:
            context = create_urllib3_context()
            context.load_default_certs()  # and those that SSL_CERT_FILE and SSL_CERT_DIR name
            self._options["ssl_context"] = context
        super().__init__(pool_connections=1, pool_maxsize=pool_size)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs, **self._options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _FinalResponse(HTTPResponse):
    """A response that passes over ``103 Early Hints``, which Python takes for the answer itself."""

    def begin(self) -> None:
        """Read the head of the first response that is not an interim one."""
        super().begin()
        while self.status in (102, 103):
            self.headers = self.msg = None  # type: ignore[assignment] # as before the first one
            super().begin()


def _of_ours(connection: Any) -> Any:
    connection.response_class = _FinalResponse
    # People set it on the class to debug their own requests; http.client would print the token.
    connection.debuglevel = 0
    return connection


class _HttpPool(HTTPConnectionPool):
    def _new_conn(self) -> Any:
        return _of_ours(super()._new_conn())


class _HttpsPool(HTTPSConnectionPool):
    def _new_conn(self) -> Any:
        return _of_ours(super()._new_conn())


_POOLS: Any = {"http": _HttpPool, "https": _HttpsPool}


def _check_ca_bundle(verify: bool | str | None) -> None:
    if isinstance(verify, str) and not Path(verify).exists():
        name = next((each for each in _CA_VARIABLES if os.environ.get(each) == verify), "`verify`")
        raise CatalogParameterError(f"correct {name}: it names {verify!r}, which is not on this machine")


def _was_dropped(error: requests.ConnectionError) -> bool:
    """Return whether the connection had been made, and was gone before the first byte of the answer came."""
    if isinstance(error, requests.exceptions.ProxyError | requests.Timeout):
        return False
    chain = list(causes(error))
    dropped = (ConnectionError, BadStatusLine, ssl.SSLEOFError, ssl.SSLZeroReturnError, ClosedPoolError)
    return any(isinstance(each, dropped) for each in chain) and not any(
        isinstance(each, NewConnectionError) for each in chain
    )


@contextmanager
def transport_errors(settings: CatalogSettings) -> Iterator[None]:
    """
    Translate what goes wrong below HTTP.

    :raises TransientError: for what may pass by itself.
    :raises CatalogParameterError: for what somebody has to set right: a proxy, a CA bundle, a port.
    :raises CatalogUnavailableError: for a certificate that has expired.
    """
    try:
        yield
    except (requests.RequestException, LocationParseError) as error:
        forget_locals(error)  # the headers, with the token, are among those of requests and urllib3
        failure = _translated(error, settings)
        raise failure from (error if isinstance(failure, TransientError) else None)


def _translated(error: Exception, settings: CatalogSettings) -> Exception:
    timed_out = f"no answer within the timeout ({settings.timeout:g} s)"
    match error:
        case requests.exceptions.ContentDecodingError():
            return TransientError("the compressed body is damaged")
        case requests.exceptions.ChunkedEncodingError():
            return TransientError(f"the body broke off ({_reason(error)})")
        case requests.exceptions.ProxyError():
            return _of_proxy(error)
        case requests.ConnectTimeout():
            return TransientError("no connection within the timeout")
        case requests.Timeout():
            return TransientError(timed_out)
        case requests.exceptions.SSLError():
            return _of_tls(error, settings.base_url)
        case requests.ConnectionError():
            # "Read timed out" is how requests says it when it happens inside a body.
            is_timeout = "Read timed out" in str(error)
            return TransientError(timed_out if is_timeout else f"the connection failed ({_reason(error)})")
    return CatalogParameterError(f"correct the Catalog URL or the proxy: it can't be used ({type(error).__name__})")


def _of_proxy(error: Exception) -> Exception:
    refusal = _TUNNEL.search(str(error))
    if refusal is None:
        return TransientError(f"the proxy can't be reached ({_reason(error)})")
    status, reason = int(refusal[1]), refusal[2].strip()
    said = f"the proxy refuses: {status} {reason}"
    if status >= 500 or status == 429:
        return TransientError(said)
    remedy = "put the proxy's user and password into `proxy`" if status == 407 else "let the proxy pass the Catalog on"
    return CatalogParameterError(f"{remedy} (in the connection's extra, or HTTPS_PROXY): {said}")


def _of_tls(error: Exception, url: str) -> Exception:
    if "NO_CERTIFICATE" in str(error):
        return CatalogParameterError(
            "correct REQUESTS_CA_BUNDLE, or `verify` in the connection's extra: what it names has no certificate"
        )
    if _NOT_TLS.search(str(error)):
        return CatalogParameterError(f"give the port that speaks https: the port of {url} speaks plain http")
    reason = _reason(error)
    problem = next((each for each in causes(error) if isinstance(each, ssl.SSLCertVerificationError)), None)
    if problem is None:
        return TransientError(f"TLS failed ({reason})")
    if problem.verify_code == _EXPIRED:
        return CatalogUnavailableError(f"have the Catalog's certificate renewed: TLS failed ({reason})")
    return CatalogParameterError(
        f"set `verify` in the connection's extra, REQUESTS_CA_BUNDLE or SSL_CERT_FILE to your CA bundle, or correct "
        f"the host name: TLS failed ({reason})"
    )


def _reason(error: BaseException) -> str:
    """Return what is at the bottom of an error, in the operating system's words where it has any."""
    *_, last = causes(error)
    return getattr(last, "verify_message", None) or getattr(last, "strerror", None) or type(last).__name__
