"""What `phantom.py` makes radiographs with: a body, an exposure, a hospital."""
