"""What answers mean: which have rows, which are asked for again, and what the others tell a person to do."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from email.utils import formatdate

import pytest

from airflow_provider_catalog.client import client
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogUnavailableError,
)
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
from tests.catalog_server import AT_ONCE, TOKEN, Answer, Pages
from tests.servers.reading import is_clear, read_with_hook, read_with_operator, rows_of, within_patience

ROWS = rows_of(25)
HTML = {"Content-Type": "text/html"}


def first(answer: Answer, **how) -> Pages:
    """Return pages whose first page is answered like this, each time."""
    return Pages(list(ROWS), answers={0: answer}, **how)


def once(*answers: Answer, page: int = 0, **how) -> Pages:
    return Pages(list(ROWS), answers={page: list(answers)}, **how)


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


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 207, 226, 299])
def test_every_2xx_with_rows_is_an_answer(serve, status):
    with serve(changed(lambda answer: setattr(answer, "status", status))):
        outcome = read_with_hook()
    assert outcome.rows == ROWS, outcome


def test_no_content_is_no_rows(serve):
    with serve(lambda request: Answer(b"", 204)):
        outcome = read_with_hook()
    assert (outcome.rows, outcome.error) == ([], None)


PASSES = {
    **{
        str(status): Answer(b"<html>oops", status, AT_ONCE | HTML)
        for status in (408, 425, 429, 500, 502, 508, 530, 598)
    },
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
    with serve(once(answer, answer, page=page)):
        outcome = read_with_hook()
    assert outcome.rows == ROWS, outcome
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) <= 1, "one line a minute about the same cause"
    assert all("orders, " in line for line in warnings)


@pytest.mark.parametrize("status", [500, 529, 598])
def test_what_does_not_pass_is_unavailable(serve, tmp_path, status):
    with serve(first(Answer(b"<html>oops", status, AT_ONCE | HTML))):
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogUnavailableError)
    assert error.retryable, "Airflow may try again later"
    assert str(status) in str(error)
    assert is_clear(error)


LIMITS = {
    "429": Answer(b"slow down", 429, AT_ONCE),
    "429-html": Answer(b"<html>", 429, AT_ONCE | HTML),
    "403-text": Answer(b"403 Forbidden (Rate Limit Exceeded)", 403, AT_ONCE),
    "403-json": Answer({"message": "Rate limit exceeded"}, 403, AT_ONCE),
    "403-header": Answer(b"", 403, {**AT_ONCE, "X-Rate-Limit-Remaining": "0.0"}),
}


@pytest.mark.parametrize("answer", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_rate_limit_uses_up_no_tries(serve, answer, in_flight):
    """Thirty in a row, at any page; eight other failures would end the read."""
    answers = {page: [answer] * 30 for page in (0, 1, 2)}
    with serve(Pages(list(ROWS), answers=answers), max_concurrency=in_flight):
        outcome = read_with_hook()
    assert not outcome.error, outcome
    assert outcome.rows == ROWS


def test_a_rate_limit_and_failures_together(serve):
    answers = [*([LIMITS["429"]] * 5 + [Answer(b"", 503, AT_ONCE)]) * 3]
    with serve(once(*answers)):
        assert read_with_hook().rows == ROWS


def test_a_reader_that_takes_its_time_still_waits_for_a_rate_limit(serve, monkeypatch):
    """Patience begins with the first 429, not with the page before it."""
    monkeypatch.setattr(client, "PATIENCE", 0.5)
    with serve(Pages(list(ROWS), answers={1: [LIMITS["429"]] * 3}), max_concurrency=1):
        rows = []
        for row in CatalogHook().iter_rows("orders"):
            if not rows:
                time.sleep(1)
            rows.append(row)
    assert rows == ROWS


AFTER = {
    "seconds": lambda: "1",
    "fraction": lambda: "0.5",
    "spaces": lambda: " 1 ",
    "date": lambda: formatdate(time.time() + 1, usegmt=True),
    "past-date": lambda: formatdate(time.time() - 3600, usegmt=True),
    "epoch": lambda: str(int(time.time()) + 1),
    "milliseconds": lambda: str(int(time.time() * 1000) + 500),
    "past-epoch": lambda: str(int(time.time()) - 100),
    "negative": lambda: "-5",
    "nothing": lambda: "",
    "word": lambda: "soon",
    "not-a-number": lambda: "nan",
}


@pytest.mark.parametrize(("after", "status"), list(zip(AFTER.values(), itertools.cycle([429, 503]))), ids=AFTER)
def test_retry_after_in_each_form(serve, after, status):
    with serve(once(Answer(b"", status, {"Retry-After": after()}))):
        outcome = read_with_hook()
    assert outcome.rows == ROWS, outcome


FAR = {
    "seconds": lambda: "86400",
    "1e9s": lambda: "999999",
    "date": lambda: formatdate(time.time() + 86400, usegmt=True),
    "epoch": lambda: str(int(time.time()) + 86400),
    "milliseconds": lambda: str(int(time.time() * 1000) + 86_400_000),
}


@pytest.mark.parametrize("after", FAR.values(), ids=FAR)
def test_a_retry_after_beyond_patience_is_left_to_airflow(serve, tmp_path, after):
    with serve(first(Answer(b"", 429, {"Retry-After": after()}))) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogUnavailableError)
    assert error.retryable
    assert len(catalog.requests) == 1
    assert is_clear(error)


FIREWALLS = {
    "html": Answer(b"<html><body>Request blocked. Ray ID: 8a</body></html>", 403, HTML),
    "doctype": Answer(b"<!DOCTYPE html><title>Attention Required!</title>", 403),
    "waf-202": Answer(b"", 202, {"x-amzn-waf-action": "challenge"}),
    "empty-202": Answer(b"", 202),
}


@pytest.mark.parametrize(("answer", "page"), at_pages(FIREWALLS.values()), ids=FIREWALLS)
def test_a_firewall_is_not_taken_for_the_catalog(serve, tmp_path, answer, page):
    with serve(Pages(list(ROWS), answers={page: answer})):
        error = read_with_operator(tmp_path).error
    assert error
    assert not isinstance(error, CatalogAuthError)
    assert "firewall" in str(error).lower()
    assert "rights" not in str(error)
    assert is_clear(error)


@pytest.mark.parametrize(
    "answer",
    [Answer({"error": "forbidden"}, 403), Answer(b"HTTP Token: Access denied.", 401, {"Content-Type": "text/plain"})],
)
def test_a_token_that_is_refused_or_lacks_rights(serve, tmp_path, answer):
    with serve(first(answer)) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogAuthError)
    assert "token" in str(error)[:120]
    assert len(catalog.requests) == 1
    assert is_clear(error)


REFUSALS = {
    **{str(code): (code, b'{"error": "no"}', "no") for code in (400, 405, 406, 409, 410, 413, 414, 415, 451)},
    "a text": (422, b"account_ids is odd", "account_ids is odd"),
    "an error's message": (422, b'{"error": {"message": "nope"}}', "nope"),
    "several errors": (422, b'{"errors": [{"message": "bad date"}, "worse"]}', "bad date; worse"),
    "errors by name": (422, b'{"errors": {"account_ids": ["is odd"]}}', "account_ids: is odd"),
    "HTML": (404, b"<html><body>lost</body></html>", "an HTML page"),
    "a row": (422, b'{"rows": ["jo@example.edu"]}', "JSON without an error message"),
    "nothing": (422, b"", "no message"),
    "much": (400, json.dumps({"message": f"{TOKEN} " + "x" * 500}).encode(), "x" * 190),
}


@pytest.mark.parametrize(("status", "body", "says"), REFUSALS.values(), ids=REFUSALS)
def test_what_will_not_pass_fails_at_once_with_what_the_server_says(serve, tmp_path, status, body, says):
    with serve(first(Answer(body, status))) as catalog:
        error = read_with_operator(tmp_path).error
    assert isinstance(error, CatalogRequestError)
    assert not error.retryable
    assert str(status) in str(error)
    assert says in str(error)
    assert "x" * 200 not in str(error)
    assert len(catalog.requests) == 1
    assert is_clear(error)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=302, headers={"Location": f"/login/{TOKEN}"}),
        Answer(status=302, headers={"Location": "http://[::1"}),
        Answer({TOKEN: 1}),
        Answer(TOKEN.encode(), 422),
    ],
)
def test_a_token_that_the_server_echoes_is_shown_nowhere(serve, tmp_path, answer, caplog):
    caplog.set_level(logging.DEBUG)
    with serve(lambda request: answer):
        error = read_with_operator(tmp_path).error
    assert is_clear(error)
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)


EARLY = {
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
    "103-next": b'HTTP/1.1 103 Early Hints\r\nLink: <?page=7>; rel="next"\r\n\r\n',
    "two-103": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2,
    "103-content-length": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "102-then-103": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("before", EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("in_flight", [1, 8])
def test_informational_answers_before_the_answer(serve, before, in_flight):
    with serve(changed(lambda answer: setattr(answer, "before", before)), max_concurrency=in_flight):
        outcome = read_with_hook()
    assert outcome.rows == ROWS, outcome


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
}


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


class TestBodies:
    @pytest.mark.parametrize("how", FORMS.values(), ids=FORMS)
    def test_forms_of_an_answer(self, serve, how):
        def change(answer):
            if "body" in how:
                answer.body = how["body"] % json.dumps(answer.body).encode()
            answer.headers = {**answer.headers, **how.get("headers", {})}
            answer.chunked = how.get("chunked", False)

        with serve(changed(change)):
            outcome = read_with_hook()
        assert outcome.rows == ROWS, outcome

    @pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "x-secret"])
    def test_an_encoding_that_nobody_asked_for_is_named(self, serve, tmp_path, encoding):
        answer = Answer(b"\x8b\x02\x80not json", headers={"Content-Encoding": encoding})
        with serve(first(answer)) as catalog:
            error = read_with_operator(tmp_path).error
        assert error
        assert encoding in str(error)
        assert is_clear(error)
        assert len(catalog.requests) == 1, "the next answer will be the same"

    @pytest.mark.parametrize(("body", "page"), at_pages(NO_ROWS), ids=range(len(NO_ROWS)))
    def test_what_has_no_rows_is_an_error(self, serve, tmp_path, body, page):
        with serve(Pages(list(ROWS), answers={page: Answer(body, headers=AT_ONCE)})):
            error = read_with_operator(tmp_path).error
        assert isinstance(error, CatalogResponseError | CatalogUnavailableError), error
        assert NO_ROWS[body] in str(error)
        assert is_clear(error)

    @pytest.mark.parametrize("in_flight", [1, 8])
    def test_a_large_answer_that_comes_again_for_each_page(self, serve, tmp_path, in_flight):
        rows = [{"id": n, "text": "x" * 500} for n in range(40_000)]
        with serve(
            Pages(rows, by="nothing", links="none", size=10**6, sizes=[10**6]), max_concurrency=in_flight
        ) as catalog:
            outcome = read_with_operator(tmp_path)
        assert not outcome.error, outcome
        assert len(outcome.rows) == 40_000
        size = 40_000 * 500
        assert catalog.sent < 2.9 * size, "the first rows are enough to see that they come again"

    def test_a_large_answer_with_a_next(self, serve, tmp_path):
        rows = [{"id": n, "text": "x" * 500} for n in range(45_000)]
        with serve(Pages(rows, sizes=[20_000]), max_concurrency=2):
            outcome = read_with_operator(tmp_path)
        assert not outcome.error, outcome
        assert [row["id"] for row in outcome.rows] == list(range(45_000))


@pytest.mark.parametrize("count", [10, 20])
def test_a_page_that_seems_to_be_all_is_a_warning(serve, caplog, count):
    with serve(Pages(rows_of(count), by="nothing", links="none", size=count), page_size=10 if count == 10 else 100):
        assert read_with_hook().rows == rows_of(count)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 1, warnings
    assert "page" in warnings[0]
    assert "orders" in warnings[0]


@pytest.mark.parametrize("count", [0, 1, 9, 11, 19, 21, 47])
def test_all_rows_at_once_is_no_warning(serve, caplog, count):
    with serve(Pages(rows_of(count), by="nothing", links="none", size=100, sizes=[100])):
        assert read_with_hook().rows == rows_of(count)
    assert not [each for each in caplog.records if each.levelname == "WARNING"]


class TestExplicitPagination:
    @pytest.mark.parametrize("count", [0, 10, 47])
    @pytest.mark.parametrize("pagination", ["auto", "link", "page", "none"])
    @pytest.mark.parametrize("in_flight", [1, 8])
    def test_the_way_that_the_server_has(self, serve, count, pagination, in_flight):
        how = {
            "auto": {},
            "link": {},
            "page": {"links": "none"},
            "none": {"by": "nothing", "links": "none", "sizes": [99]},
        }
        with serve(Pages(rows_of(count), **how[pagination]), pagination=pagination, max_concurrency=in_flight):
            outcome = read_with_hook()
        assert outcome.rows == rows_of(count), outcome

    @pytest.mark.parametrize(
        ("pagination", "how"),
        [("none", {"by": "nothing", "links": "none", "sizes": [99]}), ("link", {"links": "none"})],
    )
    def test_what_is_told_is_not_asked_for(self, serve, pagination, how):
        with serve(Pages(rows_of(7), **how), pagination=pagination) as catalog:
            assert read_with_hook().rows == rows_of(7)
        assert len(catalog.requests) == 1

    @pytest.mark.parametrize("pagination", ["link", "page", "none"])
    def test_a_promise_is_a_warning_then(self, serve, pagination, caplog):
        answers = Pages(rows_of(47), by="nothing", links="none", total="X-Total")
        with serve(answers, pagination=pagination):
            outcome = read_with_hook()
        assert not outcome.error, outcome
        assert outcome.rows[:10] == rows_of(10)
        assert any("47" in each.getMessage() for each in caplog.records if each.levelname == "WARNING")


COUNTED = {
    "links": {},
    "links-from-0": {"first": 0},
    "next-only": {"relations": ("next",)},
    "no-links": {"links": "none"},
    "cursor": {"by": "cursor", "relations": ("next",)},
    "body": {"links": "meta.next"},
    "full-next": {"more": "full"},
    "cursor-full-next": {"by": "cursor", "relations": ("next",), "more": "full"},
    "beyond-404": {"links": "none", "beyond": Answer(b"", 404)},
    "all": {"by": "nothing", "links": "none", "sizes": [99]},
    "last-too-small": {"last": 0},
    "own-last": {"last": lambda index: index},
    "forgets": {"query": {}},
    "last-page-again": {"beyond": "last", "links": "none"},
    "null": {"beyond": Answer({"orders": None}), "links": "none"},
}


@pytest.mark.parametrize("way", COUNTED)
@pytest.mark.parametrize("count", [0, 1, 10, 11, 30])
def test_counting(serve, way, count):
    """By the hook, a sensor that pokes, and a trigger."""

    async def fire(min_rows, deadline):
        trigger = CatalogAnalyticsTrigger(
            "catalog_default", "orders", min_rows=min_rows, poke_interval=0.05, deadline=deadline
        )
        return (await anext(trigger.run())).payload

    def poke(min_rows):
        return within_patience(lambda: CatalogOrdersAnalyticsSensor(task_id="wait", min_rows=min_rows).poke({}))

    with serve(Pages(rows_of(count), **COUNTED[way])):
        assert within_patience(lambda: CatalogHook().count_rows("orders")) == count
        assert not poke(count + 1)
        assert asyncio.run(fire(count + 1, time.time()))["status"] == "timeout"
        if count:
            assert poke(count).xcom_value["row_count"] == count
            assert asyncio.run(fire(count, None)) == {"status": "done"}


class TestKeptConnections:
    """A connection that a firewall has forgotten is no failure: the request is made again on a new one."""

    @pytest.fixture(params=["close", "reset", "early"])
    def how(self, request, task_log):
        yield request.param
        said = task_log()
        assert "trying again" not in said
        assert "not yet" not in said

    @pytest.mark.parametrize(
        ("way", "in_flight"), [({}, 8), ({"links": "none"}, 8), ({"by": "cursor", "relations": ("next",)}, 1)]
    )
    def test_while_reading(self, serve, how, in_flight, way):
        pages = changed(lambda answer: setattr(answer, "stale", how), rows_of(85), **way)
        with serve(pages, max_concurrency=in_flight):
            outcome = read_with_hook()
        assert outcome.rows == rows_of(85), outcome

    def test_between_pokes(self, serve, how):
        sensor = CatalogOrdersAnalyticsSensor(task_id="wait", min_rows=9)
        with serve(lambda request: Answer({"orders": rows_of(2)}, stale=how)):
            for _ in range(4):
                assert not within_patience(lambda: sensor.poke({}))

    def test_between_polls_of_a_trigger(self, serve, how):
        counts = itertools.chain([1, 1, 1], itertools.repeat(9))
        with serve(lambda request: Answer({"orders": rows_of(next(counts))}, stale=how)):

            async def fire():
                trigger = CatalogAnalyticsTrigger("catalog_default", "orders", min_rows=9, poke_interval=0.05)
                return (await anext(trigger.run())).payload

            assert asyncio.run(fire()) == {"status": "done"}

    def test_a_new_connection_that_fails_counts(self, serve, tmp_path):
        with serve(lambda request: Answer(drop=True)) as catalog:
            error = read_with_operator(tmp_path).error
        assert isinstance(error, CatalogUnavailableError)
        assert error.retryable
        assert is_clear(error)
        assert len(catalog.requests) < 20
