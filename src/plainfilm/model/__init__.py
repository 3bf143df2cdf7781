"""From a store to a classifier."""
