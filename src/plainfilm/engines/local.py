"""Jobs in several processes on this machine."""

import os
import pickle
import queue
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Self

from plainfilm.engines import child
from plainfilm.engines.engine import Function, JobT, ResultT, name_of, outcome, packed
from plainfilm.errors import EngineError
from plainfilm.reasons import reason_of

RETRIES = 3  # of a job whose process ended
_AHEAD = 2  # jobs a process that are given out: it need not wait for whoever takes the results
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from plainfilm.engines.local_worker import main; main()"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class _Task:
    """A job that is given out: `answers` gets what became of it, unless it is `dropped`."""

    number: int
    work: bytes
    answers: "queue.SimpleQueue[bytes | EngineError]"
    dropped: threading.Event


class Local:
    """An engine of N processes, each started when there is a job for it; a job may use one processor.

    A job whose process ends is done by another, three times. `environment` is what the processes are told beside that of this one.
    """

    threads = 1
    mixed = False

    def __init__(self, processes: int, *, environment: Mapping[str, str] | None = None) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._workers = [_Worker(self._tasks, self._closed, environment or {}) for _ in range(processes)]

    def map(
        self, function: Function[JobT, ResultT], jobs: Iterable[JobT], *, check: Callable[[], str] | None = None
    ) -> Iterator[ResultT]:
        """Run a function on each job; see `Engine.map`."""
        del check  # all processors of a machine are of one kind
        return self._map(name_of(function), iter(jobs))

    def _map(self, name: str, jobs: Iterator[JobT]) -> Iterator[ResultT]:
        answers: queue.SimpleQueue[bytes | EngineError] = queue.SimpleQueue()
        dropped, waiting = threading.Event(), 0
        try:
            while True:
                for job in islice(jobs, _AHEAD * len(self._workers) - waiting):
                    self._tasks.put(_Task(job.number, packed(name, job), answers, dropped))
                    waiting += 1
                if not waiting:
                    return
                answer = answers.get()
                waiting -= 1
                if isinstance(answer, EngineError):
                    raise answer
                yield outcome(answer)
        finally:
            dropped.set()
            if waiting:
                self._end_all()

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for _worker in self._workers:
            self._tasks.put(None)
        self._end_all()
        for worker in self._workers:
            worker.thread.join()


class _Worker:
    """One process and the thread that gives it jobs."""

    def __init__(
        self, tasks: "queue.SimpleQueue[_Task | None]", closed: threading.Event, environment: Mapping[str, str]
    ) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed, self._environment = closed, environment
        self._lock = threading.Lock()  # between the thread, which starts the process, and whoever ends it
        self.thread = threading.Thread(target=self._work, args=(tasks,), name="gives jobs", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """End the process in the midst of a job."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _work(self, tasks: "queue.SimpleQueue[_Task | None]") -> None:
        while task := tasks.get():
            task.answers.put(self._done(task))
        self._close()

    def _done(self, task: _Task) -> bytes | EngineError:
        code: int | None = None
        for _ in range(1 + RETRIES):
            try:
                process = self._started(task)
            except OSError as error:
                return _not_started(error)
            if process is None:
                break
            try:
                return _asked(process, task.work)
            except (OSError, EOFError, pickle.UnpicklingError):
                code = self._close()
        return EngineError(
            f"Expected job {task.number} to end well; the process that did it ended with code {code}, {1 + RETRIES} times. Memory may be short: "
            "use fewer processes. What is done stays, and the same command goes on from there."
        )

    def _started(self, task: _Task) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if task.dropped.is_set() or self._closed.is_set():
                return None
            if self._process is None:
                self._process = child.started(_PROGRAM, env={**_ONE_THREAD, **os.environ, **self._environment})
            return self._process

    def _close(self) -> int | None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        process.communicate()  # closes the pipes too
        return process.returncode


def _asked(process: "subprocess.Popen[bytes]", work: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    pickle.dump(work, process.stdin)
    process.stdin.flush()
    return bytes(pickle.load(process.stdout))


def _not_started(error: OSError) -> EngineError:
    return EngineError(
        f"Expected to start a further process of Python; received an error ({reason_of(error)}). Use fewer, or free memory."
    )
