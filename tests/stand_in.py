"""The names that tests had before :mod:`tests.catalog_server`, which has all of it."""

from tests.catalog_server import TOKEN, Answer, Paging, Request, StandIn, catalog_server, paged

__all__ = ["TOKEN", "Answer", "Paging", "Request", "StandIn", "links", "paged", "stand_in"]

stand_in = catalog_server


def links(request: Request, size: int, index: int, paging: Paging, count: int) -> dict[str, str]:
    if paging.mode == "page-only":
        return {}
    last = max(-(-count // size) - 1, 0)
    origin = "" if paging.relative else f"http://{request.headers['host']}"
    wanted = {}
    if index < last:
        wanted["next"] = index + 1
    if paging.mode == "link":
        if index < last:
            wanted["last"] = last
        if index > 0:
            wanted |= {"first": 0, "prev": index - 1}
    parts = [
        f'<{origin}{request.path}?page={number + paging.first}&per_page={size}>; rel="{relation}"'
        for relation, number in wanted.items()
    ]
    return {"Link": ", ".join(parts)} if parts else {}
