"""Asks a real Catalog a few cheap questions, and tells how it behaves without telling anything that it holds.

``python -m airflow_provider_catalog.probe --help``. Whether the Analytics API pages, which bodies it reads and much
else is not documented; the report says which of the provider's assumptions hold, and which setting adapts it where one
does not.

What goes into the report is chosen, never filtered out: statuses, names of fields, JSON types and our own words. No
value of a row, no text of an error and no host name has a way into it.
"""
