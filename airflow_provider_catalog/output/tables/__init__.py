"""Rows into a database table, in one transaction."""
