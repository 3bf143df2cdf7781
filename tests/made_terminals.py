"""Commands in terminals of their own, as a person or a notebook's cell runs them."""

import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from typing import Any

UNSET = ("CI", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "MPLBACKEND", "JPY_PARENT_PID", "PYTHONIOENCODING")


def environment(**changed: str) -> dict[str, str]:
    """Give what a shell at a terminal of 80 columns hands on, and what is changed of it."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return kept | {"TERM": "xterm-256color"} | changed


def python_at_terminal(
    words: list[str], *, stdout: Path | None = None, columns: int = 80, cwd: Path | None = None, **changed: str
) -> tuple[int, str]:
    """Run Python at a terminal; give the exit code and all that the terminal received. `stdout` goes into a file."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, *map(str, words)]
    out = stdout.open("wb") if stdout else theirs
    with subprocess.Popen(
        command, stdin=theirs, stdout=out, stderr=theirs, cwd=cwd, env=environment(**changed), start_new_session=True
    ) as process:
        os.close(theirs)
        received = b""
        try:
            while block := os.read(ours, 65536):
                received += block
        except OSError:  # all ends of it are closed
            pass
    os.close(ours)
    if stdout:
        out.close()  # type: ignore[union-attr]
    return process.returncode, received.decode().replace("\r\n", "\n")


def at_terminal(words: list[str], **how: Any) -> tuple[int, str]:
    """Run plainfilm as `python_at_terminal` runs Python."""
    return python_at_terminal(["-m", "plainfilm", *words], **how)
