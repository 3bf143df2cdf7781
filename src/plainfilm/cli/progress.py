"""Progress on stderr: bars at a terminal, else a line a stage and an epoch, at once; and in a file, for programs that wait."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from plainfilm.cli.console import HarmlessConsole, moves
from plainfilm.workflows.progress import Display, Lines, clock

VARIABLE = "PLAINFILM_PROGRESS"
_ROOMY = 100  # columns from which a note leaves room for the time
_BETWEEN_S = 0.25  # lines of a file that say nothing but a number


class Shown:
    """Progress as `workflows.progress.Progress` reports it, of a command that runs.

    Where the environment has PLAINFILM_PROGRESS, it is appended to that file too, also if `quiet`.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._display: Display | None = None if quiet else Bars() if moves() else Lines(sys.stderr)
        self._noted = Noted(Path(path)) if (path := os.environ.get(VARIABLE)) else None

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for each in filter(None, (self._display, self._noted)):
            each.close(whole=kind is None)

    def __call__(self, stage: str, done: int, every: int, note: str = "") -> None:
        """Show that `done` of `every` steps of a stage are done."""
        for each in filter(None, (self._display, self._noted)):
            each.show(stage, done, every, note)


class Noted:
    """Progress as JSON lines in a file: the time in seconds since the epoch as "at", "stage", "done", "every" and "note".

    First and last of each stage and of each note, and what is between four times a second at most. A file that cannot be
    written is left alone: the command goes on.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._last: tuple[str, int, int, str] = ("", 0, 0, "")
        self._is_written, self._at = True, -1.0

    def show(self, stage: str, done: int, every: int, note: str = "", /) -> None:
        """Write a line, if one is due."""
        now, before = self._clock(), self._last
        is_new = (stage, note) != (before[0], before[3])
        if is_new:
            self._write(now)
        self._last, self._is_written = (stage, done, every, note), False
        if is_new or done == every or not 0 <= now - self._at < _BETWEEN_S:
            self._write(now)

    def close(self, *, whole: bool) -> None:  # noqa: ARG002 - as a display's
        """Write what was said last."""
        self._write(self._clock())

    def _write(self, now: float) -> None:
        if self._is_written:
            return
        stage, done, every, note = self._last
        told: dict[str, Any] = {"at": round(now, 3), "stage": stage, "done": done, "every": every, "note": note}
        with contextlib.suppress(OSError), self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps(told) + "\n")
        self._is_written, self._at = True, now


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

    def show(self, stage: str, done: int, every: int, note: str = "", /) -> None:
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
