"""Answers that a reader could take for the end, for rows or for more pages, and that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_catalog.errors import CatalogPaginationError, CatalogUnavailableError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from tests.catalog_server import Answer, Pages
from tests.servers.reading import read_with_hook, read_with_operator, rows_of, within_patience

ROWS = rows_of(35)
USERS = Answer({"users": [{"id": 1}]})
IN_FLIGHT = pytest.mark.parametrize("in_flight", [1, 8])


def linked(links, rows):
    header = ", ".join(f'<https://x.example/?{query}>; rel="{name}"' for name, query in links.items())
    return Answer({"orders": rows}, headers={"Link": header} if links else {})


@IN_FLIGHT
@pytest.mark.parametrize(
    ("page", "answer", "how"),
    [
        (1, USERS, {}),
        (3, USERS, {"last": 3}),
        (2, USERS, {"by": "cursor"}),
        (1, linked({"next": "page=4"}, ROWS[20:30]), {}),
        (1, Answer({"orders": []}), {"links": "none"}),
        (1, Answer(b"", 204), {"links": "none"}),
        (1, Answer({"orders": ROWS[:10]}), {"links": "none"}),
        (3, Answer({"orders": ROWS[:10]}), {"by": "cursor"}),
    ],
    ids=["users", "users-last", "users-cursor", "page-3-for-2", "empty", "no-content", "first-again", "first-for-last"],
)
def test_an_answer_to_another_request_once(serve, tmp_path, page, answer, how, in_flight):
    with serve(Pages(ROWS, answers={page: [answer]}, **how), max_concurrency=in_flight):
        outcome = read_with_operator(tmp_path)
    assert outcome.rows == ROWS, outcome


@IN_FLIGHT
def test_a_last_page_of_one_row_that_comes_for_ever(serve, in_flight):
    def page(request):
        number = request.page or 1
        return linked({"next": f"page={number + 1}"}, ROWS[:10] if number == 1 else ROWS[10:11])

    with serve(page, max_concurrency=in_flight):
        assert isinstance(read_with_hook().error, CatalogPaginationError)


def test_cursors_that_lead_over_many_pages_without_rows(serve):
    """As of a server that filters rows when it has cut the page."""

    def page(request):
        number = int(request.query.get("cursor", 0))
        return linked(
            {"next": f"cursor={number + 1}"} if number < 60 else {}, [{"id": number}] if number % 20 == 0 else []
        )

    with serve(page):
        assert read_with_hook().rows == [{"id": number} for number in (0, 20, 40, 60)]


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize(
    ("how", "there"), [({"relations": ("next",)}, rows_of(10, 40)), ({"links": "none"}, [])], ids=["link", "rows"]
)
def test_what_a_page_lacks_while_later_ones_have_come(serve, how, there, times):
    answer = Answer({"orders": there}, delay=0.3)  # so that the later ones come first
    lost = range(40, 50) if times > 1 and not there else ()
    with serve(Pages(rows_of(85), answers={4: [answer] * times}, **how), max_concurrency=8):
        assert read_with_hook().rows == [row for row in rows_of(85) if row["id"] not in lost]


@IN_FLIGHT
def test_pages_that_begin_anew_after_the_last(serve, in_flight):
    rows = rows_of(120)

    def page(request):
        start = ((request.page or 1) - 1) % 12 * 10
        return Answer({"orders": rows[start : start + 10]})

    with serve(page, max_concurrency=in_flight):
        assert read_with_hook().rows == rows


def test_rows_that_are_all_equal_without_links(serve):
    with serve(Pages([{"name": "a"}] * 35, links="none")):
        assert "all equal" in str(read_with_hook().error)


def test_a_link_of_another_resource(serve):
    pages = Pages(ROWS)

    def with_foreign_link(request):
        answer = pages(request)
        foreign = '</other?page=99>; rel="next"; anchor="/other"'
        return replace(answer, headers={**answer.headers, "Link": f"{foreign}, {answer.headers.get('Link', '')}"})

    with serve(with_foreign_link):
        assert read_with_hook().rows == ROWS


def test_an_offset_that_is_called_page_is_counted_by_reading(serve):
    def page(request):
        start = request.page or 0
        return linked({"next": f"page={start + 10}", "last": "page=30"} if start < 30 else {}, ROWS[start : start + 10])

    with serve(page):
        assert CatalogHook().count_rows("orders") == 35


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: Answer({"orders": ROWS[:10]}, headers={"X-Total-Count": "99"}),
        lambda _: Answer({"orders": ROWS[:10], "has_more": True}),
    ],
    ids=["total", "has-more"],
)
def test_a_sensor_whose_rows_are_there_is_done_whatever_else_is_promised(serve, answer):
    with serve(answer):
        assert within_patience(lambda: CatalogOrdersAnalyticsSensor(task_id="wait", min_rows=10).poke({}))
        assert not within_patience(lambda: CatalogOrdersAnalyticsSensor(task_id="wait", min_rows=50).poke({}))
        assert read_with_hook().error


def test_what_to_set_where_a_full_page_is_the_only_one(serve, no_backoff):
    def only_page(request):
        return Answer({"orders": ROWS[:10]}) if request.page in (None, 1) else Answer(b"out of range", 500)

    with serve(only_page):
        error = read_with_hook().error
        assert isinstance(error, CatalogUnavailableError)
        assert str(error).startswith("set `pagination` in the connection's extra to link")
    with serve(only_page, pagination="link"):
        assert read_with_hook().rows == ROWS[:10]


def test_a_proxys_408_on_a_connection_that_was_kept(serve):
    """Of each connection it takes one request, and answers the next one with 408; a sensor makes no other try."""
    seen = set()
    pages = Pages(ROWS[:5])

    def one_each(request):
        if request.client in seen:
            return Answer(b"", 408, {"Connection": "close"})
        seen.add(request.client)
        return pages(request)

    with serve(one_each):
        sensor = CatalogOrdersAnalyticsSensor(task_id="wait", min_rows=5)
        for _ in range(3):
            assert within_patience(lambda: sensor.poke({}))
