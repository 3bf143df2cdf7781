"""Jobs of `cluster.py`: workers import them by name."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from plainfilm.data import cache
from plainfilm.data.shards import ShardJob, read_shard
from plainfilm.engines.left_files import LeftFile
from plainfilm.evidence.inference.pieces import PieceJob, answer_piece
from plainfilm.model.encoder import SegmentJob, encode_segment


@dataclass(frozen=True, slots=True)
class Decode:
    """A shard for `ingest`."""

    number: int
    job: ShardJob


@dataclass(frozen=True, slots=True)
class Encode:
    """A segment of features."""

    number: int
    job: SegmentJob


@dataclass(frozen=True, slots=True)
class Predict:
    """A piece of a prediction."""

    number: int
    job: PieceJob


@dataclass(frozen=True, slots=True)
class Nothing:
    """The names of a shard, and nothing to do with them."""

    number: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """A file that a job has left."""

    number: int
    path: str
    bytes: int
    sha256: str
    content: str  # SHA-256 of what is in it, whatever it is called
    cpu_s: float  # of the job itself, and of what decodes for it


@dataclass(frozen=True, slots=True)
class NothingDone:
    """Nothing."""

    number: int


def decode(job: Decode) -> Left:
    """Do what a job of `ingest` does: what it leaves names the SHA-256 of each film's pixels."""
    begun = _cpu_s()
    left = read_shard(job.job)
    return Left(job.number, left.path, left.bytes, left.sha256, left.sha256, _cpu_s() - begun)


def encode(job: Encode) -> Left:
    """Do what a job of an encoding does."""
    begun = _cpu_s()
    return _told(job.number, encode_segment(job.job), begun)


def predict(job: Predict) -> Left:
    """Do what a job of `predict` does."""
    begun = _cpu_s()
    return _told(job.number, answer_piece(job.job), begun)


def _told(number: int, left: LeftFile, begun: float) -> Left:
    content = hashlib.sha256(cache.read(Path(left.path)) or b"").hexdigest()
    return Left(number, left.path, left.bytes, left.sha256, content, _cpu_s() - begun)


def nothing(job: Nothing) -> NothingDone:
    """Do nothing with the names of 512 files."""
    return NothingDone(job.number)


def _cpu_s() -> float:
    """Processor seconds of this process and of those that decode for it."""
    below = [each.cpu_times() for each in psutil.Process().children()]
    return time.process_time() + sum(each.user + each.system for each in below)


def digest(lefts: Sequence[Left]) -> str:
    """One hash of all that jobs have left, in the order of the jobs."""
    return hashlib.sha256(
        "".join(left.content for left in sorted(lefts, key=lambda left: left.number)).encode()
    ).hexdigest()
