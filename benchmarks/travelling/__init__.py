"""What `benchmarks/travel.py` is made of."""
