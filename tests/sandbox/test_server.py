"""What a client sees beside rows: tokens, limits, pages for people; and a sandbox leaves nothing behind."""

from __future__ import annotations

import gc
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests

from airflow_provider_catalog.sandbox import ENDPOINTS, sandbox
from tests.sandbox.conftest import SMALL


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer sandbox-token", "Token sandbox-token", 'Token token="sandbox-tokem"', 'Token token=""'],
)
def test_a_wrong_token_is_denied(authorization, catalog) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for answer in (
        requests.post(f"{catalog.url}/api/v1/analytics/orders", headers=headers, timeout=10),
        requests.get(f"{catalog.url}/api/v1/courses", headers=headers, timeout=10),
    ):
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.text.strip() == "HTTP Token: Access denied."


def test_a_token_without_analytics_rights(post) -> None:
    with sandbox(**SMALL, token="all-of-it", token_without_analytics="courses-only") as catalog:
        assert catalog.token == "all-of-it"
        assert post(catalog, "orders", token="courses-only").status_code == 403
        [product] = post(catalog, "products", params={"per_page": 1}).json()["products"]
        url = f"{catalog.url}/api/v1/courses?per_page=1"
        for token in ("courses-only", "all-of-it"):
            headers = {"Authorization": f'Token token="{token}"'}
            [course] = requests.get(url, headers=headers, timeout=10).json()["courses"]
            assert course["id"] == product["product"]["id"]
        assert requests.get(url + "&nonsense=1", headers=headers, timeout=10).status_code == 422


def test_paths_that_do_not_exist(catalog, post) -> None:
    assert post(catalog, "refunds").status_code == 404
    assert requests.get(f"{catalog.url}/new_analytics/refunds", timeout=10).status_code == 404
    get = requests.get(f"{catalog.url}/api/v1/analytics/products", timeout=10)
    assert (get.status_code, get.json()) == (405, {"errors": ["Method Not Allowed"]})
    assert get.headers["Allow"] == "POST"


class Cells(HTMLParser):
    """What a table says, row by row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.attributes += attributes
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_the_catalogs_own_pages_show_a_table(catalog, all_rows) -> None:
    """Where the link *Catalog analytics* of a task leads to."""
    for endpoint in ENDPOINTS:
        answer = requests.get(f"{catalog.url}/new_analytics/{endpoint}", timeout=10)
        assert answer.headers["Content-Type"].startswith("text/html")
        page = Cells(answer.text)
        newest = all_rows[endpoint][-1]
        assert page.rows[0] == list(newest)
        assert page.rows[1][1] == newest["account_name"]
        assert len(page.rows) == 1 + min(100, len(all_rows[endpoint]))
        assert not [name for name, _ in page.attributes if name == "src"], "nothing from elsewhere"
    second = Cells(requests.get(f"{catalog.url}/new_analytics/users?page=2", timeout=10).text)
    assert len(second.rows) == 1 + 50
    assert ("href", "?page=1") in second.attributes


def test_the_openapi_page_has_every_filter_with_its_type(catalog) -> None:
    assert "swagger" in requests.get(f"{catalog.url}/docs", timeout=10).text
    paths = requests.get(f"{catalog.url}/openapi.json", timeout=10).json()["paths"]
    bodies = {
        path.rpartition("/")[2]: methods["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        for path, methods in paths.items()
        if "post" in methods
    }
    assert {endpoint: len(filters) for endpoint, filters in bodies.items()} == {
        "products": 17,
        "enrollments": 10,
        "orders": 16,
        "users": 10,
    }
    products = bodies["products"]
    assert products["account_ids"]["items"] == {"type": "integer", "minimum": 1 - 2**63, "maximum": 2**63 - 1}
    assert products["product_statuses"]["items"]["enum"] == ["OPEN", "CLOSED", "DELETED"]
    names = ("creation_date_to", "enrollment_count_min", "revenue_max", "certificate_offered")
    assert [products[name]["type"] for name in names] == ["string", "integer", "number", "boolean"]


@pytest.mark.parametrize("rate_limit", [5, 0.7])
def test_too_many_requests_are_told_to_wait(rate_limit, post) -> None:
    with sandbox(**SMALL, rate_limit=rate_limit) as catalog:
        served = 0
        while (answer := post(catalog, "users")).status_code == 200:
            served += 1
            assert served < 200
        assert answer.status_code == 429
        assert served >= max(1, int(rate_limit)), "a second's worth may come at once"
        wait = int(answer.headers["Retry-After"])
        assert wait == (1 if rate_limit == 5 else 2)
        time.sleep(wait)
        assert post(catalog, "users").status_code == 200


def test_a_slow_catalog_serves_side_by_side(post) -> None:
    with sandbox(**SMALL, latency=1) as catalog:
        url = f"{catalog.url}/api/v1/analytics/users"
        threads = [threading.Thread(target=requests.post, args=(url,)) for _ in "1234"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(request.in_flight for request in catalog.requests) == [1, 2, 3, 4]


def test_gzip_only_for_those_who_accept_it(post) -> None:
    with sandbox(**SMALL, gzip=True) as catalog:
        packed = post(catalog, "users", headers={"Accept-Encoding": "gzip"})
        plain = post(catalog, "users", headers={"Accept-Encoding": "identity"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert packed.json() == plain.json()


def test_requests_can_be_looked_at(post) -> None:
    with sandbox(**SMALL) as catalog:
        post(catalog, "users", {"account_ids": [3]}, params={"per_page": 5})
        post(catalog, "orders", data={"bulk_purchases_only": "true"})
        post(catalog, "products", data=b"{")
        post(catalog, "products", token="wrong")
        seen = [
            (request.method, request.path.rpartition("/")[2], request.query, request.body, request.status)
            for request in catalog.requests
        ]
        assert seen == [
            ("POST", "users", {"per_page": "5"}, {"account_ids": [3]}, 200),
            ("POST", "orders", {}, {"bulk_purchases_only": ["true"]}, 200),
            ("POST", "products", {}, {}, 422),
            ("POST", "products", {}, {}, 401),
        ]
        assert catalog.requests[0].content_type == "application/json"
        assert "wrong" not in repr(catalog.requests)


@pytest.mark.parametrize("body", ["{", "{}"])
def test_a_client_that_goes_away_is_no_error(body, post, caplog) -> None:
    """In the middle of its request, or of the answer."""
    with sandbox(enrollments=20_000, paging="none") as catalog:
        lines = ("POST /api/v1/analytics/enrollments HTTP/1.1", "Host: x", "Content-Length: 2")
        request = "\r\n".join((*lines, f'Authorization: Token token="{catalog.token}"', "", body))
        with socket.create_connection(("127.0.0.1", int(catalog.url.rpartition(":")[2]))) as client:
            client.sendall(request.encode())
            time.sleep(0.3)
        assert post(catalog, "products", timeout=30).ok
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_connection_is_one_that_airflow_can_read() -> None:
    with sandbox(products=0, users=0, enrollments=0) as catalog:
        connection = json.loads(catalog.connection_json)
        assert connection == {"conn_type": "instructure_catalog", "host": catalog.url, "password": catalog.token}
        assert catalog.token.startswith("sandbox-"), "by which the provider knows it"
        with pytest.raises(KeyError):
            catalog.row_count("refunds")


def test_several_at_once_and_nothing_left_behind(post, recwarn) -> None:
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
        assert len(set(threading.enumerate()) - before) == 2
        raise ZeroDivisionError
    assert set(threading.enumerate()) - before == set()  # threads of earlier tests may end meanwhile
    gc.collect()  # a socket or a database that was not closed warns now
    assert not recwarn.list
    if open_files:
        # The session of this test keeps up to two connections.
        assert len(list(descriptors.iterdir())) <= open_files + 2
    with pytest.raises(requests.exceptions.ConnectionError):
        post(one, "users")


def test_it_ends_while_a_request_is_waiting() -> None:
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(requests.post(f"{catalog.url}/api/v1/analytics/users", timeout=60).status_code)
        except requests.exceptions.ConnectionError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    with sandbox(**SMALL, latency=600) as catalog:
        thread.start()
        time.sleep(0.2)
    thread.join(30)
    assert len(answers) == 1


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1 port {port}"), sandbox(port=port):
            pass


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(post) -> None:
    with sandbox(**SMALL, host="::1") as catalog:
        assert catalog.url.startswith("http://[::1]:")
        assert post(catalog, "users").status_code == 200


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)


def test_importing_the_sandbox_is_cheap_and_running_it_needs_nothing_of_the_rest() -> None:
    done = run("""
import sys
from airflow_provider_catalog.sandbox import sandbox
server = sandbox(products=0, users=0, enrollments=0)
print([name for name in ("airflow", "fastapi", "uvicorn", "pydantic", "requests") if name in sys.modules])
with server:
    own = [name for name in sys.modules if name.startswith("airflow")]
    print([name for name in own if not name.startswith("airflow_provider_catalog.sandbox")])
""")
    assert done.stdout.splitlines() == ["[]", "['airflow_provider_catalog']"]


def test_it_says_what_to_install_where_it_has_no_server() -> None:
    done = run("""
import sys
sys.modules["uvicorn"] = None
from airflow_provider_catalog.sandbox import sandbox
from airflow_provider_catalog.sandbox.__main__ import main
try:
    with sandbox():
        pass
except ModuleNotFoundError as error:
    print(error)
print(main(["--port", "0"]))
""")
    error, status = done.stdout.splitlines()
    assert error.startswith("install airflow-provider-catalog[sandbox]: ")
    assert (status, done.stderr) == ("1", f"{error}\n")


def test_it_works_without_the_optional_speedups_of_uvicorn() -> None:
    done = run("""
import sys
sys.modules["httptools"] = sys.modules["uvloop"] = None
import requests
from airflow_provider_catalog.sandbox import sandbox
outcomes = set()
with sandbox(products=1, users=1, enrollments=1, fault_rate=0.9) as catalog:
    for _ in range(100):
        try:
            headers = {"Authorization": 'Token token="sandbox-token"'}
            outcomes.add(requests.post(catalog.url + "/api/v1/analytics/users", headers=headers).status_code)
        except requests.exceptions.RequestException as error:
            outcomes.add(type(error).__name__)
print(sorted(map(str, outcomes)))
""")
    statuses = ["200", "429", "500", "503"]
    errors = ["ChunkedEncodingError", "ConnectionError", "ContentDecodingError"]
    assert done.stdout.strip() == str(statuses + errors)
    assert done.stderr == ""
