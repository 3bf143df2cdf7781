"""What each part of the siege gives."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Told:
    """What a part is told: the seed, how many cases to try (0 for the part's own number), and an empty folder."""

    seed: int
    cases: int
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came out: what was tried, in words and how often; what was found and what is promised; whether it holds."""

    tried: str
    cases: int
    found: str
    promised: str
    holds: bool
