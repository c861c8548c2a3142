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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.client.settings import catalog_origin
from airflow_provider_catalog.errors import (
    CatalogError,
    CatalogPaginationError,
    CatalogParameterError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from tests.catalog_server import TOKEN, Answer, Pages, catalog_server
from tests.certificates import HOST
from tests.eavesdropper import eavesdropper

ROWS = [{"größe": n, "deep": {"er": [n, None, {"x": str(n)}]}} for n in range(30)]


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


def test_the_second_server_hears_what_it_is_sent(read, elsewhere, no_backoff):
    """Or the tests below could not fail."""
    with pytest.raises(CatalogUnavailableError, match="TLS"):
        read(f"https://{HOST}")
    assert elsewhere.heard
    assert TOKEN.encode() not in elsewhere.all_heard, "TLS fails before anything is asked"
    assert read(elsewhere.url) == []
    assert TOKEN.encode() in elsewhere.all_heard


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
    "no host": "http:///x?page=2",
    "three slashes": "///{other}/x?page=2",
    "a scheme without slashes": "http:{other}?page=2",
    "a port that is none": "http://{own}:x/?page=2",
    "a script": "javascript:1",
    "a path upwards": "/../..?page=2",
}


def with_link(link, elsewhere):
    """Serve a first page of rows with a ``Link`` header, whose ``{own}``, ... are filled in, and a second page."""

    def answer(request):
        own = request.headers["host"]
        for name, value in {"own": own, "port": own.rpartition(":")[2], "other": elsewhere.netloc}.items():
            filled = answer.link = answer.link.replace(f"{{{name}}}", value)
        is_first = not request.query.get("page")
        return Answer({"orders": ROWS[:3] if is_first else ROWS[3:5]}, headers={"Link": filled} if is_first else {})

    answer.link = link
    return answer


@pytest.mark.parametrize("form", ['<{0}>; rel="next"', '<{0}>; rel="next", <{0}>; rel="last"'])
@pytest.mark.parametrize("link", LINKS)
def test_links(read, elsewhere, no_backoff, link, form):
    """They are followed, but within the Catalog: at its own origin, and the endpoint's own path."""
    with catalog_server(with_link(form.format(LINKS[link]), elsewhere)) as catalog:
        try:
            assert read(catalog.url) == ROWS[:5]
        except CatalogPaginationError:
            assert not urlsplit(LINKS[link]).query, "a URL without a query leads back to the first page"
    assert elsewhere.heard == []
    assert {request.path for request in catalog.requests} == {"/api/v1/analytics/orders"}


text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
headers = st.lists(
    st.tuples(
        st.sampled_from([*LINKS.values(), "http://[::1/x?page=2"]) | text,
        st.sampled_from(
            ['<{}>; rel="{}"', "<{}>;rel={}", '<{}>; title="a=b"; rel="{}"', "{}; rel={}", '<{}>; REL="{}"']
        ),
        st.sampled_from(["next", "last", "prev", "next last", "NEXT", "nofollow", "", "next\x00"]),
    ).map(lambda link: link[1].format(link[0], link[2])),
    min_size=1,
    max_size=4,
).map(", ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(headers | text | st.text("<>;,=\"' relnxtasp?/\\", max_size=40))
def test_any_link_header(read, elsewhere, no_backoff, header):
    """Rows or a clear error, an end, and no request to another origin."""
    with catalog_server(with_link(header, elsewhere)) as catalog:
        try:
            assert read(catalog.url, timeout=5)[:3] == ROWS[:3]
        except CatalogError as error:
            assert error.endpoint == "orders"
            assert TOKEN not in str(error)
    assert elsewhere.heard == []
    assert {request.path for request in catalog.requests} == {"/api/v1/analytics/orders"}


def test_a_link_with_the_token_in_it(read, elsewhere):
    """It would show the token to everyone who logs URLs."""
    with catalog_server(with_link(f'</api?page=2&token={TOKEN}>; rel="next"', elsewhere)) as catalog:
        assert read(catalog.url) == ROWS[:5]
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
@pytest.mark.parametrize("status", [300, 301, 307])
def test_redirects(read, elsewhere, status, location):
    def answer(request):
        places = {"elsewhere": elsewhere.url, "other": elsewhere.netloc, "own": request.headers["host"]}
        return Answer(status=status, headers={"Location": LOCATIONS[location].format(**places)})

    with catalog_server(answer) as catalog, pytest.raises(CatalogResponseError, match="not followed"):
        read(catalog.url)
    assert len(catalog.requests) == 1
    assert elsewhere.heard == []


def test_headers_that_browsers_obey(read, elsewhere):
    pages = Pages(
        ROWS,
        values={
            "Location": elsewhere.url,
            "Content-Location": elsewhere.url,
            "Refresh": f"0; url={elsewhere.url}",
            "Alt-Svc": f'http/1.1="{elsewhere.netloc}"',
            "Set-Cookie": "session=1; Domain=127.0.0.1",
        },
    )
    with catalog_server(pages) as catalog:
        assert read(catalog.url) == ROWS
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
def test_hosts_of_a_connection_that_only_look_right(read, elsewhere, host):
    with pytest.raises(CatalogParameterError, match="Catalog URL"):
        read(catalog_origin(host))
    assert elsewhere.heard == []


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/@evil.example/", "/..//evil.example"])
def test_paths_of_a_connection(read, elsewhere, path):
    """They are below the Catalog's origin, whatever they look like."""
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        try:
            assert read(catalog.url, paths={"orders": path}) == []
        except CatalogParameterError:
            assert catalog.requests == []
    assert elsewhere.heard == []


def test_netrc_adds_nothing(read, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password s3cret\ndefault login anyone password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with catalog_server(Pages(ROWS)) as catalog:
        assert read(catalog.url) == ROWS


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_http_to_this_machine_goes_by_no_proxy(read, elsewhere, monkeypatch, name):
    """A proxy would read the token; where there is TLS, it can't."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, elsewhere.url)
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        assert read(catalog.url) == []
    assert elsewhere.heard == []


def test_a_proxy_of_the_connection_is_refused_where_it_would_read_the_token(read, elsewhere):
    with pytest.raises(CatalogParameterError, match="a proxy would see the token"):
        read("http://127.0.0.1:1", proxy=elsewhere.url)
    assert elsewhere.heard == []


@pytest.mark.parametrize("given_by", ["the connection", "the environment"])
def test_a_proxy_sees_tls_only(read, certificate, monkeypatch, given_by):
    """The token arrives by way of the proxy, which hears both directions and never reads it."""
    bundle, context = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # the connection's own goes before it
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with catalog_server(Pages(ROWS, link=lambda url: url[url.index("/", 8) :]), context) as catalog:
        with eavesdropper(tunnel=catalog.port) as proxy:
            more = {"verify": str(bundle)}
            if given_by == "the connection":
                more["proxy"] = f"http://someone:s3cret@{proxy.netloc}"
            else:
                monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            assert read(f"https://{HOST}", **more) == ROWS
    assert all("proxy-authorization" not in request.headers for request in catalog.requests)
    assert proxy.all_heard.startswith(f"CONNECT {HOST}:443 ".encode())
    assert len(proxy.all_heard) > 1000, "what is in the tunnel is heard, too"
    assert TOKEN.encode() not in proxy.all_heard


def test_a_proxy_that_ends_the_tunnel_in_itself(read, elsewhere, no_backoff, monkeypatch):
    """It says that there is a tunnel, and answers in its own name and in the clear."""
    monkeypatch.setenv("HTTPS_PROXY", elsewhere.url)
    with pytest.raises(CatalogError):
        read(f"https://{HOST}")
    assert elsewhere.all_heard.startswith(b"CONNECT ")
    assert TOKEN.encode() not in elsewhere.all_heard
