"""Pages and the links between them."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
import requests

from airflow_provider_catalog.sandbox import sandbox

ENDPOINTS = ("products", "enrollments", "orders", "users")
SMALL = {"products": 45, "users": 45, "enrollments": 90}
KEYS = {
    "products": lambda row: row["product"]["id"],
    "enrollments": lambda row: row["enrollment_id"],
    "orders": lambda row: row["order_id"],
    "users": lambda row: row["student"]["id"],
}


def follow_links(catalog, endpoint, post):
    """Yield pages the way that RFC 5988 wants it: from link to link."""
    response = post(catalog, endpoint, params={"per_page": 20})
    while True:
        yield response
        link = response.links.get("next")
        if link is None:
            return
        url = urljoin(response.url, link["url"])
        assert urlsplit(url).netloc == urlsplit(catalog.url).netloc
        response = requests.post(url, headers={"Authorization": response.request.headers["Authorization"]}, timeout=10)


def count_up(catalog, endpoint, first_page, post):
    """Yield pages by number, until one is empty."""
    for number in range(first_page, 100):
        response = post(catalog, endpoint, params={"per_page": 20, "page": number})
        if not response.json()[endpoint]:
            return
        yield response


@pytest.mark.parametrize("links", ["absolute", "relative"])
@pytest.mark.parametrize("first_page", [1, 0])
@pytest.mark.parametrize("paging", ["link", "next-only", "page-only", "none"])
def test_every_way_of_paging_gives_every_row_once(paging, first_page, links, post) -> None:
    with sandbox(**SMALL, paging=paging, first_page=first_page, links=links) as catalog:
        for endpoint in ENDPOINTS:
            if paging == "page-only":
                pages = list(count_up(catalog, endpoint, first_page, post))
            else:
                pages = list(follow_links(catalog, endpoint, post))
            keys = [KEYS[endpoint](row) for page in pages for row in page.json()[endpoint]]
            assert keys == sorted(set(keys))
            assert len(keys) == catalog.row_count(endpoint)
            assert (len(pages) == 1) is (paging == "none")


@pytest.mark.parametrize("first_page", [1, 0])
def test_link_headers_are_as_documented(first_page, post) -> None:
    with sandbox(**SMALL, first_page=first_page) as catalog:
        pages = list(follow_links(catalog, "products", post))
        assert [set(page.links) for page in pages] == [
            {"next", "last"},
            {"next", "last", "prev", "first"},
            {"prev", "first"},
        ]
        url = f"{catalog.url}/api/v1/analytics/products?per_page=20&page="
        assert pages[1].links["first"]["url"] == f"{url}{first_page}"
        assert pages[1].links["prev"]["url"] == f"{url}{first_page}"
        assert pages[1].links["next"]["url"] == f"{url}{first_page + 2}"
        assert pages[0].links["last"]["url"] == f"{url}{first_page + 2}"
        assert post(catalog, "products", params={"per_page": 45}).headers.get("Link") is None


def test_next_only_and_relative_links(post) -> None:
    with sandbox(**SMALL, paging="next-only", links="relative") as catalog:
        response = post(catalog, "users")
        assert response.headers["Link"] == '</api/v1/analytics/users?page=2>; rel="next"'
        assert "Link" not in post(catalog, "users", params={"page": 3}).headers


def test_per_page_has_a_default_and_a_maximum(post) -> None:
    with sandbox(**SMALL, max_per_page=30) as catalog:
        assert len(post(catalog, "products").json()["products"]) == 20
        assert len(post(catalog, "products", params={"per_page": 100}).json()["products"]) == 30
        rest = post(catalog, "products", params={"per_page": 100, "page": 2}).json()["products"]
        assert len(rest) == 15


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("paging", ["link", "page-only", "none"])
def test_no_rows_are_an_empty_array(endpoint, paging, post) -> None:
    with sandbox(products=0, users=0, enrollments=0, paging=paging) as catalog:
        response = post(catalog, endpoint)
        assert (response.status_code, response.text) == (200, f'{{"{endpoint}":[]}}')
        assert "Link" not in response.headers


def test_a_page_outside_is_empty_after_the_end_and_the_first_before_the_start(catalog, post) -> None:
    after = post(catalog, "products", params={"page": 99})
    assert after.json() == {"products": []}
    assert set(after.links) == {"prev", "first"}
    before, first = (post(catalog, "products", params={"page": number}) for number in (0, 1))
    assert before.json() == first.json() != {"products": []}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("page=one", "page"),
        ("page=-1", "page"),
        ("page=", None),
        ("per_page=0", "per_page"),
        ("per_page=9999999999999999", "per_page"),
        ("account_ids=3", "account_ids"),
    ],
)
def test_wrong_query_parameters_are_refused(query, named, catalog, post) -> None:
    response = post(catalog, f"products?{query}")
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(f"{named or 'page'} ")
