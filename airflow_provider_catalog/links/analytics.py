"""The button on a task's page that leads to the same figures in the Catalog's own admin pages."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import TaskInstanceKey

log = logging.getLogger(__name__)


class CatalogAnalyticsLink(BaseOperatorLink):
    """
    Leads to the Catalog's own analytics page of the task's endpoint, such as ``https://HOST/new_analytics/orders``.

    Airflow asks for it in the worker, when the task has ended, and keeps it as an XCom; so it is the Catalog that the
    task's connection named then. For operators and sensors that have a ``hook`` and an ``endpoint``.
    """

    name = "Catalog analytics"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the page's URL; empty, and so no button, when the task's connection tells no Catalog."""
        try:
            base_url = operator.hook.settings.base_url
        except Exception as error:
            # The task failed for the same reason and has said so; Airflow 3.0 would let this end its process.
            log.debug("No link to Catalog analytics: %s", type(error).__name__)
            return ""
        return f"{base_url}/new_analytics/{operator.endpoint}"
