"""The buttons on a task's page."""

from airflow_provider_catalog.links.analytics import CatalogAnalyticsLink

__all__ = ["CatalogAnalyticsLink"]
