"""How a workflow reports its progress."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO, TypeVar, runtime_checkable

from plainfilm.harmless import harmless

Options = TypeVar("Options")
_BETWEEN_S = 0.25  # updates of a cell
_PARTS = 5  # lines that the epochs or steps of a stage leave in a log, and
_PATIENCE_S = 10.0  # between two of steps that say nothing but their number, or of any once there are
_MANY = 15  # lines: folds, members


@runtime_checkable
class Progress(Protocol):
    """Is told how far a stage is: its name, steps done, all steps, and a note."""

    def __call__(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Take the news."""


class Display(Protocol):
    """Shows progress, and leaves in the end what is to stay."""

    def show(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Show the news."""

    def close(self, *, whole: bool) -> None:
        """Leave what is to stay; not `whole`: an error or Ctrl-C ended it."""


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


@contextlib.contextmanager
def shown(options: Options) -> Iterator[Options]:
    """Show the progress of a verb in a notebook's cell or an interactive Python, where it was not given another way."""
    display = _display() if getattr(options, "progress", None) is silent else None
    if display is None:
        yield options
        return
    whole = False
    try:
        yield dataclasses.replace(options, progress=display.show)  # type: ignore[type-var]
        whole = True
    finally:
        display.close(whole=whole)


def _display() -> Display | None:
    """Give what shows progress here; None in a script."""
    if in_notebook():
        return Cell()
    return Lines(sys.stderr) if hasattr(sys, "ps1") else None


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this; Spyder's console has one too, but updates no line."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel") and "spyder_kernels" not in sys.modules


class Cell:
    """Progress as one line of a cell, which is updated in place."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._line = CellLine()
        self._begun = self._at = time.monotonic()

    def show(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Update the line, four times a second at most but for a new stage and its end."""
        now, before = time.monotonic(), self._line
        self._line = CellLine(stage, done, every, note)
        if stage == before.stage and done < every and now - self._at < _BETWEEN_S:
            return
        self._at = now
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self._line, display_id=True)
        else:
            self._handle.update(self._line)

    def close(self, *, whole: bool) -> None:
        """Leave the time that it took, or where it stopped."""
        if self._handle is not None:
            stopped = dataclasses.replace(self._line, end="stopped here")
            done = CellLine(end=f"Done in {clock(time.monotonic() - self._begun)}")
            self._handle.update(done if whole else stopped)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class CellLine:
    """One line of progress, as HTML and as text; with an `end` it does not go on."""

    stage: str = ""
    done: int = 0
    every: int = 1
    note: str = ""
    end: str = ""

    def __repr__(self) -> str:
        return "  ".join(filter(None, (_line(self.stage, self.done, self.every, self.note), self.end)))

    def _repr_html_(self) -> str:
        share = f' value="{self.done}" max="{self.every}"' if self.done or self.every > 1 else ""
        bar = "" if self.end else f'<progress aria-label="{html.escape(harmless(self.stage))}"{share}></progress> '
        return f"<div>{bar}{html.escape(repr(self))}</div>"


@dataclasses.dataclass(slots=True)
class _Last:
    stage: str = ""
    every: int = 0
    done: int = 0
    shown: int = 0
    note: str = ""
    at: float = 0.0


class Lines:
    """A line when a stage begins, at each fifth of its epochs, or of what else takes long, and when it is done."""

    def __init__(self, file: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now, self._last, self._written = file, now, _Last(), 0

    def show(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Write a line if the news is worth one."""
        last, now = self._last, self._now()
        is_new = stage != last.stage or done < last.done or (every != last.every and (last.every > 1 or bool(note)))
        if is_new:
            self._end_early()
        if is_new or self._is_worth_a_line(done, every, note, now):
            self._write(stage, done, every, note)
            self._last = _Last(stage, every, done, done, note, now)
        else:
            last.done, last.every, last.note = done, every, note

    def close(self, *, whole: bool) -> None:
        """Say where the last stage ended."""
        if whole:
            self._end_early()

    def _is_worth_a_line(self, done: int, every: int, note: str, now: float) -> bool:
        last = self._last
        if done == last.shown and note == last.note:
            return False
        if every <= 1:
            return bool(note) and note != last.note
        has_passed = done * _PARTS // every > last.shown * _PARTS // every
        is_told = bool(note) and self._written < _MANY
        return done == every or (has_passed and (is_told or now - last.at >= _PATIENCE_S))

    def _end_early(self) -> None:
        last = self._last
        if last.every > 1 and last.done > last.shown:
            self._write(last.stage, last.done, last.every, last.note)
            last.shown = last.done

    def _write(self, stage: str, done: int, every: int, note: str) -> None:
        print(_line(stage, done, every, note), file=self._file, flush=True)
        self._written += 1


def _line(stage: str, done: int, every: int, note: str) -> str:
    counted = f"{done:,} of {every:,}" if every > 1 else ""
    return harmless("  ".join(part for part in (stage, counted, note) if part))


def clock(seconds: float) -> str:
    """Write a duration as 0:07 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
