"""Progress on stderr: bars at a terminal, else a line a stage and an epoch, at once."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from plainfilm.cli.console import HarmlessConsole, moves
from plainfilm.harmless import harmless

_ROOMY = 100  # columns from which a note leaves room for the time
_EPOCHS = 7  # lines that the epochs of a stage leave in a log
_STEPS = 5  # that steps leave which say nothing but their number, and
_PATIENCE_S = 10.0  # between two of these


class _Display(Protocol):
    def show(self, stage: str, done: int, every: int, note: str) -> None: ...
    def close(self, *, whole: bool) -> None: ...


class Shown:
    """Progress as `workflows.progress.Progress` reports it, of a command that runs."""

    def __init__(self, *, quiet: bool) -> None:
        self._display: _Display | None = None if quiet else Bars() if moves() else Lines(sys.stderr)

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._display is not None:
            self._display.close(whole=kind is None)

    def __call__(self, stage: str, done: int, every: int, note: str = "") -> None:
        """Show that `done` of `every` steps of a stage are done."""
        if self._display is not None:
            self._display.show(stage, done, every, note)


class _Told(ProgressColumn):
    """Count, then a note, or rate and time where there is none; with room for it the time too."""

    def __init__(self, console: Console) -> None:
        super().__init__(Column(no_wrap=True, ratio=1, overflow="ellipsis"))
        self._console = console

    def render(self, task: Task) -> Text:
        note, every = task.fields["note"], task.fields["every"]
        counted = f"{task.completed:,.0f} of {every:,}" if every > 1 else ""
        speed = task.finished_speed or task.speed
        rate = f"{speed:,.0f}/s" if speed and speed >= 1 and every > 1 and not note else ""
        left = not task.finished and task.time_remaining
        spent = task.finished_time if task.finished else task.elapsed
        moment = f"{clock(left)} left" if left else clock(spent or 0)
        is_told = not note or self._console.width >= _ROOMY
        parts = [(counted, ""), (rate, "dim"), (moment if is_told else "", "cyan"), (note, "dim")]
        return Text(" ").join(Text(part, style) for part, style in parts if part)


def clock(seconds: float) -> str:
    """Write a duration as 0:07 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bars:
    """One bar a stage, which moves while there is work and is full when it is done. stdout is left alone."""

    def __init__(self) -> None:
        console = HarmlessConsole(stderr=True, force_terminal=True)
        name = TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=22, overflow="ellipsis"))
        self._progress = Progress(
            name, BarColumn(6), _Told(console), console=console, expand=True, redirect_stdout=False
        )
        self._tasks: dict[str, TaskID] = {}
        self._current = ""

    def show(self, stage: str, done: int, every: int, note: str) -> None:
        """Move the bar of a stage; the one before it has come to its end."""
        if not self._tasks:
            self._progress.start()
        if stage != self._current:
            self._fill()
            self._current = stage
        total = None if done < every == 1 else every  # of one step nobody knows how far it is: its bar swings
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(
                escape(stage), total=total, completed=done, every=every, note=note
            )
        task = self._progress.tasks[self._tasks[stage]]
        if task.total != total:
            task.total, task.finished_time = total, None
        self._progress.update(task.id, completed=done, every=every, note=note)

    def close(self, *, whole: bool) -> None:
        """Leave the bars as they are, the last one full if all was done."""
        if self._tasks:
            if whole:
                self._fill()
            self._progress.stop()

    def _fill(self) -> None:
        """Fill the bar of a stage that ended early, as a training does that gets no better."""
        task = self._tasks.get(self._current)
        if task is not None and not self._progress.tasks[task].finished:
            reached = self._progress.tasks[task].completed or 1
            self._progress.update(task, total=reached, completed=reached)


@dataclass(slots=True)
class _Last:
    stage: str = ""
    every: int = 0
    done: int = 0
    shown: int = 0
    note: str = ""
    at: float = 0.0


class Lines:
    """A line when a stage begins, at each seventh of its epochs, at each fifth of other steps if they take long, and when it is done."""

    def __init__(self, file: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now, self._last = file, now, _Last()

    def show(self, stage: str, done: int, every: int, note: str) -> None:
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
        parts = _EPOCHS if note else _STEPS
        has_passed = done * parts // every > last.shown * parts // every
        return done == every or (has_passed and (bool(note) or now - last.at >= _PATIENCE_S))

    def _end_early(self) -> None:
        last = self._last
        if last.every > 1 and last.done > last.shown:
            self._write(last.stage, last.done, last.every, last.note)
            last.shown = last.done

    def _write(self, stage: str, done: int, every: int, note: str) -> None:
        counted = f"{done:,} of {every:,}" if every > 1 else ""
        line = "  ".join(part for part in (stage, counted, note) if part)
        print(harmless(line), file=self._file, flush=True)
