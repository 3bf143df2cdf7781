"""A command as it is to be typed into the shell that people have here."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PLAIN = re.compile(r"[\w@+=:,./\\-]+")  # what neither cmd nor PowerShell takes for anything else


def command(*words: str | Path) -> str:
    """Give a command of plainfilm's, each word quoted where the shell needs it; a path is never taken for a flag."""
    return joined(["plainfilm", *(f"./{word}" if _is_like_a_flag(word) else str(word) for word in words)])


def joined(words: Sequence[str]) -> str:
    """Quote words for a POSIX shell; on Windows for cmd and PowerShell."""
    return " ".join(map(_for_windows, words)) if sys.platform == "win32" else shlex.join(words)


def split(typed: str) -> list[str]:
    """Give the words of a command that `joined` made."""
    if sys.platform != "win32":
        return shlex.split(typed)
    return [word.strip('"') for word in shlex.split(typed, posix=False)]


def _is_like_a_flag(word: str | Path) -> bool:
    return isinstance(word, Path) and str(word).startswith("-")


def _for_windows(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    quoted = subprocess.list2cmdline([f" {word}"])  # the space has it quoted
    return f'"{quoted[2:]}'
