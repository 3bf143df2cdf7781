"""One process that decodes, as its parent sees it: started, asked, ended when it takes too long."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.confinement import environment
from plainfilm.data.decoder_worker import ANSWER, QUESTION, READY
from plainfilm.data.images import MAX_SIZE_PX
from plainfilm.engines import child
from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of

LOOK_S = 0.25  # how often a watch looks for a process that takes too long
MOST_TOLD_BYTES = 1 << 20
PIPE_BYTES = 1 << 20  # where the system lets us: a usual radiograph and its answer then pass in one piece each
_START_S = 60.0
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from plainfilm.data.decoder_worker import main; main(reads_files=sys.argv[1] == 'files')"

DecoderAnswer = tuple[dict[str, Any], NDArray[np.uint8]]


class Process:
    """One process, started when it is needed, and again when it has died.

    `reads_files` lets it read what its user may; else it is given bytes alone. `bounded` says, once it was asked or waited
    for, what of `confinement.ALL` is bounded.
    """

    def __init__(self, *, reads_files: bool = True) -> None:
        self.owner, self.reads_files = os.getpid(), reads_files
        self.was_late = False
        self.bounded: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = self._is_closed = False
        self._left_s = float("inf")
        self._is_wanted: Callable[[], bool] | None = None
        self._lock = threading.Lock()  # between its caller, who may go on with a new process, and the watch

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the process, if none runs; it need not be ready."""
        with self._lock:
            if self._is_closed:
                raise EOFError
            if self._process is None:
                self._process, self._is_ready = _started(self.reads_files), False
            return self._process

    def ask(
        self, asked: Mapping[str, Any], data: bytes | bytearray, seconds: float, *, answers: int = 1
    ) -> Iterator[DecoderAnswer]:
        """Send a question and give its answers, each within `seconds`. EOFError or OSError where the process died."""
        try:
            process = self.wait()
            self._allow(seconds)
            _send(process, asked, data)
            for _ in range(answers):
                answer = _received(process)
                self._allow(seconds)
                yield answer
        except (OSError, EOFError):
            self.end()
            raise
        finally:
            self._allow(float("inf"))

    @contextmanager
    def while_wanted(self, is_wanted: Callable[[], bool]) -> Iterator[None]:
        """Take what is asked meanwhile for late as soon as it is not wanted any more."""
        self._is_wanted = is_wanted
        try:
            yield
        finally:
            with self._lock:
                self._is_wanted = None

    def end_if_late(self) -> None:
        """End the process if it has worked on a file for too long, or for nobody.

        Looks are counted, not the clock: what passes while everything stands still, as after Ctrl-Z, is not the file's.
        """
        with self._lock:
            self._left_s -= LOOK_S
            is_late = self._left_s < 0 or (self._is_wanted is not None and not self._is_wanted())
            if is_late and self._process is not None:  # its caller may end it meanwhile
                self.was_late = True
                self._process.kill()

    def close(self) -> None:
        """End the process for good; one that a parent started before it forked is the parent's."""
        if self.owner == os.getpid():
            with self._lock:
                self._is_closed = True
            self.end()

    def end(self) -> None:
        """End the process and wait for its end."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes the pipes too

    def wait(self) -> "subprocess.Popen[bytes]":
        """Start the process, if none runs, and wait until it is ready and confined."""
        self.was_late = False
        if self._process is not None and self._process.poll() is not None:
            self.end()
        process = self.start()
        if not self._is_ready:
            self._allow(_START_S)
            if process.stdout is None or process.stdout.read(len(READY)) != READY:
                self.end()
                raise _not_started(f"one that ended with code {process.returncode}")
            self.bounded = tuple(_received(process)[0]["bounded"])
            self._is_ready = True
        return process

    def _allow(self, seconds: float) -> None:
        with self._lock:
            self._left_s = seconds + LOOK_S  # the first look may come at once


def _not_started(received: str) -> PlainfilmError:
    return PlainfilmError(
        f"Expected a process that decodes, started as {sys.executable}; received {received}. "
        "Check that this Python runs and that memory is left."
    )


def _started(reads_files: bool) -> "subprocess.Popen[bytes]":
    try:
        process = child.started(_PROGRAM, "files" if reads_files else "bytes", env=environment())
    except OSError as error:
        raise _not_started(f"an error ({reason_of(error)})") from error
    for pipe in (process.stdin, process.stdout):
        with suppress(ImportError, AttributeError, OSError):  # not Linux, or this user has as many as allowed
            import fcntl

            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[union-attr]
    return process


def _send(process: "subprocess.Popen[bytes]", asked: Mapping[str, Any], data: bytes | bytearray) -> None:
    if process.stdin is None:
        raise EOFError
    text = json.dumps(asked).encode()
    process.stdin.write(QUESTION.pack(len(text), len(data)) + text)
    process.stdin.write(data)
    process.stdin.flush()


def _received(process: "subprocess.Popen[bytes]") -> DecoderAnswer:
    out = process.stdout
    if out is None:
        raise EOFError
    head = out.read(ANSWER.size)
    if len(head) < ANSWER.size:
        raise EOFError
    length, size = ANSWER.unpack(head)
    if length > MOST_TOLD_BYTES or size > MAX_SIZE_PX**2:
        raise EOFError
    told, pixels = out.read(length), np.empty(size, np.uint8)
    if len(told) < length or out.readinto(pixels.data) < size:  # type: ignore[attr-defined]
        raise EOFError
    return json.loads(told), pixels
