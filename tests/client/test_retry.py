"""How long the retry policy waits."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_catalog.client import retry
from airflow_provider_catalog.client.retry import (
    AbandonedError,
    Gate,
    TransientError,
    retry_after_seconds,
    with_retries,
)
from airflow_provider_catalog.errors import CatalogUnavailableError


def run(attempt, *, gate=None, abandoned=None):
    return with_retries(
        attempt, what="orders, page 3", endpoint="orders", gate=gate or Gate(), abandoned=abandoned or threading.Event()
    )


def test_waits_grow_exponentially_with_full_jitter(monkeypatch, caplog):
    monkeypatch.setattr("tenacity.nap.sleep_using_event.__call__", lambda self, seconds: None)

    def fail():
        raise TransientError("500", status=500)

    waits: dict[int, list[float]] = {n: [] for n in range(1, retry.MAX_TRIES)}
    for _ in range(200):
        with pytest.raises(CatalogUnavailableError):
            run(fail)
    for record in caplog.records:
        waits[record.args[3]].append(record.args[2])
    for number, seconds in waits.items():
        most = min(2 ** (number - 1), retry.MAX_BACKOFF)
        assert len(seconds) == 200
        assert 0 <= min(seconds) < 0.2 * most, "full jitter starts at zero"
        assert 0.8 * most < max(seconds) <= most


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("", None), ("soon", None), ("0", 0), ("1.5", 1.5), ("-3", 0), ("100000", 300), ("nan", 300),
        ("inf", 300), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Wed, 21 Oct 2099 07:28:00 GMT", 300),
        ("Wed, 21 Oct 2099 07:28:00", 300), ("Wed, 99 Oct 2099", None),
    ],
)  # fmt: skip
def test_retry_after(header, seconds):
    assert retry_after_seconds(header) == seconds


def test_retry_after_as_a_date():
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after_seconds(header) == pytest.approx(60, abs=2)


def test_the_gate_holds_everybody_back_until_the_last_wait_is_over():
    gate = Gate()
    gate.close(0.3)
    gate.close(0.1)
    started = time.monotonic()
    gate.pass_through(threading.Event())
    assert 0.29 <= time.monotonic() - started < 1


def test_who_is_abandoned_while_waiting_stops():
    gate, abandoned, tried = Gate(), threading.Event(), []

    def fail():
        tried.append(1)
        abandoned.set()
        raise TransientError("429", retry_after=60.0)

    started = time.monotonic()
    with pytest.raises(AbandonedError):
        run(fail, gate=gate, abandoned=abandoned)
    assert time.monotonic() - started < 5
    assert len(tried) == 1


def test_other_errors_are_not_tried_again():
    tried = []

    def fail():
        tried.append(1)
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(fail)
    assert len(tried) == 1
