"""How a workflow reports its progress."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from plainfilm.harmless import harmless

Options = TypeVar("Options")
_BETWEEN_S = 0.25  # updates of a cell


@runtime_checkable
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


def seen(options: Options) -> Options:
    """Show progress in the cell of a notebook that runs a verb, where it was not given another way."""
    if getattr(options, "progress", None) is not silent or not in_notebook():
        return options
    return dataclasses.replace(options, progress=Cell())  # type: ignore[type-var]


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Cell:
    """Progress as one line of a cell, which is updated in place: `progress.Progress` for notebooks."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._stage, self._at = "", 0.0

    def __call__(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Update the line, four times a second at most but for a new stage and its end."""
        now = time.monotonic()
        if stage == self._stage and done < every and now - self._at < _BETWEEN_S:
            return
        self._stage, self._at = stage, now
        line = CellLine(stage, done, every, note)
        if self._handle is None:
            from IPython.display import display

            self._handle = display(line, display_id=True)
        else:
            self._handle.update(line)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class CellLine:
    """One line of progress, as HTML and as text."""

    stage: str
    done: int
    every: int
    note: str

    def __repr__(self) -> str:
        counted = f"{self.done:,} of {self.every:,}" if self.every > 1 else ""
        return harmless("  ".join(part for part in (self.stage, counted, self.note) if part))

    def _repr_html_(self) -> str:
        share = f' value="{self.done}" max="{self.every}"' if self.done or self.every > 1 else ""
        return f"<div><progress{share}></progress> {html.escape(repr(self))}</div>"
