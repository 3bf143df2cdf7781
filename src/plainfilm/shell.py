"""A command as it is to be typed into the shell that people have here."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PLAIN = re.compile(r"[\w@+=:,./\\-]+")  # what neither cmd nor PowerShell takes for anything else


def command(*words: str | Path, encoding: str = "utf-8") -> str:
    """Give a command of plainfilm's, each word quoted where the shell needs it; a path is never taken for a flag.

    What `encoding` lacks, and what cannot be seen, is written as bash, zsh and ksh read it from other signs.
    """
    given = ["plainfilm", *(f"./{word}" if _is_like_a_flag(word) else str(word) for word in words)]
    if sys.platform == "win32":
        return joined(given)
    return " ".join(shlex.quote(word) if _can_be_copied(word, encoding) else _by_numbers(word) for word in given)


def joined(words: Sequence[str]) -> str:
    """Quote words for a POSIX shell; on Windows for cmd and PowerShell."""
    return " ".join(map(_for_windows, words)) if sys.platform == "win32" else shlex.join(words)


def split(typed: str) -> list[str]:
    """Give the words of a command that `joined` made."""
    if sys.platform != "win32":
        return shlex.split(typed)
    return [word.strip('"') for word in shlex.split(typed, posix=False)]


def _can_be_copied(word: str, encoding: str) -> bool:
    try:
        word.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return word.isprintable()


def _by_numbers(word: str) -> str:
    r"""Quote a word as ANSI-C does, `$'caf\xc3\xa9'`: each sign that is not of ASCII by the bytes that a path has for it."""
    plain = {sign for sign in map(chr, range(32, 127)) if sign not in "'\\"}
    signs = (sign if sign in plain else "".join(f"\\x{byte:02x}" for byte in os.fsencode(sign)) for sign in word)
    return f"$'{''.join(signs)}'"


def _is_like_a_flag(word: str | Path) -> bool:
    return isinstance(word, Path) and str(word).startswith("-")


def _for_windows(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    quoted = subprocess.list2cmdline([f" {word}"])  # the space has it quoted
    return f'"{quoted[2:]}'
