"""Whether an HDF5 file may be opened here: looked through once by `hdf5_worker`, in a process of its own, and remembered in the cache.

A file is known by device, inode, size and times: one that changes is looked through again.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from plainfilm.data import cache
from plainfilm.data.confinement import environment
from plainfilm.data.files import cache_folder
from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of

_VERSION = 1  # of what is looked for
_LEAST_S, _BYTES_A_S, _MOST_S = 5, 10_000_000, 600  # of processor time; of the clock ten times that, for slow disks
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from plainfilm.data.hdf5_worker import main; main()"
_LOCKING = "HDF5_USE_FILE_LOCKING"  # what some network file systems need


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking through a file: a reason why it may not be opened, or "", and its attribute `format`, or ""."""

    reason: str
    fault: str = (
        ""  # "refused", "busy" where it cannot be locked, "damaged", or "unopened" where it does not even begin as HDF5
    )
    format: str = ""
    state: str = ""  # of the file that was looked through


def look_through(path: Path) -> Looked:
    """Look through an HDF5 file, unless it passed before as it is now.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
    state = state_of(status)
    if (content := cache.read(_mark(state))) is not None:
        return Looked("", format=content.decode(), state=state)
    looked = _asked(path, min(_MOST_S, _LEAST_S + status.st_size // _BYTES_A_S))
    if not looked.reason and state_of(path.stat()) == state:
        _keep(state, looked.format)
    return replace(looked, state=state)


def state_of(status: os.stat_result) -> str:
    """Name a file as it is: device, inode, size and times."""
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_dev} {status.st_ino} {status.st_size} {times}"


def remember(path: Path, format_: str) -> None:
    """Note that a file which plainfilm has just written needs no looking through."""
    with contextlib.suppress(OSError):
        _keep(state_of(path.stat()), format_)


def _keep(state: str, format_: str) -> None:
    with contextlib.suppress(OSError):  # without a cache it is looked through each time
        cache.write(_mark(state), format_.encode())


def _mark(state: str) -> Path:
    return cache_folder() / "opened" / sha256(f"{_VERSION} {state}".encode()).hexdigest()[:32]


def _asked(path: Path, seconds: int) -> Looked:
    asked = json.dumps({"path": os.fspath(path), "seconds": seconds})
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *map(str, sys.path)],
            input=asked.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(_LOCKING),
            timeout=10 * seconds,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
    except OSError as error:
        raise PlainfilmError(
            f"Expected a process that looks through {path}, started as {sys.executable}; received an error ({reason_of(error)}). "
            "Check that this Python runs, and that processes and open files are left."
        ) from error
    except subprocess.TimeoutExpired:
        return Looked("the HDF5 library does not come to its end on it", fault="damaged")
    try:
        told = json.loads(done.stdout)
    except ValueError:
        ended = "does not come to its end" if _ran_out_of_time(done.returncode) else "crashes"
        return Looked(f"the HDF5 library {ended} on it", fault="damaged")
    return _judged(told)


def _judged(told: Mapping[str, str]) -> Looked:
    fault = next((name for name in ("refused", "busy", "damaged", "unopened") if name in told), "")
    return Looked(told.get(fault, ""), fault, told.get("format", ""))


def _ran_out_of_time(code: int) -> bool:
    return sys.platform != "win32" and -code in {signal.SIGXCPU, signal.SIGKILL}
