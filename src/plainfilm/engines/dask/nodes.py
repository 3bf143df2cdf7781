"""A scheduler and workers of Dask that are closed to strangers: without HTTP, with certificates at both ends, or on this machine alone."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import dask.config
from distributed import Nanny, Scheduler, Worker

from plainfilm.engines.addresses import check_address, is_encrypted, own_towards
from plainfilm.engines.dask.security import security_of
from plainfilm.errors import EngineError
from plainfilm.reasons import reason_of

LOOPBACK = "127.0.0.1"
_SETTINGS = {
    "distributed.admin.system-monitor.gil.enabled": False,  # this and the next five: nobody looks at them, and they cost time
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.allowed-failures": 0,  # our client counts: a job that waits beside one that ends its worker is not to blame
    "distributed.scheduler.worker-saturation": 1.0,  # and waits on the scheduler
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.daemon": False,  # a worker starts processes of its own, to decode
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,  # nothing of a job on a disk but what it writes itself
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.comm.tls.min-version": 1.3,
}


class ClosedScheduler(Scheduler):
    """A scheduler that answers no HTTP."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


class ClosedWorker(Worker):
    """A worker that answers no HTTP."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


def run_scheduler(
    address: str, *, certificates: str | Path = "", started: Callable[[str], None] = lambda _address: None
) -> None:
    """Run a scheduler at an address, `tls://HOST:PORT` or `tcp://127.0.0.1:PORT`, until it is told to stop.

    `started(address)` is called once it listens.

    Raises
    ------
    UsageError
        No such address, or no certificates.
    EngineError
        Its port cannot be opened.
    """
    security = security_of(check_address(address, may_choose=True), certificates)
    scheme, _, where = address.partition("://")
    host, _, port = where.rpartition(":")

    async def run() -> None:
        try:
            scheduler = await ClosedScheduler(
                host=host.strip("[]"), port=int(port), protocol=scheme, security=security, dashboard=False
            )
        except (OSError, RuntimeError, ValueError) as error:
            why = reason_of(error.__cause__ or error)
            raise EngineError(
                f"Expected a free port of this machine; received {address} ({why}). Name another with --host or --port."
            ) from error
        async with scheduler:
            started(scheduler.address)
            await _told_to_stop(scheduler.finished())

    _run(run, address)


def run_workers(
    address: str,
    processes: int,
    *,
    certificates: str | Path = "",
    host: str | None = None,
    waiting: Callable[[], None] = lambda: None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Work for the scheduler at an address, in so many processes, until told to stop; wait for the scheduler where it is not there.

    A process that ends is started again. `waiting()` is called when all is in order here, `started()` once all are known to the scheduler.

    Raises
    ------
    UsageError
        No such address, or no certificates.
    """
    security = security_of(check_address(address), certificates)
    host = (host or own_towards(address)) if is_encrypted(address) else LOOPBACK
    waiting()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as held:
            nannies = [
                Nanny(
                    address,
                    nthreads=1,
                    memory_limit=0,
                    silence_logs=logging.ERROR,
                    worker_class=ClosedWorker,
                    security=security,
                    host=host,
                    dashboard=False,
                )
                for _ in range(processes)
            ]
            for nanny in nannies:
                held.push_async_callback(nanny.close, timeout=2)
            await _told_to_stop(_started(nannies, started))

    _run(run, address)


async def _started(nannies: list[Nanny], started: Callable[[], None]) -> None:
    await asyncio.gather(*nannies)
    started()
    await asyncio.gather(*(nanny.finished() for nanny in nannies))


async def _told_to_stop(work: Coroutine[Any, Any, None]) -> None:
    """Wait until work ends, or this process is told to stop."""
    told = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl-C cancels all
        for kind in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(kind, told.set)
    both = [asyncio.ensure_future(work), asyncio.ensure_future(told.wait())]
    done, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    logging.disable()  # what ends now, ends since it was told to
    for each in done:
        each.result()


def _run(main: Callable[[], Coroutine[Any, Any, None]], address: str) -> None:
    logging.getLogger("distributed").setLevel(logging.ERROR)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)  # it tells each stranger's connection in forty lines
    settings = _SETTINGS | {"distributed.comm.require-encryption": is_encrypted(address)}
    with dask.config.set(settings), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
