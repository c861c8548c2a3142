"""How many requests are made at once, and how many a second: what the server takes."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_catalog.client import window as window_module
from airflow_provider_catalog.client.retry import AbandonedError, Gate, TransientError
from airflow_provider_catalog.client.window import FIRST_SIZE, Window
from airflow_provider_catalog.sandbox import sandbox
from tests.client.test_pagination import made_up_rows, read
from tests.stand_in import Answer, Paging, paged, stand_in


def call(window, attempt=lambda: None, abandoned=None):
    return window.guard(attempt, abandoned or threading.Event())()


def refuse():
    raise TransientError("429", status=429, throttled=True)


def until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def most_at_once(window, requests=100, threads=40):
    """Make requests, many of them ready at any time; return how many were in flight after each had started."""
    lock, in_flight, seen = threading.Lock(), [0], []

    def attempt():
        with lock:
            in_flight[0] += 1
            seen.append(in_flight[0])
        time.sleep(0.005)
        with lock:
            in_flight[0] -= 1

    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(call, window, attempt) for _ in range(requests)]:
            each.result()
    return seen


@pytest.mark.parametrize("most", [1, 3, 8, 32])
def test_the_window_opens_as_long_as_all_is_well_but_not_beyond_the_most(most):
    window = Window(most, Gate())
    assert window.size == min(most, FIRST_SIZE)
    seen = most_at_once(window, requests=300)  # enough to open it wholly on a busy machine, too
    assert all(number <= FIRST_SIZE + index for index, number in enumerate(seen)), "it opens by one with each success"
    assert max(seen) <= window.size == most


def test_a_request_after_the_other_does_not_open_it():
    window = Window(8, Gate())
    for _ in range(20):
        call(window)
    assert window.size == FIRST_SIZE


@pytest.mark.parametrize(("status", "throttled"), [(429, True), (403, True), (503, False)])
def test_a_refusal_halves_it_down_to_one(status, throttled):
    window = Window(8, Gate())
    most_at_once(window)
    sizes = []

    def attempt():
        raise TransientError("no", status=status, throttled=throttled)

    guarded = window.guard(attempt, threading.Event())
    for _ in range(4):
        with pytest.raises(TransientError):
            guarded()
        sizes.append(window.size)
    assert sizes == [4, 2, 1, 1]


@pytest.mark.parametrize("error", [TransientError("500", status=500), TransientError("broke off"), KeyError("a bug")])
def test_what_is_no_refusal_changes_nothing(error):
    window = Window(8, Gate())

    def attempt():
        raise error

    with pytest.raises(type(error)):
        call(window, attempt)
    assert window.size == FIRST_SIZE


def test_requests_that_were_in_flight_together_count_as_one_refusal():
    window = Window(4, Gate())
    together = threading.Barrier(4)

    def attempt():
        together.wait()
        refuse()

    with ThreadPoolExecutor(4) as pool:
        tries = [pool.submit(call, window, attempt) for _ in range(4)]
        assert all(isinstance(each.exception(), TransientError) for each in tries)
    assert window.size == 2


def test_the_earliest_page_goes_first():
    window, order = Window(1, Gate()), []
    blocker = threading.Event()
    with ThreadPoolExecutor(6) as pool:
        pool.submit(call, window, lambda: blocker.wait(5))
        guarded = [window.guard(lambda number=number: order.append(number), threading.Event()) for number in range(5)]
        until(lambda: window._in_flight == 1)
        for number in (3, 1, 4, 0, 2):
            pool.submit(guarded[number])
        until(lambda: len(window._waiting) == 5)
        blocker.set()
    assert order == [0, 1, 2, 3, 4]


def test_a_page_that_was_refused_keeps_its_place():
    """Else, with a server that takes one request a second, later ones would take its place until its tries are over."""
    window, order, tries = Window(2, Gate()), [], itertools.count()

    def first():
        if next(tries) == 0:
            refuse()
        order.append("first")

    guarded = window.guard(first, threading.Event())
    with pytest.raises(TransientError):
        guarded()
    with ThreadPoolExecutor(2) as pool:
        later = pool.submit(call, window, lambda: order.append("later"))
        time.sleep(0.05)
        assert not later.done()
        guarded()
    assert order == ["first", "later"]


def test_who_is_abandoned_while_waiting_for_a_place_stops():
    window, abandoned, blocker = Window(1, Gate()), threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(call, window, lambda: blocker.wait(5))
        until(lambda: window._in_flight == 1)
        waiting = pool.submit(call, window, refuse, abandoned)
        abandoned.set()
        with pytest.raises(AbandonedError):
            waiting.result(timeout=2)
        blocker.set()


def test_requests_take_the_rhythm_that_the_server_is_known_to_take(monkeypatch):
    window, answers = Window(8, Gate()), iter([refuse, lambda: None, refuse, lambda: None])

    def attempt():
        return next(answers)()

    guarded = window.guard(attempt, threading.Event())
    with pytest.raises(TransientError):
        guarded()
    guarded()
    started = time.monotonic()
    while time.monotonic() - started < 0.5:  # 40 a second, as if each took so long
        call(window)
        time.sleep(0.025)
    with pytest.raises(TransientError):
        guarded()
    guarded()
    times = []
    for _ in range(20):
        call(window, lambda: times.append(time.monotonic()))
    assert 0.35 < times[-1] - times[0] < 1.5  # 0.5 when nothing else runs here
    monkeypatch.setattr(window_module, "CAUTIOUS_SECONDS", 0.05)  # long without a refusal
    time.sleep(0.3)
    started = time.monotonic()
    for _ in range(100):
        call(window)
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("most", [1, 8])
def test_a_server_that_takes_one_request_at_a_time(connect, most):
    rows = made_up_rows(200)

    def answer(request):
        if catalog.in_flight > 1:
            return Answer(b"Rate Limit Exceeded", 429, {"Retry-After": "0.01"})
        reply = paged(rows, Paging(most=10), "orders")(request)
        reply.delay = 0.005
        return reply

    with stand_in(answer) as catalog:
        assert read(connect(catalog.url), max_concurrency=most) == rows
    assert len(catalog.requests) < 20 * 2


def test_a_server_that_takes_some_requests_a_second_is_used_well():
    from airflow_provider_catalog.client.client import CatalogClient
    from airflow_provider_catalog.client.settings import CatalogSettings

    with sandbox(enrollments=1_000, products=5, users=20, rate_limit=30) as catalog:
        client = CatalogClient(CatalogSettings.parse(base_url=catalog.url, token=catalog.token))
        started = time.monotonic()
        rows = read(client, "enrollments", page_size=10, max_concurrency=8)
        took = time.monotonic() - started
        client.close()
    assert len(rows) == 1_000
    assert len({row["enrollment_id"] for row in rows}) == 1_000
    assert took < 100 / 30 * 1.8
