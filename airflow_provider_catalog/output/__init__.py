"""Rows into files: formats, and publishing a finished file."""
