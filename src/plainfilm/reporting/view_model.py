"""What a page shows: plain frozen values, made by `report_data`, drawn by `report`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A radiograph to show: `pixels` uint8 (h, w) gray, and what stands under it."""

    pixels: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A wrong answer on the test set: `probability` (0 to 1) is what the model gave to `predicted`."""

    pixels: NDArray[np.uint8]
    file: str
    truth: str
    predicted: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A table of radiographs, `counts[row][column]`; the labels say what rows and columns are ("class", "split")."""

    row_label: str
    column_label: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def adds_up(self) -> bool:
        """Whether each radiograph stands in one row: one may have several findings, or none that is known."""
        return self.row_label != "finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemGroup:
    """Files left out or flagged for one reason: its `code`, one `sentence`, how many, and a few names."""

    code: str
    sentence: str
    count: int
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateCounts:
    """What the search for duplicates found.

    `exact`, `near` pairs of images; `groups` of images joined by them; `conflicts` images left out because they stood
    under two labels; `leaks` images of a given split that also stood in another part.
    """

    exact: int
    near: int
    groups: int
    conflicts: int
    leaks: int
