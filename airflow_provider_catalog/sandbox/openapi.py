"""The OpenAPI description, made from the table of filters: FastAPI can't see what a raw request holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from airflow_provider_catalog.sandbox.paging import DEFAULT_PER_PAGE, MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from airflow_provider_catalog.sandbox.filters import Filter
    from airflow_provider_catalog.sandbox.options import Options


def openapi(app: FastAPI) -> dict[str, Any]:
    """
    Return the whole description.

    :param app: the application that is described.
    """
    if not app.openapi_schema:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            routes=app.routes,
            description="A local stand-in for Instructure Catalog's Analytics API, with made-up data.",
        )
        schema.setdefault("components", {})["securitySchemes"] = {
            "token": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": 'The whole header: `Token token="sandbox-token"`',
            }
        }
        schema["security"] = [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema


def describe_endpoint(endpoint: str, filters: Mapping[str, Filter], options: Options) -> dict[str, Any]:
    """
    Return the description of an analytics endpoint.

    :param endpoint: its name, which is also the key of its rows.
    :param filters: the filters that it takes.
    :param options: the first page's number and the most rows a page.
    """
    media_types = {"application/json": False, "application/x-www-form-urlencoded": True}
    return {
        "parameters": _page_parameters(options),
        "requestBody": {
            "content": {media_type: {"schema": _body(filters, form=form)} for media_type, form in media_types.items()}
        },
        "responses": {
            "200": _rows(endpoint, links=True),
            "401": {"description": "The token is missing or wrong"},
            "403": {"description": "The token has no analytics rights"},
            "422": _refusal("A filter or a parameter is unknown or has a wrong value"),
            "429": {"description": "Too many requests"},
        },
    }


def describe_courses(options: Options) -> dict[str, Any]:
    """
    Return the description of the courses.

    :param options: the first page's number and the most rows a page.
    """
    return {
        "parameters": _page_parameters(options),
        "responses": {
            "200": _rows("courses", links=False),
            "401": {"description": "The token is missing or wrong"},
            "422": _refusal("A parameter is unknown or has a wrong value"),
        },
    }


def _body(filters: Mapping[str, Filter], *, form: bool) -> dict[str, Any]:
    properties = {name: filter_.schema(form=form) for name, filter_ in filters.items()}
    return {**_object(properties), "additionalProperties": False}


def _refusal(description: str) -> dict[str, Any]:
    schema = _object({"errors": _list({"type": "string"})})
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _rows(key: str, *, links: bool) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "A page of rows; empty past the last page",
        "content": {"application/json": {"schema": _object({key: _list({"type": "object"})})}},
    }
    if links:
        response["headers"] = {"Link": {"description": "RFC 5988", "schema": {"type": "string"}}}
    return response


def _page_parameters(options: Options) -> list[dict[str, Any]]:
    return [
        {
            "name": "page",
            "in": "query",
            "schema": {"type": "integer", "minimum": 0, "maximum": MOST, "default": options.first_page},
        },
        {
            "name": "per_page",
            "in": "query",
            "description": f"at most {options.max_per_page}; a larger number is cut to that",
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_PER_PAGE},
        },
    ]
