"""External validation: another hospital, the frozen threshold, what changes."""
