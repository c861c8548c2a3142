"""What goes over the wire, and what comes of each answer."""

from __future__ import annotations

import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from airflow_provider_catalog.client import client as client_module
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from tests.client.test_pagination import made_up_rows, read
from tests.stand_in import TOKEN, Answer, Paging, paged, stand_in

ROWS = made_up_rows(3)


def answers(*replies: Answer):
    """Give each reply in turn, the last one again and again."""
    remaining = list(replies)
    return lambda request: remaining.pop(0) if len(remaining) > 1 else remaining[0]


def good(request=None) -> Answer:
    return Answer({"orders": ROWS if request is None or request.page in (None, 1) else []})


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_request(connect, endpoint):
    with stand_in(lambda request: Answer({endpoint: []})) as catalog:
        read(connect(catalog.url), endpoint, {"account_ids": [1, 2]})
    [request] = catalog.requests
    assert (request.method, request.path) == ("POST", f"/api/v1/analytics/{endpoint}")
    assert request.query == {"per_page": "100"}
    assert request.headers["authorization"] == f'Token token="{TOKEN}"'
    assert request.headers["content-type"] == "application/json"
    assert request.body == b'{"account_ids":[1,2]}'
    assert "gzip" in request.headers["accept-encoding"]
    assert request.headers["user-agent"].startswith("airflow-provider-catalog/")


def test_form_encoding(connect):
    filters = {"account_ids": [1, 2], "order_fee": ["FREE"], "bulk_purchases_only": True, "revenue_min": 1.5}
    with stand_in(lambda request: Answer({"orders": []})) as catalog:
        read(connect(catalog.url, request_encoding="form"), "orders", filters)
    [request] = catalog.requests
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.filters == {
        "account_ids[]": ["1", "2"], "order_fee[]": ["FREE"], "bulk_purchases_only": ["true"], "revenue_min": ["1.5"],
    }  # fmt: skip


def test_another_path(connect):
    with stand_in(lambda request: Answer({"orders": []})) as catalog:
        read(connect(catalog.url, paths={"orders": "/api/v2/orders"}))
    assert catalog.requests[0].path == "/api/v2/orders"


def test_gzip(connect):
    with stand_in(lambda request: Answer(good(request).body, headers={"Content-Encoding": "gzip"})) as catalog:
        assert read(connect(catalog.url)) == ROWS


def test_one_connection_a_slot(connect):
    with stand_in(paged(made_up_rows(300), Paging(most=5), "orders")) as catalog:
        assert len(read(connect(catalog.url), max_concurrency=4)) == 300
    assert len(catalog.requests) == 62, "the first and the last page are asked for twice"
    assert catalog.connections <= 4


@pytest.mark.parametrize(
    "fault",
    [
        *[Answer(status=status) for status in (408, 425, 429, 500, 502, 503, 504)],
        Answer(b"403 Forbidden (Rate Limit Exceeded)", 403, {"Content-Type": "text/plain"}),
        Answer(drop=True),
        Answer({"orders": ROWS}, cut=20),
        Answer({"orders": ROWS}, headers={"Content-Encoding": "gzip"}, cut=20),
        Answer(b"\x1f\x8b broken", headers={"Content-Encoding": "gzip"}),
        Answer(b'{"orders": [{"a": 1}'),
        Answer(b'{"orders": [{"a": "\xff"}]}'),
        Answer(b"<!DOCTYPE html><html>Log in</html>", headers={"Content-Type": "text/html"}),
        Answer(b""),
    ],
    ids=lambda answer: f"{answer.status}-{answer.body!r:.30}-{answer.cut}-{answer.drop}",
)
def test_what_may_not_last_is_tried_again(connect, no_backoff, caplog, fault):
    with stand_in(answers(fault, fault, good(), good(), Answer({"orders": []}))) as catalog:
        assert read(connect(catalog.url)) == ROWS
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert all("orders, page first" in line and "trying again in" in line for line in warnings)
    if fault.status != 200:
        assert all(str(fault.status) in line for line in warnings)


def test_tries_are_used_up(connect, no_backoff):
    with stand_in(answers(Answer({"error": "maintenance"}, 503))) as catalog:
        with pytest.raises(CatalogUnavailableError, match=r"orders, page first: .*8 tries.*503, maintenance") as caught:
            read(connect(catalog.url))
    assert len(catalog.requests) == 8
    assert (caught.value.endpoint, caught.value.status, caught.value.retryable) == ("orders", 503, True)


def test_a_server_that_does_not_answer(connect, no_backoff):
    with stand_in(lambda request: Answer(good().body, delay=0.5)) as catalog:
        with pytest.raises(CatalogUnavailableError, match=r"no answer within the timeout \(0.1 s\)"):
            read(connect(catalog.url, timeout=0.1))


def test_a_body_that_stalls(connect, no_backoff):
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = connect(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1)
        import threading

        def stall():
            held = []
            for _ in range(8):
                connection, _ = server.accept()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                held.append(connection)
            time.sleep(0.3)
            for connection in held:
                connection.close()

        thread = threading.Thread(target=stall)
        thread.start()
        with pytest.raises(CatalogUnavailableError, match="no answer within the timeout"):
            read(client)
        thread.join()


def test_nobody_listens(connect, no_backoff):
    with socket.socket() as taken:  # so that nobody else listens there, either
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CatalogUnavailableError, match="Connection refused"):
            read(connect(f"http://127.0.0.1:{taken.getsockname()[1]}"))


def test_tls_that_fails(connect, no_backoff):
    with stand_in(answers(good())) as catalog, pytest.raises(CatalogUnavailableError, match="TLS failed"):
        read(connect(catalog.url.replace("http:", "https:")))


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured_by_all_slots(connect, as_date):
    """Page 2 is throttled for a second; nobody else may ask meanwhile."""
    times = []
    paging = paged(made_up_rows(60), Paging(most=10), "orders")

    def answer(request):
        times.append(time.monotonic())
        if request.page == 2 and sum(asked.page == 2 for asked in catalog.requests) == 1:
            # An HTTP date has whole seconds only: two from now is between one and two away.
            when = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if as_date else "1"
            return Answer(status=429, headers={"Retry-After": when})
        reply = paging(request)
        reply.delay = 0.05
        return reply

    with stand_in(answer) as catalog:
        assert len(read(connect(catalog.url), max_concurrency=2)) == 60
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 0.9 <= max(gaps) <= 4


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (401, b"HTTP Token: Access denied.", CatalogAuthError, "HTTP Token: Access denied."),
        (403, b'{"message": "no analytics"}', CatalogAuthError, "no analytics"),
        (400, b'{"error": {"message": "nope"}}', CatalogRequestError, "nope"),
        (404, b"<html><body>lost</body></html>", CatalogRequestError, "an HTML page"),
        (422, b'{"errors": [{"message": "bad date"}, "worse"]}', CatalogRequestError, "bad date; worse"),
        (422, b'{"errors": {"account_ids": ["is odd"]}}', CatalogRequestError, "account_ids: is odd"),
        (422, b'{"rows": ["jo@example.edu"]}', CatalogRequestError, "JSON without an error message"),
        (422, b"", CatalogRequestError, "no message"),
        (302, b"", CatalogResponseError, "redirects"),
        (204, b"", CatalogResponseError, "204"),
        (501, b"not yet", CatalogResponseError, "not yet"),
    ],
)
def test_what_will_last_fails_at_once(connect, endpoint, status, body, error, says):
    with stand_in(answers(Answer(body, status, {"Location": "https://login.example.edu/in?secret=1"}))) as catalog:
        with pytest.raises(error) as caught:
            read(connect(catalog.url), endpoint)
    assert len(catalog.requests) == 1
    assert says in str(caught.value)
    assert endpoint in str(caught.value)
    assert (caught.value.endpoint, caught.value.status, caught.value.retryable) == (endpoint, status, False)
    assert "jo@example.edu" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_servers_message_is_cut_and_has_no_token(connect):
    with stand_in(answers(Answer({"message": f"{TOKEN} " + "x" * 500}, 400))) as catalog:
        with pytest.raises(CatalogRequestError) as caught:
            read(connect(catalog.url))
    assert TOKEN not in str(caught.value)
    assert "x" * 190 in str(caught.value)
    assert "x" * 200 not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({"total": 3, "rows": {"a": 1}}, "total, rows"),
        ({"a": [{"x": 1}], "b": [{"x": 2}]}, "a, b"),
        ({"orders": None}, "orders"),
        ({"errors": [{"message": "no"}]}, "errors"),
        ({}, "none"),
        ({f"k{n}": n for n in range(30)}, "and 10 more"),
    ],
)
def test_json_without_rows_names_the_keys_only(connect, body, keys):
    with stand_in(answers(Answer(body))) as catalog, pytest.raises(CatalogResponseError, match=keys):
        read(connect(catalog.url))
    assert len(catalog.requests) == 1


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b'"jo@example.edu"', b'{"orders": [1, 2]}', b'{"orders": [{}, null]}', b'{"orders": [[]]}']
)
def test_json_of_another_shape(connect, body):
    with stand_in(answers(Answer(body))) as catalog, pytest.raises(CatalogResponseError) as caught:
        read(connect(catalog.url))
    assert "jo@" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=302, headers={"Location": f"/login/{TOKEN}"}),
        Answer(status=302, headers={"Location": "http://[::1"}),
        Answer({"orders": [{}]}, headers={"Link": f"</x?page={TOKEN}>; rel=next"}),
        Answer({TOKEN: 1}),
        Answer(TOKEN.encode(), 422),
    ],
)
def test_a_token_that_the_server_echoes_is_shown_nowhere(connect, answer, caplog):
    caplog.set_level(logging.DEBUG)
    with stand_in(lambda request: answer) as catalog, pytest.raises(CatalogError) as caught:
        read(connect(catalog.url))
    assert caught.value.endpoint == "orders"
    assert TOKEN not in str(caught.value)
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)


def test_html_is_told_by_its_content_type(connect, no_backoff):
    html = {"Content-Type": "text/html; charset=utf-8"}
    with stand_in(answers(Answer(b"<!-- x --><p>jo@example.edu</p>", 404, html))) as catalog:
        with pytest.raises(CatalogRequestError, match="an HTML page"):
            read(connect(catalog.url))
    throttled = Answer(b"<html>Rate Limit Exceeded</html>", 403, html)
    with stand_in(answers(throttled, good(), Answer({"orders": []}))) as catalog:
        assert read(connect(catalog.url)) == ROWS


@pytest.mark.parametrize(
    ("body", "says"),
    [(b'{"orders": [{"a": 1e400}]}', "beyond"), (b'{"orders": [' + b'{"a":' * 50_000 + b"1", "too deeply")],
)
def test_json_that_cannot_be_read_says_why(connect, body, says):
    with stand_in(answers(Answer(body))) as catalog, pytest.raises(CatalogResponseError, match=says):
        read(connect(catalog.url))


def test_no_cookies_and_no_netrc(connect, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    rows = made_up_rows(30)

    def answer(request):
        reply = paged(rows, Paging(most=10), "orders")(request)
        reply.headers["Set-Cookie"] = "session=1"
        return reply

    with stand_in(answer) as catalog:
        assert read(connect(catalog.url)) == rows
    assert all("cookie" not in request.headers for request in catalog.requests)


def test_loopback_is_never_asked_through_a_proxy_of_the_environment(connect, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with stand_in(lambda request: Answer({"orders": []})) as catalog:
        assert read(connect(catalog.url)) == []


def test_https_goes_through_the_proxy_of_the_connection(connect, no_backoff, monkeypatch):
    """The proxy is asked for a tunnel, in which the token would be encrypted; it never sees it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # the connection's goes before it
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        client = connect("https://catalog.example", proxy=f"http://127.0.0.1:{proxy.getsockname()[1]}", timeout=1)
        import threading

        seen = []

        def refuse():
            for _ in range(8):
                connection, _ = proxy.accept()
                with connection:
                    seen.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(CatalogUnavailableError):
            read(client)
        thread.join()
    assert all(request.startswith(b"CONNECT catalog.example:443") for request in seen)
    assert all(TOKEN.encode() not in request for request in seen)


def test_a_request_is_sent_in_one_piece(connect, certificate):
    """Head and body: two pieces would be two packets, and two of the records that TLS is read by."""
    body, (bundle, context) = b'{"orders": []}', certificate
    with context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as server:
        client = connect(f"https://127.0.0.1:{server.getsockname()[1]}", verify=str(bundle))
        with ThreadPoolExecutor(1) as thread:
            rows = thread.submit(read, client, "orders", {"account_ids": [1, 2]})
            connection, _ = server.accept()
            with connection:
                received = connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            assert rows.result(10) == []
    head, _, sent = received.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/analytics/orders?per_page=100 HTTP/1.1\r\n")
    assert sent == b'{"account_ids":[1,2]}'


def test_repr_shows_no_secret(connect):
    client = connect("https://catalog.example", hash_secret="hash-secret", proxy="http://user:proxy-secret@p.example")
    shown = repr(client) + str(client) + repr(client.settings) + str(client.settings)
    assert "catalog.example" in shown
    assert TOKEN not in shown
    assert "secret" not in shown


def test_progress_of_a_long_pull(connect, monkeypatch, caplog):
    monkeypatch.setattr("airflow_provider_catalog.client.progress.INTERVAL", 0.0)
    caplog.set_level(logging.INFO)
    with stand_in(paged(made_up_rows(30), Paging(most=10), "orders")) as catalog:
        read(connect(catalog.url))
    lines = [record.getMessage() for record in caplog.records if "pages" in record.getMessage()]
    assert lines[0].startswith("Catalog orders: 1 of 3 pages, 10 rows, ")
    assert lines[-1].startswith("Catalog orders: 3 of 3 pages, 30 rows, ")
    assert lines[-1].endswith("rows/s, 0 s left")
    assert any("received" in record.getMessage() for record in caplog.records)


def test_a_full_disk_says_so(connect, tmp_path):
    """A large body goes to disk; a limit on the size of files stands in for a full one."""
    import subprocess
    import sys

    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000_000, 9_000_000))
from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.errors import CatalogStorageError
client = CatalogClient(CatalogSettings.parse(base_url=%r, token={TOKEN!r}))
try:
    list(client.read_pages(ENDPOINTS["orders"], {{}}))
except CatalogStorageError as error:
    print(error)
"""
    rows = [{"text": "x" * 1000}] * 12_000
    with stand_in(lambda request: Answer({"orders": rows})) as catalog:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script % catalog.url], capture_output=True, text=True, check=True
        )
    assert "TMPDIR" in done.stdout


def test_constants_that_the_documentation_names():
    assert client_module.CONNECT_TIMEOUT == 10
