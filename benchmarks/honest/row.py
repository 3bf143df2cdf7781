"""A row of what `benchmarks/honesty.py` measures."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what it is, what was measured, what was aimed at, and whether that was reached."""

    what: str
    measured: Any
    reach: str
    reached: bool
