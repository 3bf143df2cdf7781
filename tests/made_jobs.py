"""Jobs for the tests and the benchmark of engines: each leaves a file, and some end their process, or fail."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from plainfilm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Job:
    number: int
    folder: str
    deaths: int = 0  # times that it ends the process that does it
    fails: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    number: int
    path: str
    bytes: int
    sha256: str


class OddError(Exception):
    def __init__(self, one, other):
        super().__init__(one)
        self.other = other


def content(number):
    return f"job {number}\n".encode() * 100


def work(job):
    folder = Path(job.folder)
    times = len(list(folder.glob(f"{job.number}.begun.*")))
    (folder / f"{job.number}.begun.{times}.{os.getpid()}").touch()
    if times < job.deaths:
        os.kill(os.getpid(), 9)
    time.sleep(job.seconds)
    if job.fails == "usage":
        raise UsageError("Expected a number; received none.")
    if job.fails == "odd":
        raise OddError(1, 2)
    path = folder / f"{job.number}.out"
    path.write_bytes(content(job.number))
    return Done(job.number, str(path), len(content(job.number)), hashlib.sha256(content(job.number)).hexdigest())


def much(job):
    return bytes(100_000)


def lie(job):
    done = work(job)
    Path(done.path).unlink()
    return done


def kind():
    return os.environ.get("PLAINFILM_TEST_KIND", "usual")


class InThisProcess:
    """An engine that does jobs here, the last one first; what those of numbers in `lost` leave is gone again."""

    threads, mixed = 1, False

    def __init__(self):
        self.lost, self.done = (), []

    def map(self, function, jobs, *, check=None):
        assert check() == check()
        for job in reversed([*jobs]):
            self.done.append(job)
            left = function(job)
            if job.number in self.lost:
                Path(left.path).unlink()
            yield left

    def __enter__(self):
        return self

    def __exit__(self, *_): ...
