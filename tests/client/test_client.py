"""What goes over the wire, and what comes of each answer."""

from __future__ import annotations

import logging
import socket

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from tests.catalog_server import TOKEN, Answer, Paging, catalog_server, paged
from tests.client.reading import made_up_rows, read

ROWS = made_up_rows(3)


def answers(*replies: Answer):
    """Give each reply in turn, the last one again and again."""
    remaining = list(replies)
    return lambda request: remaining.pop(0) if len(remaining) > 1 else remaining[0]


def good(request=None) -> Answer:
    return Answer({"orders": ROWS if request is None or request.page in (None, 1) else []})


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_request(connect, endpoint):
    with catalog_server(lambda request: Answer({endpoint: []})) as catalog:
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
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        read(connect(catalog.url, request_encoding="form"), "orders", filters)
    [request] = catalog.requests
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.filters == {
        "account_ids[]": ["1", "2"], "order_fee[]": ["FREE"], "bulk_purchases_only": ["true"], "revenue_min": ["1.5"],
    }  # fmt: skip


def test_another_path(connect):
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        read(connect(catalog.url, paths={"orders": "/api/v2/orders"}))
    assert catalog.requests[0].path == "/api/v2/orders"


def test_gzip(connect):
    with catalog_server(lambda request: Answer(good(request).body, headers={"Content-Encoding": "gzip"})) as catalog:
        assert read(connect(catalog.url)) == ROWS


def test_one_connection_a_slot(connect):
    with catalog_server(paged(made_up_rows(300), Paging(most=5), "orders")) as catalog:
        assert len(read(connect(catalog.url), max_concurrency=4)) == 300
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
    with catalog_server(answers(fault, fault, good(), good(), Answer({"orders": []}))) as catalog:
        assert read(connect(catalog.url)) == ROWS
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) <= 1, "one line a minute about the same cause"
    assert all("orders, the first page" in line for line in warnings)


def test_tries_are_used_up(connect, no_backoff):
    with catalog_server(answers(Answer({"error": "maintenance"}, 503))) as catalog:
        with pytest.raises(
            CatalogUnavailableError, match=r"try again later.* first page in 8 tries.*503, main"
        ) as caught:
            read(connect(catalog.url))
    assert len(catalog.requests) == 8
    assert (caught.value.endpoint, caught.value.status, caught.value.retryable) == ("orders", 503, True)


def test_a_server_that_does_not_answer(connect, no_backoff):
    with catalog_server(lambda request: Answer(good().body, delay=0.5)) as catalog:
        with pytest.raises(CatalogUnavailableError, match=r"no answer within the timeout \(0.1 s\)"):
            read(connect(catalog.url, timeout=0.1))


def test_nobody_listens(connect, no_backoff):
    with socket.socket() as taken:  # so that nobody else listens there, either
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CatalogUnavailableError, match="Connection refused"):
            read(connect(f"http://127.0.0.1:{taken.getsockname()[1]}"))


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
    ],
)
def test_what_will_last_fails_at_once(connect, endpoint, status, body, error, says):
    with catalog_server(
        answers(Answer(body, status, {"Location": "https://login.example.edu/in?secret=1"}))
    ) as catalog:
        with pytest.raises(error) as caught:
            read(connect(catalog.url), endpoint)
    assert len(catalog.requests) == 1
    assert says in str(caught.value)
    assert endpoint in str(caught.value)
    assert (caught.value.endpoint, caught.value.status, caught.value.retryable) == (endpoint, status, False)
    assert "jo@example.edu" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_servers_message_is_cut_and_has_no_token(connect):
    with catalog_server(answers(Answer({"message": f"{TOKEN} " + "x" * 500}, 400))) as catalog:
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
        ({"errors": [{"message": "no"}]}, "errors"),
        ({}, "none"),
        ({f"k{n}": n for n in range(30)}, "and more"),
    ],
)
def test_json_without_rows_names_the_keys_only(connect, body, keys):
    with catalog_server(answers(Answer(body))) as catalog, pytest.raises(CatalogResponseError, match=keys):
        read(connect(catalog.url))
    assert len(catalog.requests) == 1


@pytest.mark.parametrize(
    "body", [b"1", b'"jo@example.edu"', b'{"orders": [1, 2]}', b'{"orders": [{}, null]}', b'{"orders": [[]]}']
)
def test_json_of_another_shape(connect, body):
    with catalog_server(answers(Answer(body))) as catalog, pytest.raises(CatalogResponseError) as caught:
        read(connect(catalog.url))
    assert "jo@" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=302, headers={"Location": f"/login/{TOKEN}"}),
        Answer(status=302, headers={"Location": "http://[::1"}),
        Answer({TOKEN: 1}),
        Answer(TOKEN.encode(), 422),
    ],
)
def test_a_token_that_the_server_echoes_is_shown_nowhere(connect, answer, caplog):
    caplog.set_level(logging.DEBUG)
    with catalog_server(lambda request: answer) as catalog, pytest.raises(CatalogError) as caught:
        read(connect(catalog.url))
    assert caught.value.endpoint == "orders"
    assert TOKEN not in str(caught.value)
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)


def test_html_is_told_by_its_content_type(connect, no_backoff):
    html = {"Content-Type": "text/html; charset=utf-8"}
    with catalog_server(answers(Answer(b"<!-- x --><p>jo@example.edu</p>", 404, html))) as catalog:
        with pytest.raises(CatalogRequestError, match="an HTML page"):
            read(connect(catalog.url))
    throttled = Answer(b"<html>Rate Limit Exceeded</html>", 403, html)
    with catalog_server(answers(throttled, good(), Answer({"orders": []}))) as catalog:
        assert read(connect(catalog.url)) == ROWS


def test_json_that_cannot_be_read_says_why(connect):
    body = b'{"orders": [' + b'{"a":' * 50_000 + b"1"
    with catalog_server(answers(Answer(body))) as catalog, pytest.raises(CatalogResponseError, match="too deeply"):
        read(connect(catalog.url))


def test_loopback_is_never_asked_through_a_proxy_of_the_environment(connect, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with catalog_server(lambda request: Answer({"orders": []})) as catalog:
        assert read(connect(catalog.url)) == []


def test_repr_shows_no_secret(connect):
    client = connect(
        "https://catalog.example", hash_secret="hash-secret-value", proxy="http://user:proxy-secret@p.example"
    )
    shown = repr(client) + str(client) + repr(client.settings) + str(client.settings)
    assert "catalog.example" in shown
    assert TOKEN not in shown
    assert not any(secret in shown for secret in ("hash-secret-value", "proxy-secret"))


def test_progress_of_a_long_pull(connect, monkeypatch, caplog):
    monkeypatch.setattr("airflow_provider_catalog.client.progress.INTERVAL", 0.0)
    caplog.set_level(logging.INFO)
    with catalog_server(paged(made_up_rows(30), Paging(most=10), "orders")) as catalog:
        read(connect(catalog.url))
    lines = [record.getMessage() for record in caplog.records if "pages" in record.getMessage()]
    assert lines[0].startswith("Catalog orders: 1 of 3 pages, 10 rows, ")
    assert lines[-1].startswith("Catalog orders: 3 of 3 pages, 30 rows, ")
    assert lines[-1].endswith("rows/s, about 0 s left")


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
    list(client.iter_rows(ENDPOINTS["orders"], {{}}))
except CatalogStorageError as error:
    print(error)
"""
    rows = [{"text": "x" * 1000}] * 12_000
    with catalog_server(lambda request: Answer({"orders": rows})) as catalog:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script % catalog.url], capture_output=True, text=True, check=True
        )
    assert "TMPDIR" in done.stdout
