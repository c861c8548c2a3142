"""Apache Airflow provider for Instructure Catalog's Analytics API."""

__version__ = "0.1.0"
