"""Jobs on the workers of a Dask scheduler, whoever started it."""

import logging
import queue
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Self

import dask.config
from distributed import Client
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from plainfilm.engines.addresses import check_address, is_encrypted
from plainfilm.engines.dask.security import security_of
from plainfilm.engines.dask.task import Task, do, own_versions
from plainfilm.engines.engine import Function, JobT, ResultT, name_of, outcome, packed
from plainfilm.engines.left_files import SEEN_WITHIN_S, check_left
from plainfilm.engines.terms import Terms, check_versions, host, terms_here, versions
from plainfilm.errors import EngineError

PATIENCE_S = 120.0
CONNECT_S = 30.0
RETRIES = 3  # of a job that the scheduler has given up, beside its own
_AHEAD = 3  # jobs a worker that are given out: enough that Dask keeps the third on the scheduler, few for flat memory
_LOOKED_EVERY_S = 1.0
_ENDED = (CancelledError, CommClosedError)  # what a future gives when the scheduler is gone
_Future = Any  # distributed's, which is typed in part
_Waiting = tuple[_Future, int, bytes, int]  # a job's future, its number, the job, how often it was given up
_KEPT = "What is done stays, and the same command goes on from there."


class Dask:
    """An engine of the workers of a scheduler; a job may use one processor.

    Parameters
    ----------
    address
        `tls://HOST:PORT`, or `tcp://127.0.0.1:PORT` on this machine.
    mixed
        Let processors take part that give another answer to the check.
    certificates
        Folder of the cluster's certificates; by default as `security_of`.
    patience_s
        How long to wait while there is no worker.
    seen_within_s
        How long to wait for a file that another machine has written.
    connect_s
        How long to wait for the scheduler.
    """

    threads = 1

    def __init__(
        self,
        address: str,
        *,
        mixed: bool = False,
        certificates: str | Path = "",
        patience_s: float = PATIENCE_S,
        seen_within_s: float = SEEN_WITHIN_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._address, self.mixed = check_address(address), mixed
        self._security = security_of(address, certificates)
        self._patience_s, self._seen_within_s, self._connect_s = patience_s, seen_within_s, connect_s
        self._client: Client | None = None
        self._workers, self._looked_at, self._worked_at = 0, 0.0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            with _quiet(), suppress(*_ENDED, OSError, TimeoutError):
                client.close(timeout=5)

    def map(
        self, function: Function[JobT, ResultT], jobs: Iterable[JobT], *, check: Callable[[], str] | None = None
    ) -> Iterator[ResultT]:
        """Run a function on each job; see `Engine.map`. A job whose worker dies goes to another."""
        return self._map(name_of(function), iter(jobs), terms_here(None if self.mixed else check))

    def _map(self, name: str, jobs: Iterator[JobT], terms: Terms) -> Iterator[Any]:
        if (first := next(jobs, None)) is None:
            return
        jobs, done, given = chain([first], jobs), 0, _Given(self._open(), terms)
        self._worked_at = time.monotonic()
        with _quiet(), closing(given):
            while True:
                for job in islice(jobs, max(0, _AHEAD * max(1, self._count(done)) - len(given.tasks))):
                    given.give(job.number, packed(name, job))
                if not given.tasks:
                    return
                if (result := self._next(given)) is not None:
                    check_left(result, within_s=self._seen_within_s)
                    done += 1
                    yield result

    def _next(self, given: "_Given") -> Any:
        """Give the next result; None where none came within a second, or a job is to be done again."""
        try:
            future = given.ended.get(timeout=_LOOKED_EVERY_S)
        except queue.Empty:
            return None
        if future.key not in given.tasks:
            return None
        try:
            answer = future.result(timeout=_LOOKED_EVERY_S)
        except TimeoutError:  # its worker died before the result was fetched; the job runs again
            future.add_done_callback(given.ended.put)
            return None
        except KilledWorker as error:
            given.again(future, error)
            return None
        except _ENDED as error:
            raise self._gone() from error
        except Exception as error:
            raise EngineError(
                f"Expected workers that know plainfilm as it is here; received {type(error).__name__} from one. "
                f"Install the same version there. {_KEPT}"
            ) from error
        given.forget(future)
        return outcome(answer)

    def _count(self, done: int) -> int:
        """Count workers, once a second; raise where there is none for too long."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOKED_EVERY_S:
            try:
                self._workers = sum(self._open().nthreads().values())
            except (*_ENDED, OSError, TimeoutError) as error:
                raise self._gone() from error
            self._looked_at = now
        if self._workers:
            self._worked_at = now
        elif now - self._worked_at > self._patience_s:
            raise EngineError(
                f"Expected a worker at {self._address}; received none for {self._patience_s:.0f} s. Jobs done: {done:,}. "
                f"Start one: plainfilm worker {self._address}. {_KEPT}"
            )
        return self._workers

    def _open(self) -> Client:
        """Connect, once there are jobs: who finds all in the cache needs no scheduler."""
        if self._client is None:
            self._client = self._connected()
            self._check_scheduler(self._client)
        return self._client

    def _connected(self) -> Client:
        try:
            with dask.config.set({"distributed.comm.timeouts.connect": self._connect_s}):
                return Client(
                    self._address,
                    security=self._security,
                    timeout=self._connect_s,
                    set_as_default=False,
                    name="plainfilm",
                )
        except (OSError, ValueError) as error:
            keys = " with the same certificates" if is_encrypted(self._address) else ""
            raise EngineError(
                f"Expected a scheduler at {self._address}{keys}; received no answer. "
                "Start one there: plainfilm scheduler"
            ) from error

    def _check_scheduler(self, client: Client) -> None:
        """Compare the scheduler's versions with those here: it unpacks tasks too."""
        try:
            found = client.run_on_scheduler(own_versions)
        except (*_ENDED, OSError, TimeoutError) as error:
            raise self._gone() from error
        except Exception as error:
            raise EngineError(
                f"Expected a scheduler that knows plainfilm; received one at {self._address} without it ({type(error).__name__}). "
                "Install the same version there."
            ) from error
        check_versions(versions(), tuple(map(tuple, found)), planner=host(), other=f"the scheduler {self._address}")

    def _gone(self) -> EngineError:
        return EngineError(
            f"Expected the scheduler {self._address} to stay; received an end of the connection. Start it again. {_KEPT}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Dask say nothing of a lost connection: we do, in one line."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


class _Given:
    """Jobs that are given out. Their keys are random: no name is in them."""

    def __init__(self, client: Client, terms: Terms) -> None:
        self.ended: queue.SimpleQueue[_Future] = queue.SimpleQueue()
        self.tasks: dict[str, _Waiting] = {}
        self._client, self._terms = client, terms
        self._group, self._numbers = secrets.token_hex(8), count()

    def give(self, number: int, work: bytes, given_up: int = 0) -> None:
        """Give a job out."""
        key = f"{self._group}-{next(self._numbers)}"
        future = self._client.submit(do, Task(work, self._terms), key=key, pure=False)
        self.tasks[key] = (future, number, work, given_up)
        future.add_done_callback(self.ended.put)

    def again(self, future: _Future, why: Exception) -> None:
        """Give a job out again that ended its workers; or give it up."""
        _, number, work, given_up = self.tasks[future.key]
        self.forget(future)
        if given_up == RETRIES:
            raise EngineError(
                f"Expected job {number} to end well; every worker that did it died. Memory may be short: use fewer processes a machine. {_KEPT}"
            ) from why
        self.give(number, work, given_up + 1)

    def forget(self, future: _Future) -> None:
        """Let the scheduler forget a job."""
        self.tasks.pop(future.key)
        future.release()

    def close(self) -> None:
        """Let the scheduler forget what is left: no other job is begun."""
        left = [future for future, *_ in self.tasks.values()]
        self.tasks.clear()
        if left:
            with suppress(*_ENDED, OSError, TimeoutError):
                self._client.cancel(left, force=True)
