"""Operators that move rows into another system."""
