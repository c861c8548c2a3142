"""Asks a real Catalog a few small questions, and tells which settings fit it.

``python -m airflow_provider_catalog.probe --help``. Much of the Analytics API is not documented: whether it pages and
how, which bodies it reads, what a date filter includes. The report tells it, without anything that the Catalog holds.

What goes into the report is chosen, never filtered out: statuses, names of fields, JSON types and our own words. No
value of a row, no text of an error and no host name has a way into it.
"""
