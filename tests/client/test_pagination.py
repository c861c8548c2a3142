"""Every row exactly once, in order, however the server pages; rows have shapes that no documentation shows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogPaginationError
from tests.stand_in import Answer, Paging, links, paged, stand_in

MODES = ["link", "next-only", "page-only", "none"]


def made_up_rows(count: int) -> list[dict]:
    return [{"größe": n, "deep": {"er": [n, None, {"x": str(n)}]}, "flag": n % 2 == 0} for n in range(count)]


def read(client, endpoint="orders", filters=None, **kwargs) -> list[dict]:
    with closing(client.read_pages(ENDPOINTS[endpoint], filters or {}, **kwargs)) as pages:
        return [row for page in pages for row in page.content.rows]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 7, 14, 250])
def test_every_row_exactly_once(connect, endpoint, mode, first, count):
    rows = made_up_rows(count)
    with stand_in(paged(rows, Paging(mode, first, most=7, relative=count == 14), endpoint)) as catalog:
        client = connect(catalog.url)
        assert read(client, endpoint) == rows
        assert client.count_rows(ENDPOINTS[endpoint], {}) == count


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("root_key", ["orders", "data"])
def test_rows_under_another_root_key(connect, mode, root_key):
    with stand_in(paged(made_up_rows(25), Paging(mode, most=10), root_key)) as catalog:
        assert read(connect(catalog.url)) == made_up_rows(25)


@pytest.mark.parametrize("mode", MODES)
def test_one_full_page_is_not_taken_for_all(connect, mode):
    rows = made_up_rows(200)
    with stand_in(paged(rows, Paging(mode), "orders")) as catalog:
        assert read(connect(catalog.url)) == rows


def test_page_size_is_asked_for_and_filters_go_with_every_page(connect):
    with stand_in(paged(made_up_rows(30), Paging(), "orders")) as catalog:
        read(connect(catalog.url), filters={"account_ids": [1, 2]}, page_size=10)
    assert {request.query["per_page"] for request in catalog.requests} == {"10"}
    assert Counter(catalog.pages) == {None: 2, 2: 1, 3: 2}, "the last page shifts when the data moves; so may the first"
    assert all(request.filters == {"account_ids": [1, 2]} for request in catalog.requests)


def test_counting_takes_two_requests_with_a_link_to_the_last_page(connect):
    with stand_in(paged(made_up_rows(95), Paging(most=10), "orders")) as catalog:
        assert connect(catalog.url).count_rows(ENDPOINTS["orders"], {}) == 95
    assert catalog.pages == [None, 10]


@pytest.mark.parametrize(("mode", "most"), [("link", 5), ("next-only", 5), ("page-only", 5)])
def test_requests_in_flight_are_bounded(connect, mode, most):
    answer = paged(made_up_rows(200), Paging(mode, most=10), "orders")

    def slowly(request):
        reply = answer(request)
        reply.delay = 0.02
        return reply

    with stand_in(slowly) as catalog:
        assert len(read(connect(catalog.url), max_concurrency=5)) == 200
    assert catalog.most_in_flight == most
    assert catalog.connections <= most + 1  # the first page's connection is one of theirs, or none was free yet


def test_an_abandoned_iterator_stops_asking(connect):
    with stand_in(paged(made_up_rows(1000), Paging(most=10), "orders")) as catalog:
        pages = connect(catalog.url).read_pages(ENDPOINTS["orders"], {}, max_concurrency=3)
        next(pages)
        pages.close()
        time.sleep(0.1)
        asked = len(catalog.requests)
        assert asked <= 1 + 2 * 3, "twice max_concurrency is looked ahead"
        time.sleep(0.2)
        assert len(catalog.requests) == asked


def test_an_abandoned_iterator_ends_waits(connect):
    """A slot that waits for a Retry-After does not ask once more when it wakes up."""

    def answer(request):
        if request.page is None:
            return paged(made_up_rows(50), Paging(most=10), "orders")(request)
        return Answer(status=429, headers={"Retry-After": "60"})

    with stand_in(answer) as catalog:
        pages = connect(catalog.url).read_pages(ENDPOINTS["orders"], {}, max_concurrency=2)
        next(pages)
        while len(catalog.requests) < 2:  # the other slot may be held back before it asks
            time.sleep(0.01)
        pages.close()
        deadline = time.monotonic() + 5
        while any(thread.name.startswith("catalog_") for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "a slot still waits"
            time.sleep(0.01)
        asked = [request.page for request in catalog.requests]
        assert len(asked) == len(set(asked)), "a slot that was throttled asks once more"


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:{port}",
        "https://127.0.0.1:{port}",
        "http://evil.example",
        "//evil.example",
    ],
)
def test_a_link_to_another_origin_is_refused_before_a_request(connect, target):
    def answer(request):
        link = target.format(port=request.headers["host"].rpartition(":")[2])
        return Answer({"orders": made_up_rows(3)}, headers={"Link": f'<{link}/api?page=2>; rel="next"'})

    with stand_in(answer) as catalog, pytest.raises(CatalogPaginationError, match="not followed") as caught:
        read(connect(catalog.url))
    assert len(catalog.requests) == 1
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "authority", ["OTHER\\@OWN", "OTHER@OWN", "u:p@OWN", "OWN\\.OTHER", "OTHER\\?@OWN", "OWN%40OTHER"]
)
def test_a_link_whose_host_depends_on_who_reads_it_is_refused(connect, authority):
    """urlsplit takes what stands after an @ for the host, urllib3 what stands before a backslash."""
    with stand_in(lambda request: Answer({"orders": []})) as other:

        def answer(request):
            hosts = {"OWN": request.headers["host"], "OTHER": other.url.removeprefix("http://")}
            link = authority.replace("OWN", hosts["OWN"]).replace("OTHER", hosts["OTHER"])
            return Answer({"orders": made_up_rows(3)}, headers={"Link": f'<http://{link}/x?page=2>; rel="next"'})

        with stand_in(answer) as catalog, pytest.raises(CatalogPaginationError):
            read(connect(catalog.url))
        assert not other.requests
        assert len(catalog.requests) == 1


@pytest.mark.parametrize(
    "header",
    [
        "<http://[::1>; rel=next",
        "<http://127.0.0.1:99999/>; rel=next",
        "<",
        "garbage",
        ";;;",
        '<a>; rel="next',
        '<?page=2>; rel="nofollow"',
    ],
)
def test_a_strange_link_header_is_an_error_or_ignored(connect, header):
    rows = made_up_rows(3)

    def answer(request):
        return Answer({"orders": rows if request.page in (None, 1) else []}, headers={"Link": header})

    with stand_in(answer) as catalog:
        try:
            assert read(connect(catalog.url)) == rows
        except CatalogPaginationError as error:
            assert error.endpoint == "orders"


def test_the_same_origin_may_be_written_in_another_way(connect):
    def answer(request):
        port = request.headers["host"].rpartition(":")[2]
        header = {"Link": f'<HTTP://LOCALHOST:0{port}/x?page=2>; rel="next"'} if request.page is None else {}
        return Answer({"orders": [{"page": request.page}]}, headers=header)

    with stand_in(answer) as catalog:
        client = connect(catalog.url.replace("127.0.0.1", "localhost"))
        assert read(client) == [{"page": None}, {"page": 2}]


def test_links_that_lead_in_a_circle(connect):
    def answer(request):
        number = request.page or 1
        return Answer({"orders": [{"n": number}]}, headers={"Link": f"</x?page={number % 3 + 1}>; rel=next"})

    with stand_in(answer) as catalog, pytest.raises(CatalogPaginationError, match="circles") as caught:
        read(connect(catalog.url))
    assert not caught.value.retryable
    assert len(catalog.requests) <= 5


@pytest.mark.parametrize("mode", ["link", "next-only", "page-only"])
def test_a_page_that_comes_again_is_an_error(connect, mode):
    """A server that repeats page 2 forever."""
    paging = Paging(mode, most=10)

    def answer(request):
        if request.page and request.page > 2:
            request.query["page"] = "2"
        reply = paged(made_up_rows(100), paging, "orders")(request)
        reply.headers |= links(request, 10, int(request.query.get("page", 1)) - 1, paging, 100)
        return reply

    with stand_in(answer) as catalog, pytest.raises(CatalogPaginationError):
        read(connect(catalog.url))


@pytest.mark.parametrize("change", [-60, 60])
def test_data_that_moves_is_an_error_after_the_rows_were_handed_out(connect, change):
    counts = iter([100, 100, *[100 + change] * 100])

    def answer(request):
        return paged(made_up_rows(next(counts)), Paging(most=10), "orders")(request)

    with stand_in(answer) as catalog, pytest.raises(CatalogDataMovedError, match="orders: the data moved"):
        read(connect(catalog.url), max_concurrency=1)


@pytest.mark.parametrize("times", [2, 3])
def test_counting_starts_again_at_most_twice_when_the_data_moves(connect, times):
    asked = []

    def answer(request):
        asked.append(request.page)
        moves = len(asked) <= 2 * times and len(asked) % 2 == 0
        return paged(made_up_rows(200 if moves else 100), Paging(most=10), "orders")(request)

    with stand_in(answer) as catalog:
        client = connect(catalog.url)
        if times == 2:
            assert client.count_rows(ENDPOINTS["orders"], {}) == 100
        else:
            with pytest.raises(CatalogPaginationError):
                client.count_rows(ENDPOINTS["orders"], {})
            assert len(asked) == 6


def test_data_that_moves_while_the_paging_is_found_out(connect):
    """Without links, page 1 has to be the first page or a new one; a mixture means that rows moved."""

    def answer(request):
        rows = made_up_rows(10) if request.page is None else made_up_rows(10)[1:]
        return Answer({"orders": rows})

    with stand_in(answer) as catalog, pytest.raises(CatalogDataMovedError):
        read(connect(catalog.url))


def test_an_unpaginated_answer_in_another_order_each_time(connect):
    rows = made_up_rows(30)
    with stand_in(lambda request: Answer({"orders": rows[request.page or 0 :] + rows[: request.page or 0]})) as catalog:
        assert read(connect(catalog.url)) == rows


EQUAL = [{"n": "A"}]


@pytest.mark.parametrize("mode", ["link", "next-only"])
def test_rows_that_nothing_tells_apart_may_fill_pages(connect, mode):
    rows = EQUAL * 20 + made_up_rows(3)
    for most in (1, 5):
        with stand_in(paged(rows, Paging(mode, most=most), "orders")) as catalog:
            assert read(connect(catalog.url)) == rows


@pytest.mark.parametrize("first", [0, 1])
def test_a_row_that_recurs_on_another_page(connect, first):
    rows = [*made_up_rows(10), *made_up_rows(3), *made_up_rows(12)[10:]]
    with stand_in(paged(rows, Paging("page-only", first, most=5), "orders")) as catalog:
        assert read(connect(catalog.url)) == rows


@pytest.mark.parametrize("first", [0, 1])
def test_equal_rows_without_links_are_read_or_refused_but_never_lost(connect, first):
    readable = [{"n": "B"}, *EQUAL * 2, {"n": "B"}, *EQUAL * 2, *made_up_rows(2)]
    with stand_in(paged(readable, Paging("page-only", first, most=3), "orders")) as catalog:
        assert read(connect(catalog.url)) == readable
    with stand_in(paged(EQUAL * 10 + made_up_rows(5), Paging("page-only", first, most=5), "orders")) as catalog:
        with pytest.raises(CatalogPaginationError, match="can't be told apart"):
            read(connect(catalog.url))


def test_a_server_that_ignores_numbers_beyond_its_pages(connect):
    def answer(request):
        return Answer({"orders": [{"n": min(request.page or 1, 3)}]})

    with stand_in(answer) as catalog, pytest.raises(CatalogPaginationError, match="far beyond the last one"):
        read(connect(catalog.url))


def test_a_last_page_with_an_absurd_number(connect):
    def answer(request):
        header = {"Link": f'</x?page=2>; rel="next", </x?page={"9" * 5000}>; rel="last"'}
        return Answer({"orders": [{"n": request.page}]}, headers=header if request.page is None else {})

    with stand_in(answer) as catalog:
        assert read(connect(catalog.url)) == [{"n": None}, {"n": 2}]


def test_links_without_numbers_are_followed(connect):
    def answer(request):
        index = {"": 0, "b": 1, "c": 2}[request.query.get("page", "")]
        header = {"Link": f'</x?page={"abc"[index + 1]}>; rel="next", </x?page=c>; rel="last"'} if index < 2 else {}
        return Answer({"orders": [{"n": index}]}, headers=header)

    with stand_in(answer) as catalog:
        assert read(connect(catalog.url)) == [{"n": 0}, {"n": 1}, {"n": 2}]
