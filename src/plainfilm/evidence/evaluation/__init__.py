"""What a trained classifier reaches on parts of a store."""
