"""Dask distributed, and the only place that imports it: jobs for its workers, and workers and a scheduler that are closed to strangers."""
