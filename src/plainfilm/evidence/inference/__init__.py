"""A bundle that answers for files and arrays."""
