"""Classifiers that are kept from a part of the image: what each sees, and how well it still does."""
