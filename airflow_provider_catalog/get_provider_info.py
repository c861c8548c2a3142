"""What Airflow reads about the provider. Imports nothing of Airflow: it is read at every start."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "instructure_catalog"
HOOK_NAME = "Instructure Catalog"

HOOK_MODULE = "airflow_provider_catalog.hooks.catalog"
OPERATORS_MODULE = "airflow_provider_catalog.operators.analytics"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as ``provider_info.schema.json`` of Airflow describes it."""
    return {
        "package-name": "airflow-provider-catalog",
        "name": "Instructure Catalog",
        "description": "Reads the Analytics API of `Instructure Catalog <https://www.instructure.com/catalog>`__.",
        "integrations": [
            {
                "integration-name": HOOK_NAME,
                "external-doc-url": "https://developerdocs.instructure.com/services/catalog/openapi/analytics",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": HOOK_NAME, "python-modules": [HOOK_MODULE]}],
        "operators": [{"integration-name": HOOK_NAME, "python-modules": [OPERATORS_MODULE]}],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": f"{HOOK_MODULE}.CatalogHook",
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port"],
                    "relabeling": {"host": "Catalog URL", "password": "API token"},
                    "placeholders": {
                        "host": "https://NAME.catalog.instructure.com",
                        "password": "made at https://HOST/admin/api_keys",
                    },
                },
                "conn-fields": _CONNECTION_FIELDS,
            }
        ],
    }


_CONNECTION_FIELDS: dict[str, Any] = {
    "timeout": {
        "label": "Request timeout (s)",
        "description": "Seconds without a byte after which a request is given up and tried again.",
        "schema": {"type": ["number", "null"], "default": 60, "minimum": 1, "maximum": 3600},
    },
    "page_size": {
        "label": "Page size",
        "description": "Rows asked for in one request; the API's maximum is 100.",
        "schema": {"type": ["integer", "null"], "default": 100, "minimum": 1, "maximum": 100},
    },
    "max_concurrency": {
        "label": "Concurrent requests",
        "description": "Requests that one task makes at once, where the Catalog tells how many pages there are.",
        "schema": {"type": ["integer", "null"], "default": 4, "minimum": 1, "maximum": 32},
    },
    "hash_key": {
        "label": "Hash key",
        "description": "Key of the HMAC that the operators' hash_fields uses. Keep it: another key gives other hashes.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}
