"""Pages and the links between them."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from airflow_provider_catalog.sandbox import sandbox
from tests.sandbox.conftest import SMALL

URL = "/api/v1/analytics/enrollments"


def pages_of(catalog, post, paging: str, first_page: int):
    """Return pages the way that RFC 8288 wants it: from link to link; or by number, until one is empty."""
    query = "?per_page=20"
    pages = []
    while query:
        pages.append(post(catalog, f"enrollments{query}"))
        link = pages[-1].links.get("next")
        query = urljoin(catalog.url + URL, link["url"]).removeprefix(catalog.url + URL) if link else ""
        if paging == "page-only" and pages[-1].json()["enrollments"]:
            query = f"?per_page=20&page={first_page + len(pages)}"
    return pages[:-1] if paging == "page-only" else pages


@pytest.mark.parametrize(("first_page", "links"), [(1, "absolute"), (0, "relative")])
@pytest.mark.parametrize("paging", ["link", "next-only", "page-only", "none"])
def test_every_way_of_paging_gives_every_row_once(paging, first_page, links, post) -> None:
    with sandbox(**SMALL, paging=paging, first_page=first_page, links=links) as catalog:
        pages = pages_of(catalog, post, paging, first_page)
    keys = [row["enrollment_id"] for page in pages for row in page.json()["enrollments"]]
    assert keys == sorted(set(keys))
    assert (len(keys), len(pages)) == (90, 1 if paging == "none" else 5)
    # As documented, the first page has no first and prev, the last no next and last.
    expected = {
        "link": [{"next", "last"}, *[{"next", "last", "prev", "first"}] * 3, {"prev", "first"}],
        "next-only": [*[{"next"}] * 4, set()],
    }
    assert [set(page.links) for page in pages] == expected.get(paging, [set()] * len(pages))
    if paging == "link":
        start = (catalog.url if links == "absolute" else "") + f"{URL}?per_page=20&page="
        numbers = {"first": first_page, "prev": first_page, "next": first_page + 2, "last": first_page + 4}
        assert {name: link["url"] for name, link in pages[1].links.items()} == {
            name: f"{start}{number}" for name, number in numbers.items()
        }


def test_per_page_has_a_default_and_a_maximum(post) -> None:
    with sandbox(**SMALL, max_per_page=30) as catalog:
        for query, count in (("", 20), ("?per_page=100", 30), ("?per_page=100&page=2", 15)):
            assert len(post(catalog, f"products{query}").json()["products"]) == count


@pytest.mark.parametrize("paging", ["link", "page-only", "none"])
def test_no_rows_are_an_empty_array(paging, post) -> None:
    with sandbox(products=0, users=0, enrollments=0, paging=paging) as catalog:
        response = post(catalog, "orders")
        assert (response.status_code, response.text) == (200, '{"orders":[]}')
        assert "Link" not in response.headers


def test_a_page_outside_is_empty_after_the_end_and_the_first_before_the_start(catalog, post) -> None:
    after = post(catalog, "products?page=99")
    assert after.json() == {"products": []}
    assert set(after.links) == {"prev", "first"}
    before, first = (post(catalog, f"products?page={number}") for number in (0, 1))
    assert before.json() == first.json() != {"products": []}


@pytest.mark.parametrize("query", ["page=one", "page=-1", "page=", "per_page=0", f"per_page={10**16}", "account_ids=3"])
def test_wrong_query_parameters_are_refused(query, catalog, post) -> None:
    response = post(catalog, f"products?{query}")
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(query.partition("=")[0] + " ")
