"""CLAIM 2024 and TRIPOD+AI filled from a run."""
