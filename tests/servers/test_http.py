"""What answers mean: which have rows, which are asked for again, and what the others tell a person to do."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from email.utils import formatdate

import pytest

from airflow_provider_catalog.client import client
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from tests.catalog_server import AT_ONCE, TOKEN, Answer, Pages
from tests.servers.kinds import ALL_WAYS
from tests.servers.reading import is_clear, read_with_hook, read_with_operator, rows_of, warnings_of, within_patience
from tests.tasks import first_payload, run_sensor, sensor

ROWS = rows_of(25)
HTML = {"Content-Type": "text/html"}
ALL_AT_ONCE = {"by": "nothing", "links": "none", "sizes": [10**6]}


def at_pages(values) -> list[tuple]:
    """Return each value with one of the first pages."""
    return list(zip(values, itertools.cycle([0, 1, 2])))


def changed(change, rows=ROWS, **how) -> Pages:
    """Return pages of which each answer is changed."""

    class Changed(Pages):
        def _page(self, index, request):
            answer = super()._page(index, request)
            change(answer)
            return answer

    return Changed(list(rows), **how)


@pytest.mark.parametrize("status", [201, 202, 203, 206, 207, 226, 299])
def test_every_2xx_with_rows_is_an_answer(serve, status):
    with serve(changed(lambda answer: setattr(answer, "status", status))):
        assert read_with_hook().rows == ROWS


def test_no_content_is_no_rows(serve):
    with serve(lambda request: Answer(b"", 204)):
        outcome = read_with_hook()
    assert (outcome.rows, outcome.error) == ([], None)


# --- What passes by itself ------------------------------------------------------------------------------------------

PASSES = {
    **{str(code): Answer(b"<html>oops", code, AT_ONCE | HTML) for code in (408, 425, 429, 500, 502, 508, 530, 598)},
    "no answer": Answer(drop=True),
    "cut": Answer({"orders": ROWS}, cut=20),
    "cut gzip": Answer({"orders": ROWS}, headers={"Content-Encoding": "gzip"}, cut=20),
    "damaged gzip": Answer(b"\x1f\x8b broken", headers={"Content-Encoding": "gzip"}),
    "half of it": Answer(b'{"orders": [{"a": 1}'),
    "no UTF-8": Answer(b'{"orders": [{"a": "\xff"}]}'),
    "a page to log in": Answer(b"<!DOCTYPE html><html>Log in</html>", headers=HTML),
    "nothing": Answer(b""),
}


@pytest.mark.parametrize(("answer", "page"), at_pages(PASSES.values()), ids=PASSES)
def test_what_passes_by_itself_is_asked_for_again(serve, answer, page, caplog):
    with serve(Pages(ROWS, answers={page: [answer, answer]})):
        outcome = read_with_hook()
    assert outcome.rows == ROWS, outcome
    assert len(warnings_of(caplog)) <= 1, "one line a minute about the same cause"
    assert all("orders, " in line for line in warnings_of(caplog))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        *((Answer(b"<html>oops", code, AT_ONCE | HTML), str(code)) for code in (500, 529, 598)),
        (Answer(drop=True), ""),
        (Answer(delay=0.5), "no answer within the timeout (0.2 s)"),
    ],
    ids=str,
)
def test_what_does_not_pass_is_unavailable(serve, tmp_path, answer, says):
    with serve(lambda request: answer, timeout=0.2) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogUnavailableError)
    assert error.retryable, "Airflow may try again later"
    assert says in str(error)
    assert is_clear(error)
    assert 1 < len(catalog.requests) < 20


LIMITS = {
    "429": Answer(b"slow down", 429, AT_ONCE),
    "429-html": Answer(b"<html>", 429, AT_ONCE | HTML),
    "403-text": Answer(b"403 Forbidden (Rate Limit Exceeded)", 403, AT_ONCE),
    "403-json": Answer({"message": "Rate limit exceeded"}, 403, AT_ONCE),
    "403-other-words": Answer({"status": "throttled", "message": "Too many requests"}, 403, AT_ONCE),
    "403-header": Answer(b"", 403, {**AT_ONCE, "X-Rate-Limit-Remaining": "0.0"}),
}


@pytest.mark.parametrize("answer", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_rate_limit_uses_up_no_tries(serve, answer, in_flight):
    """Thirty in a row, at any page, with other failures among them, eight of which would end the read."""
    answers = [*[answer] * 10, Answer(b"", 503, AT_ONCE)] * 3
    with serve(Pages(ROWS, answers=dict.fromkeys((0, 1, 2), answers)), max_concurrency=in_flight):
        outcome = read_with_hook()
    assert outcome.rows == ROWS, outcome


@pytest.mark.parametrize("status", [429, 503])
def test_all_wait_when_one_is_told_to_wait(serve, status):
    pages = Pages(rows_of(200), answers={2: [Answer(b"", status, {"Retry-After": "1"})]})
    came = {}

    def answer(request):
        came.setdefault(request.page, time.monotonic())
        given = pages(request)
        if request.page in (2, *range(4, 10)):  # under way at the same time; they end while all wait
            given.delay = 0.5
        return given

    with serve(answer, max_concurrency=8):
        assert read_with_hook().rows == pages.rows
    assert min(came[page] for page in range(10, 20)) > came[3] + 0.9


def test_a_reader_that_takes_its_time_still_waits_for_a_rate_limit(serve, monkeypatch):
    """Patience begins with the first 429 since a page has come."""
    monkeypatch.setattr(client, "PATIENCE", 0.5)
    with serve(Pages(ROWS, answers=dict.fromkeys((0, 1), [LIMITS["429"]] * 3)), max_concurrency=1):
        rows = CatalogHook().iter_rows("orders")
        first = next(rows)
        time.sleep(1)
        assert [first, *rows] == ROWS


WHEN = {
    "date": lambda seconds: formatdate(time.time() + seconds, usegmt=True),
    "epoch": lambda seconds: str(int(time.time()) + seconds),
    "milliseconds": lambda seconds: str(int(time.time() * 1000) + seconds * 1000),
    "seconds": str,
}
SOON = ["0.5", " 1 ", "-5", "", "soon", "nan", *((form, seconds) for form in WHEN for seconds in (1, -100))]


def retry_after(when) -> dict[str, str]:
    return {"Retry-After": when if isinstance(when, str) else WHEN[when[0]](when[1])}


@pytest.mark.parametrize(("when", "status"), list(zip(SOON, itertools.cycle([429, 503]))), ids=str)
def test_retry_after_in_each_form(serve, when, status):
    with serve(Pages(ROWS, answers={0: [Answer(b"", status, retry_after(when))]})):
        assert read_with_hook().rows == ROWS


@pytest.mark.parametrize(("form", "status"), [*((form, 429) for form in WHEN), ("seconds", 503)])
def test_a_retry_after_beyond_patience_is_left_to_airflow(serve, tmp_path, form, status):
    with serve(lambda request: Answer(b"", status, retry_after((form, 86_400)))) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogUnavailableError)
    assert error.retryable
    assert len(catalog.requests) == 1
    assert is_clear(error)


@pytest.mark.parametrize("status", [429, 503])
def test_the_same_of_a_page_that_was_asked_for_ahead(serve, status):
    pages = Pages(rows_of(200), answers={9: Answer(b"", status, retry_after("86400"))})
    with serve(pages, max_concurrency=8):
        outcome = read_with_hook()
    assert isinstance(outcome.error, CatalogUnavailableError)
    assert outcome.error.retryable


# --- What does not ----------------------------------------------------------------------------------------------------

NO_ROWS = {
    # With a part of the message, where one is promised: names of keys, and never a value.
    b"": "", b"null": "", b"[]x": "", b"{": "", b'"orders"': "", b"1": "", b"\xff\xfe": "", b'{"orders": {}}': "",
    b'{"orders": "a@example.edu"}': "", b'{"orders": 5}': "", b'{"orders": [1]}': "", b'{"orders": [{}, null]}': "",
    b'{"orders": [[]]}': "", b'{"orders": [{"id": 1]}': "", b"<html>Log in</html>": "an HTML page",
    b'{"orders": [' + b'{"a":' * 50_000 + b"1": "too deeply",
    b'{"total": 3, "rows": {"a": 1}}': "total, rows", b'{"a": [{"x": 1}], "b": [{"x": 2}]}': "a, b",
    b'{"errors": [{"message": "no"}]}': "errors", b"{}": "none",
    json.dumps({f"k{n}": n for n in range(30)}).encode(): "and more",
}  # fmt: skip


@pytest.mark.parametrize(("body", "page"), at_pages(NO_ROWS), ids=range(len(NO_ROWS)))
def test_what_has_no_rows_is_an_error(serve, tmp_path, body, page):
    with serve(Pages(ROWS, answers={page: Answer(body, headers=AT_ONCE)})):
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogResponseError | CatalogUnavailableError), error
    assert NO_ROWS[body] in str(error)
    assert is_clear(error)


FIREWALLS = [
    Answer(b"<html><body>Request blocked. Ray ID: 8a</body></html>", 403, HTML),
    Answer(b"<!DOCTYPE html><title>Attention Required!</title>", 403),
    Answer(b"", 202, {"x-amzn-waf-action": "challenge"}),
    Answer(b"", 202),
]


@pytest.mark.parametrize(("answer", "page"), at_pages(FIREWALLS), ids=str)
def test_a_firewall_is_not_taken_for_the_catalog(serve, tmp_path, answer, page):
    with serve(Pages(ROWS, answers={page: answer})):
        error = read_with_operator(tmp_path).error
    assert not isinstance(error, CatalogAuthError)
    assert "firewall" in str(error).lower()
    assert "rights" not in str(error)
    assert is_clear(error)


WILL_NOT_PASS = [
    (401, b"HTTP Token: Access denied.", "token"),
    (403, b'{"error": "forbidden"}', "token"),
    *((code, b'{"error": "no"}', "no") for code in (400, 405, 406, 409, 410, 413, 414, 415, 451)),
    (422, b"account_ids is odd", "account_ids is odd"),
    (422, b'{"error": {"message": "nope"}}', "nope"),
    (422, b'{"errors": [{"message": "bad date"}, "worse"]}', "bad date; worse"),
    (422, b'{"errors": {"account_ids": ["is odd"]}}', "account_ids: is odd"),
    (404, b"<html><body>lost</body></html>", "an HTML page"),
    (422, b'{"rows": ["jo@example.edu"]}', "JSON without an error message"),
    (422, b"", "no message"),
    (400, json.dumps({"message": f"{TOKEN} " + "x" * 500}).encode(), "x" * 190),
]


@pytest.mark.parametrize(("status", "body", "says"), WILL_NOT_PASS)
def test_what_will_not_pass_fails_at_once_with_what_the_server_says(serve, tmp_path, status, body, says):
    with serve(lambda request: Answer(body, status)) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogAuthError if status in (401, 403) else CatalogRequestError)
    assert not error.retryable
    assert str(status) in str(error)
    assert says in str(error)
    assert "x" * 200 not in str(error)
    assert len(catalog.requests) == 1
    assert is_clear(error)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "x-secret"])
def test_an_encoding_that_nobody_asked_for_is_named(serve, tmp_path, encoding):
    with serve(lambda request: Answer(b"\x8b\x02", headers={"Content-Encoding": encoding})) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogError)
    assert encoding in str(error)
    assert is_clear(error)
    assert len(catalog.requests) == 1, "the next answer will be the same"


# --- The bytes of an answer -------------------------------------------------------------------------------------------

FORMS = {
    "bom": {"body": b"\xef\xbb\xbf%b"},
    "white-space": {"body": b"\r\n \t%b\r\n"},
    "chunked": {"chunked": True},
    "gzip": {"headers": {"Content-Encoding": "gzip"}},
    "chunked-gzip": {"chunked": True, "headers": {"Content-Encoding": "gzip"}},
    "vendor-type": {"headers": {"Content-Type": "application/vnd.api+json"}},
    "html-type": {"headers": {"Content-Type": "text/html"}},
    "no-type": {"headers": {"Content-Type": ""}},
    "identity": {"headers": {"Content-Encoding": "identity"}},
    "close": {"headers": {"Connection": "close"}},
    "cookie": {"headers": {"Set-Cookie": "a=b; Secure"}},
    "100": {"before": b"HTTP/1.1 100 Continue\r\n\r\n"},
    "103": {"before": b'HTTP/1.1 103 Early Hints\r\nLink: <?page=7>; rel="next"\r\nContent-Length: 5\r\n\r\n'},
    "102, 103": {"before": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"},
}


@pytest.mark.parametrize("how", FORMS.values(), ids=FORMS)
def test_forms_of_an_answer(serve, how):
    def change(answer):
        answer.body = how.get("body", b"%b") % json.dumps(answer.body).encode()
        answer.headers = {**answer.headers, **how.get("headers", {})}
        answer.chunked, answer.before = how.get("chunked", False), how.get("before", b"")

    with serve(changed(change)):
        assert read_with_hook().rows == ROWS


@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_large_answer_that_comes_again_for_each_page(serve, tmp_path, in_flight):
    rows = [{"id": n, "text": "x" * 500} for n in range(40_000)]
    with serve(Pages(rows, size=10**6, **ALL_AT_ONCE), max_concurrency=in_flight) as catalog:
        outcome = read_with_operator(tmp_path)
    assert [row["id"] for row in outcome.rows] == list(range(40_000)), outcome
    assert catalog.sent < 2.9 * 40_000 * 500, "the first rows are enough to see that they come again"


def test_large_answers_with_a_next(serve, tmp_path):
    rows = [{"id": n, "text": "x" * 500} for n in range(45_000)]
    with serve(Pages(rows, sizes=[20_000]), max_concurrency=2):
        outcome = read_with_operator(tmp_path)
    assert [row["id"] for row in outcome.rows] == list(range(45_000)), outcome


@pytest.mark.parametrize("value", ["NaN", "1e999", "123456789012345678901234567890", '"J\u00fcrgen"', '"\\ud83d"'])
def test_what_a_small_answer_may_have_a_large_one_may_have(serve, value):
    body = f'{{"orders": [{{"id": 1, "is": {value}}}, %s]}}'.encode("latin-1")
    found = []
    for text in (b'{"text": ""}', b'{"text": "%s"}' % (b"x" * 9_000_000)):
        answer = Answer(body % text, headers={"Content-Type": "application/json; charset=iso-8859-1"})
        with serve(lambda request, answer=answer: answer):
            outcome = read_with_hook()
        assert outcome.error is None
        found.append(outcome.rows[0])
    assert found[0] == found[1]


# --- How the Catalog pages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 21, 47])
def test_a_page_that_seems_to_be_all_is_a_warning(serve, caplog, count):
    with serve(Pages(rows_of(count), **ALL_AT_ONCE), page_size=10 if count == 10 else 100):
        assert read_with_hook().rows == rows_of(count)
    assert len(warnings_of(caplog)) == (count in (10, 20))
    assert all("page" in line and "orders" in line for line in warnings_of(caplog))


SET = {"auto": {}, "link": {}, "page": {"links": "none"}, "none": ALL_AT_ONCE}


class TestExplicitPagination:
    @pytest.mark.parametrize("count", [0, 10, 47])
    @pytest.mark.parametrize("pagination", SET)
    @pytest.mark.parametrize("in_flight", [1, 8])
    def test_the_way_that_the_server_has(self, serve, count, pagination, in_flight):
        with serve(Pages(rows_of(count), **SET[pagination]), pagination=pagination, max_concurrency=in_flight):
            assert read_with_hook().rows == rows_of(count)

    @pytest.mark.parametrize(("pagination", "how"), [("none", ALL_AT_ONCE), ("link", {"links": "none"})])
    def test_what_is_told_is_not_asked_for(self, serve, pagination, how):
        with serve(Pages(rows_of(7), **how), pagination=pagination) as catalog:
            assert read_with_hook().rows == rows_of(7)
        assert len(catalog.requests) == 1

    @pytest.mark.parametrize("pagination", ["link", "page", "none"])
    def test_a_promise_is_a_warning_then(self, serve, pagination, caplog):
        with serve(Pages(rows_of(47), by="nothing", links="none", total="X-Total"), pagination=pagination):
            assert read_with_hook().rows[:10] == rows_of(10)
        assert any("47" in line for line in warnings_of(caplog))


COUNTED = [
    *({**ALL_WAYS[way]} for way in ("from-1", "from-0", "next-only", "no-links-from-1", "cursor", "body")),
    {"more": "full"}, {"by": "cursor", "relations": ("next",), "more": "full"}, {"query": {}}, ALL_AT_ONCE,
    {"last": 0}, {"last": 1}, {"sizes": (3, 10)}, {"last": -1, "before": "last"}, {"last": lambda index: index},
    *({"links": "none", "beyond": beyond} for beyond in (Answer(b"", 404), "last", Answer({"orders": None}))),
]  # fmt: skip


@pytest.mark.parametrize("way", COUNTED)
@pytest.mark.parametrize("count", [0, 1, 10, 11, 30])
def test_counting(serve, way, count):
    def poke(min_rows):
        return within_patience(lambda: sensor(min_rows=min_rows).poke({}))

    with serve(Pages(rows_of(count), **way)):
        assert within_patience(lambda: CatalogHook().count_rows("orders")) == count
        assert not poke(count + 1)
        assert not count or poke(count).xcom_value["row_count"] == count
        trigger = CatalogAnalyticsTrigger("catalog_default", "orders", min_rows=count or 1, deadline=time.time())
        assert asyncio.run(first_payload(trigger))["status"] == ("done" if count else "timeout")


def test_counting_ends_when_enough_rows_have_come(serve):
    with serve(Pages(rows_of(85), by="cursor", relations=("next",))) as catalog:
        trigger = CatalogAnalyticsTrigger("catalog_default", "orders", min_rows=11)
        assert within_patience(lambda: asyncio.run(first_payload(trigger))) == {"status": "done"}
    assert len(catalog.requests) == 2


@pytest.mark.parametrize("how", ["close", "reset", "early"])
class TestKeptConnections:
    """A connection that a firewall has forgotten is no failure: the request is made again on a new one."""

    @pytest.mark.parametrize(
        ("way", "in_flight"), [({}, 8), ({"links": "none"}, 8), ({"by": "cursor", "relations": ("next",)}, 1)]
    )
    def test_while_reading(self, serve, how, in_flight, way, task_log):
        with serve(
            changed(lambda answer: setattr(answer, "stale", how), rows_of(85), **way), max_concurrency=in_flight
        ):
            assert read_with_hook().rows == rows_of(85)
        assert "trying again" not in task_log()

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_between_polls(self, serve, how, deferrable, task_log):
        counts = itertools.chain([1, 1, 1], itertools.repeat(9))
        with serve(lambda request: Answer({"orders": rows_of(next(counts))}, stale=how)):
            assert within_patience(lambda: run_sensor(sensor(min_rows=9, deferrable=deferrable)))["row_count"] == 9
        assert "trying again" not in task_log()
        assert "not yet" not in task_log()
