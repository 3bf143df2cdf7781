"""All that the app knows and does for its page, whoever asks: state, listings, jobs."""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from plainfilm import NOTICE, __version__
from plainfilm.app.commands import Maker, Work
from plainfilm.app.drops import PARTIAL
from plainfilm.app.illustrator import Illustrator
from plainfilm.app.jobs import Job, Line, full
from plainfilm.app.looks import Look
from plainfilm.app.made import Projects
from plainfilm.app.news import News
from plainfilm.app.places import Places
from plainfilm.app.trying import Tries
from plainfilm.extras import EXTRAS, find
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.telemetry import LOG

IDLE_S = 3600.0  # without a page and without work
_TICK_S, _SLOW_TICK_S = 1.0, 2.0
_LOOKED_AT_S = 30.0
_OFFERED = ("train", "tensorflow", "serve", "tables", "openvino", "tune", "hub")


class Desk:
    """The app's one state, of one event loop; what takes long runs in threads, one at a time."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.state = News()
        self.projects = Projects(places)
        self.line = Line(places.own / "jobs")
        self.maker = Maker(places, self.line.claimed, self._sources_of, self.projects.ingested)
        self.look: Look | None = None
        self.illustrator, self.tries = Illustrator(), Tries()
        self.heard = time.monotonic()
        self.is_ending = asyncio.Event()
        self._turn = asyncio.Lock()
        self._soon = asyncio.Event()
        self._following: set[asyncio.Task[None]] = set()
        self._extras = {name: all(map(find, EXTRAS[name])) for name in _OFFERED}

    async def keep(self) -> None:
        """Tend the line and tell the news, until the app ends."""
        await asyncio.to_thread(self._tidy)
        while not self.is_ending.is_set():
            is_busy = await self._look_after()
            self.illustrator.rest()
            await asyncio.to_thread(self.tries.rest)
            if is_busy or self.state.waiting:
                self.heard = time.monotonic()
            elif time.monotonic() - self.heard > IDLE_S:
                self.is_ending.set()
                return
            is_looked_at = self.state.waiting or time.monotonic() - self.heard < _LOOKED_AT_S
            if not is_busy and is_looked_at and await asyncio.to_thread(self.projects.describe_one):
                continue
            self._soon.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S if is_busy else _SLOW_TICK_S):
                    await self._soon.wait()

    def heard_now(self) -> None:
        """Take notice that a page is there."""
        self.heard = time.monotonic()

    async def stop_all(self) -> None:
        """Stop all jobs that run or wait."""
        for job in list(self.line.jobs.values()):
            if job.state in {"running", "waiting"}:
                with contextlib.suppress(Refused):  # it has ended meanwhile
                    await self.done(partial(self.line.stop, job))

    async def _look_after(self) -> bool:
        """Tend the line, and tell what is new; whether a job runs. What fails meanwhile, a disk or a file of anyone's, is asked again."""
        async with self._turn:
            try:
                is_busy = await asyncio.to_thread(self.line.tend)
                self.state.tell(await asyncio.to_thread(self._told))
            except Exception:  # noqa: BLE001 - the app lives on
                LOG.exception("the line could not be tended")
                return False
        return is_busy

    def _tidy(self) -> None:
        """Remove what an app that was killed left half written."""
        shutil.rmtree(self.places.own / "looks", ignore_errors=True)
        for left in self.places.work.glob("*/dropped/.*.partial"):
            with contextlib.suppress(OSError):
                if (
                    PARTIAL.fullmatch(left.name) and left.parent.resolve() == left.parent
                ):  # no file of another's, behind a link
                    left.unlink()

    def end(self) -> None:
        """Let the app end; jobs run on."""
        self.is_ending.set()
        self._soon.set()
        self.state.end()
        if self.look is not None:
            self.look.end()
            self.look.news.end()

    def close(self) -> None:
        """End the processes that serve the page alone."""
        self.illustrator.end()
        self.tries.end()

    async def done(self, act: Callable[[], Any]) -> Any:
        """Do something to the line or the files, when nothing else does; then tell the news.

        Raises
        ------
        Refused
            507 where it cannot be written.
        """
        async with self._turn:
            try:
                result = await asyncio.to_thread(act)
                self.state.tell(await asyncio.to_thread(self._told))
            except OSError as error:
                raise full(error, self.places.work) from None
        self._soon.set()
        return result

    async def begin(self, make: Callable[[], Work]) -> dict[str, Any]:
        """Put work into the line, made when nothing else is, so that no two make the same; give the job as the page takes it."""

        def begun() -> dict[str, Any]:
            if not self.places.root.is_dir():  # a disk that was taken out is not made anew where it was
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            work = make()
            try:
                self.projects.note(work)
                return self._told_of(self.line.add(work))
            except (OSError, Refused):
                for made in work.makes:
                    with contextlib.suppress(OSError):
                        made.parent.rmdir()  # as far as it is empty: of what was refused, no project stays
                raise

        told: dict[str, Any] = await self.done(begun)
        return told

    async def act(self, act: Callable[[Job], None], name: str) -> dict[str, Any]:
        """Do something to a job by its id; give it as the page takes it."""

        def acted() -> dict[str, Any]:
            job = self.line.find(name)
            act(job)
            return self._told_of(job)

        told: dict[str, Any] = await self.done(acted)
        return told

    def _told_of(self, job: Job) -> dict[str, Any]:
        return next((each for each in self.line.told({}) if each["id"] == job.name), {})

    async def begin_look(self, sources: Any, options: Any) -> Look:
        """Begin to list folders; the listing before ends."""
        words = await asyncio.to_thread(self.maker.reading, sources, options)
        if self.look is not None:
            self.look.end()
        name = secrets.token_hex(8)
        look = Look(name, words, self.places.own / "looks" / name)
        try:
            look.begin()
        except OSError as error:
            raise full(error, self.places.work) from None
        self.look = look
        task = asyncio.create_task(look.follow())
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        return look

    def looked(self, name: str) -> Look:
        """Give a listing by its id.

        Raises
        ------
        Refused
            404 for one that is not the latest.
        """
        if self.look is None or self.look.name != name:
            raise Refused(404, "look", "Expected the latest listing; received another. Look again.")
        return self.look

    def _sources_of(self, given: Sequence[Path]) -> int:
        if len(given) == 1 and (known := self.projects.sources_of(given[0])):
            return known
        look = self.look
        if look is not None and look.listing is not None and list(look.sources) == [str(each) for each in given]:
            return len(look.listing.get("sources") or ())
        return 0

    def _told(self) -> dict[str, Any]:
        projects = self.projects.told()
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(self.places.work).free
            return self._document(projects, free)
        return self._document(projects, None)

    def _document(self, projects: list[dict[str, Any]], free: int | None) -> dict[str, Any]:
        return {
            "version": __version__,
            "notice": NOTICE,
            "root": str(self.places.root),
            "work": str(self.places.work),
            "home": str(self.home),
            "projects": projects,
            "jobs": self.line.told(self.projects.pages(projects)),
            "extras": self._extras,
            "space": {"free": None if free is None else free >> 24 << 24},  # by 17 MB, or each tick would be news
        }

    @property
    def home(self) -> Path:
        """Where the tree of folders starts."""
        home = Path.home()
        return home if home.is_relative_to(self.places.root) else self.places.root
