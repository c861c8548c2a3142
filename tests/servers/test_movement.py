"""Rows that come, go and change while they are read."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogUnavailableError
from tests.catalog_server import Answer, Pages
from tests.servers.kinds import ALL_WAYS
from tests.servers.reading import is_clear, read_with_hook, read_with_operator, rows_of, warnings_of

IN_FLIGHT = pytest.mark.parametrize("in_flight", [1, 8])
EACH_WAY = pytest.mark.parametrize("way", [way for way in ALL_WAYS if way not in ("from-0", "body", "body-cursor")])
NEW = {"id": -1, "student": {"email": "new@example.edu"}, "revenue": 0}


def ids(rows):
    return [row["id"] for row in rows]


def delete(place):
    return lambda rows: rows.pop(place)


def insert(place):
    return lambda rows: rows.insert(place, NEW)


@IN_FLIGHT
@EACH_WAY
@pytest.mark.parametrize(("count", "index"), [(9, 0), (10, 0), (25, 0), (25, 2)])
@pytest.mark.parametrize("added", [1, 25])
def test_rows_that_are_added_at_the_end_are_read(serve, way, count, index, added, in_flight):
    pages = Pages(rows_of(count), changes={index: lambda rows: rows.extend(rows_of(added, 1000))}, **ALL_WAYS[way])
    with serve(pages, max_concurrency=in_flight):
        outcome = read_with_hook()  # which does not begin anew, as an operator does
    assert not outcome.error, outcome
    assert outcome.rows == pages.rows[: len(outcome.rows)]
    were_there_before_the_last_page = index < (count - 1) // 10 and in_flight == 1
    assert len(outcome.rows) >= (count + added if were_there_before_the_last_page else count)


@IN_FLIGHT
def test_a_last_row_that_leaves_moves_no_other(serve, in_flight):
    with serve(Pages(rows_of(47), changes={1: delete(-1)}), max_concurrency=in_flight):
        outcome = read_with_hook()
    assert not outcome.error, outcome
    assert ids(outcome.rows)[:46] == list(range(46))


SHAPES = {
    "id": lambda n: {"id": n, "revenue": 1},
    "product": lambda n: {"account_id": 3, "product": {"name": "Course", "id": n}, "currency": "USD"},
    "order": lambda n: {"account": {"id": 1}, "order_id": f"O-{n}", "student": {"id": n % 3}},
    "no-id": lambda n: {"name": f"n{n}", "city": "Oslo"},
}
NOISE = {
    "first-field": lambda row, now: {"generated_at": now} | row,
    "nested": lambda row, now: row | {"meta": {"age": {"seconds": now}}},
    "list": lambda row, now: row | {"tags": ["a", now]},
    "url": lambda row, now: row | {"url": f"https://files.example/{now}?signature={now * 7919}"},
    "key-order": lambda row, now: dict(reversed(row.items())) if now % 2 else row,
    "body": lambda row, now: row,
}
# Without links and ids there is no telling of the other ones: a WARNING says so.
DIFFERENT = [
    (shape, noise, way)
    for shape, noise, way in itertools.product(SHAPES, NOISE, ["from-1", "no-links-from-1"])
    if (shape, way) != ("no-id", "no-links-from-1") or noise in ("body", "key-order")
]


@IN_FLIGHT
@pytest.mark.parametrize(("shape", "noise", "way"), DIFFERENT)
@pytest.mark.parametrize("count", [1, 10, 47])
def test_what_differs_in_each_answer_is_no_movement(serve, tmp_path, way, noise, shape, in_flight, count):
    times = itertools.count(1)

    class Volatile(Pages):
        def _page(self, index, request):
            answer, now = super()._page(index, request), next(times)
            rows = [NOISE[noise](row, now) for row in answer.body["orders"]]
            answer.body |= {"request_id": f"r{now}", "orders": rows, "took": now}
            return answer

    rows = [SHAPES[shape](n) for n in range(count)]
    with serve(Volatile(rows, **ALL_WAYS[way]), max_concurrency=in_flight):
        outcome = read_with_operator(tmp_path)
    assert [{name: row[name] for name in rows[0]} for row in outcome.rows] == rows, outcome
    assert outcome.manifest["moved"] is False


@IN_FLIGHT
@EACH_WAY
@pytest.mark.parametrize(("row", "page"), [(0, 0), (9, 4), (46, 0)])
def test_a_row_that_is_edited_is_no_movement(serve, tmp_path, way, row, page, in_flight):
    def edit(rows):
        rows[row] = rows[row] | {"revenue": -1, "student": {"email": "new@example.edu"}}

    with serve(Pages(rows_of(47), changes={page: edit}, **ALL_WAYS[way]), max_concurrency=in_flight):
        outcome = read_with_operator(tmp_path)
    assert ids(outcome.rows) == list(range(47)), outcome
    assert outcome.manifest["moved"] is False


@IN_FLIGHT
@EACH_WAY
@pytest.mark.parametrize(
    ("page", "change"),
    [(0, insert(0)), (2, insert(3)), (1, delete(0)), (0, delete(4)), (2, delete(0))],
    ids=["insert-0-at-0", "insert-3-at-2", "delete-0-at-1", "delete-4-at-0", "delete-0-at-2"],
)
def test_rows_that_move_once_are_read_again(serve, tmp_path, way, page, change, in_flight):
    pages = Pages(rows_of(47), changes={page: change}, **ALL_WAYS[way])
    with serve(pages, max_concurrency=in_flight):
        outcome = read_with_operator(tmp_path)
    assert ids(outcome.rows) == ids(pages.rows), outcome
    assert outcome.manifest["moved"] is False


@pytest.mark.parametrize("change", [delete(0), delete(4), lambda rows: rows.insert(0, {"name": "new", "city": "Oslo"})])
def test_rows_without_ids_that_move_once_are_read_again(serve, tmp_path, change):
    pages = Pages([SHAPES["no-id"](n) for n in range(47)], changes={0: change})
    with serve(pages):
        assert read_with_operator(tmp_path).rows == pages.rows


@pytest.mark.parametrize("way", ["from-1", "from-0"])
def test_a_last_page_that_vanishes_is_movement(serve, tmp_path, way):
    """The only row of the last page has moved to the page before it, which was read by then."""
    pages = Pages(rows_of(41), changes={3: delete(15)}, **ALL_WAYS[way])
    with serve(pages, max_concurrency=1):
        outcome = read_with_operator(tmp_path)
    assert outcome.error or ids(outcome.rows) == ids(pages.rows), outcome


@pytest.fixture
def keep_moving(serve):
    """Return a function that serves pages to whose front a row comes with every request."""

    class Moving(Pages):
        def _page(self, index, request):
            answer = super()._page(index, request)
            self.rows.insert(0, {**NEW, "id": -len(self.rows)})
            return answer

    return lambda way, in_flight: serve(Moving(rows_of(47), **ALL_WAYS[way]), max_concurrency=in_flight)


@IN_FLIGHT
@EACH_WAY
def test_rows_that_keep_moving_are_an_error_that_tells_of_closed_windows(keep_moving, tmp_path, way, in_flight):
    with keep_moving(way, in_flight):
        for error in (read_with_operator(tmp_path).error, read_with_hook().error):
            assert isinstance(error, CatalogDataMovedError)
            assert error.retryable
            assert "_to" in str(error)[:200]
            assert is_clear(error)


@IN_FLIGHT
@EACH_WAY
def test_rows_that_keep_moving_are_accepted(keep_moving, tmp_path, way, in_flight, caplog):
    with keep_moving(way, in_flight):
        assert read_with_operator(tmp_path, on_data_moved="accept").manifest["moved"] is True
        [warning] = [line for line in warnings_of(caplog) if "moved" in line]
        assert "orders" in warning
        caplog.clear()
        assert read_with_hook(on_data_moved="accept").rows, "some may be missing"
        assert any("moved" in line for line in warnings_of(caplog))


def test_a_total_that_rows_have_left_is_no_other_error_then(serve, tmp_path):
    class Leaving(Pages):
        def _page(self, index, request):
            answer = super()._page(index, request)
            self.rows.pop(0)
            return answer

    with serve(Leaving(rows_of(90), values={"X-Total": 90})):
        assert read_with_operator(tmp_path, on_data_moved="accept").manifest["moved"] is True


@EACH_WAY
def test_accepting_changes_nothing_when_nothing_moves(serve, tmp_path, way, caplog):
    with serve(Pages(rows_of(47), **ALL_WAYS[way])):
        outcome = read_with_operator(tmp_path, on_data_moved="accept")
    assert outcome.rows == rows_of(47)
    assert outcome.manifest["moved"] is False
    assert not warnings_of(caplog)


def test_a_server_that_goes_down_after_a_short_page_is_not_at_its_end(serve, tmp_path):
    down = []
    pages = Pages(rows_of(30), sizes=(10, 7, 10), links="none", changes={1: lambda rows: down.append(True)})
    with serve(lambda request: Answer(b"down", 503) if down else pages(request), max_concurrency=1):
        assert isinstance(read_with_operator(tmp_path).error, CatalogUnavailableError)


@pytest.mark.parametrize("by", ["cursor", "number"])
def test_a_link_that_is_missing_once(serve, tmp_path, by):
    without = Answer({"orders": rows_of(10, 10)}, headers={"X-Total": "30"})
    pages = Pages(rows_of(30), by=by, relations=("next",), total="X-Total", answers={1: [without]})
    with serve(pages, max_concurrency=1):
        assert read_with_operator(tmp_path).rows == rows_of(30)
