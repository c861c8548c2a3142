"""Checks a Catalog with real requests, and says which of reachability, TLS, token and analytics rights fails."""

from __future__ import annotations

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.retry import TlsError, TransientError
from airflow_provider_catalog.errors import CatalogAuthError, CatalogError

TIMEOUT = 10.0
"""Seconds without a byte after which a check is given up: a person is waiting for it."""
COURSES = "/api/v1/courses"
"""Answers every valid token (confirmed), whether it has analytics rights or not."""


def check_connection(client: CatalogClient) -> tuple[bool, str]:
    """
    Ask each analytics endpoint for one row.

    :return: whether all four answered, and a sentence for the person who set the connection up.
    """
    url = client.settings.base_url
    failed: dict[str, CatalogError] = {}
    for endpoint in ENDPOINTS.values():
        try:
            client.ask("POST", client.settings.paths.get(endpoint.name, endpoint.path), timeout=TIMEOUT)
        except TlsError as error:
            return False, f"{url} is reached, but {error}: check the host name, or set `verify` to your CA bundle"
        except TransientError as error:
            if error.status is None:
                return False, f"{url} is not reached: {error}; check the Catalog URL, and firewalls and proxies"
            return False, f"{url} is reached, but does not answer properly: {error}; try again later"
        except CatalogError as error:
            failed[endpoint.name] = error
    if not failed:
        return True, f"{url} accepts the token; analytics of {', '.join(ENDPOINTS)} can be read"
    if all(isinstance(error, CatalogAuthError) for error in failed.values()) and not _is_valid_token(client):
        return False, (
            f"{url} is reached, but refuses the API token: make one at {url}/admin/api_keys and copy it into the "
            "connection"
        )
    refused = [name for name, error in failed.items() if isinstance(error, CatalogAuthError)]
    if refused:
        return False, (
            f"{url} accepts the token, but not for analytics of {', '.join(refused)}: make one with analytics rights "
            f"at {url}/admin/api_keys"
        )
    return False, f"{url} is reached, but {'; '.join(map(str, failed.values()))}"


def _is_valid_token(client: CatalogClient) -> bool:
    try:
        client.ask("GET", COURSES, timeout=TIMEOUT)
    except (CatalogError, TransientError):
        return False
    return True
