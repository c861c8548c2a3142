"""Whatever a ``Link`` header says: rows or a clear error, an end, and no request to another origin."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from airflow_provider_catalog.client import retry
from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.errors import CatalogError
from tests.catalog_server import TOKEN, Answer, catalog_server

ROWS = [{"n": 1}, {"n": 2}]
# HOST is the Catalog's own address, ELSEWHERE another server's.
URLS = [
    "", "?page=2", "/x?page=2", "x/y?page=2", "//ELSEWHERE/x?page=2", "http://ELSEWHERE/x?page=2",
    "http://HOST/x?page=2", "HTTP://HOST?page=2", "http://ELSEWHERE\\@HOST/x?page=2", "http://ELSEWHERE#@HOST/x",
    "http://HOST\\@ELSEWHERE/x?page=2", "http://HOST@ELSEWHERE/x?page=2", "http://ELSEWHERE@HOST/x?page=2",
    "http://u:p@HOST/x?page=2", "http:\\\\ELSEWHERE/x", "\\\\ELSEWHERE/x?page=2", "/\\ELSEWHERE/x?page=2",
    "///ELSEWHERE/x", "http:ELSEWHERE", "http:///x?page=2", "https://HOST/x", "ftp://HOST/x", "javascript:1", "data:,1",
    "http://HOST\t.ELSEWHERE/x", "http://HOST%40ELSEWHERE/x", "http://[::1]/x", "http://[::1/x", "http://HOST:99999/",
    "http://HOST:x/", "?page=-1", "?page=99999999999999999999", "?page=a", "?page=2&page=3", "?page=1;page=2", "?%FF",
    "?page=\u00b2", "/x\x7f?page=2", "#", "?", ".", "..", "/../..", "*", "\xff",
]  # fmt: skip
relations = st.sampled_from(["next", "last", "prev", "first", "next last", "NEXT", "nofollow", "", "next\x00"])
links = st.tuples(
    st.sampled_from(URLS) | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=12),
    st.sampled_from(['<{}>; rel="{}"', "<{}>;rel={}", "<{}>; rel='{}'", '<{}>; title="a=b"; rel="{}"', "{}; rel={}"])
    | st.just('<{}>; REL="{}"'),
    relations,
).map(lambda link: link[1].format(link[0], link[2]))
header_values = st.one_of(
    st.lists(links, min_size=1, max_size=4).map(", ".join),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40),
    st.text("<>;,=\"' relnxtasp?/\\", max_size=40),
)


@dataclass
class Server:
    """
    A Catalog of one page of rows, whose ``Link`` header is always the same, whatever is asked.

    :param link: the header; ``HOST`` and ``ELSEWHERE`` stand for addresses.
    :param further: the rows of every page that has a number.
    """

    link: str = ""
    further: list[dict] = field(default_factory=list)

    def answer(self, request):
        rows = ROWS if not request.query.get("page") else self.further
        return Answer({"orders": rows}, headers={"Link": self.link} if self.link else {})


@pytest.fixture(scope="module")
def servers():
    server = Server()
    with catalog_server(server.answer) as catalog, catalog_server(lambda request: Answer({"orders": []})) as elsewhere:
        yield server, catalog, elsewhere


@pytest.fixture(scope="module")
def asked():
    """The URLs of all requests, at the place where they leave."""
    urls = []
    send = HTTPAdapter.send

    def noted(adapter, request, **kwargs):
        urls.append(request.url)
        return send(adapter, request, **kwargs)

    with patch.object(HTTPAdapter, "send", noted), patch.object(retry, "MAX_BACKOFF", 0.0):
        yield urls


@example('<http://ELSEWHERE\\@HOST/x?page=2>; rel="next"', [])
@given(header_values, st.sampled_from([[], ROWS, [{"n": 3}], [{"n": 3}, {"n": 3}]]))
def test_any_link_header(servers, asked, link, further):
    server, catalog, elsewhere = servers
    host, other = (each.url.removeprefix("http://") for each in (catalog, elsewhere))
    server.link, server.further = link.replace("HOST", host).replace("ELSEWHERE", other), further
    asked.clear()
    settings = CatalogSettings.parse(base_url=catalog.url, token=TOKEN, max_concurrency=2, timeout=5)
    with closing(CatalogClient(settings)) as client:
        for endpoint in (ENDPOINTS["orders"], ENDPOINTS["products"]):
            try:
                rows = list(client.iter_rows(endpoint, {}))
                assert rows[:2] == ROWS
            except CatalogError as error:
                assert error.endpoint == endpoint.name
                assert TOKEN not in str(error)
    assert elsewhere.requests == []
    assert all(url.startswith(f"{catalog.url}/") for url in asked)
    assert len(asked) < 1000


def test_a_catalog_whose_pages_never_end(servers, asked):
    """Each link leads to another page, all of them empty."""
    server, catalog, _ = servers
    server.link, server.further = '<x/y?page=2>; rel="next"', []
    settings = CatalogSettings.parse(base_url=catalog.url, token=TOKEN)
    with closing(CatalogClient(settings)) as client:
        assert list(client.iter_rows(ENDPOINTS["orders"], {})) == ROWS
