"""The sandbox's HTTP interface: analytics, courses, the pages behind them, and a way to let time pass."""

from __future__ import annotations

import json
import math
import time
from asyncio import sleep
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Security
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, create_model
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect

from airflow_provider_catalog import __version__
from airflow_provider_catalog.sandbox import ENDPOINTS, ServedRequest
from airflow_provider_catalog.sandbox.faults import Faults, failure
from airflow_provider_catalog.sandbox.filters import FORM, MODELS, read_body, to_sql
from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.paging import MOST, PageQuery, link_header, read_page
from airflow_provider_catalog.sandbox.store import MOST_DAYS, Store

REMEMBERED_REQUESTS = 10_000
STREAMED_AT_ONCE = 500  # rows: about 300 KB
SHOWN = 100  # rows of one of the pages for people
STYLE = """body { font: 14px sans-serif; margin: 1.5em } nav a { margin-right: 1em }
table { border-collapse: collapse } th, td { border-bottom: 1px solid #ccc; padding: .3em .6em; text-align: left }"""


class Refusal(BaseModel):
    """What is wrong with a request."""

    errors: list[str]


async def refuse(_request: Request, error: Any) -> Response:
    """Return a refusal that says why: of tokens and rates as plain text, as Rails and its middleware have it."""
    if error.status_code in (401, 429):
        return PlainTextResponse(error.detail, error.status_code, error.headers)
    errors = error.detail if isinstance(error.detail, list) else [error.detail]
    return JSONResponse({"errors": errors}, error.status_code, error.headers)


class Service:
    """Answers requests."""

    def __init__(self, options: Options, store: Store) -> None:
        self.options = options
        self.store = store
        self.faults = Faults(options)
        self.served: deque[ServedRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self._in_flight = 0
        self._due = 0.0  # when the next request is, at an even rate; others may come before it, a second's worth

    def _check_token(self, request: Request, *, analytics: bool) -> None:
        options, sent = self.options, request.headers.get("authorization")
        if sent == f'Token token="{options.token}"':
            return
        if not options.token_without_analytics or sent != f'Token token="{options.token_without_analytics}"':
            raise HTTPException(401, "HTTP Token: Access denied.\n", {"WWW-Authenticate": 'Token realm="Application"'})
        if analytics:
            raise HTTPException(403, "this API key has no analytics rights")

    def _check_rate(self) -> None:
        """Refuse when there have been too many requests in the last second, and else count this one."""
        if rate := self.options.rate_limit:
            now = time.monotonic()
            due = max(self._due, now - max(0, rate - 1) / rate)
            if due > now:
                raise HTTPException(429, "Rate Limit Exceeded", {"Retry-After": str(math.ceil(due - now))})
            self._due = due + 1 / rate

    async def analytics(self, request: Request) -> Response:
        """Answer a request for rows, and record it."""
        content_type = request.headers.get("content-type", "")
        body: dict[str, Any] = {}
        self._in_flight += 1
        in_flight = self._in_flight
        try:
            await sleep(self.options.latency)
            body, is_form = read_body(await request.body(), content_type)
            self._check_token(request, analytics=True)
            self._check_rate()
            response = self._answer(request, body, is_form=is_form)
        except HTTPException as error:
            response = await refuse(request, error)
        except ClientDisconnect:
            return Response(status_code=499)  # goes nowhere: the client has gone
        finally:
            self._in_flight -= 1
        query, status = dict(request.query_params), response.status_code
        self.served.append(
            ServedRequest(request.method, request.url.path, query, body, content_type, status, in_flight)
        )
        return response

    def _answer(self, request: Request, body: dict[str, Any], *, is_form: bool) -> Response:
        options, endpoint = self.options, request.url.path.rpartition("/")[2]
        page = read_page(request.query_params, options)
        conditions, values = to_sql(endpoint, body, is_form=is_form, inclusive=options.date_to == "inclusive")
        self.store.tick()
        ids = self.store.matching(endpoint, conditions, values)[self.faults.rows_missing(endpoint) :]
        fault = self.faults.draw(endpoint, page.number, page.first, page.last(len(ids)))
        if failed := failure(fault, endpoint):
            return failed
        has_links = options.paging in ("link", "next-only")
        shift = {"page-missing": 1, "page-twice": -1 if page.number > page.first else 1}.get(fault, 0)
        is_first = fault == "circles" and not has_links
        page = replace(page, number=page.first if is_first else page.number + shift)
        shown = ids if options.paging == "none" else ids[page.rows]
        response = self._rows(endpoint, [] if fault == "page-empty" else shown)
        if has_links:
            url = request.url.path if options.links == "relative" else str(request.url.replace(query=""))
            link = link_header(page, len(ids), url, request.query_params, options.paging, circle=fault == "circles")
            response.headers.update({"link": link} if link else {})
        return response

    def _rows(self, endpoint: str, ids: Sequence[int]) -> Response:
        if self.options.paging == "none":
            return StreamingResponse(self._stream(endpoint, ids), media_type="application/json")
        rows = b",".join(self.store.rows(endpoint, ids))
        return Response(b'{"%b":[%b]}' % (endpoint.encode(), rows), media_type="application/json")

    async def _stream(self, endpoint: str, ids: Sequence[int]) -> AsyncIterator[bytes]:
        yield b'{"%b":[' % endpoint.encode()
        for start in range(0, len(ids), STREAMED_AT_ONCE):
            rows = b",".join(self.store.rows(endpoint, ids[start : start + STREAMED_AT_ONCE]))
            yield b"," + rows if start else rows
            await sleep(0)  # to hear that the client has gone
        yield b"]}"

    async def courses(self, request: Request) -> Response:
        """Answer the cheapest request that needs a token; one page only."""
        await sleep(self.options.latency)
        self._check_token(request, analytics=False)
        page = read_page(request.query_params, self.options)
        return self._rows("courses", self.store.matching("courses")[page.rows])

    async def show(self, endpoint: str, page: Annotated[int, Query(ge=1, le=MOST)] = 1) -> Response:
        """Answer with the Catalog's own page behind *Catalog analytics*: a link from a task leads somewhere."""
        if endpoint not in ENDPOINTS:
            raise HTTPException(404, "Not Found")
        self.store.tick()
        ids = self.store.matching(endpoint)[::-1]
        rows = [json.loads(row) for row in self.store.rows(endpoint, ids[(page - 1) * SHOWN : page * SHOWN])[::-1]]
        links = {name.title(): f"/new_analytics/{name}" for name in ENDPOINTS}
        links |= {"Newer": f"?page={page - 1}"} if page > 1 else {}
        links |= {"Older": f"?page={page + 1}"} if page * SHOWN < len(ids) else {}
        menu = "".join(f'<a href="{url}">{text}</a>' for text, url in links.items())
        table = _line("th", rows[0] if rows else ()) + "".join(_line("td", row.values()) for row in rows)
        return HTMLResponse(
            f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{endpoint.title()} analytics</title>"
            f"<style>{STYLE}</style><h1>{endpoint.title()}</h1><nav>{menu}</nav>"
            f"<p>{len(ids):,} rows, newest first. This is a sandbox with made-up data, as of "
            f"{self.store.now:%Y-%m-%d %H:%M} UTC.</p><table>{table}</table></html>"
        )

    async def advance(self, days: Annotated[float, Query(ge=0, le=MOST_DAYS)] = 1) -> dict[str, str]:
        """Let time pass, for a program other than the one that runs the sandbox."""
        return {"now": self.store.advance(days).isoformat()}


def _line(tag: str, values: Iterable[Any]) -> str:
    texts = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values)
    return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in texts)}</tr>"


def create_app(service: Service) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Catalog sandbox",
        version=__version__,
        description="A local stand-in for Instructure Catalog's Analytics API, with made-up data.",
        redoc_url=None,
        exception_handlers={StarletteHTTPException: refuse},
    )
    token = APIKeyHeader(
        name="Authorization", auto_error=False, description='The whole header: `Token token="sandbox-token"`'
    )
    parameters = [
        {"name": name, "in": "query", "schema": schema}
        for name, schema in PageQuery.model_json_schema()["properties"].items()
    ]
    for endpoint, model in MODELS.items():
        rows = create_model(endpoint.title(), **{endpoint: (list[dict[str, Any]], ...)})  # type: ignore[call-overload]
        content = {media_type: {"schema": model.model_json_schema()} for media_type in ("application/json", FORM)}
        app.add_api_route(
            f"/api/v1/analytics/{endpoint}",
            service.analytics,
            methods=["POST"],
            summary=endpoint.title(),
            dependencies=[Security(token)],
            responses={
                200: {"model": rows, "description": "A page of rows; empty past the last page"},
                401: {"description": "The token is missing or wrong"},
                403: {"description": "The token has no rights"},
                422: {"model": Refusal, "description": "A filter or a parameter is unknown or has a wrong value"},
                429: {"description": "Too many requests"},
            },
            openapi_extra={"parameters": parameters, "requestBody": {"content": content}},
        )
    app.get("/api/v1/courses", include_in_schema=False)(service.courses)
    app.get("/new_analytics/{endpoint}", include_in_schema=False)(service.show)
    app.post("/sandbox/advance", include_in_schema=False)(service.advance)
    if service.options.gzip:
        app.add_middleware(GZipMiddleware, compresslevel=1)
    return app
