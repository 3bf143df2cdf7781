"""How a workflow reports its progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol


class Progress(Protocol):
    """Is told how far a stage is: its name, steps done, all steps, and a note."""

    def __call__(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Take the news."""


def silent(_stage: str, _done: int, _all: int, _note: str = "") -> None:
    """Progress that nobody sees."""


@contextlib.contextmanager
def stage(progress: Progress, name: str) -> Iterator[Callable[[int, int], None]]:
    """Report a stage that is done when the block ends, not when the last of the steps is that it counts."""
    steps = 1
    progress(name, 0, steps, "")

    def advance(done: int, every: int) -> None:
        nonlocal steps
        steps = every
        progress(name, min(done, every - 1), every, "")

    yield advance
    progress(name, steps, steps, "")
