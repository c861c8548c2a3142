"""Every kind of server is read completely, or refused with a clear error; never cut short."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.errors import CatalogPaginationError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from tests.catalog_server import Answer, Pages
from tests.servers.kinds import ALL, EITHER, ERROR, Kind, all_kinds
from tests.servers.reading import is_clear, is_read_by_a_loop, read_with_hook, read_with_operator, rows_of

pytestmark = pytest.mark.takes(seconds=40)
KINDS = all_kinds()


def settings(pages: Pages, in_flight: int) -> dict[str, float]:
    """Return a short time-out where a page that is needed does not answer, and else one that nobody may wait for."""
    needed = [each for answers in pages.answers.values() if isinstance(answers, list) for each in answers]
    is_told_more = pages.more or pages.last is not None
    if pages.links == "none" or is_told_more or len(pages.rows) <= pages.size or in_flight == 1:
        needed.append(pages.beyond)
    needed.append(getattr(pages, "early", None))  # what a server answers that minds being asked ahead
    return {"timeout": 1 if any(isinstance(each, Answer) and each.stall is not None for each in needed) else 3600}


@pytest.mark.parametrize(("number", "kind"), [*enumerate(KINDS)], ids=map(str, KINDS))
def test_rows(serve, tmp_path, kind: Kind, number: int):
    """Of requests in flight and ways to read, the combinations take turns."""
    pages, in_flight = kind.make(), 8 if number % 2 else 1
    with serve(pages, max_concurrency=in_flight, **settings(pages, in_flight)):
        outcome = read_with_operator(tmp_path) if number % 3 else read_with_hook()
    assert kind.outcome != ERROR or outcome.error, f"want {kind.outcome}, got {outcome} of {len(pages.rows)}"
    if outcome.error:
        assert kind.outcome in (ERROR, EITHER), f"want {kind.outcome} ({len(pages.rows)}), got {outcome}"
        assert is_clear(outcome.error), outcome.error
    else:
        assert outcome.rows == pages.rows, f"want {kind.outcome} ({len(pages.rows)}), got {outcome}"


@pytest.mark.parametrize("kind", [each for each in KINDS if each.outcome != ALL and not each.except_loop], ids=str)
def test_what_a_plain_loop_reads_is_read(serve, kind: Kind):
    """Or a reason stands in the design."""
    for stop_when_empty in (False, True):
        pages = kind.make()
        next_in = None if pages.links in ("header", "none") else pages.links
        with serve(pages) as catalog:
            assert not is_read_by_a_loop(catalog.url, pages.rows, next_in, stop_when_empty)


def test_links_that_lead_to_the_same_rows_are_not_counted(serve):
    """As of a gateway that adds links, before a Catalog that sends all rows whatever is asked for."""

    def all_at_once(request):
        number = request.page or 1
        links = {"next": number + 1, "last": 5} if number < 5 else {}
        link = ", ".join(f'<https://x.example/?page={n}>; rel="{name}"' for name, n in links.items())
        return Answer({"orders": rows_of(10)}, headers={"Link": link})

    with serve(all_at_once), pytest.raises(CatalogPaginationError, match="circles"):
        CatalogHook().count_rows("orders")
    with serve(all_at_once, pagination="none"):
        assert CatalogHook().count_rows("orders") == 10
