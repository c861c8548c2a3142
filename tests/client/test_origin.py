"""
The token goes to the scheme, host and port of the connection, and nowhere else.

Each way in which others have been led elsewhere is tried against two real servers: the Catalog, and another one, to
which every host name leads that anyone looks up.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.errors import (
    CatalogError,
    CatalogPaginationError,
    CatalogParameterError,
    CatalogResponseError,
)
from tests.catalog_server import TOKEN, Answer, Pages, catalog_server
from tests.certificates import HOST

ROWS = [{"größe": n, "deep": {"er": [n, None, {"x": str(n)}]}} for n in range(30)]


@pytest.fixture
def elsewhere(monkeypatch):
    """Run the second server, and let all names lead to it."""
    with catalog_server(lambda request: Answer({"orders": []})) as other:
        look_up = socket.getaddrinfo

        def to_the_second_server(host, port, *args, **kwargs):
            if host not in ("127.0.0.1", "localhost", "::1"):
                host, port = "127.0.0.1", other.port
            return look_up(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", to_the_second_server)
        for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield other


def test_the_second_server_hears_what_it_is_sent(read, elsewhere):
    """Or the tests below could not fail."""
    with pytest.raises(CatalogParameterError, match="speaks plain http"):
        read(f"https://{HOST}")
    assert elsewhere.accepted
    assert not elsewhere.requests, "TLS fails before anything is asked"
    assert read(elsewhere.url) == []
    assert elsewhere.requests


# {own} is the Catalog's host and port, {port} its port, {other} those of the second server.
LINKS = [
    "http://{other}/api?page=2", "http://evil.example/api?page=2", "http://evil.example:{port}/api?page=2",
    "https://{own}/api?page=2", "//{other}/api?page=2", "http://localhost:{port}/api?page=2",
    "http://127.0.0.1.evil.example:{port}/api?page=2", "http://localhost.evil.example:{port}/api?page=2",
    "http://127.0.0.1.:{port}/api?page=2", "http://{own}@{other}/api?page=2", "http://{own}%40{other}/api?page=2",
    "http://user:password@{own}/api?page=2", "http://{other}\\@{own}/api?page=2", "http://{own}\\@{other}/api?page=2",
    "http://{other}\\.{own}/api?page=2", "http:\\\\{other}/api?page=2", "/\\{other}/api?page=2",
    "http://{other}?@{own}/api&page=2", "http://{other}#@{own}/api?page=2", "ht\ttp://{other}/api?page=2",
    "file:///etc/passwd?page=2", "http://[::ffff:127.0.0.1]:{port}/api?page=2", "http://2130706433:{port}/api?page=2",
    "http:///x?page=2", "///{other}/x?page=2", "http:{other}?page=2", "http://{own}:x/?page=2", "javascript:1",
    "/../..?page=2",
]  # fmt: skip


def with_link(link, elsewhere):
    """Serve a first page of rows with a ``Link`` header, whose ``{own}``, ... are filled in, and a second page."""

    def answer(request):
        if request.query.get("page"):
            return Answer({"orders": ROWS[3:5]})
        own, filled = request.headers["host"], link
        for name, value in {"own": own, "port": own.rpartition(":")[2], "other": elsewhere.url[7:]}.items():
            filled = filled.replace(f"{{{name}}}", value)
        return Answer({"orders": ROWS[:3]}, headers={"Link": filled})

    return answer


@pytest.mark.parametrize("form", ['<{0}>; rel="next"', '<{0}>; rel="next", <{0}>; rel="last"'])
@pytest.mark.parametrize("link", LINKS)
def test_links(read, elsewhere, no_backoff, link, form):
    """They are followed, but within the Catalog: at its own origin, and the endpoint's own path."""
    with catalog_server(with_link(form.format(link), elsewhere)) as catalog:
        try:
            assert read(catalog.url) == ROWS[:5]
        except CatalogPaginationError:
            assert not urlsplit(link).query, "a URL without a query leads back to the first page"
    assert not elsewhere.accepted
    assert {request.path for request in catalog.requests} == {"/api/v1/analytics/orders"}


text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
forms = ['<{}>; rel="{}"', "<{}>;rel={}", '<{}>; title="a=b"; rel="{}"', "{}; rel={}", '<{}>; REL="{}"']
relations = ["next", "last", "prev", "next last", "NEXT", "nofollow", "", "next\x00"]
link = st.builds(
    str.format,
    st.sampled_from(forms),
    st.sampled_from([*LINKS, "http://[::1/x?page=2"]) | text,
    st.sampled_from(relations),
)
headers = st.lists(link, min_size=1, max_size=4).map(", ".join)


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
    assert not elsewhere.accepted
    assert {request.path for request in catalog.requests} == {"/api/v1/analytics/orders"}


def test_a_link_with_the_token_in_it(read, elsewhere):
    """It would show the token to everyone who logs URLs."""
    with catalog_server(with_link(f'</api?page=2&token={TOKEN}>; rel="next"', elsewhere)) as catalog:
        assert read(catalog.url) == ROWS[:5]
    assert not any(TOKEN in request.query.values() for request in catalog.requests)


@pytest.mark.parametrize(
    "location",
    ["http://{other}/api?page=2", "//{other}/api", "http://evil.example/api", "https://evil.example/api", "/elsewhere",
     "http://{other}\\@{own}/"],
)  # fmt: skip
@pytest.mark.parametrize("status", [300, 301, 307])
def test_redirects(read, elsewhere, status, location):
    def answer(request):
        places = {"other": elsewhere.url[7:], "own": request.headers["host"]}
        return Answer(status=status, headers={"Location": location.format(**places)})

    with catalog_server(answer) as catalog, pytest.raises(CatalogResponseError, match="not followed"):
        read(catalog.url)
    assert len(catalog.requests) == 1
    assert not elsewhere.accepted


def test_headers_that_browsers_obey(read, elsewhere):
    values = {
        "Location": elsewhere.url,
        "Content-Location": elsewhere.url,
        "Refresh": f"0; url={elsewhere.url}",
        "Alt-Svc": f'http/1.1="{elsewhere.url[7:]}"',
        "Set-Cookie": "session=1; Domain=127.0.0.1",
    }
    with catalog_server(Pages(ROWS, values=values)) as catalog:
        assert read(catalog.url) == ROWS
    assert not elsewhere.accepted


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/@evil.example/", "/..//evil.example"])
def test_paths_of_a_connection(read, elsewhere, path):
    """They are below the Catalog's origin, whatever they look like."""
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        try:
            assert read(catalog.url, paths={"orders": path}) == []
        except CatalogParameterError:
            assert catalog.requests == []
    assert not elsewhere.accepted


def test_netrc_adds_nothing(read, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password s3cret\ndefault login anyone password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with catalog_server(Pages(ROWS)) as catalog:
        assert read(catalog.url) == ROWS


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_http_to_this_machine_goes_by_no_proxy(read, elsewhere, monkeypatch, name):
    """A proxy would read the token; where there is TLS, it can't."""
    monkeypatch.setenv(name, elsewhere.url)
    with catalog_server(Pages(ROWS)) as catalog:
        assert read(catalog.url) == ROWS
    assert not elsewhere.accepted


def test_a_proxy_that_ends_the_tunnel_in_itself(read, elsewhere, no_backoff, monkeypatch):
    """It says that there is a tunnel, and answers in its own name and in the clear."""
    monkeypatch.setenv("HTTPS_PROXY", elsewhere.url)
    with pytest.raises(CatalogError):
        read(f"https://{HOST}")
    assert {request.method for request in elsewhere.requests} == {"CONNECT"}
    assert not any(TOKEN in str(request) for request in elsewhere.requests)
