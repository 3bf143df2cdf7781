"""Changes of `mutants.py` that no test can see, each with the reason."""

EQUIVALENT: dict[str, str] = {}
