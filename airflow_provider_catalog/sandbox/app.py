"""The sandbox's HTTP interface: four analytics endpoints, courses, and the page that documents them."""

from __future__ import annotations

import hmac
import json
import math
import re
import time
from asyncio import sleep
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from airflow_provider_catalog import __version__
from airflow_provider_catalog.sandbox import ServedRequest
from airflow_provider_catalog.sandbox.faults import Asked, Faults
from airflow_provider_catalog.sandbox.filters import FILTERS, QueryError, is_form, read_body, to_sql
from airflow_provider_catalog.sandbox.openapi import describe_courses, describe_endpoint, openapi
from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.paging import link_header, read_page
from airflow_provider_catalog.sandbox.store import Store

AUTHORIZATION = re.compile(r'Token token="([^"]*)"')
STREAMED_AT_ONCE = 500  # rows: about 300 KB


def refuse(*errors: str, status: int = 422) -> Response:
    """Return a refusal that says why."""
    # As ASCII: the name of a filter that is refused may have characters that UTF-8 lacks.
    return Response(json.dumps({"errors": errors}), status, media_type="application/json")


class RateLimit:
    """
    Lets so many requests through in any second.

    :param rate: how many; 0 for no limit.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = max(1.0, rate)
        self._checked = time.monotonic()

    def refuse(self) -> Response | None:
        """Return a 429 when there have been too many requests, and else count this one."""
        if not self._rate:
            return None
        now = time.monotonic()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._checked) * self._rate)
        self._checked = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        wait = math.ceil((1 - self._tokens) / self._rate)
        return PlainTextResponse("Rate Limit Exceeded", 429, {"Retry-After": str(wait)})


@dataclass
class Service:
    """
    Answers requests.

    :param options: how.
    :param store: from what data.
    :param record: is told of every analytics request.
    :param faults: the failures to mix in.
    """

    options: Options
    store: Store
    record: Callable[[ServedRequest], None]
    faults: Faults
    rate_limit: RateLimit = field(init=False)
    in_flight: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Start counting requests."""
        self.rate_limit = RateLimit(self.options.rate_limit)

    def _refuse_token(self, request: Request, *, analytics: bool) -> Response | None:
        match = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        token = match[1].encode() if match else b""
        if hmac.compare_digest(token, self.options.token.encode()):
            return None
        restricted = self.options.token_without_analytics
        if restricted is None or not hmac.compare_digest(token, restricted.encode()):
            challenge = {"WWW-Authenticate": 'Token realm="Application"'}
            return PlainTextResponse("HTTP Token: Access denied.\n", 401, challenge)
        return refuse("this API key has no analytics rights", status=403) if analytics else None

    async def courses(self, request: Request) -> Response:
        """Answer the cheapest request that needs a token; one page only."""
        await sleep(self.options.latency)
        refusal = self._refuse_token(request, analytics=False)
        if refusal:
            return refusal
        try:
            page = read_page(request.query_params, self.options)
        except QueryError as error:
            return refuse(*error.errors)
        return self._page("courses", self.store.matching("courses")[page.rows])

    async def analytics(self, endpoint: str, request: Request) -> Response:
        """Answer a request to an analytics endpoint, and record it."""
        self.in_flight += 1
        try:
            return await self._answer_and_record(endpoint, request, self.in_flight)
        finally:
            self.in_flight -= 1

    async def _answer_and_record(self, endpoint: str, request: Request, in_flight: int) -> Response:
        await sleep(self.options.latency)
        content_type = request.headers.get("content-type", "")
        body: dict[str, Any] | QueryError
        try:
            body = read_body(await request.body(), content_type)
        except QueryError as error:
            body = error
        response = (
            self._refuse_token(request, analytics=True)
            or self.rate_limit.refuse()
            or self._answer(endpoint, request, body)
        )
        self.record(
            ServedRequest(
                method=request.method,
                path=request.url.path,
                query=dict(request.query_params),
                body={} if isinstance(body, QueryError) else body,
                content_type=content_type,
                status=response.status_code,
                in_flight=in_flight,
            )
        )
        return response

    def _answer(self, endpoint: str, request: Request, body: dict[str, Any] | QueryError) -> Response:
        options = self.options
        try:
            if isinstance(body, QueryError):
                raise body
            page = read_page(request.query_params, options)
            conditions, values = to_sql(
                endpoint,
                body,
                form=is_form(request.headers.get("content-type", "")),
                inclusive=options.date_to == "inclusive",
            )
        except QueryError as error:
            return refuse(*error.errors)
        ids = self.store.matching(endpoint, conditions, values)
        if missing := self.faults.rows_missing(endpoint):
            ids = ids[missing:]

        def answer(number: int, next_page: int | None = None) -> Response:
            if options.paging == "none":
                return StreamingResponse(self._stream(endpoint, ids), media_type="application/json")
            numbered = replace(page, number=number)
            response = self._page(endpoint, ids[numbered.rows])
            url = request.url.path if options.links == "relative" else str(request.url.replace(query=""))
            if link := link_header(numbered, len(ids), url, request.query_params, options, next_page=next_page):
                response.headers["link"] = link
            return response

        return self.faults.draw(Asked(endpoint, page, page.last(len(ids)), answer)) or answer(page.number)

    def _page(self, endpoint: str, ids: Sequence[int]) -> Response:
        rows = b",".join(self.store.rows(endpoint, ids))
        return Response(b'{"%b":[%b]}' % (endpoint.encode(), rows), media_type="application/json")

    async def _stream(self, endpoint: str, ids: Sequence[int]) -> AsyncIterator[bytes]:
        separator = b'{"%b":[' % endpoint.encode()
        for start in range(0, len(ids), STREAMED_AT_ONCE):
            yield separator + b",".join(self.store.rows(endpoint, ids[start : start + STREAMED_AT_ONCE]))
            separator = b","
        yield b"]}" if ids else separator + b"]}"


def create_app(options: Options, store: Store, record: Callable[[ServedRequest], None], faults: Faults) -> FastAPI:
    """
    Return the application.

    :param options: how it answers.
    :param store: its data.
    :param record: is told of every analytics request.
    :param faults: the failures to mix in.
    """
    service = Service(options, store, record, faults)
    app = FastAPI(title="Catalog sandbox", version=__version__, redoc_url=None)

    def add_endpoint(endpoint: str) -> None:
        async def answer(request: Request) -> Response:
            return await service.analytics(endpoint, request)

        app.add_api_route(
            f"/api/v1/analytics/{endpoint}",
            answer,
            methods=["POST"],
            summary=f"Analytics of {endpoint}",
            openapi_extra=describe_endpoint(endpoint, FILTERS[endpoint], options),
        )

    for endpoint in FILTERS:
        add_endpoint(endpoint)
    app.add_api_route("/api/v1/courses", service.courses, summary="Courses", openapi_extra=describe_courses(options))
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign] # as FastAPI's documentation has it

    @app.exception_handler(HTTPException)
    async def no_such_path(_request: Request, error: HTTPException) -> Response:
        response = refuse(error.detail, status=error.status_code)
        response.headers.update(error.headers or {})  # which methods are allowed
        return response

    if options.gzip:
        app.add_middleware(GZipMiddleware, compresslevel=1)
    return app
