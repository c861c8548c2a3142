"""Pages and the links between them."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
import requests

from airflow_provider_catalog.sandbox import sandbox
from tests.sandbox.conftest import SMALL

URL = "/api/v1/analytics/enrollments"


def follow_links(catalog, post):
    """Yield pages the way that RFC 5988 wants it: from link to link."""
    response = post(catalog, "enrollments", params={"per_page": 20})
    while True:
        yield response
        link = response.links.get("next")
        if link is None:
            return
        url = urljoin(response.url, link["url"])
        assert urlsplit(url).netloc == urlsplit(catalog.url).netloc
        response = requests.post(url, headers={"Authorization": response.request.headers["Authorization"]}, timeout=10)


def count_up(catalog, first_page, post):
    """Yield pages by number, until one is empty."""
    for number in range(first_page, 100):
        response = post(catalog, "enrollments", params={"per_page": 20, "page": number})
        if not response.json()["enrollments"]:
            return
        yield response


@pytest.mark.parametrize("links", ["absolute", "relative"])
@pytest.mark.parametrize("first_page", [1, 0])
@pytest.mark.parametrize("paging", ["link", "next-only", "page-only", "none"])
def test_every_way_of_paging_gives_every_row_once(paging, first_page, links, post) -> None:
    with sandbox(**SMALL, paging=paging, first_page=first_page, links=links) as catalog:
        found = count_up(catalog, first_page, post) if paging == "page-only" else follow_links(catalog, post)
        pages = list(found)
        shown = [set(page.links) for page in pages]
        urls = [link["url"] for page in pages for link in page.links.values()]
    keys = [row["enrollment_id"] for page in pages for row in page.json()["enrollments"]]
    assert keys == sorted(set(keys))
    assert len(keys) == 90
    assert len(pages) == (1 if paging == "none" else 5)
    # As documented, the first page has no first and prev, the last no next and last.
    expected = {
        "link": [{"next", "last"}, *[{"next", "last", "prev", "first"}] * 3, {"prev", "first"}],
        "next-only": [*[{"next"}] * 4, set()],
    }
    assert shown == expected.get(paging, [set()] * len(pages))
    start = f"{catalog.url}{URL}" if links == "absolute" else URL
    assert {url for url in urls if not url.startswith(f"{start}?per_page=20&page=")} == set()
    if paging == "link":
        assert {name: link["url"][-1] for name, link in pages[1].links.items()} == {
            "first": str(first_page),
            "prev": str(first_page),
            "next": str(first_page + 2),
            "last": str(first_page + 4),
        }


def test_per_page_has_a_default_and_a_maximum(post) -> None:
    with sandbox(**SMALL, max_per_page=30) as catalog:
        assert len(post(catalog, "products").json()["products"]) == 20
        assert len(post(catalog, "products", params={"per_page": 100}).json()["products"]) == 30
        assert len(post(catalog, "products", params={"per_page": 100, "page": 2}).json()["products"]) == 15


@pytest.mark.parametrize("paging", ["link", "page-only", "none"])
def test_no_rows_are_an_empty_array(paging, post) -> None:
    with sandbox(products=0, users=0, enrollments=0, paging=paging) as catalog:
        for endpoint in catalog.row_counts:
            response = post(catalog, endpoint)
            assert (response.status_code, response.text) == (200, f'{{"{endpoint}":[]}}')
            assert "Link" not in response.headers


def test_a_page_outside_is_empty_after_the_end_and_the_first_before_the_start(catalog, post) -> None:
    after = post(catalog, "products", params={"page": 99})
    assert after.json() == {"products": []}
    assert set(after.links) == {"prev", "first"}
    before, first = (post(catalog, "products", params={"page": number}) for number in (0, 1))
    assert before.json() == first.json() != {"products": []}


@pytest.mark.parametrize("query", ["page=one", "page=-1", "page=", "per_page=0", f"per_page={10**16}", "account_ids=3"])
def test_wrong_query_parameters_are_refused(query, catalog, post) -> None:
    response = post(catalog, f"products?{query}")
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(query.partition("=")[0] + " ")
