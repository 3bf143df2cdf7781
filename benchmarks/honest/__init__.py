"""Figures of `benchmarks/honesty.py`, one module a topic: `measure(work)` gives its rows."""
