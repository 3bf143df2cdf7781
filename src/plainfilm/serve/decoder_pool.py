"""Decoding in processes that a file may kill or hold up: that file alone is lost."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.decoding.decoded import crashed, too_slow
from plainfilm.data.decoding.process_pool import ONE_THREAD, held_back
from plainfilm.data.images import MAX_SIZE_PX, Radiograph
from plainfilm.errors import ImageError
from plainfilm.serve.decoder_worker import ANSWER, BUFFER_BYTES, ENDING, QUESTION

DECODING_S = 20.0
MOST_TOLD_BYTES = 1 << 20
PIPE_BYTES = 1 << 20  # where the system lets us: a usual film and its answer then pass in one piece each
_LOOK_S = 0.25  # how often the watch looks for a process that takes too long
Result = TypeVar("Result")


class Decoders:
    """Some processes that decode, one file at a time each. Thread-safe.

    Parameters
    ----------
    processes
        How many; a call waits until one of them is free.
    seconds
        A process that takes longer for one file is ended.
    """

    def __init__(self, processes: int, *, seconds: float = DECODING_S) -> None:
        self._seconds, self._closed = seconds, threading.Event()
        self._workers = [_Worker() for _ in range(processes)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)
        threading.Thread(target=self._watch, name="decoding-watch", daemon=True).start()

    def radiograph(self, data: bytes | bytearray, *, size: int, fit: str) -> Radiograph | ImageError:
        """Decode the bytes of a file as `images.decode` does; an error is given, not raised."""
        return self._ask({"size": size, "fit": fit}, data, partial(_radiograph, size=size))

    def displayed(self, data: bytes | bytearray, *, longest_px: int) -> NDArray[np.uint8] | ImageError:
        """Decode the bytes of a file as `images.displayed` does; an error is given, not raised."""
        return self._ask({"longest_px": longest_px}, data, partial(_view, longest_px=longest_px))

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        for worker in self._workers:
            worker.end()

    def _ask(
        self,
        asked: Mapping[str, Any],
        data: bytes | bytearray,
        made: Callable[[dict[str, Any], bytes], Result],
    ) -> Result | ImageError:
        worker = self._free.get()
        try:
            told, pixels = worker.ask(asked, data, self._seconds)
            if "code" in told:
                return ImageError(str(told["code"]), str(told["sentence"]))
            return made(told, pixels)
        except (OSError, EOFError):
            return too_slow(self._seconds) if worker.was_late else crashed()
        except (
            ArithmeticError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):  # none of ours: a file has taken it over
            worker.end()
            return crashed()
        finally:
            self._free.put(worker)

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_S):
            for worker in self._workers:
                worker.end_if_late()


class _Worker:
    """One process, started again when it is needed and has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = _started()
        self._due = float("inf")
        self._lock = threading.Lock()  # between its caller, who may go on with a new process, and the watch
        self.was_late = False

    def ask(self, asked: Mapping[str, Any], data: bytes | bytearray, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Send one file and read the answer. EOFError or OSError where the process died."""
        process = self._running()
        with self._lock:
            self._due, self.was_late = time.monotonic() + seconds, False
        try:
            return _exchange(process, asked, data)
        except (OSError, EOFError):
            self.end()
            raise
        finally:
            with self._lock:
                self._due = float("inf")

    def end_if_late(self) -> None:
        """End the process if it works on a file for too long."""
        with self._lock:
            process = self._process  # its caller may end it meanwhile
            if time.monotonic() > self._due and process is not None:
                self.was_late = True
                process.kill()

    def end(self) -> None:
        """End the process and wait for its end."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes the pipes too

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = _started()
        return self._process


def _started() -> "subprocess.Popen[bytes]":
    with held_back(*ENDING):
        return subprocess.Popen(
            [sys.executable, "-m", "plainfilm.serve.decoder_worker"],
            bufsize=BUFFER_BYTES,
            pipesize=PIPE_BYTES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )


def _exchange(
    process: "subprocess.Popen[bytes]", asked: Mapping[str, Any], data: bytes | bytearray
) -> tuple[dict[str, Any], bytes]:
    into, out = process.stdin, process.stdout
    if into is None or out is None:
        raise EOFError
    text = json.dumps(asked).encode()
    into.write(QUESTION.pack(len(text), len(data)) + text)
    into.write(data)
    into.flush()
    head = out.read(ANSWER.size)
    if len(head) < ANSWER.size:
        raise EOFError
    length, size = ANSWER.unpack(head)
    if length > MOST_TOLD_BYTES or size > MAX_SIZE_PX**2:
        raise EOFError
    told, pixels = out.read(length), out.read(size)
    if len(told) < length or len(pixels) < size:
        raise EOFError
    return json.loads(told), pixels


def _radiograph(told: dict[str, Any], pixels: bytes, *, size: int) -> Radiograph:
    remarks = tuple((str(code), str(sentence)) for code, sentence in told["remarks"])
    gray = np.frombuffer(pixels, np.uint8).reshape(size, size)
    return Radiograph(gray, str(told["sha256"]), dict(told["provenance"]), remarks)


def _view(told: dict[str, Any], pixels: bytes, *, longest_px: int) -> NDArray[np.uint8]:
    height, width = told["shape"]
    if not 0 < max(height, width) <= longest_px:
        raise ValueError(told["shape"])
    return np.frombuffer(pixels, np.uint8).reshape(height, width)
