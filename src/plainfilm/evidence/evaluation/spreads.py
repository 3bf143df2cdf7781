"""One number over the seeds of a recipe."""

from collections.abc import Sequence

import numpy as np

from plainfilm.results.comparison import Spread


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation (n - 1), least and largest of one number over the seeds; not-a-number is left out."""
    numbers = np.asarray(values, np.float64)
    known = numbers[np.isfinite(numbers)]
    some, several = len(known) > 0, len(known) > 1
    return Spread(
        mean=float(known.mean()) if some else None,
        sd=float(known.std(ddof=1)) if several else None,
        low=float(known.min()) if some else None,
        high=float(known.max()) if some else None,
        values=tuple(float(value) if np.isfinite(value) else None for value in numbers),
    )
