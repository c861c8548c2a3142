"""Checks a Catalog with real requests, and says which of reachability, TLS, token and analytics rights fails."""

from __future__ import annotations

import time
from contextlib import closing

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.retry import TransientError
from airflow_provider_catalog.client.workers import Workers
from airflow_provider_catalog.errors import CatalogAuthError, CatalogError, CatalogParameterError

SLOW = 10.0
"""Seconds for an answer beyond which the Catalog is called slow."""
COURSES = "/api/v1/courses"
"""Answers every valid token (confirmed), whether it has analytics rights or not."""


def check_connection(client: CatalogClient) -> tuple[bool, str]:
    """
    Ask each analytics endpoint for one row, all at once: a person is waiting.

    :return: whether all four answered, and a sentence for the person who set the connection up.
    """
    url = client.settings.base_url
    failed: dict[str, CatalogError] = {}
    started = time.monotonic()
    with closing(Workers(len(ENDPOINTS))) as workers:
        answers = {
            each.name: workers.submit(client.ping, "POST", client.settings.path_of(each), each)
            for each in ENDPOINTS.values()
        }
        for name, answer in answers.items():
            try:
                answer.result()
            except CatalogParameterError as error:
                return False, str(error)
            except TransientError as error:
                if "no answer within" in str(error):
                    return False, f"raise `timeout` in the connection's extra: {url} is reached, but slow: {error}"
                if error.status is None:
                    return False, f"check the Catalog URL, firewalls and proxies: {url} is not reached: {error}"
                return False, f"try again later: {url} is reached, but does not answer properly: {error}"
            except CatalogError as error:
                failed[name] = error
    if not failed:
        seconds = time.monotonic() - started
        slow = f"; it is slow, {seconds:.0f} s for an answer" if seconds > SLOW else ""
        return True, f"{url} accepts the token; analytics of {', '.join(ENDPOINTS)} can be read{slow}"
    refused = [name for name, error in failed.items() if isinstance(error, CatalogAuthError)]
    if len(refused) == len(failed) and not _is_valid_token(client):
        return False, (
            f"make an API token at {url}/admin/api_keys and copy it into the connection: {url} is reached, but refuses "
            "the API token"
        )
    if refused:
        return False, (
            f"make an API token with analytics rights at {url}/admin/api_keys: {url} accepts the token, but not for "
            f"analytics of {', '.join(refused)}"
        )
    return False, "; ".join(f"{name}: {error}" for name, error in failed.items())


def _is_valid_token(client: CatalogClient) -> bool:
    try:
        client.ping("GET", COURSES)
    except (CatalogError, TransientError):
        return False
    return True
