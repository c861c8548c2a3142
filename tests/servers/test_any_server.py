"""Any server that has several of these habits at once: each is read completely, or refused; never cut short."""

from __future__ import annotations

import json
import os
from unittest import mock

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.catalog_server import AT_ONCE, TOKEN, Answer, Pages, catalog_server
from tests.servers.kinds import LINKS
from tests.servers.reading import is_clear, is_read_by_a_loop, read_with_hook

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
    links = draw(st.sampled_from(["header", "header", "none", "next", "links.next", "meta.next"]))
    relations = draw(st.sampled_from(NEXT))
    by = draw(st.sampled_from(["number", "offset", "cursor"])) if links != "none" else "number"
    count = draw(st.sampled_from([0, 1, 2, 9, 10, 11, 19, 20, 21, 25, 30, 47, 85]))
    size = draw(st.sampled_from([1, 3, 7, 9, 10])) if count < 30 else 10
    how = {
        "links": links,
        "relations": relations,
        "by": by,
        "size": size,
        "first": draw(st.integers(0, 1)),
        "before": draw(st.sampled_from([None, "first", NO[404], NO[500]])),
        "beyond": draw(st.sampled_from([None, None, "last", "first", Answer({"orders": None}), *LASTING])),
        "more": draw(st.sampled_from([None, None, "full", "last", "all"])) if links != "none" else None,
        "query": draw(st.sampled_from([None, {}, {"per_page": "10"}])),
        "link": LINKS[draw(st.sampled_from(sorted(LINKS)))],
        "total": draw(st.sampled_from([None, None, "X-Total", "Total", "meta.total", "total_count"])),
        "values": draw(st.sampled_from([{}, {}, {"meta.total_pages": 99}, {"total_amount": 10**6}, {"took": 1}])),
    }
    if draw(st.booleans()):
        how["sizes"] = draw(st.lists(st.sampled_from([1, 4, 9, 10]), min_size=1, max_size=4))
    if draw(st.booleans()):
        how["last"] = draw(st.sampled_from([0, 1, 3, 9]))
    page = st.integers(0, 9)
    how["answers"] = {n: [draw(st.sampled_from(ONCE))] for n in draw(st.lists(page, max_size=2))}
    shape = draw(st.sampled_from(sorted(SHAPES)))
    return how, [SHAPES[shape](n) for n in range(count)]


def undistinguished(how, rows) -> bool:
    """Whether nothing tells that page 2 is another one than page 1, so that a WARNING has to do (rule 4)."""
    size = how.get("sizes", [how["size"]])[0]
    return how["links"] == "none" and not how["total"] and rows[:size] == rows[size : 2 * size]


@given(servers(), st.sampled_from([1, 4, 8]))
@settings(print_blob=True)
def test_never_cut_short(server, in_flight):
    how, rows = server
    extra = {"page_size": 10, "max_concurrency": in_flight, "timeout": 5}
    with catalog_server(Pages(list(rows), **how)) as catalog:
        value = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN, "extra": extra}
        with mock.patch.dict(os.environ, AIRFLOW_CONN_CATALOG_DEFAULT=json.dumps(value)):
            outcome = read_with_hook()
    if outcome.error:
        event("error")
        assert is_clear(outcome.error)
        with catalog_server(Pages(list(rows), **how)) as catalog:
            next_in = None if how["links"] in ("header", "none") else how["links"]
            by_loop = is_read_by_a_loop(catalog.url, rows, next_in, stop_when_empty=True)
        assert not by_loop or may_be_refused(how, rows), f"a plain loop reads it; {outcome.error}"
    else:
        event("read")
        assert outcome.rows == rows or undistinguished(how, rows), str(outcome)


def may_be_refused(how, rows) -> bool:
    """Whether one of the design's exceptions to *what a plain loop reads is read* may hold."""
    return bool(
        how.get("last") is not None  # rule 1: last names a later page
        or (how["links"] == "none" and isinstance(how["beyond"], Answer))  # rule 4: a failure after a full page
        or how["more"]  # rule 1: an empty page has a next
        or len({json.dumps(row) for row in rows}) < len(rows)  # rule 6
    )
