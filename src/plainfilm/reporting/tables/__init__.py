"""Values laid out for reading."""
