"""
The token goes to the scheme, host and port of the connection, and nowhere else.

Each way in which others have been led elsewhere is tried against two real servers: the Catalog, and one that keeps
whatever it is sent. Every host name that anyone looks up leads to that second one.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import certifi
import pytest

from airflow_provider_catalog.client.settings import catalog_origin
from airflow_provider_catalog.errors import (
    CatalogError,
    CatalogPaginationError,
    CatalogParameterError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from tests.catalog_server import TOKEN, Answer, Paging, catalog_server, paged
from tests.certificates import HOST
from tests.client.reading import made_up_rows, read
from tests.eavesdropper import eavesdropper


@pytest.fixture
def elsewhere(monkeypatch):
    """Run the second server, and let all names lead to it."""
    with eavesdropper() as ears:
        look_up = socket.getaddrinfo

        def to_the_second_server(host, port, *args, **kwargs):
            if host not in ("127.0.0.1", "localhost", "::1"):
                host, port = "127.0.0.1", ears.port
            return look_up(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", to_the_second_server)
        yield ears


def test_the_second_server_hears_what_it_is_sent(connect, elsewhere):
    """Or the tests below could not fail."""
    assert read(connect(elsewhere.url)) == []
    assert TOKEN.encode() in elsewhere.all_heard


def test_names_lead_to_the_second_server(connect, elsewhere, no_backoff):
    with pytest.raises(CatalogUnavailableError, match="TLS"):
        read(connect(f"https://{HOST}"))
    assert elsewhere.heard
    assert TOKEN.encode() not in elsewhere.all_heard, "TLS fails before anything is asked"


# {own} is the Catalog's host and port, {port} its port, {other} those of the second server.
LINKS = {
    "another port": "http://{other}/api?page=2",
    "another host": "http://evil.example/api?page=2",
    "another host, same port": "http://evil.example:{port}/api?page=2",
    "another scheme": "https://{own}/api?page=2",
    "no scheme": "//{other}/api?page=2",
    "another name of this machine": "http://localhost:{port}/api?page=2",
    "a name that begins like ours": "http://127.0.0.1.evil.example:{port}/api?page=2",
    "localhost. and more": "http://localhost.evil.example:{port}/api?page=2",
    "a trailing dot": "http://127.0.0.1.:{port}/api?page=2",
    "ours as user": "http://{own}@{other}/api?page=2",
    "ours as user, encoded": "http://{own}%40{other}/api?page=2",
    "user info with ours": "http://user:password@{own}/api?page=2",
    "a backslash, ours behind": "http://{other}\\@{own}/api?page=2",
    "a backslash, ours before": "http://{own}\\@{other}/api?page=2",
    "a backslash as slash": "http://{other}\\.{own}/api?page=2",
    "backslashes as slashes": "http:\\\\{other}/api?page=2",
    "slashes and a backslash": "/\\{other}/api?page=2",
    "ours as query": "http://{other}?@{own}/api&page=2",
    "ours as fragment": "http://{other}#@{own}/api?page=2",
    "a tab within": "ht\ttp://{other}/api?page=2",
    "another scheme altogether": "file:///etc/passwd?page=2",
    "an IPv6 address": "http://[::ffff:127.0.0.1]:{port}/api?page=2",
    "a number as address": "http://2130706433:{port}/api?page=2",
}
RELATIONS = {"next": '<{0}>; rel="next"', "next and last": '<{0}>; rel="next", <{0}>; rel="last"'}


@pytest.mark.parametrize("relations", RELATIONS)
@pytest.mark.parametrize("link", LINKS)
def test_links(connect, elsewhere, no_backoff, link, relations):
    """They are followed, but within the Catalog: at its own origin, and the endpoint's own path."""
    rows = made_up_rows(5)

    def answer(request):
        own = request.headers["host"]
        target = LINKS[link].format(own=own, port=own.rpartition(":")[2], other=elsewhere.netloc)
        headers = {"Link": RELATIONS[relations].format(target)}
        return Answer({"orders": rows[:3]}, headers=headers) if request.page is None else Answer({"orders": rows[3:]})

    with catalog_server(answer) as catalog:
        try:
            assert read(connect(catalog.url)) == rows
        except CatalogPaginationError:
            assert not urlsplit(LINKS[link]).query, "a URL without a query leads back to the first page"
    assert elsewhere.heard == []
    assert {request.path for request in catalog.requests} == {"/api/v1/analytics/orders"}


def test_a_link_with_the_token_in_it(connect):
    """It would show the token to everyone who logs URLs."""
    rows = made_up_rows(5)

    def answer(request):
        headers = {"Link": f'</api?page=2&token={TOKEN}>; rel="next"'}
        return Answer({"orders": rows[:3]}, headers=headers) if request.page is None else Answer({"orders": rows[3:]})

    with catalog_server(answer) as catalog:
        assert read(connect(catalog.url)) == rows
    assert not any(TOKEN in request.query.values() for request in catalog.requests)


LOCATIONS = {
    "another port": "{elsewhere}/api?page=2",
    "no scheme": "//{other}/api",
    "a name": "http://evil.example/api",
    "https": "https://evil.example/api",
    "the same server": "/elsewhere",
    "a backslash": "http://{other}\\@{own}/",
}


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
def test_redirects(connect, elsewhere, status, location):
    def answer(request):
        places = {"elsewhere": elsewhere.url, "other": elsewhere.netloc, "own": request.headers["host"]}
        return Answer(status=status, headers={"Location": LOCATIONS[location].format(**places)})

    with catalog_server(answer) as catalog, pytest.raises(CatalogResponseError, match="not followed"):
        read(connect(catalog.url))
    assert len(catalog.requests) == 1
    assert elsewhere.heard == []


def test_headers_that_browsers_obey(connect, elsewhere):
    rows = made_up_rows(30)

    def answer(request):
        reply = paged(rows, Paging(most=10), "orders")(request)
        reply.headers |= {
            "Location": elsewhere.url,
            "Content-Location": elsewhere.url,
            "Refresh": f"0; url={elsewhere.url}",
            "Alt-Svc": f'http/1.1="{elsewhere.netloc}"',
            "Set-Cookie": "session=1; Domain=127.0.0.1",
        }
        return reply

    with catalog_server(answer) as catalog:
        assert read(connect(catalog.url)) == rows
    assert elsewhere.heard == []


HOSTS = [
    "http://evil.example",
    "http://localhost.evil.example",
    "http://localhost.",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "http://evil.example\\@127.0.0.1",
    "http://127.0.0.1\\@evil.example",
    "http://evil.example#127.0.0.1",
    "http://evil.example?127.0.0.1",
    "http://0.0.0.0",
    "http://2130706433",
    "http://127.1",
    "http://127。0。0。1",
    "http://loсalhost",  # noqa: RUF001 - the letter that looks like a c is Cyrillic
    "https://localhost@evil.example",
    "https://evil.example\\.localhost",
    "https://user:password@localhost",
]


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_of_a_connection_that_only_look_right(connect, elsewhere, host):
    with pytest.raises(CatalogParameterError, match="Catalog URL"):
        read(connect(catalog_origin(host)))
    assert elsewhere.heard == []


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/@evil.example/", "/..//evil.example"])
def test_paths_of_a_connection(connect, elsewhere, path):
    """They are below the Catalog's origin, whatever they look like."""
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        try:
            assert read(connect(catalog.url, paths={"orders": path})) == []
        except CatalogParameterError:
            assert catalog.requests == []
    assert elsewhere.heard == []


def test_netrc_adds_nothing(connect, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password s3cret\ndefault login anyone password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        read(connect(catalog.url))
    [request] = catalog.requests
    assert request.headers["authorization"] == f'Token token="{TOKEN}"'


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_http_to_this_machine_goes_by_no_proxy(connect, elsewhere, monkeypatch, name):
    """A proxy would read the token; where there is TLS, it can't."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, elsewhere.url)
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        assert read(connect(catalog.url)) == []
    assert elsewhere.heard == []


def test_a_proxy_of_the_connection_is_refused_where_it_would_read_the_token(connect, elsewhere):
    with pytest.raises(CatalogParameterError, match="a proxy would see the token"):
        connect("http://127.0.0.1:1", proxy=elsewhere.url)
    assert elsewhere.heard == []


@pytest.mark.parametrize("given", ["by the connection", "by the environment"])
def test_a_proxy_sees_tls_only(connect, certificate, monkeypatch, given):
    """The token arrives by way of the proxy, which hears both directions and never reads it."""
    bundle, context = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # the connection's own goes before it
    rows = made_up_rows(30)
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with catalog_server(paged(rows, Paging(most=10, relative=True), "orders"), context) as catalog:
        with eavesdropper(tunnel=int(catalog.url.rpartition(":")[2])) as proxy:
            settings = {"verify": str(bundle)}
            if given == "by the connection":
                settings["proxy"] = f"http://someone:s3cret@{proxy.netloc}"
            else:
                monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            assert read(connect(f"https://{HOST}", **settings)) == rows
    assert {request.headers["authorization"] for request in catalog.requests} == {f'Token token="{TOKEN}"'}
    assert all("proxy-authorization" not in request.headers for request in catalog.requests)
    assert proxy.all_heard.startswith(f"CONNECT {HOST}:443 ".encode())
    assert len(proxy.all_heard) > 1000, "what is in the tunnel is heard, too"
    assert TOKEN.encode() not in proxy.all_heard


def test_a_proxy_that_ends_the_tunnel_in_itself(connect, elsewhere, no_backoff, monkeypatch):
    """It says that there is a tunnel, and answers in its own name and in the clear."""
    monkeypatch.setenv("HTTPS_PROXY", elsewhere.url)
    with pytest.raises(CatalogError):
        read(connect(f"https://{HOST}"))
    assert elsewhere.all_heard.startswith(b"CONNECT ")
    assert TOKEN.encode() not in elsewhere.all_heard
