"""What a command of plainfilm has said on stderr, and the line of it that is for people."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from plainfilm.harmless import harmless

OURS = "plainfilm: "  # stands before each line in which a command says what was wrong
_MOST_TOLD = 1 << 16  # bytes of a file that are looked at


def lines_of(path: Path) -> list[str]:
    """Give the last lines of a file that say something; none where it cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_TOLD))
        return [harmless(line) for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return []


def own_line(lines: Sequence[str]) -> str:
    """Give the last line in which the command said what was wrong, without what stands before it; "" where there is none."""
    return next((line.removeprefix(OURS) for line in reversed(lines) if line.startswith(OURS)), "")
