"""What `strangers.py` draws: one module a kind of picture."""
