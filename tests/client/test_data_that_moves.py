"""Rows that enter, leave or change while they are read: every row exactly once, or an error."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.retry import again_when_data_moved
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogPaginationError, CatalogResponseError
from tests.client.test_pagination import MODES, made_up_rows, read
from tests.stand_in import Answer, Paging, links, paged, stand_in

PAGED = ["link", "next-only", "page-only"]
ROWS = made_up_rows(47)


def moving(rows, change, after, paging):
    """Serve rows by pages of 10; after so many requests they change."""
    rows = list(rows)
    asked = []

    def answer(request):
        reply = paged(list(rows), paging, "orders")(request)
        asked.append(request.page)
        if len(asked) == after:
            change(rows)
        return reply

    return answer, rows, asked


CHANGES = {
    "a row enters in front": lambda rows: rows.insert(0, {"new": 1}),
    "a row leaves in front": lambda rows: rows.pop(0),
    "a row enters at the end of the first page": lambda rows: rows.insert(9, {"new": 1}),
    "a row leaves from the end of the first page": lambda rows: rows.pop(9),
    "a row enters in the middle": lambda rows: rows.insert(25, {"new": 1}),
    "a row leaves from the middle": lambda rows: rows.pop(25),
    "some rows leave": lambda rows: rows.__delitem__(slice(3, 8)),
    "many rows leave": lambda rows: rows.__delitem__(slice(5, 25)),
    "many rows enter": lambda rows: rows.__setitem__(slice(0, 0), [{"new": n} for n in range(10)]),
    "all rows but the last page's leave": lambda rows: rows.__delitem__(slice(0, 40)),
}


@pytest.mark.parametrize("mode", PAGED)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", [0, 1])
def test_rows_that_enter_or_leave_after_any_request(connect, mode, change, first):
    """Whenever it happens, the rows are those from before or those from after; the second read finds them at rest."""
    paging = Paging(mode, first, most=10)
    for after in range(1, 30):
        answer, rows, asked = moving(ROWS, CHANGES[change], after, paging)
        with stand_in(answer) as catalog:
            client = connect(catalog.url)
            got = again_when_data_moved(lambda client=client: read(client, max_concurrency=1), "orders")
        if len(asked) < after:
            return
        assert got in (ROWS, rows), f"after request {after}"
    raise AssertionError("the change never came too late")


@pytest.mark.parametrize("mode", MODES)
def test_a_row_that_is_added_to_the_last_page_is_no_reason_to_start_over(connect, mode):
    answer, rows, asked = moving(ROWS, lambda rows: rows.append({"new": 1}), 3, Paging(mode, most=10))
    with stand_in(answer) as catalog:
        assert read(connect(catalog.url), max_concurrency=1) in (ROWS, rows)
    assert asked.count(None) <= 2


@pytest.mark.parametrize("mode", PAGED)
@pytest.mark.parametrize("place", [0, 4, 25, 42])
def test_a_row_that_is_edited_meanwhile_is_no_reason_to_start_over(connect, mode, place):
    def edit(rows):
        rows[place] = {**rows[place], "flag": "edited"}

    answer, _, _ = moving(ROWS, edit, 8, Paging(mode, most=10))
    with stand_in(answer) as catalog:
        got = read(connect(catalog.url), max_concurrency=1)
    assert [row["größe"] for row in got] == list(range(47))


@pytest.mark.parametrize("mode", PAGED)
def test_data_that_moves_all_the_time_is_an_error(connect, mode):
    """A row leaves with each request."""
    rows = made_up_rows(200)

    def answer(request):
        rows.pop(0)
        return paged(list(rows), Paging(mode, most=10), "orders")(request)

    with stand_in(answer) as catalog:
        client = connect(catalog.url)
        with pytest.raises(CatalogDataMovedError, match=r"orders: .*moved") as caught:
            again_when_data_moved(lambda: read(client, max_concurrency=1), "orders")
    assert caught.value.retryable


def altered(mode, alter):
    """Serve 47 rows by pages of 10, and let a function change request or reply."""

    def answer(request):
        replaced = alter(request)
        reply = paged(ROWS, Paging(mode, most=10), "orders")(request)
        return replaced or reply

    return answer


@pytest.mark.parametrize("mode", PAGED)
@pytest.mark.parametrize(("page", "shown"), [(3, 2), (3, 4), (2, 1), (5, 4)])
def test_a_page_in_the_place_of_another(connect, mode, page, shown):
    """Once: what the second read finds. Always: an error."""
    for times in (1, 1000):
        left = [times]

        def alter(request, left=left):
            if request.page == page and left[0]:
                left[0] -= 1
                request.query["page"] = str(shown)

        with stand_in(altered(mode, alter)) as catalog:
            client = connect(catalog.url)
            if times == 1:
                assert again_when_data_moved(lambda client=client: read(client), "orders") == ROWS
            else:
                with pytest.raises(CatalogPaginationError):
                    again_when_data_moved(lambda client=client: read(client), "orders")


@pytest.mark.parametrize("mode", PAGED)
@pytest.mark.parametrize("page", [2, 3, 4])
@pytest.mark.parametrize("kept", [0, 9])
def test_a_page_that_lacks_rows(connect, mode, page, kept):
    def alter(request):
        if request.page == page:
            found = ROWS[(page - 1) * 10 :][:kept]
            return Answer({"orders": found}, headers=links(request, 10, page - 1, Paging(mode, most=10), 47))
        return None

    with (
        stand_in(altered(mode, alter)) as catalog,
        pytest.raises(CatalogDataMovedError, match="orders: the data moved"),
    ):
        read(connect(catalog.url))


@pytest.mark.parametrize("mode", ["link", "next-only"])
def test_the_first_page_in_the_place_of_itself(connect, mode):
    def alter(request):
        if request.page in (None, 1):
            request.query["page"] = "2"

    with stand_in(altered(mode, alter)) as catalog, pytest.raises(CatalogDataMovedError, match="first page has a link"):
        read(connect(catalog.url))


@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 35, 100, 101, 110, 640])
@pytest.mark.parametrize("mode", ["next-only", "page-only"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_last_page_is_found_in_few_requests(connect, mode, first, count):
    rows = made_up_rows(count)
    with stand_in(paged(rows, Paging(mode, first, most=10), "orders")) as catalog:
        client = connect(catalog.url)
        assert client.count_rows(ENDPOINTS["orders"], {}) == count
        counting = len(catalog.requests)
        assert read(client) == rows
        reading = len(catalog.requests) - counting
    pages = -(-count // 10)
    assert counting <= 7 + 2 * pages.bit_length()
    assert reading <= 9 + 2 * pages.bit_length() + pages


def test_a_page_beyond_the_last_may_be_not_found(connect):
    def answer(request):
        if request.page and request.page > 5:
            return Answer({"error": "no such page"}, 404)
        return paged(ROWS, Paging("next-only", most=10), "orders")(request)

    with stand_in(answer) as catalog:
        assert read(connect(catalog.url)) == ROWS


def test_pages_without_an_end(connect):
    def answer(request):
        number = request.page or 1
        return Answer({"orders": [{"n": number}]}, headers={"Link": f"</x?page={number + 1}>; rel=next"})

    with stand_in(answer) as catalog, pytest.raises(CatalogPaginationError, match="more than 1,000,000 pages"):
        read(connect(catalog.url))
    assert len(catalog.requests) < 30


def test_numbers_that_are_no_pages_are_followed(connect):
    """Such as ids of rows, from which the next page starts."""

    def answer(request):
        following = {None: 1040, 1040: 3, 3: 77}.get(request.page)
        header = {"Link": f"</x?page={following}>; rel=next"} if following else {}
        return Answer({"orders": [{"at": request.page}]}, headers=header)

    with stand_in(answer) as catalog:
        assert [row["at"] for row in read(connect(catalog.url))] == [None, 1040, 3, 77]


@pytest.mark.parametrize(("page", "retried"), [(1, False), (3, True)])
def test_json_of_another_shape_is_asked_for_again_where_there_were_rows_before(connect, no_backoff, page, retried):
    left = [2]

    def answer(request):
        if (request.page or 1) == page and left[0]:
            left[0] -= 1
            return Answer({"status": "maintenance"})
        return paged(ROWS, Paging(most=10), "orders")(request)

    with stand_in(answer) as catalog:
        if retried:
            assert read(connect(catalog.url)) == ROWS
        else:
            with pytest.raises(CatalogResponseError, match="its keys are: status"):
                read(connect(catalog.url))
            assert len(catalog.requests) == 1
