"""Every kind of server is read completely, or refused with a clear error; never cut short."""

from __future__ import annotations

import os

import pytest

from tests.catalog_server import Answer, Pages
from tests.servers.kinds import ALL, EITHER, ERROR, HEADERS, Kind, all_kinds, header_kind
from tests.servers.reading import Outcome, is_clear, is_read_by_a_loop, read_with_hook, read_with_operator

# Neighbours differ in one habit; every seventh kind has each habit, in a seventh of the time.
EVERY = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 41
KINDS = [*all_kinds()[::EVERY], *map(header_kind, HEADERS)]


def check(outcome: Outcome, rows, right: str) -> None:
    assert right != ERROR or outcome.error, f"want {right}, got {outcome} of {len(rows)}"
    if outcome.error:
        assert right in (ERROR, EITHER), f"want {right} ({len(rows)}), got {outcome}"
        assert is_clear(outcome.error), outcome.error
    else:
        assert outcome.rows == rows, f"want {right} ({len(rows)}), got {outcome}"


def settings(pages: Pages, in_flight: int = 8) -> dict[str, float]:
    """Return a short time-out where a page that is needed does not answer, and else one that nobody may wait for."""
    needed = [each for answers in pages.answers.values() if isinstance(answers, list) for each in answers]
    is_told_more = pages.more or pages.last is not None
    if pages.links == "none" or is_told_more or len(pages.rows) <= pages.size or in_flight == 1:
        needed.append(pages.beyond)
    needed.append(getattr(pages, "early", None))  # what a server answers that minds being asked ahead
    return {"timeout": 1 if any(isinstance(each, Answer) and each.stall is not None for each in needed) else 3600}


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_rows(serve, tmp_path, kind: Kind, in_flight):
    for read in (read_with_hook, lambda: read_with_operator(tmp_path)):
        pages = kind.make()
        with serve(pages, max_concurrency=in_flight, **settings(pages, in_flight)):
            check(read(), pages.rows, kind.outcome)


@pytest.mark.parametrize("kind", [each for each in KINDS if each.outcome != ALL], ids=str)
def test_what_a_plain_loop_reads_is_read(serve, kind: Kind):
    """Or a reason stands in the design."""
    for stop_when_empty in (False, True):
        pages = kind.make()
        next_in = None if pages.links in ("header", "none") else pages.links
        with serve(pages) as catalog:
            is_read = is_read_by_a_loop(catalog.url, pages.rows, next_in, stop_when_empty)
        assert not is_read or kind.except_loop, "a plain loop reads it"
