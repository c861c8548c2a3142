"""Apache Airflow provider for Instructure Catalog's Analytics API."""

__version__ = "0.2.0"
