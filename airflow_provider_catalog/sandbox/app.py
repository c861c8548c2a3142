"""The sandbox's HTTP interface: analytics, courses, the pages behind them, and a way to let time pass."""

from __future__ import annotations

import hmac
import json
import math
import re
import time
from asyncio import sleep
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Security
from fastapi.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, create_model
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect

from airflow_provider_catalog import __version__
from airflow_provider_catalog.sandbox import ENDPOINTS, ServedRequest
from airflow_provider_catalog.sandbox.faults import Asked, Faults
from airflow_provider_catalog.sandbox.filters import QueryError, body_schemas, read_body, to_sql
from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.page import render
from airflow_provider_catalog.sandbox.paging import DEFAULT_PER_PAGE, MOST, link_header, read_page
from airflow_provider_catalog.sandbox.store import MOST_DAYS, Store

AUTHORIZATION = re.compile(r'Token token="([^"]*)"')
REFUSALS = {401: "The token is missing or wrong", 403: "The token has no rights", 429: "Too many requests"}
REMEMBERED_REQUESTS = 10_000
STREAMED_AT_ONCE = 500  # rows: about 300 KB


class Refusal(BaseModel):
    """What is wrong with a request."""

    errors: list[str]


def refuse(*errors: str, status: int = 422) -> Response:
    """Return a refusal that says why."""
    # As ASCII: the name of a filter that is refused may have characters that UTF-8 lacks.
    return Response(json.dumps({"errors": errors}), status, media_type="application/json")


class Service:
    """Answers requests."""

    def __init__(self, options: Options, store: Store) -> None:
        self.options = options
        self.store = store
        self.faults = Faults(options)
        self.served: deque[ServedRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self._in_flight = 0
        self._due = 0.0  # when the next request is, at an even rate; others may come before it, a second's worth

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

    def _refuse_rate(self) -> Response | None:
        """Return a 429 when there have been too many requests in the last second, and else count this one."""
        rate, now = self.options.rate_limit, time.monotonic()
        if not rate:
            return None
        due = max(self._due, now - max(0, rate - 1) / rate)
        if due > now:
            return PlainTextResponse("Rate Limit Exceeded", 429, {"Retry-After": str(math.ceil(due - now))})
        self._due = due + 1 / rate
        return None

    async def courses(self, request: Request) -> Response:
        """Answer the cheapest request that needs a token; one page only."""
        await sleep(self.options.latency)
        if refusal := self._refuse_token(request, analytics=False):
            return refusal
        try:
            page = read_page(request.query_params, self.options)
        except QueryError as error:
            return refuse(*error.errors)
        return self._page("courses", self.store.matching("courses")[page.rows])

    def analytics(self, endpoint: str) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers the requests to an analytics endpoint, and records them."""

        async def answer(request: Request) -> Response:
            self._in_flight += 1
            try:
                return await self._answer_and_record(endpoint, request, self._in_flight)
            except ClientDisconnect:
                return Response(status_code=499)  # goes nowhere: the client has gone
            finally:
                self._in_flight -= 1

        return answer

    async def _answer_and_record(self, endpoint: str, request: Request, in_flight: int) -> Response:
        await sleep(self.options.latency)
        content_type = request.headers.get("content-type", "")
        body: dict[str, Any] = {}
        unreadable = None
        try:
            body = read_body(await request.body(), content_type)
        except QueryError as error:
            unreadable = refuse(*error.errors)
        response = (
            self._refuse_token(request, analytics=True)
            or self._refuse_rate()
            or unreadable
            or self._answer(endpoint, request, body, content_type)
        )
        query = dict(request.query_params)
        status = response.status_code
        self.served.append(
            ServedRequest(request.method, request.url.path, query, body, content_type, status, in_flight)
        )
        return response

    def _answer(self, endpoint: str, request: Request, body: dict[str, Any], content_type: str) -> Response:
        options = self.options
        try:
            page = read_page(request.query_params, options)
            conditions, values = to_sql(endpoint, body, content_type, inclusive=options.date_to == "inclusive")
        except QueryError as error:
            return refuse(*error.errors)
        self.store.tick()
        ids = self.store.matching(endpoint, conditions, values)[self.faults.rows_missing(endpoint) :]

        def answer(number: int, next_page: int | None = None) -> Response:
            if options.paging == "none":
                return StreamingResponse(self._stream(endpoint, ids), media_type="application/json")
            numbered = replace(page, number=number)
            response = self._page(endpoint, ids[numbered.rows])
            url = request.url.path if options.links == "relative" else str(request.url.replace(query=""))
            query = request.query_params
            if link := link_header(numbered, len(ids), url, query, kind=options.paging, next_page=next_page):
                response.headers["link"] = link
            return response

        return self.faults.draw(Asked(endpoint, page, page.last(len(ids)), answer)) or answer(page.number)

    def _page(self, endpoint: str, ids: Sequence[int]) -> Response:
        rows = b",".join(self.store.rows(endpoint, ids))
        return Response(b'{"%b":[%b]}' % (endpoint.encode(), rows), media_type="application/json")

    async def _stream(self, endpoint: str, ids: Sequence[int]) -> AsyncIterator[bytes]:
        yield b'{"%b":[' % endpoint.encode()
        for start in range(0, len(ids), STREAMED_AT_ONCE):
            rows = b",".join(self.store.rows(endpoint, ids[start : start + STREAMED_AT_ONCE]))
            yield b"," + rows if start else rows
            await sleep(0)  # to hear that the client has gone
        yield b"]}"

    async def show(self, endpoint: str, page: Annotated[int, Query(ge=1, le=MOST)] = 1) -> Response:
        """Answer with the page of the Catalog's own administration that shows an endpoint's rows, newest first."""
        if endpoint not in ENDPOINTS:
            return refuse("Not Found", status=404)
        self.store.tick()
        ids = self.store.matching(endpoint)[::-1]
        rows = self.store.rows(endpoint, ids[(page - 1) * 100 : page * 100])[::-1]
        return HTMLResponse(render(endpoint, [json.loads(row) for row in rows], page, len(ids), self.store.now))

    async def advance(self, days: Annotated[float, Query(ge=0, le=MOST_DAYS)] = 1) -> dict[str, str]:
        """Let time pass, for a program other than the one that runs the sandbox."""
        return {"now": self.store.advance(days).isoformat()}


def create_app(service: Service) -> FastAPI:
    """Return the application."""
    options = service.options
    app = FastAPI(
        title="Catalog sandbox",
        version=__version__,
        description="A local stand-in for Instructure Catalog's Analytics API, with made-up data.",
        redoc_url=None,
    )
    token = APIKeyHeader(
        name="Authorization", auto_error=False, description='The whole header: `Token token="sandbox-token"`'
    )
    numbers = {
        "page": {"type": "integer", "minimum": 0, "maximum": MOST, "default": options.first_page},
        "per_page": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_PER_PAGE},
    }
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in numbers.items()]

    def add(method: str, path: str, answer: Callable[..., Any], about: dict[str, Any], *refusals: int) -> None:
        key = path.rpartition("/")[2]
        rows = create_model(key.title(), **{key: (list[dict[str, Any]], ...)})  # type: ignore[call-overload]
        responses: dict[int | str, dict[str, Any]] = {status: {"description": REFUSALS[status]} for status in refusals}
        responses[200] = {"model": rows, "description": "A page of rows; empty past the last page"}
        responses[422] = {"model": Refusal, "description": "A filter or a parameter is unknown or has a wrong value"}
        app.add_api_route(
            path,
            answer,
            methods=[method],
            summary=key.title(),
            responses=responses,
            dependencies=[Security(token)],
            openapi_extra={"parameters": parameters, **about},
        )

    for endpoint in ENDPOINTS:
        content = {media_type: {"schema": schema} for media_type, schema in body_schemas(endpoint).items()}
        answer = service.analytics(endpoint)
        add("POST", f"/api/v1/analytics/{endpoint}", answer, {"requestBody": {"content": content}}, 401, 403, 429)
    add("GET", "/api/v1/courses", service.courses, {}, 401)
    app.get("/new_analytics/{endpoint}", include_in_schema=False)(service.show)
    app.post("/sandbox/advance", include_in_schema=False)(service.advance)

    @app.exception_handler(HTTPException)
    async def no_such_path(_request: Request, error: HTTPException) -> Response:
        response = refuse(error.detail, status=error.status_code)
        response.headers.update(error.headers or {})  # which methods are allowed
        return response

    if options.gzip:
        app.add_middleware(GZipMiddleware, compresslevel=1)
    return app
