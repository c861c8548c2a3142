"""What the client counts: by this, metrics tell what a pull has cost."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.retry import Gate
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.client.usage import Usage
from tests.stand_in import TOKEN, Answer, Paging, paged, stand_in


@pytest.mark.usefixtures("no_backoff")
def test_rows_requests_retries_and_throttling_are_counted():
    pages = paged([{"id": n} for n in range(25)], Paging(most=10), "orders")
    fails = iter([Answer(status=503), Answer(status=429, headers={"Retry-After": "0.2"})])

    def answer(request):
        return next(fails, None) or pages(request)

    with stand_in(answer) as catalog:
        client = CatalogClient(CatalogSettings.parse(base_url=catalog.url, token=TOKEN, max_concurrency=1))
        read = sum(page.content.count for page in client.read_pages(ENDPOINTS["orders"], {}))
        client.close()
    assert read == 25
    assert client.usage == Usage(rows=25, requests=7, retries=2)
    assert len(catalog.requests) == 7
    assert client.throttled_seconds == pytest.approx(0.2, abs=0.01)


def test_a_gate_that_is_closed_by_several_slots_counts_the_time_once():
    gate = Gate()
    for seconds in (2, 1, 2):
        gate.close(seconds)
    assert gate.closed_seconds == pytest.approx(2, abs=0.1)


def test_many_threads_may_count():
    usage = Usage()
    threads = [threading.Thread(target=lambda: [usage.add(rows=1, requests=2) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (usage.rows, usage.requests, usage.retries) == (8000, 16000, 0)
