"""Starting and stopping the app: its lock, its one-time address, its web server."""

import asyncio
import http.client
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from plainfilm.app import locks
from plainfilm.app.coming_in import AppDoor
from plainfilm.app.desk import Desk
from plainfilm.app.places import Places
from plainfilm.app.routes import application
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.reasons import reason_of
from plainfilm.serve import http_limits, telemetry
from plainfilm.serve.http_limits import Connections
from plainfilm.serve.listening import Server, is_loopback, listening_at, names_of, shown
from plainfilm.serve.middleware import Guard

_STOP_S = 3
_ASKING_S = 5.0
_OPENED = "open.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """Where the app looks and listens: as `Places.of`; `exposed` says that another host than this machine's own is meant."""

    root: Path
    work: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    exposed: bool = False


def run(settings: AppSettings, *, started: Callable[[str, bool], None]) -> None:
    """Serve until SIGINT or SIGTERM, or until nobody has looked and nothing has run for an hour; jobs run on.

    Parameters
    ----------
    settings
        Where.
    started
        Called with the one-time address, and whether this app serves it: of another that runs already, it does not.

    Raises
    ------
    UsageError
        A folder that is none, or an address that other machines reach and that is not meant to be.
    PlainfilmError
        The port is taken, or WORK cannot be written.
    """
    places = Places.of(settings.root, settings.work)
    _check(settings)
    try:
        for folder in (places.work, places.own):  # of radiographs and patients, for no other user's eyes
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _check_own(folder)
        places.own.chmod(0o700)
        with _own(places) as is_own:
            if is_own:
                _serve(places, settings, lambda address: started(address, True))
                return
    except OSError as error:
        raise PlainfilmError(
            f"Expected to write below {places.work}; received: {reason_of(error)}. Make room, or name another folder with --work."
        ) from None
    started(_of_the_other(places), False)


def leading_to(address: str, settings: AppSettings) -> str:
    """Give what a browser is started with: a page of this user's alone that leads to an address. All users see command lines."""
    if (
        sys.platform == "win32" or "microsoft" in platform.release().lower()
    ):  # a browser of Windows lacks the files of WSL
        return address
    page = Places.of(settings.root, settings.work).own / _OPENED
    locks.write(page, f'<!doctype html><meta http-equiv="refresh" content="0;url={address}">'.encode())
    return page.as_uri()


@contextmanager
def _own(places: Places) -> Iterator[bool]:
    """Hold the lock of WORK, if nobody else does."""
    lock = locks.take(places.own / "lock")
    try:
        yield lock is not None
    finally:
        if lock is not None:
            for name in ("app.json", _OPENED):
                (places.own / name).unlink(missing_ok=True)
            os.close(lock)


def _serve(places: Places, settings: AppSettings, started: Callable[[str], None]) -> None:
    with listening_at(settings.host, settings.port) as listening:
        telemetry.log_to_stderr(quiet=True)
        port = listening.getsockname()[1]
        door = AppDoor(hosts=names_of(settings.host), port=port)
        address = f"http://{shown(settings.host)}:{port}{door.root}"
        told = {"address": address, "secret": door.secret}
        locks.write(places.own / "app.json", json.dumps(told).encode())
        asyncio.run(_run(places, door, listening, lambda: started(f"{address}/?key={door.keys.new()}")))


async def _run(places: Places, door: AppDoor, listening: Any, started: Callable[[], None]) -> None:
    desk = await asyncio.to_thread(Desk, places)
    guard = Guard(application(desk, door), door, telemetry.Telemetry(dict))
    server = _Server(uvicorn.Config(
        guard,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        loop="asyncio",
        timeout_graceful_shutdown=_STOP_S,
        **http_limits.options(Connections()),
    ), desk)  # fmt: skip
    keeping = asyncio.create_task(desk.keep())
    keeping.add_done_callback(lambda _: server.end())
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    started()
    await serving
    desk.end()
    await keeping
    await asyncio.to_thread(desk.close)


class _Server(Server):
    """A server that lets go of who waits for news when it is to end."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End for a signal."""
        self._desk.end()
        super().handle_exit(sig, frame)

    def end(self) -> None:
        """End without one."""
        self.should_exit = True


def _of_the_other(places: Places) -> str:
    """Ask the app that holds the lock for a one-time address."""
    try:
        told = json.loads((places.own / "app.json").read_bytes())
        where = urlsplit(told["address"])
        shown_as = {"authorization": f"Bearer {told['secret']}", "content-type": "application/json"}
        with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=_ASKING_S)) as connection:
            connection.request("POST", "/api/key", b"{}", shown_as)
            key = json.loads(connection.getresponse().read(1 << 16))["key"]
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        raise PlainfilmError(
            f"Expected an answer of the plainfilm app that runs in {places.work}; received: {reason_of(error)}. End it, or name another folder "
            "with --work."
        ) from None
    return f"{told['address']}/?key={key}"


def _check_own(folder: Path) -> None:
    """Refuse work that another user may have put there, or could put in the place of ours."""
    if hasattr(os, "geteuid") and (folder.is_symlink() or folder.stat().st_uid != os.geteuid()):
        raise UsageError(
            f"Expected {folder} to be this user's own folder; received another's. Name another folder with --work."
        )


def _check(settings: AppSettings) -> None:
    if not is_loopback(settings.host) and not settings.exposed:
        raise UsageError(
            f"Expected --host to be this machine's own, 127.0.0.1; received {settings.host}, which other machines reach: whoever sees the address "
            f"can read all below {settings.root}, and nothing on the way is encrypted. Leave --host out, or add --exposed."
        )
