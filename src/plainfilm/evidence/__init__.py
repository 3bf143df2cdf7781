"""From scores to what may be believed."""
