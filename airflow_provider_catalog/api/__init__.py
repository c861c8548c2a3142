"""The Catalog Analytics API; nothing in this package imports Airflow."""
