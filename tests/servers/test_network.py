"""TLS, proxies and TCP: what lies between Airflow and the Catalog."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from pathlib import Path

import certifi
import pytest

from airflow_provider_catalog.errors import (
    CatalogError,
    CatalogParameterError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from airflow_provider_catalog.hooks.catalog import CatalogHook
from tests.catalog_server import TOKEN, Answer, Pages, catalog_server
from tests.certificates import HOST
from tests.processes import python
from tests.servers.reading import is_clear, read_with_hook, rows_of

ROWS = rows_of(25)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy",
                 "NO_PROXY", "no_proxy"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def company(connection, certificate):
    """A Catalog with the company's certificate; the connection names a host that only its proxy knows."""
    with catalog_server(Pages(ROWS), certificate[1]) as catalog:
        with catalog_server(lambda request: Answer(tunnel=catalog.port)) as catalog.proxy:
            url = catalog.proxy.url.replace("//", "//someone:s3cret@")
            catalog.connect = lambda host=HOST, **extra: connection(f"https://{host}", **{"proxy": url, **extra})
            catalog.connect()
            yield catalog
    # That the Catalog, which has nothing but TLS, has answered says that it was spoken to through the tunnel.
    assert {request.method for request in catalog.proxy.requests} == ({"CONNECT"} if catalog.proxy.accepted else set())
    assert not any(TOKEN in str(request) for request in catalog.proxy.requests)
    assert not any("proxy-authorization" in request.headers for request in catalog.requests)


class TestCompanyCertificate:
    @pytest.mark.parametrize("trusted_by", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "the connection"])
    def test_trusted(self, company, certificate, monkeypatch, trusted_by):
        if trusted_by == "the connection":
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # the connection's own goes before it
            company.connect(verify=str(certificate[0]))
        else:
            monkeypatch.setenv(trusted_by, str(certificate[0]))
        outcome = read_with_hook()
        assert outcome.rows == ROWS, outcome

    def test_a_proxy_of_the_environment(self, company, certificate, monkeypatch):
        company.connect(proxy=None, verify=str(certificate[0]))
        monkeypatch.setenv("HTTPS_PROXY", company.proxy.url)
        assert read_with_hook().rows == ROWS
        assert company.proxy.requests

    @pytest.mark.parametrize(("host", "says"), [(HOST, "verify"), ("other.example", "other.example")])
    def test_trusted_by_nobody_or_of_another_name(self, company, certificate, host, says):
        company.connect(host, **({} if host == HOST else {"verify": str(certificate[0])}))
        error = read_with_hook().error
        assert isinstance(error, CatalogParameterError if host == HOST else CatalogError)
        assert says in str(error)
        assert is_clear(error)
        assert not company.requests, "the token stays here"

    @pytest.mark.parametrize(
        ("variable", "content", "says"),
        [
            ("REQUESTS_CA_BUNDLE", None, ["REQUESTS_CA_BUNDLE", "company.pem"]),
            ("CURL_CA_BUNDLE", None, ["CURL_CA_BUNDLE", "company.pem"]),
            ("REQUESTS_CA_BUNDLE", "not a certificate", ["REQUESTS_CA_BUNDLE"]),
        ],
    )
    def test_a_variable_that_names_no_certificate(self, company, monkeypatch, tmp_path, variable, content, says):
        if content:
            (tmp_path / "company.pem").write_text(content)
        monkeypatch.setenv(variable, str(tmp_path / "company.pem"))
        error = read_with_hook().error
        assert isinstance(error, CatalogError)
        assert not error.retryable, "the file will not come by itself"
        assert all(each in str(error) for each in [*says, "catalog_default"])
        assert not company.requests


class TestProxy:
    @pytest.mark.parametrize("status", [407, 403, 401, 405])
    def test_a_refusal_is_told_at_once(self, connection, status):
        with catalog_server(lambda request: Answer(b"<html>no", status)) as proxy:
            connection(f"https://{HOST}", proxy=proxy.url.replace("//", "//user:proxy-secret@"))
            error = read_with_hook().error
            assert proxy.accepted == 1
            is_well, message = CatalogHook().test_connection()
        assert not is_well
        for text in (str(error), message):
            assert "proxy" in text[:120]
            assert str(status) in text
            assert "proxy-secret" not in text
        assert is_clear(error)

    @pytest.mark.parametrize("status", [502, 503, 504, None])
    def test_a_failure_of_the_proxy(self, connection, status):
        with catalog_server(lambda request: Answer(b"", status)) as proxy:
            connection(f"https://{HOST}", proxy=proxy.url if status else "http://127.0.0.1:9")
            error = read_with_hook().error
        assert isinstance(error, CatalogUnavailableError)
        assert error.retryable
        assert "proxy" in str(error)
        assert str(status or "") in str(error)
        assert is_clear(error)

    def test_a_failure_that_passes(self, connection, certificate):
        with catalog_server(Pages(ROWS), certificate[1]) as catalog:
            answers = iter([Answer(b"", 503), Answer(drop=True)])
            with catalog_server(lambda request: next(answers, Answer(tunnel=catalog.port))) as proxy:
                connection(f"https://{HOST}", proxy=proxy.url, verify=str(certificate[0]))
                outcome = read_with_hook()
        assert outcome.rows == ROWS, outcome


def has_keep_alive(port: int) -> bool:
    """Whether the kernel would probe the connection whose client has this port: its keep-alive timer runs."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(each[1].rpartition(":")[2], 16) == port and each[5].startswith("02:") for each in connections)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux tells which timers run")
def test_tcp_keep_alive(serve):
    seen = []

    def answer(request):
        for _ in range(100):
            if has_keep_alive(request.client[1]):
                seen.append(True)
                break
            time.sleep(0.02)
        return Answer({"orders": []})

    with serve(answer):
        read_with_hook()
    assert seen


def test_tls_that_breaks_off(connection):
    with catalog_server(Pages([]), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as catalog:  # which has no certificate
        connection(catalog.url)
        error = read_with_hook().error
    assert isinstance(error, CatalogUnavailableError)
    assert "TLS failed" in str(error)


def test_a_server_with_one_worker(connection):
    """It goes on with the next connection when the one before is closed, which clients keep open."""
    with catalog_server(Pages(rows_of(600)), has_one_worker=True) as catalog:
        connection(catalog.url, timeout=1, max_concurrency=8)
        assert CatalogHook().test_connection()[0]
        outcome = read_with_hook()
    assert outcome.rows == rows_of(600), outcome
    assert catalog.accepted < 30, "a time-out leads to fewer requests at once, so there are few of them"


def test_objects_within_objects(connection):
    """Later Pythons decode more levels than their own functions can go through."""
    deep = b'{"a":' * 3000 + b"1" + b"}" * 3000
    page = b'{"orders": [{"id": %d, "deep": ' + deep + b"}]}"
    with catalog_server(lambda request: Answer(page % min(request.page or 1, 2))) as catalog:
        connection(catalog.url)
        outcome = read_with_hook()
    if sys.version_info < (3, 12):
        assert isinstance(outcome.error, CatalogResponseError)
        assert is_clear(outcome.error)
    else:
        assert [row["id"] for row in outcome.rows] == [1, 2], outcome


def test_nobody_listens(connection):
    with socket.socket() as taken:  # so that nobody else listens there, either
        taken.bind(("127.0.0.1", 0))
        connection(f"http://127.0.0.1:{taken.getsockname()[1]}")
        error = read_with_hook().error
    assert isinstance(error, CatalogUnavailableError)
    assert "Connection refused" in str(error)


def test_a_process_ends_while_pages_beyond_the_end_do_not_answer(serve):
    code = """
from airflow_provider_catalog.hooks.catalog import CatalogHook
print(len([*CatalogHook().iter_rows("orders")]))
"""
    with serve(Pages(ROWS, beyond=Answer(stall=-1), relations=("next",)), max_concurrency=8, timeout=3600):
        assert python(code).endswith("25\n")
