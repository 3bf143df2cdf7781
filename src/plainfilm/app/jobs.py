"""The line of work: one job runs, the others wait. All that is known of it lies in files, so that it outlives the app."""

import contextlib
import errno
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plainfilm import shell
from plainfilm.app import locks, runner
from plainfilm.app.commands import Work
from plainfilm.app.progressing import Progressing
from plainfilm.app.spoken import OURS, lines_of, own_line
from plainfilm.data import claims
from plainfilm.errors import PlainfilmError
from plainfilm.harmless import harmless
from plainfilm.reasons import reason_of
from plainfilm.serve.http_errors import Refused

State = Literal["waiting", "running", "done", "failed", "stopped", "interrupted"]
_BEGINNING_S = 20.0
_SAID = {"stdout": "", "stderr": "", "progress": ".jsonl"}  # files of each step
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LEAST_BYTES = 1 << 24  # of a disk that is not full
FULL_LINE = "The disk is full. Make room, then go on: what was finished is kept."
_GONE = "It did not end by itself: this machine, or its process, was stopped from outside. Go on: what was finished is kept."


@dataclass(slots=True)
class Job:
    """Commands that run one after another, as job.json has them, and how far they are."""

    folder: Path
    told: dict[str, Any]
    progress: dict[int, Progressing] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    _ended: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Its id."""
        return self.folder.name

    @property
    def state(self) -> State:
        """What has become of it."""
        if self.told["started"] is None:
            return "waiting"
        is_begun = self.process is not None and self.process.poll() is None  # it may not hold the lock yet
        if self.ended is None and (is_begun or locks.is_held(self.folder / runner.RUNNING)):
            return "running"
        ended = self.ended  # it may have ended between the two
        if ended is None:
            return "interrupted"
        return "stopped" if ended["stopped"] else "failed" if ended["code"] else "done"

    @property
    def ended(self) -> dict[str, Any] | None:
        """How it ended, if it did."""
        if self._ended is None:
            self._ended = _read(self.folder / runner.ENDED)
        return self._ended

    @property
    def step(self) -> int:
        """Which of its commands runs, or ran last."""
        begun = _read(self.folder / runner.BEGUN)
        return int((self.ended or begun or {"step": self.told["first"]})["step"])

    @property
    def makes(self) -> list[Path]:
        """What it makes, a path a command."""
        return [Path(each) for each in self.told["makes"]]

    def read(self) -> None:
        """Read how far it is."""
        step = self.step
        self.progress.setdefault(step, Progressing(self.folder / f"progress-{step}.jsonl"))
        for each in self.progress.values():
            each.read()

    def line(self, state: State) -> str:
        """Give the one line of a failure, as a terminal shows it; "" where there is none."""
        if state == "interrupted":
            return FULL_LINE if is_full(self.folder) else _GONE
        if state not in {"failed", "stopped"}:
            return ""
        lines = lines_of(self.folder / f"stderr-{self.step}")
        if said := own_line(lines):
            return said
        code = (self.ended or {"code": 1})["code"]
        if state == "stopped" and (code < 0 or not lines):
            return "It was stopped. Go on: what was finished is kept."
        if code < 0:
            return (
                f"The command was ended by signal {-code}, as where memory runs out. Go on: what was finished is kept."
            )
        return (
            lines[-1]
            if lines
            else f"The command ended with exit code {code} and said nothing. Run it in a terminal: its words stand below."
        )

    def save(self) -> None:
        """Write job.json."""
        locks.write(self.folder / runner.JOB, json.dumps(self.told).encode())


@dataclass(slots=True)
class Line:
    """All jobs of a folder, those of earlier apps too."""

    folder: Path
    jobs: dict[str, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for found in self.folder.iterdir():
            told = _read(found / runner.JOB)
            if told is not None and told.keys() >= {
                "project",
                "verb",
                "commands",
                "makes",
                "created",
                "order",
                "first",
                "started",
            }:
                self.jobs[found.name] = Job(found, told)
        self.jobs = dict(sorted(self.jobs.items(), key=lambda each: float(each[1].told["created"])))

    def add(self, work: Work) -> Job:
        """Put work at the end of the line.

        Raises
        ------
        Refused
            507 where the disk is full.
        """
        now = time.time()
        order = max(
            [now, *(float(job.told["order"]) + 1 for job in self.waiting())]
        )  # a clock that is set back lets nobody in before
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(3)}"
        told = {
            "project": work.project,
            "verb": work.verb,
            "commands": [list(words) for words in work.commands],
            "makes": [str(each) for each in work.makes],
            "adds": work.verb == "add",
            "created": now,
            "order": order,
            "first": 0,
            "started": None,
            "again": False,
        }
        job = Job(self.folder / name, told)
        try:
            job.folder.mkdir(parents=True, mode=0o700)
            job.save()
        except OSError as error:
            claims.remove(job.folder)
            raise full(error, self.folder) from None
        self.jobs[name] = job
        return job

    def find(self, name: str) -> Job:
        """Give a job by its id.

        Raises
        ------
        Refused
            404 where there is none.
        """
        if name not in self.jobs:
            raise Refused(
                404, "job", "Expected the id of a job; received another. It may be forgotten: look at the list."
            )
        return self.jobs[name]

    def claimed(self) -> set[Path]:
        """Give what jobs that wait or run are going to make."""
        jobs = list(self.jobs.values())  # commands are also told while others put jobs into the line
        return {path for job in jobs if job.state in {"waiting", "running"} for path in job.makes}

    def waiting(self) -> list[Job]:
        """Give the jobs that wait, the next one first."""
        found = [job for job in self.jobs.values() if job.state == "waiting"]
        return sorted(found, key=lambda job: float(job.told["order"]))

    def tend(self) -> bool:
        """Take notice of what has ended, and begin the next job if none runs; whether one runs now."""
        for job in self.jobs.values():
            if job.process is not None and job.process.poll() is not None:
                job.process = None
        if any(job.state == "running" for job in self.jobs.values()):
            return True
        for job in self.waiting():
            return self._begin(job)
        return False

    def _begin(self, job: Job) -> bool:
        try:
            job.told["started"] = time.time()
            job.save()  # first: it fails where a disk was taken out, which must not be made anew
            for path in job.makes:
                path.parent.mkdir(parents=True, exist_ok=True)
            job.process = _start(job.folder)
        except (OSError, PlainfilmError) as error:
            job.told["started"] = job.told["started"] or time.time()
            said = f"Expected to begin {job.told['verb']}; received {reason_of(error)}. Make room, or choose another folder, then go on."
            _failed(job, OURS + (str(error) if isinstance(error, PlainfilmError) else said))
            return False
        return True

    def stop(self, job: Job) -> None:
        """Stop a job: one that runs as Ctrl-C does, one that waits at once."""
        if job.state == "waiting":
            job.told["started"] = time.time()
            job.save()
            locks.write(job.folder / runner.ENDED, json.dumps({"code": 130, "step": job.told["first"], "stopped": True, "at": time.time()}).encode())  # fmt: skip
            return
        if job.state != "running":
            raise _unfit(job, "one that runs or waits")
        was_asked = (job.folder / runner.STOP).exists()
        locks.write(job.folder / runner.STOP, b"")
        if not locks.is_held(job.folder / runner.MINDED):  # who minds it was killed, the command lives on
            begun = _read(job.folder / runner.BEGUN)
            if begun and sys.platform != "win32":
                with contextlib.suppress(
                    ProcessLookupError, PermissionError
                ):  # its group, whose number is no other's while one of it lives
                    os.killpg(int(begun["pid"]), signal.SIGKILL if was_asked else signal.SIGINT)

    def again(self, job: Job) -> None:
        """Go on with a job that has not come to its end: from the command that did not, or the first whose work was taken away since."""
        if job.state not in {"failed", "stopped", "interrupted"}:
            raise _unfit(job, "one that has failed, was stopped or interrupted")
        reached = job.step
        first = next((step for step in range(reached) if not job.makes[step].exists()), reached)
        words, made = job.told["commands"][first], job.makes[first]
        if words[0] == "train" and claims.beside(made, "epochs").is_dir() and "--resume" not in words:
            words.append("--resume")
        for name in (
            runner.ENDED,
            runner.STOP,
            runner.BEGUN,
            *(f"{name}-{step}{suffix}" for step in range(first, reached + 1) for name, suffix in _SAID.items()),
        ):
            (job.folder / name).unlink(missing_ok=True)
        for step in range(first, reached + 1):
            job.progress.pop(step, None)
        job._ended = None
        job.told |= {"first": first, "started": None, "again": True, "order": time.time()}
        job.save()

    def first(self, job: Job) -> None:
        """Let a job that waits be the next."""
        waiting = self.waiting()
        if job not in waiting:
            raise _unfit(job, "one that waits")
        job.told["order"] = float(waiting[0].told["order"]) - 1
        job.save()

    def forget(self, job: Job) -> None:
        """Leave a job out of the list; what it made stays."""
        if job.state == "running":
            raise _unfit(job, "one that does not run")
        del self.jobs[job.name]
        shutil.rmtree(job.folder, ignore_errors=True)

    def told(self, pages: Mapping[str, str]) -> list[dict[str, Any]]:
        """Give all jobs as the page takes them, the newest first; `pages` has the address of the page of what is made."""
        places = {job.name: place for place, job in enumerate(self.waiting(), 1)}
        return [
            _told(job, places.get(job.name), pages)
            for job in sorted(self.jobs.values(), key=lambda job: -float(job.told["created"]))
        ]


def _told(job: Job, place: int | None, pages: Mapping[str, str]) -> dict[str, Any]:
    state, told = job.state, job.told
    job.read()
    made = str(job.makes[-1])
    ended = job.ended
    return {
        "id": job.name,
        "project": told["project"],
        "verb": told["verb"],
        "title": f"{told['verb']}: {harmless(told['project'])}",
        "commands": [shell.command(*words) for words in told["commands"]],
        "state": state,
        "place": place,
        "step": job.step,
        "progress": [stage for each in job.progress.values() for stage in each.told()],
        "curve": [point for each in job.progress.values() for point in each.curve],
        "line": job.line(state),
        "page": pages.get(made) if state == "done" else None,
        "made": made if state == "done" else None,
        "created": told["created"],
        "started": told["started"],
        "ended": ended["at"] if ended else None,
    }


def full(error: OSError, where: Path) -> Refused:
    """Make the refusal of what could not be written."""
    if error.errno not in _FULL:
        return Refused(409, "folder", f"Expected to write below {where}; received: {reason_of(error)}. See that the folder is there and may be written, and do it again.")  # fmt: skip
    return Refused(
        507,
        "disk",
        f"Expected room to write below {where}; received: {reason_of(error)}. Make room, and do it again; nothing was lost.",
    )


def is_full(folder: Path) -> bool:
    """Whether a disk has no room left."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LEAST_BYTES
    return False


def _unfit(job: Job, what: str) -> Refused:
    return Refused(409, "state", f"Expected {what}; received a job that is {job.state}. Look at it again.")


def _failed(job: Job, line: str) -> None:
    """Note that a job could not begin; where not even that can be written, it stays as it is in memory."""
    step = job.told["first"]
    with contextlib.suppress(OSError):
        (job.folder / f"stderr-{step}").write_text(line + "\n", encoding="utf-8")
        locks.write(
            job.folder / runner.ENDED,
            json.dumps({"code": 1, "step": step, "stopped": False, "at": time.time()}).encode(),
        )


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    """Start what runs a job, and wait until it holds its lock."""
    words = [sys.executable, "-P", "-m", "plainfilm.app.runner", str(folder)]
    nowhere = subprocess.DEVNULL
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    process = subprocess.Popen(words, cwd=folder, stdin=nowhere, stdout=nowhere, stderr=nowhere, **detached)
    end = time.monotonic() + _BEGINNING_S
    while time.monotonic() < end and process.poll() is None:
        if locks.is_held(folder / runner.RUNNING):
            return process
        time.sleep(0.01)
    if process.poll() not in {None, 0}:
        raise PlainfilmError(
            f"Expected a process of Python's for the job; received exit code {process.returncode}. See plainfilm doctor."
        )
    return process


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        told = json.loads(path.read_bytes())
        return told if isinstance(told, dict) else None
    return None
