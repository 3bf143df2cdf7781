"""A network from a file that nobody vouches for: read, followed and measured without running it."""
