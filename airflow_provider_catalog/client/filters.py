"""The filters of the four endpoints: 53 in all, every one optional (all confirmed by the API's documentation).

Each endpoint has one ``TypedDict``, composed of shared parts, so that an editor completes filter names and a type
checker rejects a wrong one. What each kind of value may look like stands in
:mod:`airflow_provider_catalog.client.filter_values`.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from airflow_provider_catalog.client.filter_values import (
    Count,
    Date,
    EnrollmentStatuses,
    Flag,
    Ids,
    Number,
    OrderFees,
    ProductStatuses,
    PromoCodes,
    RegistrationSources,
)


class _AccountFilters(TypedDict, total=False):
    account_ids: Ids


class _ProductFilters(TypedDict, total=False):
    product_ids: Ids
    product_statuses: ProductStatuses


class _StudentFilters(TypedDict, total=False):
    student_ids: Ids
    student_canvas_user_ids: Ids


class _EnrollmentCountFilters(TypedDict, total=False):
    enrollment_count_min: Count
    enrollment_count_max: Count


class _SaleFilters(TypedDict, total=False):
    listing_price_min: Number
    listing_price_max: Number
    promo_codes: PromoCodes
    revenue_min: Number
    revenue_max: Number


class ProductsFilters(_AccountFilters, _ProductFilters, _EnrollmentCountFilters, _SaleFilters, total=False):
    """
    Filters of the products endpoint.

    ``promo_codes`` takes the states ``APPLIED`` and ``NOT_APPLIED``, not codes.
    """

    creation_date_from: Date
    creation_date_to: Date
    completion_count_min: Count
    completion_count_max: Count
    dropped_count_min: Count
    dropped_count_max: Count
    certificate_offered: Flag


class EnrollmentsFilters(_AccountFilters, _ProductFilters, _StudentFilters, total=False):
    """
    Filters of the enrollments endpoint.

    ``student_ids`` are Catalog user ids, ``student_canvas_user_ids`` Canvas user ids.
    """

    enrollment_date_from: Date
    enrollment_date_to: Date
    enrollment_statuses: EnrollmentStatuses
    completion_date_from: Date
    completion_date_to: Date


class OrdersFilters(_AccountFilters, _ProductFilters, _StudentFilters, _SaleFilters, total=False):
    """
    Filters of the orders endpoint.

    ``promo_codes`` takes the states ``APPLIED`` and ``NOT_APPLIED``, not codes.
    """

    purchaser_ids: Ids
    purchaser_canvas_user_ids: Ids
    bulk_purchases_only: Flag
    purchase_date_from: Date
    purchase_date_to: Date
    order_fee: OrderFees


class UsersFilters(_AccountFilters, _StudentFilters, _EnrollmentCountFilters, total=False):
    """
    Filters of the users endpoint.

    ``student_ids`` are Catalog user ids, ``student_canvas_user_ids`` Canvas user ids.
    """

    last_enrollment_date_from: Date
    last_enrollment_date_to: Date
    registration_date_from: Date
    registration_date_to: Date
    registered_through: RegistrationSources
