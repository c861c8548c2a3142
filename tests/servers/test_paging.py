"""Every kind of server is read completely, or refused with a clear error; never cut short."""

from __future__ import annotations

import json

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.errors import CatalogPaginationError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from tests.catalog_server import AT_ONCE, Answer, Pages, catalog_server
from tests.servers.kinds import EITHER, ERROR, LINKS, all_kinds
from tests.servers.reading import is_clear, is_read_by_a_loop, read_with_hook, read_with_operator, rows_of

pytestmark = pytest.mark.takes(seconds=40)
KINDS = all_kinds()


def timeout(pages: Pages, in_flight: int) -> float:
    """Return a short one where a page that is needed does not answer, and else one that nobody may wait for."""
    needed = [each for answers in pages.answers.values() if isinstance(answers, list) for each in answers]
    is_told_more = pages.more or pages.last is not None
    if pages.links == "none" or is_told_more or len(pages.rows) <= pages.size or in_flight == 1:
        needed.append(pages.beyond)
    needed.append(getattr(pages, "early", None))  # what a server answers that minds being asked ahead
    return 1 if any(isinstance(each, Answer) and each.stall is not None for each in needed) else 3600


@pytest.mark.parametrize(("number", "kind"), [*enumerate(KINDS.values())], ids=KINDS)
def test_rows(serve, tmp_path, kind, number):
    """Of requests in flight and ways to read, the combinations take turns."""
    pages, in_flight = kind.make(), 8 if number % 2 else 1
    with serve(pages, max_concurrency=in_flight, timeout=timeout(pages, in_flight)):
        outcome = read_with_operator(tmp_path) if number % 3 else read_with_hook()
    if outcome.error:
        assert kind.outcome in (ERROR, EITHER), f"want {len(pages.rows)}, got {outcome}"
        assert is_clear(outcome.error), outcome.error
    else:
        assert kind.outcome != ERROR, f"got {outcome} of {len(pages.rows)}"
        assert outcome.rows == pages.rows, f"want {len(pages.rows)}, got {outcome}"


def test_links_that_lead_to_the_same_rows_are_not_counted(serve):
    """As of a gateway that adds links, before a Catalog that sends all rows whatever is asked for."""
    pages = Pages(rows_of(10), by="nothing", more="all", last=4)
    with serve(pages), pytest.raises(CatalogPaginationError, match="circles"):
        CatalogHook().count_rows("orders")
    with serve(pages, pagination="none"):
        assert CatalogHook().count_rows("orders") == 10


NO = {code: Answer(b"no", code, AT_ONCE) for code in (400, 404, 410, 416, 422, 429, 500, 503, 524)}
LASTING = [answer for code, answer in NO.items() if code != 429]  # that one is waited for, for 15 minutes
ONCE = [NO[429], NO[500], NO[503], NO[524], Answer(drop=True), Answer({"orders": []}, cut=5), NO[404]]
SHAPES = {
    "id": lambda n: {"id": n},
    "product": lambda n: {"account_id": 3, "product": {"name": "Course", "id": n}},
    "no-id": lambda n: {"name": f"n{n}"},
    "equal": lambda n: {"amount": 1},
    "few-values": lambda n: {"amount": n % 2},
    "halves": lambda n: {"n": n // 2},
}
NEXT = [("next",), ("next", "last"), ("next", "prev", "first", "last")]


@st.composite
def servers(draw):
    """Return the ways of a server, and its rows."""

    def one_of(*values):
        return draw(st.sampled_from(values))

    links = one_of("header", "header", "none", "next", "links.next", "meta.next")
    count = one_of(0, 1, 2, 9, 10, 11, 19, 20, 21, 25, 30, 47, 85)
    how = {
        "links": links,
        "relations": one_of(*NEXT),
        "by": one_of("number", "offset", "cursor") if links != "none" else "number",
        "size": one_of(1, 3, 7, 9, 10) if count < 30 else 10,
        "first": one_of(0, 1),
        "before": one_of(None, "first", NO[404], NO[500]),
        "beyond": one_of(None, None, "last", "first", Answer({"orders": None}), *LASTING),
        "more": one_of(None, None, "full", "last", "all") if links != "none" else None,
        "query": one_of(None, {}, {"per_page": "10"}),
        "link": LINKS[one_of(*sorted(LINKS))],
        "total": one_of(None, None, "X-Total", "Total", "meta.total", "total_count"),
        "values": one_of({}, {}, {"meta.total_pages": 99}, {"total_amount": 10**6}, {"took": 1}),
        "sizes": draw(st.just(()) | st.lists(st.sampled_from([1, 4, 9, 10]), min_size=1, max_size=4)),
        "last": one_of(None, None, None, None, 0, 1, 3, 9),
        "answers": {n: [one_of(*ONCE)] for n in draw(st.lists(st.integers(0, 9), max_size=2))},
    }
    shape = SHAPES[one_of(*sorted(SHAPES))]
    return how, [shape(n) for n in range(count)]


def undistinguished(how, rows) -> bool:
    """Whether nothing tells that page 2 is another one than page 1, so that a WARNING has to do."""
    size = (how["sizes"] or [how["size"]])[0]
    return how["links"] == "none" and not how["total"] and rows[:size] == rows[size : 2 * size]


def may_be_refused(how, rows) -> bool:
    """Whether one of the design's exceptions to *what a plain loop reads is read* may hold."""
    return bool(
        how["last"] is not None  # last names a later page
        or (how["links"] == "none" and isinstance(how["beyond"], Answer))  # a failure after a full page
        or how["more"]  # an empty page has a next
        or len({json.dumps(row) for row in rows}) < len(rows)  # which may be a circle
    )


@given(servers(), st.sampled_from([1, 4, 8]))
@settings(print_blob=True)
def test_never_cut_short(server, in_flight):
    how, rows = server
    with catalog_server(Pages(list(rows), **how)) as catalog, pytest.MonkeyPatch.context() as environment:
        value = catalog.connection(page_size=10, max_concurrency=in_flight, timeout=5)
        environment.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", value)
        outcome = read_with_hook()
    if outcome.error:
        event("error")
        assert is_clear(outcome.error)
        by_loop = is_read_by_a_loop(Pages(list(rows), **how))
        assert not by_loop or may_be_refused(how, rows), f"a plain loop reads it; {outcome.error}"
    else:
        event("read")
        assert outcome.rows == rows or undistinguished(how, rows), str(outcome)
