"""What a client sees beside rows: tokens, limits, pages for people; and a sandbox leaves nothing behind."""

from __future__ import annotations

import gc
import html
import json
import logging
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from airflow_provider_catalog.sandbox import ENDPOINTS, sandbox
from tests.sandbox.conftest import EMPTY, SMALL


def ask(method, url, token=None):
    headers = {"Authorization": token} if token is not None else {}
    return requests.request(method, url, headers=headers, timeout=10)


@pytest.mark.parametrize(
    "token", [None, "", "Bearer sandbox-token", "Token sandbox-token", 'Token token="sandbox-tokem"', 'Token token=""']
)
@pytest.mark.parametrize(("method", "path"), [("POST", "analytics/orders"), ("GET", "courses")])
def test_a_wrong_token_is_denied(method, path, token, catalog):
    answer = ask(method, f"{catalog.url}/api/v1/{path}", token)
    assert (answer.status_code, answer.text.strip()) == (401, "HTTP Token: Access denied.")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_a_token_without_analytics_rights(post):
    with sandbox(**SMALL, token="all-of-it", token_without_analytics="courses-only") as catalog:
        assert catalog.token == "all-of-it"
        assert post(catalog, "orders", token="courses-only").status_code == 403
        [product] = post(catalog, "products", params={"per_page": 1}).json()["products"]
        url = f"{catalog.url}/api/v1/courses?per_page=1"
        for token in ("courses-only", "all-of-it"):
            [course] = ask("GET", url, f'Token token="{token}"').json()["courses"]
            assert course["id"] == product["product"]["id"]
        assert ask("GET", f"{url}&nonsense=1", f'Token token="{token}"').status_code == 422


def test_paths_that_do_not_exist(catalog, post):
    assert post(catalog, "refunds").status_code == 404
    assert ask("GET", f"{catalog.url}/new_analytics/refunds").status_code == 404
    get = ask("GET", f"{catalog.url}/api/v1/analytics/products")
    assert (get.status_code, get.json(), get.headers["Allow"]) == (405, {"errors": ["Method Not Allowed"]}, "POST")
    with pytest.raises(KeyError):
        catalog.row_count("refunds")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_catalogs_own_pages_show_a_table(endpoint, catalog, all_rows):
    """Where the link *Catalog analytics* of a task leads to; with nothing from elsewhere."""
    answer = ask("GET", f"{catalog.url}/new_analytics/{endpoint}")
    assert answer.headers["Content-Type"].startswith("text/html")
    newest = all_rows[endpoint][-1]
    assert re.findall("<th>(.*?)</th>", answer.text) == list(newest)
    assert html.unescape(re.findall("<td>(.*?)</td>", answer.text)[1]) == newest["account_name"]
    assert answer.text.count("<tr>") == 1 + min(100, len(all_rows[endpoint]))
    assert "http" not in answer.text.partition("<table>")[0]
    assert "@example.edu" in answer.text or endpoint == "products"
    second = ask("GET", f"{catalog.url}/new_analytics/users?page=2").text
    assert second.count("<tr>") == 1 + 50, "the rest is on other pages"
    assert 'href="?page=1"' in second


@pytest.mark.parametrize(("rate_limit", "wait"), [(5, 1), (0.7, 2)])
def test_too_many_requests_are_told_to_wait(rate_limit, wait, post):
    with sandbox(**SMALL, rate_limit=rate_limit) as catalog:
        served = 0
        while (answer := post(catalog, "users")).status_code == 200:
            served += 1
            assert served < 200
        assert served >= max(1, int(rate_limit)), "a second's worth may come at once"
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(wait))
        time.sleep(wait)
        assert post(catalog, "users").status_code == 200


def test_a_slow_catalog_serves_side_by_side():
    with sandbox(**SMALL, latency=1) as catalog, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ask("POST", f"{catalog.url}/api/v1/analytics/users"), range(4)))
        assert sorted(request.in_flight for request in catalog.requests) == [1, 2, 3, 4]


def test_gzip_only_for_those_who_accept_it(post):
    with sandbox(**SMALL, gzip=True) as catalog:
        packed, plain = (post(catalog, "users", headers={"Accept-Encoding": each}) for each in ("gzip", "identity"))
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_requests_can_be_looked_at(post):
    with sandbox(**SMALL) as catalog:
        post(catalog, "users", {"account_ids": [3]}, params={"per_page": 5})
        post(catalog, "orders", data={"bulk_purchases_only": "true"})
        post(catalog, "products", data=b"{")
        post(catalog, "products", token="wrong")
    assert [(each.path.rpartition("/")[2], each.query, each.body, each.status) for each in catalog.requests] == [
        ("users", {"per_page": "5"}, {"account_ids": [3]}, 200),
        ("orders", {}, {"bulk_purchases_only": ["true"]}, 200),
        ("products", {}, {}, 422),
        ("products", {}, {}, 401),
    ]
    assert (catalog.requests[0].method, catalog.requests[0].content_type) == ("POST", "application/json")
    assert "wrong" not in repr(catalog.requests)


@pytest.mark.parametrize("body", ["{", "{}"])
def test_a_client_that_goes_away_is_no_error(body, post, caplog):
    """In the middle of its request, or of the answer."""
    with sandbox(enrollments=20_000, paging="none") as catalog:
        lines = ("POST /api/v1/analytics/enrollments HTTP/1.1", "Host: x", "Content-Length: 2")
        request = "\r\n".join((*lines, f'Authorization: Token token="{catalog.token}"', "", body))
        with socket.create_connection(("127.0.0.1", int(catalog.url.rpartition(":")[2]))) as client:
            client.sendall(request.encode())
            time.sleep(0.3)
        assert post(catalog, "products", timeout=30).ok
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_connection_is_one_that_airflow_can_read():
    with sandbox(**EMPTY) as catalog:
        connection = json.loads(catalog.connection_json)
    assert connection == {"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}
    assert catalog.token.startswith("sandbox-"), "by which the provider knows it"


def test_several_at_once_and_nothing_left_behind(post, recwarn):
    with sandbox(**SMALL) as first:  # what is opened once in a process, by the first one
        post(first, "users")
    gc.collect()  # what earlier tests, or Airflow, have left open is not this one's
    recwarn.clear()
    before = set(threading.enumerate())
    descriptors = Path("/proc/self/fd")
    open_files = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    with suppress(ZeroDivisionError), sandbox(**SMALL) as one, sandbox(**SMALL, seed=2, paging="none") as two:
        assert one.url != two.url
        assert post(one, "users").json() != post(two, "users").json()
        raise ZeroDivisionError
    assert set(threading.enumerate()) - before == set()
    gc.collect()  # a socket or a database that was not closed warns now
    assert not recwarn.list
    if open_files:
        # The session of this test keeps up to two connections.
        assert len(list(descriptors.iterdir())) <= open_files + 2
    with pytest.raises(requests.exceptions.ConnectionError):
        post(one, "users")


def test_it_ends_while_a_request_is_waiting():
    with ThreadPoolExecutor(1) as pool:
        with sandbox(**SMALL, latency=600) as catalog:
            answer = pool.submit(requests.post, f"{catalog.url}/api/v1/analytics/users", timeout=60)
            time.sleep(0.2)
        answer.exception(timeout=30)  # whether it is one or not


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(post):
    with sandbox(**SMALL, host="::1") as catalog:
        assert catalog.url.startswith("http://[::1]:")
        assert post(catalog, "users").status_code == 200


URL = "/api/v1/analytics/enrollments"


def pages_of(catalog, post, paging, first_page):
    """Return pages the way that RFC 8288 wants it: from link to link; or by number, until one is empty."""
    query, pages = "?per_page=20", []
    while query:
        pages.append(post(catalog, f"enrollments{query}"))
        link = pages[-1].links.get("next")
        query = urljoin(catalog.url + URL, link["url"]).removeprefix(catalog.url + URL) if link else ""
        if paging == "page-only" and pages[-1].json()["enrollments"]:
            query = f"?per_page=20&page={first_page + len(pages)}"
    return pages[:-1] if paging == "page-only" else pages


@pytest.mark.parametrize(("first_page", "links"), [(1, "absolute"), (0, "relative")])
@pytest.mark.parametrize("paging", ["link", "next-only", "page-only", "none"])
def test_every_way_of_paging_gives_every_row_once(paging, first_page, links, post):
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


def test_per_page_has_a_default_and_a_maximum(post):
    with sandbox(**SMALL, max_per_page=30) as catalog:
        for query, count in (("", 20), ("?per_page=100", 30), ("?per_page=100&page=2", 15)):
            assert len(post(catalog, f"products{query}").json()["products"]) == count


@pytest.mark.parametrize("paging", ["link", "page-only", "none"])
def test_no_rows_are_an_empty_array(paging, post):
    with sandbox(**EMPTY, paging=paging) as catalog:
        response = post(catalog, "orders")
    assert (response.status_code, response.text) == (200, '{"orders":[]}')
    assert "Link" not in response.headers


def test_a_page_outside_is_empty_after_the_end_and_the_first_before_the_start(catalog, post):
    after = post(catalog, "products?page=99")
    assert after.json() == {"products": []}
    assert {name: link["url"][-6:] for name, link in after.links.items()} == {"prev": "page=3", "first": "page=1"}
    before, first = (post(catalog, f"products?page={number}") for number in (0, 1))
    assert before.json() == first.json() != {"products": []}


@pytest.mark.parametrize("query", ["page=one", "page=-1", "page=", "per_page=0", f"per_page={10**16}", "account_ids=3"])
def test_wrong_query_parameters_are_refused(query, catalog, post):
    response = post(catalog, f"products?{query}")
    assert response.status_code == 422
    [message] = response.json()["errors"]
    assert message.startswith(query.partition("=")[0] + " ")
