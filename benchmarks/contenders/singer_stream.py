"""A Singer SDK stream, to JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BaseHATEOASPaginator

from benchmarks.contenders.measured import run


class Links(BaseHATEOASPaginator):
    """Follows ``rel="next"``."""

    def get_next_url(self, response: Any) -> str | None:
        """Return the next page's URL."""
        url: str | None = response.links.get("next", {}).get("url")
        return url


class Enrollments(RESTStream[Any]):
    """The stream."""

    name = "enrollments"
    path = "/api/v1/analytics/enrollments"
    http_method = "POST"
    records_jsonpath = "$.enrollments[*]"
    schema = th.PropertiesList(th.Property("enrollment_id", th.IntegerType)).to_dict()

    @property
    def url_base(self) -> str:
        """The Catalog."""
        return str(self.config["url"])

    @property
    def http_headers(self) -> dict[str, str]:
        """The token."""
        return {"Authorization": 'Token token="token"'}

    def get_new_paginator(self) -> Links:
        """Return the paginator."""
        return Links()

    def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
        """Return the query."""
        query = dict(pair.split("=") for pair in next_page_token.query.split("&")) if next_page_token else {}
        return {"per_page": 100, **query}


class CatalogTap(Tap):
    """The tap."""

    name = "tap-catalog"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType)).to_dict()

    def discover_streams(self) -> list[Any]:
        """Return its only stream."""
        return [Enrollments(self)]


def pull(url: str, path: str) -> int:
    """Write the stream's records."""
    [stream] = CatalogTap(config={"url": url}).discover_streams()
    with Path(path).open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in stream.get_records(None))
    return 0


if __name__ == "__main__":
    run(pull)
