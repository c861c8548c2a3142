"""A client of the Catalog Analytics API; nothing in it imports Airflow."""
