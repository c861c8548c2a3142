"""Requests that nobody wants any more end while they are under way."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_catalog.client.abandonment import Abandonment
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.retry import AbandonedError
from tests.client.test_pagination import made_up_rows, read
from tests.kills.signals import stalls
from tests.stand_in import Paging, paged, stand_in


def look(client, abandoned, endpoint="orders"):
    return client.look(ENDPOINTS[endpoint], {}, wanted=1000, abandoned=abandoned)


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("where", ["first", "body", "last"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_from_another_thread(connect, certificate, endpoint, tls, where):
    bundle, context = certificate
    abandoned = Abandonment()
    with stand_in(stalls(endpoint, where), context if tls else None) as catalog:
        client = connect(catalog.url, timeout=60, **({"verify": str(bundle)} if tls else {}))
        with ThreadPoolExecutor() as pool:
            looking = pool.submit(look, client, abandoned, endpoint)
            until(lambda: catalog.waiting)
            abandoned.set()
            with pytest.raises(AbandonedError):
                looking.result(5)
        until(lambda: not catalog.waiting)
    assert len(catalog.stalled) == 1


def test_through_a_tunnel(connect):
    """A proxy that makes a tunnel, and a Catalog at its end that says nothing, not even for TLS."""
    abandoned = Abandonment()
    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor() as pool:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        client = connect("https://catalog.example", proxy=address, timeout=2)
        looking = pool.submit(look, client, abandoned)
        connection, _ = proxy.accept()
        with connection:
            connection.recv(1000)
            abandoned.set()  # while the tunnel is being made, which lasts as long as connecting may
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with pytest.raises(AbandonedError):
                looking.result(20)


def test_what_comes_after_it_is_not_even_asked(connect):
    abandoned = Abandonment()
    abandoned.set()
    with stand_in(paged(made_up_rows(5), Paging(), "orders")) as catalog:
        with pytest.raises(AbandonedError):
            look(connect(catalog.url), abandoned)
    assert not catalog.requests


def test_a_connection_that_is_free_again_serves_others(connect):
    """It is no more one's own when the answer has come, so giving up does not end what others do with it."""
    client_abandoned, others = Abandonment(), Abandonment()
    with stand_in(paged(made_up_rows(5), Paging(), "orders")) as catalog:
        client = connect(catalog.url)
        look(client, client_abandoned)
        with others.ends_requests():
            client_abandoned.set()
            assert read(client) == made_up_rows(5)
    assert catalog.connections == 1


def test_each_thread_notes_its_own_socket():
    abandoned = Abandonment()
    mine, server = socket.socketpair()
    with mine, server:
        with abandoned.ends_requests():
            abandoned.note(mine)
            thread = threading.Thread(target=abandoned.forget)
            thread.start()
            thread.join()
            abandoned.set()
            assert server.recv(1) == b"", "it was ended, whatever another thread did"
