"""What Airflow reads about the provider. Imports nothing of Airflow: it is read at every start."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "instructure_catalog"
HOOK_NAME = "Instructure Catalog"
API_DOCS = "https://developerdocs.instructure.com/services/catalog/openapi/analytics"

HOOK_MODULE = "airflow_provider_catalog.hooks.catalog"
OPERATORS_MODULE = "airflow_provider_catalog.operators.analytics"
TRANSFERS_MODULE = "airflow_provider_catalog.transfers.analytics_to_sql"
SENSORS_MODULE = "airflow_provider_catalog.sensors.analytics"
TRIGGERS_MODULE = "airflow_provider_catalog.triggers.analytics"
HOW_TO_GUIDES = [f"/docs/{page}.md" for page in ("first-steps", "connection", "storage", "sensors", "student-data")]
LINK = "airflow_provider_catalog.links.analytics.CatalogAnalyticsLink"

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "login"],
    "relabeling": {"host": "Catalog URL", "password": "API token", "port": "Port"},  # "port" on Airflow 3.0
    "placeholders": {
        "host": "https://NAME.catalog.instructure.com",
        "password": "made at https://HOST/admin/api_keys",
        # Airflow 3.3.1 and 3.3.2 refuse to test a connection whose port is empty (apache/airflow#73298).
        "port": "443 (Airflow 3.3.1 and 3.3.2 need it for Test Connection)",
    },
}
"""How the connection form shows the fields that every connection has."""

CONNECTION_FIELDS: dict[str, Any] = {
    "timeout": {
        "label": "Request timeout (s)",
        "description": "Seconds to wait for the Catalog's answer before asking again: 1 to 3600.",
        "schema": {"type": ["number", "null"], "default": 60, "minimum": 1, "maximum": 3600},
    },
    "page_size": {
        "label": "Page size",
        "description": "Rows asked for in one request: 1 to 100, the API's maximum.",
        "schema": {"type": ["integer", "null"], "default": 100, "minimum": 1, "maximum": 100},
    },
    "max_concurrency": {
        "label": "Concurrent requests",
        "description": "Requests that one task makes at the same time: 1 to 32.",
        "schema": {"type": ["integer", "null"], "default": 4, "minimum": 1, "maximum": 32},
    },
    "hash_secret": {
        "label": "Hash secret",
        "description": "For hash_fields: a random text of 16 characters or more. Keep it: another one, other hashes.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}
"""The connection form's own fields, stored in the connection's extra; the hook tells Airflow 3.0 and 3.1 of them."""


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as ``provider_info.schema.json`` of Airflow describes it."""
    return {
        "package-name": "airflow-provider-catalog",
        "name": "Instructure Catalog",
        "description": "Reads the Analytics API of `Instructure Catalog <https://www.instructure.com/catalog>`__.",
        "integrations": [
            {
                "integration-name": HOOK_NAME,
                "external-doc-url": API_DOCS,
                "how-to-guide": HOW_TO_GUIDES,
                "logo": "/integration-logos/catalog.svg",  # in docs/
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": HOOK_NAME, "python-modules": [HOOK_MODULE]}],
        "operators": [{"integration-name": HOOK_NAME, "python-modules": [OPERATORS_MODULE]}],
        "transfers": [
            {
                "source-integration-name": HOOK_NAME,
                "target-integration-name": "Common SQL",
                "python-module": TRANSFERS_MODULE,
            }
        ],
        "sensors": [{"integration-name": HOOK_NAME, "python-modules": [SENSORS_MODULE]}],
        "triggers": [{"integration-name": HOOK_NAME, "python-modules": [TRIGGERS_MODULE]}],
        "extra-links": [LINK],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": f"{HOOK_MODULE}.CatalogHook",
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
    }
