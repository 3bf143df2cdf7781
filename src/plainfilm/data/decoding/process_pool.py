"""A function over many items in processes that may die: results in order, memory bounded, the deadly item found."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from multiprocessing import resource_tracker
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items a task: enough that the messages cost little, few enough that nobody waits long for the last task
IDLE_S = 60.0  # a worker without work for so long goes by itself; it is started again when there is work
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    held: int,
    crashed: Callable[[Item], Result],
) -> Iterator[Result]:
    """Apply a function to items in `workers` processes and yield the results in the order of the items.

    Parameters
    ----------
    function
        Importable or picklable by cloudpickle. What it raises is raised here.
    items
        Taken from only as fast as results are taken out.
    workers : int
        1 runs in this process, without a pool and without protection from crashes.
    held : int
        Most items whose results may be in memory, or on the way, at one time.
    crashed
        Gives the result of an item whose process died. It is asked only for an item that killed a process in which
        it was alone: when a process dies, everything that was under way is done again, one item at a time.
    """
    if workers == 1:
        yield from map(function, items)
        return
    size = max(1, min(CHUNK, held // (2 * workers)))
    job = _Job(partial(_apply, function), workers, max(1, held // size), crashed)
    tasks = chunks(items, size)
    while (first := next(tasks, None)) is not None:
        yield from job.until_a_crash(chain([first], tasks))


def _apply(function: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut items into lists of `size`, the last one shorter, each made when it is asked for."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


@dataclass(frozen=True, slots=True)
class _Job(Generic[Item, Result]):
    """What is done (`task`, a chunk at a time), by how many, how many tasks ahead, and what stands for a crash."""

    task: Callable[[list[Item]], list[Result]]
    workers: int
    depth: int
    crashed: Callable[[Item], Result]

    def until_a_crash(self, chunks: Iterable[list[Item]]) -> Iterator[Result]:
        """Yield results until the chunks end, or a worker has died and all that was under way is settled."""
        waiting: deque[tuple[list[Item], Future[list[Result]]]] = deque()
        with _executor(self.workers) as executor:
            for chunk in chunks:
                waiting.append((chunk, _submit(executor, self.task, chunk)))
                if len(waiting) == self.depth:
                    _, oldest = waiting[0]
                    if _broken(oldest):
                        break
                    yield from waiting.popleft()[1].result()
            while waiting and not _broken(waiting[0][1]):
                yield from waiting.popleft()[1].result()
        yield from self._settle(waiting)

    def _settle(self, waiting: deque[tuple[list[Item], Future[list[Result]]]]) -> Iterator[Result]:
        alone = [item for chunk, future in waiting if _broken(future) for item in chunk]
        settled = self._one_at_a_time(iter(alone))
        while waiting:
            chunk, future = waiting.popleft()
            yield from islice(settled, len(chunk)) if _broken(future) else future.result()

    def _one_at_a_time(self, items: Iterator[Item]) -> Iterator[Result]:
        for first in items:
            with _executor(1) as executor:
                for item in chain([first], items):
                    future = _submit(executor, self.task, [item])
                    if _broken(future):
                        break
                    yield future.result()[0]
                else:
                    return
            yield self.crashed(item)


def _submit(executor: Any, task: Callable[[list[Item]], list[Result]], chunk: list[Item]) -> Future[list[Result]]:
    """Submit; to a pool that has just broken, too: the future then carries the same error."""
    from loky import BrokenProcessPool

    try:
        resource_tracker.ensure_running()  # its own start would let Ctrl-C through again
        with held_back(signal.SIGINT):
            future: Future[list[Result]] = executor.submit(task, chunk)
    except BrokenProcessPool as error:
        future = Future()
        future.set_exception(error)
    return future


@contextmanager
def held_back(*kinds: int) -> Iterator[None]:
    """Hold signals back: a process that is started meanwhile inherits that, and is not stopped before it can ignore them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, kinds)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _broken(future: Future[Any]) -> bool:
    from loky import BrokenProcessPool

    return isinstance(future.exception(), BrokenProcessPool)


@contextmanager
def _executor(workers: int) -> Iterator[Any]:
    """Start fresh processes; left by an exception (Ctrl-C, a generator closed early), kill them at once."""
    from loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(
        workers, timeout=IDLE_S, initializer=_settle_in, initargs=(os.getpid(),), env=ONE_THREAD
    )
    finished = False
    try:
        yield executor
        finished = True
    finally:
        executor.shutdown(wait=True, kill_workers=not finished)


def _settle_in(parent: int) -> None:
    """Leave Ctrl-C to the parent, outlive it by a second at most, and say nothing.

    Decoders in C write past Python to the terminal what an error tells anyway.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
