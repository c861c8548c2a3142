"""What a client sees: tokens, limits, faults, and a context manager that leaves nothing behind."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from airflow_provider_catalog.sandbox import sandbox

ENDPOINTS = ("products", "enrollments", "orders", "users")
SMALL = {"products": 45, "users": 45, "enrollments": 90}


AUTHORIZATIONS = [
    None,
    "",
    "Bearer sandbox-token",
    "Token sandbox-token",
    'Token token="sandbox-tokem"',
    'Token token=""',
]


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
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
        for endpoint in ENDPOINTS:
            assert post(catalog, endpoint, token="courses-only").status_code == 403
            assert post(catalog, endpoint).status_code == 200
        url = f"{catalog.url}/api/v1/courses?per_page=1"
        for token in ("courses-only", "all-of-it"):
            response = requests.get(url, headers={"Authorization": f'Token token="{token}"'}, timeout=10)
            assert response.status_code == 200
            [course] = response.json()["courses"]
            assert course["id"] == 101
        assert requests.get(url + "&nonsense=1", headers=response.request.headers, timeout=10).status_code == 422


def test_paths_that_do_not_exist(catalog, post) -> None:
    assert post(catalog, "refunds").status_code == 404
    get = requests.get(f"{catalog.url}/api/v1/analytics/products", timeout=10)
    assert (get.status_code, get.json()) == (405, {"errors": ["Method Not Allowed"]})
    assert get.headers["Allow"] == "POST"


def test_the_openapi_page_has_every_filter_with_its_type(catalog) -> None:
    assert "swagger" in requests.get(f"{catalog.url}/docs", timeout=10).text
    first, schema = (requests.get(f"{catalog.url}/openapi.json", timeout=10).json() for _ in range(2))
    assert first == schema
    assert schema["security"] == [{name: []} for name in schema["components"]["securitySchemes"]]
    bodies = {
        path.rpartition("/")[2]: methods["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        for path, methods in schema["paths"].items()
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
    assert products["creation_date_to"]["type"] == "string"
    types = [products[name]["type"] for name in ("enrollment_count_min", "revenue_max", "certificate_offered")]
    assert types == ["integer", "number", "boolean"]
    parameters = schema["paths"]["/api/v1/analytics/users"]["post"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["page", "per_page"]


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


def test_a_slow_catalog(post) -> None:
    with sandbox(**SMALL, latency=0.5) as catalog:
        started = time.monotonic()
        threads = [
            threading.Thread(target=requests.post, args=(catalog.url + "/api/v1/analytics/users",)) for _ in "1234"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.5 <= time.monotonic() - started < 1.9  # all four wait side by side
        assert sorted(request.in_flight for request in catalog.requests) == [1, 2, 3, 4]
        assert post(catalog, "users").ok
        assert catalog.requests[-1].in_flight == 1


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


def test_the_connection_is_one_that_airflow_can_read() -> None:
    with sandbox(products=0, users=0, enrollments=0) as catalog:
        assert json.loads(catalog.connection_json) == {
            "conn_type": "instructure_catalog",
            "host": catalog.url,
            "password": "sandbox-token",
        }
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
    with sandbox(**SMALL) as one, sandbox(**SMALL, seed=2, paging="none") as two:
        assert one.url != two.url
        assert post(one, "users").json() != post(two, "users").json()
        assert len(set(threading.enumerate()) - before) == 2
    assert set(threading.enumerate()) - before == set()  # threads of earlier tests may end meanwhile
    gc.collect()  # a socket or a database that was not closed warns now
    assert not recwarn.list
    if open_files:
        # The session of this test keeps up to two connections.
        assert len(list(descriptors.iterdir())) <= open_files + 2
    with pytest.raises(requests.exceptions.ConnectionError):
        post(one, "users")


def test_an_error_in_the_block_is_the_callers_and_ends_the_sandbox(post) -> None:
    with pytest.raises(ZeroDivisionError), sandbox(products=0, users=0, enrollments=0) as catalog:
        raise ZeroDivisionError
    with pytest.raises(requests.exceptions.ConnectionError):
        post(catalog, "users")


def test_it_ends_while_a_request_is_waiting(post) -> None:
    with sandbox(**SMALL, latency=30) as catalog:
        answers: list[object] = []

        def ask() -> None:
            try:
                answers.append(requests.post(f"{catalog.url}/api/v1/analytics/users", timeout=20).status_code)
            except requests.exceptions.ConnectionError as error:
                answers.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.1)
        started = time.monotonic()
    thread.join()
    assert time.monotonic() - started < 10
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


def test_importing_the_sandbox_is_cheap() -> None:
    code = (
        "import sys, airflow_provider_catalog.sandbox as s; s.sandbox(); "
        "print([name for name in ('airflow', 'fastapi', 'uvicorn', 'pydantic', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_running_sandbox_needs_nothing_of_airflow() -> None:
    code = (
        "import sys\nfrom airflow_provider_catalog.sandbox import sandbox\n"
        "with sandbox(products=0, users=0, enrollments=0):\n"
        "    print([n for n in sys.modules if n == 'airflow' or n.startswith('airflow_provider_catalog.client')])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_works_without_the_optional_speedups_of_uvicorn() -> None:
    code = """
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
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    statuses = ["200", "429", "500", "503"]
    errors = ["ChunkedEncodingError", "ConnectionError", "ContentDecodingError"]
    assert done.stdout.strip() == str(statuses + errors)
    assert done.stderr == ""
