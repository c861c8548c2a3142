"""What becomes of a pull when the Catalog, or the way to it, fails: ``python -m tests.faults``."""
