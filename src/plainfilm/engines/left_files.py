"""Files that jobs leave: what is told of one, and whether this machine sees it as another says it has left it."""

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from plainfilm.errors import EngineError

SEEN_WITHIN_S = 75.0  # NFS may keep what it knew of a folder for a minute
_LOOKED_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class LeftFile:
    """The file that a job has left: its job's number, where it is, and what is in it."""

    number: int
    path: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, number: int, path: Path) -> Self:
        """Tell a file that is there."""
        content = path.read_bytes()
        return cls(number, str(path), len(content), hashlib.sha256(content).hexdigest())


def check_left(result: Any, *, within_s: float = SEEN_WITHIN_S) -> None:
    """Look for the file of a result that has `path`, `bytes` and `sha256`; any other leaves none.

    Raises
    ------
    EngineError
        It cannot be seen, or is another.
    """
    end = time.monotonic() + within_s
    while not (seen := is_left(result)) and time.monotonic() < end:
        time.sleep(min(_LOOKED_EVERY_S, within_s / 4))
        with suppress(OSError):
            os.listdir(Path(result.path).parent)  # noqa: PTH208 - asks the server again
    if not seen:
        found = "another file of that name" if Path(result.path).exists() else "no such file"
        raise EngineError(
            f"Expected every machine to write where this one reads; received {found} at {result.path}, which another says it has written. "
            "Share the folder, at the same path on each machine."
        )


def is_left(result: Any) -> bool:
    """Whether the file of a result is here as it was written, or it leaves none."""
    if not hasattr(result, "sha256") or not hasattr(result, "path"):
        return True
    try:
        with Path(result.path).open("rb") as file:
            if os.fstat(file.fileno()).st_size != result.bytes:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == str(result.sha256)
    except OSError:
        return False
