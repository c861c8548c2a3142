"""The names that tests had before :mod:`tests.catalog_server`, which has all of it."""

from tests.catalog_server import TOKEN, Answer, Paging, Request, Stalled, StandIn, catalog_server, paged

__all__ = ["TOKEN", "Answer", "Paging", "Request", "Stalled", "StandIn", "paged", "stand_in"]

stand_in = catalog_server
