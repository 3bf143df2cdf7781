"""What a thing in the spool is: ours, broken or foreign."""

import re
from pathlib import Path

from plainfilm.serve.dicom.disk import kind, read

KEY = re.compile("[0-9a-f]{64}")
_MOST_TITLE = 64


def age(path: Path) -> int:
    """When a thing came, in nanoseconds; 0 where it is gone."""
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return 0


def entry_problem(entry: Path) -> str:
    """Say what is wrong with an entry of the outbox: it holds answers, and the name of the peer that they are for."""
    if not KEY.fullmatch(entry.name) or kind(entry) != "folder":
        return f"a {kind(entry)} in outbox that is no entry"
    inside = [path for path in entry.iterdir() if not path.name.startswith(".")]
    if any((path.name != "to" and path.suffix != ".dcm") or kind(path) != "file" for path in inside):
        return "an entry that holds more than answers, or was made by another version"
    return "" if title(entry / "to") else "an entry that names no peer"


def title(path: Path) -> str:
    """Read the name of the peer that an entry is for; nothing where there is none."""
    try:
        return read(path, most=_MOST_TITLE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
