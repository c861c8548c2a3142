"""Ways of pulling all enrollments from a Catalog, each run in a process of its own."""
