"""A bundle behind a page for people, an API for programs, and a node for the PACS."""
