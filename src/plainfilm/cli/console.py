"""Where the command line writes: which streams are terminals, and a console that no name can steer."""

import os
import sys
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from plainfilm.harmless import harmless

UNBROKEN = 100_000  # columns of what is no terminal: a row of a table is a line there
_CELLS = ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "DATABRICKS_RUNTIME_VERSION")


class HarmlessConsole(Console):
    """A console that no name of a file, class or column can steer."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Escape what steers a terminal, but not what rich itself steers it by."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless(text, keep="\n"), style, control)


def results(*, stderr: bool = False) -> Console:
    """Give the console of stdout, or of stderr: as wide as its terminal or as COLUMNS says, else without an end; in a cell plain."""
    wide = None if is_terminal(sys.stderr if stderr else sys.stdout) or os.environ.get("COLUMNS") else UNBROKEN
    styled = False if in_cell() else None
    return HarmlessConsole(highlight=False, markup=False, emoji=False, width=wide, stderr=stderr, force_terminal=styled)


def is_terminal(stream: object) -> bool:
    """Whether people look at a stream as it is written; FORCE_COLOR makes no terminal of a file."""
    try:
        return bool(getattr(stream, "isatty", lambda: False)())
    except ValueError:  # closed
        return False


def moves() -> bool:
    """Whether stderr can be written over: a terminal, yet neither a dumb one, nor a notebook's cell, nor a log of CI."""
    return (
        is_terminal(sys.stderr)
        and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}
        and os.environ.get("CI", "").lower() in {"", "0", "false"}
        and not in_cell()
    )


def in_cell() -> bool:
    """Whether a notebook runs this command: its cells pose as terminals, and keep all that was written over."""
    return any(name in os.environ for name in _CELLS) or "inline" in os.environ.get("MPLBACKEND", "")
