"""Measures how fast the provider is, what memory it takes, and how others do on the same server."""
