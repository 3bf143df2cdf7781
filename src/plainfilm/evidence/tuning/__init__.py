"""What a search for a recipe came to."""
