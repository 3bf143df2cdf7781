"""How a workflow reports its progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told how far a stage is: its name, steps done, all steps, and a note."""

    def __call__(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Take the news."""


def silent(_stage: str, _done: int, _all: int, _note: str = "") -> None:
    """Progress that nobody sees."""
