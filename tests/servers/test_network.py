"""TLS, proxies and TCP: what lies between Airflow and the Catalog."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_catalog.errors import CatalogError, CatalogParameterError, CatalogUnavailableError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from tests.catalog_server import Answer, Pages, catalog_server
from tests.certificates import HOST
from tests.servers.reading import is_clear, read_with_hook, rows_of

ROWS = rows_of(25)
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in (*CA_VARIABLES, "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def company(connection, certificate):
    """A Catalog with the company's certificate; the connection names a host that only its proxy knows."""
    with catalog_server(Pages(list(ROWS)), certificate[1]) as catalog:
        with catalog_server(lambda request: Answer(tunnel=catalog.port)) as proxy:
            catalog.connect = lambda host=HOST, **extra: connection(f"https://{host}", proxy=proxy.url, **extra)
            catalog.connect()
            yield catalog


class TestCompanyCertificate:
    def test_trusted_by_the_operating_system(self, company, certificate, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        outcome = read_with_hook()
        assert outcome.rows == ROWS, outcome

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_trusted_by_a_variable(self, company, certificate, monkeypatch, variable):
        monkeypatch.setenv(variable, str(certificate[0]))
        assert read_with_hook().rows == ROWS

    def test_trusted_by_the_connection(self, company, certificate):
        company.connect(verify=str(certificate[0]))
        assert read_with_hook().rows == ROWS

    def test_trusted_by_nobody(self, company):
        error = read_with_hook().error
        assert isinstance(error, CatalogParameterError)
        assert "verify" in str(error)
        assert is_clear(error)
        assert not company.requests, "the token stays here"

    def test_of_another_name(self, company, certificate):
        company.connect("other.example", verify=str(certificate[0]))
        error = read_with_hook().error
        assert isinstance(error, CatalogError)
        assert "other.example" in str(error)
        assert is_clear(error)
        assert not company.requests

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_variable_that_names_no_file(self, company, monkeypatch, tmp_path, variable):
        monkeypatch.setenv(variable, str(tmp_path / "moved.pem"))
        error = read_with_hook().error
        assert isinstance(error, CatalogError)
        assert not error.retryable, "the file will not come by itself"
        assert variable in str(error)[:120]
        assert "moved.pem" in str(error)
        assert "catalog_default" in str(error)
        assert not company.requests

    def test_a_variable_that_names_no_certificate(self, company, monkeypatch, tmp_path):
        (tmp_path / "empty.pem").write_text("not a certificate")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "empty.pem"))
        error = read_with_hook().error
        assert isinstance(error, CatalogError)
        assert "REQUESTS_CA_BUNDLE" in str(error)


class TestProxy:
    @pytest.mark.parametrize("status", [407, 403, 401, 405])
    def test_a_refusal_is_told_at_once(self, connection, status):
        with catalog_server(lambda request: Answer(b"<html>no", status)) as proxy:
            connection(f"https://{HOST}", proxy=proxy.url.replace("//", "//user:proxy-secret@"))
            error = read_with_hook().error
            assert proxy.accepted == 1
            is_well, message = CatalogHook().test_connection()
        assert isinstance(error, CatalogError)
        for text in (str(error), message):
            assert "proxy" in text
            assert str(status) in text
            assert "proxy-secret" not in text
        assert "proxy" in str(error)[:120]
        assert is_clear(error)
        assert not is_well

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_a_failure_of_the_proxy(self, connection, status):
        with catalog_server(lambda request: Answer(b"", status)) as proxy:
            connection(f"https://{HOST}", proxy=proxy.url)
            error = read_with_hook().error
        assert isinstance(error, CatalogUnavailableError)
        assert error.retryable
        assert "proxy" in str(error)
        assert str(status) in str(error)
        assert is_clear(error)

    def test_a_failure_that_passes(self, connection, certificate):
        with catalog_server(Pages(list(ROWS)), certificate[1]) as catalog:
            answers = iter([Answer(b"", 503), Answer(drop=True)])
            with catalog_server(lambda request: next(answers, Answer(tunnel=catalog.port))) as proxy:
                connection(f"https://{HOST}", proxy=proxy.url, verify=str(certificate[0]))
                outcome = read_with_hook()
        assert outcome.rows == ROWS, outcome

    def test_no_proxy_listens(self, connection):
        with catalog_server(Pages([])) as gone:
            url = gone.url
        connection(f"https://{HOST}", proxy=url)
        error = read_with_hook().error
        assert isinstance(error, CatalogUnavailableError)
        assert "proxy" in str(error)
        assert is_clear(error)


def has_keep_alive(port: int) -> bool:
    """Whether the kernel would probe the connection whose client has this port: its keep-alive timer runs."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, _, _, timer, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port and timer.startswith("02:"):
            return True
    return False


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


def test_a_server_that_does_not_answer(serve):
    with serve(lambda request: Answer(delay=0.5), timeout=0.1):
        error = read_with_hook().error
    assert isinstance(error, CatalogUnavailableError)
    assert "no answer within the timeout (0.1 s)" in str(error)


def test_nobody_listens(connection):
    with socket.socket() as taken:  # so that nobody else listens there, either
        taken.bind(("127.0.0.1", 0))
        connection(f"http://127.0.0.1:{taken.getsockname()[1]}")
        error = read_with_hook().error
    assert isinstance(error, CatalogUnavailableError)
    assert "Connection refused" in str(error)


NOT_NEEDED = """
from airflow_provider_catalog.hooks.catalog import CatalogHook
assert [row["id"] for row in CatalogHook().iter_rows("orders")] == list(range(25))
print("all rows")
"""


def test_a_process_ends_while_pages_beyond_the_end_do_not_answer(serve):
    pages = Pages(rows_of(25), beyond=Answer(stall=-1), relations=("next",))
    with serve(pages, max_concurrency=8, timeout=3600):
        ended = subprocess.run(
            [sys.executable, "-c", NOT_NEEDED], env=os.environ, capture_output=True, text=True, timeout=60, check=True
        )
    assert ended.stdout.endswith("all rows\n")
