"""Decoding in processes that a file may kill or hold up: that file alone is lost.

Paths or bytes go in, JSON and raw pixels come out, never pickles; a user's script needs no `__main__` guard.
"""

import atexit
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import images
from plainfilm.data.decoder_process import LOOK_S, Process
from plainfilm.data.decoding.decoded import crashed, refusal, too_slow
from plainfilm.data.images import Radiograph, check_options
from plainfilm.errors import ImageError, PlainfilmError, UsageError

DECODING_S = 20.0  # a file; the largest that are allowed take one or two
CHUNK = 8  # files a task: enough that the messages cost little, few enough that nobody waits long for the last task
_ASTRAY = (
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)  # none of ours: a file took the process over
_LOST = (OSError, EOFError, *_ASTRAY)

Source = Path | str | Callable[[], bytes]
File = Source | tuple[Source, int | None]
Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome = Radiograph | ImageError
_Files = Sequence[tuple[Any, int | None]]
_Tasks = queue.SimpleQueue[tuple[Future[list[Any]], _Files] | None]
Made = Callable[[dict[str, Any], NDArray[np.uint8]], Result]


def read_many(
    files: Iterable[File],
    *,
    size: int = 256,
    fit: str = "stretch",
    workers: int,
    batch: int | None = None,
    seconds: float = DECODING_S,
) -> Iterator[Outcome]:
    """Read many files in order, in `workers` processes; at most `batch` are held at any time, by default 32 a process, 256 in all.

    A file is a path, or a function that gives its bytes, such as a member of an archive; its OSError makes the file `unreadable`.
    Functions are called in the order of `files`, one at a time. A pair of one of these and a depth in bits is read as `images.read` does with that `depth`.

    A file that cannot be read gives its `ImageError` in place of a radiograph: `decoder-crashed` where it kills the
    process that decodes it, twice, the second time alone; `too-slow` where decoding it takes more than `seconds`.

    Raises
    ------
    UsageError
        `size`, `fit`, `workers` or `batch` cannot be meant; raised at the call, before the first file.
    PlainfilmError
        No process can be started.
    """
    check_options(size, fit)
    if workers < 1 or (batch is not None and batch < 1):
        raise UsageError(f"Expected workers and batch of at least 1; received workers={workers}, batch={batch}.")
    return _read_many(files, size, fit, workers, batch or min(256, 32 * workers), seconds)


def _read_many(
    files: Iterable[File], size: int, fit: str, workers: int, batch: int, seconds: float
) -> Iterator[Outcome]:
    with closing(Decoders(workers, seconds=seconds, reads_files=True)) as decoders:
        yield from decoders.files(files, size=size, fit=fit, held=batch)
        decoders.leave_one()


def read_headers(files: Iterable[Source], *, seconds: float = DECODING_S) -> Iterator[dict[str, str] | ImageError]:
    """Read what DICOM files say of patient, study, hospital and view, in order, as `images.header` does, in one process.

    A file that cannot be read gives its `ImageError`, as in `read_many`.

    Raises
    ------
    PlainfilmError
        No process can be started.
    """
    with closing(Decoders(1, seconds=seconds, reads_files=True)) as decoders:
        yield from decoders.headers(files)
        decoders.leave_one()


def read_few(files: Iterable[File], *, size: int = 256, fit: str = "stretch") -> Iterator[Outcome]:
    """Read files one by one as `read_many` does, the light ones in this process, which is sooner done than a process starts."""
    for file in files:
        source, depth = _with_depth(file)
        try:
            light = None if callable(source) else images.read_if_light(source, size=size, fit=fit, depth=depth)
        except ImageError as error:
            yield ImageError(error.code, str(error))  # without a traceback, which would keep the file's bytes alive
        else:
            yield from [light] if light else read_many([file], size=size, fit=fit, workers=1)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut items into lists of `size`, the last one shorter, each made when it is asked for."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


class DecodingError(RuntimeError):
    """A fault of ours in a process that decodes; the message is its traceback."""


class Decoders:
    """Some processes that decode, one file at a time each, started when they are first needed. Thread-safe.

    Parameters
    ----------
    processes
        How many; a call waits until one of them is free.
    seconds
        A process that takes longer for one file is ended.
    reads_files
        Whether they are to read files themselves; else they are given bytes, and may open nothing but libraries.
    """

    def __init__(self, processes: int, *, seconds: float = DECODING_S, reads_files: bool = False) -> None:
        self._seconds, self._closed = seconds, threading.Event()
        first = (_spare() if reads_files else None) or Process(reads_files=reads_files)
        self._workers = [first, *(Process(reads_files=reads_files) for _ in range(processes - 1))]
        self._free: queue.LifoQueue[Process] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)
        threading.Thread(target=self._watch, name="decoding-watch", daemon=True).start()
        _OPEN.add(self)

    def start(self) -> None:
        """Start all processes now."""
        for worker in self._workers:
            worker.start()

    def bounded(self) -> tuple[str, ...]:
        """Say what of `confinement.ALL` is bounded in the processes, once one has started."""
        worker = self._free.get()
        try:
            worker.wait()
            return worker.bounded
        finally:
            self._free.put(worker)

    def radiograph(
        self, data: bytes | bytearray, *, size: int, fit: str, is_wanted: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Decode the bytes of a file as `images.decode` does; an error is given, not raised.

        What is not wanted any more is given up, as if it had taken too long.
        """
        return self._ask({"size": size, "fit": fit}, data, partial(_radiograph, size=size), is_wanted)

    def displayed(
        self, data: bytes | bytearray, *, longest_px: int, is_wanted: Callable[[], bool] = lambda: True
    ) -> NDArray[np.uint8] | ImageError:
        """Decode the bytes of a file as `images.displayed` does; otherwise as `radiograph`."""
        return self._ask({"longest_px": longest_px}, data, partial(_view, longest_px=longest_px), is_wanted)

    def files(self, files: Iterable[File], *, size: int, fit: str, held: int) -> Iterator[Outcome]:
        """Read files in order, as `read_many` does; files are taken only as fast as results are taken out."""
        return self._each(files, {"size": size, "fit": fit}, partial(_radiograph, size=size), held)

    def headers(self, files: Iterable[Source]) -> Iterator[dict[str, str] | ImageError]:
        """Read headers in order, as `read_headers` does."""
        return self._each(files, {"header": True}, _header, 4 * CHUNK * len(self._workers))

    def _each(
        self, files: Iterable[File], asked: Mapping[str, Any], made: Made[Result], held: int
    ) -> Iterator[Result | ImageError]:
        length = max(1, min(CHUNK, held // (2 * len(self._workers))))
        tasks = _Tasks()
        work = partial(self._work, tasks, threading.Lock(), asked, made)
        waiting: deque[Future[list[Result | ImageError]]] = deque()
        threads = ahead = 0
        try:
            for chunk in _cut(files, length):
                waiting.append(Future())
                tasks.put((waiting[-1], chunk))
                ahead += len(chunk)
                if threads < len(self._workers):
                    threading.Thread(target=work, name="decoding", daemon=True).start()
                    threads += 1
                while waiting and ahead + length > held:
                    ahead -= len(outcomes := waiting.popleft().result())
                    yield from outcomes
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for _ in range(threads):
                tasks.put(None)

    def leave_one(self) -> None:
        """Leave one process, if none is left already, to the next who decodes; when all are free, before `close`."""
        if not _SPARE:
            worker = self._free.get()
            self._workers.remove(worker)
            _SPARE.append(worker)

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        for worker in self._workers:
            worker.close()

    def _ask(
        self, asked: Mapping[str, Any], data: bytes | bytearray, made: Made[Result], is_wanted: Callable[[], bool]
    ) -> Result | ImageError:
        worker = self._free.get()
        try:
            with worker.while_wanted(is_wanted):
                return self._one(worker, asked, data, made)
        except (PlainfilmError, DecodingError):  # it may have been given up before the process was ready
            return too_slow(self._seconds) if worker.was_late else crashed()
        finally:
            self._free.put(worker)

    def _one(
        self, worker: Process, asked: Mapping[str, Any], data: bytes | bytearray, made: Made[Result]
    ) -> Result | ImageError:
        try:
            (answer,) = worker.ask(asked, data, self._seconds)
            return _checked(*answer, made)
        except _LOST:
            return self._lost(worker)

    def _work(self, tasks: _Tasks, turn: threading.Lock, asked: Mapping[str, Any], made: Made[Any]) -> None:
        while True:
            with turn:  # an archive that can only be read in order is read in order
                if (task := tasks.get()) is None:
                    return
                outcomes, files = task
                fetched = Future[bytes | ImageError]()
                if callable(files[0][0]):
                    _settle(fetched, partial(_fetch, files[0][0]))
            _settle(outcomes, partial(self._read, asked, made, files, fetched))

    def _read(
        self, asked: Mapping[str, Any], made: Made[Result], files: _Files, fetched: "Future[bytes | ImageError]"
    ) -> list[Result | ImageError]:
        worker = self._free.get()
        try:
            if callable(files[0][0]):
                return [self._given(worker, {**asked, "depth": files[0][1]}, fetched.result(), made)]
            return self._paths(worker, asked, files, made)
        finally:
            self._free.put(worker)

    def _paths(
        self, worker: Process, asked: Mapping[str, Any], files: _Files, made: Made[Result]
    ) -> list[Result | ImageError]:
        whole, outcomes = [(_whole(path), depth) for path, depth in files], list[Result | ImageError]()
        while rest := whole[len(outcomes) :]:
            try:
                for answer in worker.ask({**asked, "paths": rest}, b"", self._seconds, answers=len(rest)):
                    outcomes.append(_checked(*answer, made))
            except _LOST:
                lost, alone = self._lost(worker), {**asked, "paths": [whole[len(outcomes)]]}
                outcomes.append(lost if worker.was_late else self._one(worker, alone, b"", made))
        return outcomes

    def _given(
        self, worker: Process, asked: Mapping[str, Any], data: bytes | ImageError, made: Made[Result]
    ) -> Result | ImageError:
        if isinstance(data, ImageError):
            return data
        outcome = self._one(worker, asked, data, made)
        is_lost = isinstance(outcome, ImageError) and outcome.code == "decoder-crashed"
        return self._one(worker, asked, data, made) if is_lost else outcome

    def _lost(self, worker: Process) -> ImageError:
        worker.end()
        return too_slow(self._seconds) if worker.was_late else crashed()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_S):
            for worker in self._workers:
                worker.end_if_late()


def _settle(future: Future[Result], function: Callable[[], Result]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
        future.set_exception(error)


def _cut(files: Iterable[File], length: int) -> Iterator[_Files]:
    """Cut files into lists of at most `length` paths, or of one function, so that few bytes wait for a process."""
    for are_given, group in groupby(map(_with_depth, files), key=lambda file: callable(file[0])):
        yield from chunks(group, 1 if are_given else length)


def _fetch(source: Callable[[], bytes]) -> bytes | ImageError:
    try:
        return source()
    except ImageError as error:
        return ImageError(error.code, str(error))
    except OSError as error:
        return images.unreadable(error)


def _with_depth(file: File) -> tuple[Source, int | None]:
    return file if isinstance(file, tuple) else (file, None)


def _whole(path: Path | str) -> str:
    """Give a path that holds in a process started in another folder; unlike `resolve`, without a look at the disk."""
    return str(path) if os.path.isabs(path) else os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH117, PTH118


def _checked(told: dict[str, Any], pixels: NDArray[np.uint8], made: Made[Result]) -> Result | ImageError:
    if "fault" in told:
        raise DecodingError(told["fault"])
    if "code" in told:
        return refusal(str(told["code"]), str(told["sentence"]))
    return made(told, pixels)


def _radiograph(told: dict[str, Any], pixels: NDArray[np.uint8], *, size: int) -> Radiograph:
    remarks = tuple((str(code), str(sentence)) for code, sentence in told["remarks"])
    provenance = dict(told["provenance"])
    if not all(isinstance(value, str | int | float) for value in provenance.values()):
        raise TypeError(provenance)
    return Radiograph(pixels.reshape(size, size), str(told["sha256"]), provenance, remarks)


def _header(told: dict[str, Any], _: NDArray[np.uint8]) -> dict[str, str]:
    return {str(name): str(text) for name, text in told["header"].items()}


def _view(told: dict[str, Any], pixels: NDArray[np.uint8], *, longest_px: int) -> NDArray[np.uint8]:
    height, width = told["shape"]
    if not 0 < max(height, width) <= longest_px:
        raise ValueError(told["shape"])
    return pixels.reshape(height, width)


_OPEN: WeakSet[Decoders] = WeakSet()
_SPARE: list[Process] = []  # at most one process that waits for the next `read_many`


def _spare() -> Process | None:
    with suppress(IndexError):
        worker = _SPARE.pop()
        return worker if worker.owner == os.getpid() else None
    return None


@atexit.register
def _end_all() -> None:
    """End the processes before Python ends, which stops our threads wherever they are."""
    for pool in list(_OPEN):
        pool.close()
    for process in _SPARE:
        process.close()
