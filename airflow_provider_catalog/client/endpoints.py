"""The four analytics endpoints in one table: all that differs between them stands here.

The contract's own marks are kept: *confirmed* is in Instructure's public documentation, *inferred* is not, and
the code survives it turning out otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from airflow_provider_catalog.client.filters import (
    EnrollmentsFilters,
    OrdersFilters,
    ProductsFilters,
    UsersFilters,
)

EndpointName = Literal["products", "enrollments", "orders", "users"]
Row = dict[str, Any]
"""A row as the API sends it: an object with others in it."""


# decimal(38, 9) holds every amount in every currency exactly; it is also BigQuery's NUMERIC.
MONEY = "decimal(38,9)"


@dataclass(frozen=True)
class Endpoint:
    """
    One endpoint of the Analytics API.

    :param name: its name, which is also the last segment of its path.
    :param path: the path of its POST route.
    :param root_key: the key of the response under which the rows stand.
    :param filters: the ``TypedDict`` of the filters it takes (confirmed for all four).
    :param columns: dotted path (``"product.id"``) → type, as ``field_types`` has it, of the documented fields of its
        rows; none where no example has been published.
    """

    name: EndpointName
    path: str
    root_key: str
    filters: type
    columns: Mapping[str, str] = field(default_factory=dict)


ENDPOINTS: dict[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint(
            name="products",
            path="/api/v1/analytics/products",  # confirmed
            root_key="products",  # confirmed
            filters=ProductsFilters,
            columns={  # confirmed, from the documented example; nullability is not documented
                "account_id": "int64",
                "account_name": "string",
                "product.name": "string",
                "product.id": "int64",
                "product.url": "string",
                "product.sku": "string",
                "product_status": "string",
                "created_at": "timestamp",
                "canvas_course_id": "int64",
                "enrollment_count": "int64",
                "dropped_count": "int64",
                "completion_count": "int64",
                "currency": "string",
                "list_price": MONEY,
                "promo_codes": "list<string>",
                "discount": MONEY,
                "revenue": MONEY,
                "credits": "float64",
                "certificate_offered": "bool",
            },
        ),
        Endpoint(
            name="enrollments",
            path="/api/v1/analytics/enrollments",  # path confirmed, method inferred from its siblings
            root_key="enrollments",  # inferred
            filters=EnrollmentsFilters,
        ),
        Endpoint(
            name="orders",
            path="/api/v1/analytics/orders",  # inferred
            root_key="orders",  # inferred
            filters=OrdersFilters,
        ),
        Endpoint(
            name="users",
            path="/api/v1/analytics/users",  # confirmed
            root_key="users",  # inferred
            filters=UsersFilters,
        ),
    )
}


def get_endpoint(name: str) -> Endpoint:
    """
    Return the endpoint of that name.

    :param name: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
    :raises ValueError: when there is no such endpoint.
    """
    try:
        return ENDPOINTS[name]
    except (KeyError, TypeError):
        raise ValueError(f"endpoint {name!r} is not one of {', '.join(get_args(EndpointName))}") from None
