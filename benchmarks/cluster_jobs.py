"""Jobs of `cluster.py`: workers import them by name."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from plainfilm.data.decoder_pool import read_many
from plainfilm.data.files import written_whole
from plainfilm.data.images import Radiograph
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.encoder import Encoder, open_encoder, preprocessing


@dataclass(frozen=True, slots=True)
class Decode:
    """Files to decode into an array."""

    number: int
    files: tuple[str, ...]
    out: str
    size: int = 256


@dataclass(frozen=True, slots=True)
class Encode:
    """An array to encode."""

    number: int
    images: str
    out: str


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
    cpu_s: float  # of the job itself, and of what decodes for it


@dataclass(frozen=True, slots=True)
class NothingDone:
    """Nothing."""

    number: int


_ENCODERS: dict[int, Encoder] = {}


def decode(job: Decode) -> Left:
    """Decode files in a process that decodes, as `ingest` does, into an array uint8 (n, size, size)."""
    begun = _cpu_s()
    films = [film for film in read_many(job.files, size=job.size, workers=1) if isinstance(film, Radiograph)]
    return _left(job.number, job.out, np.stack([film.pixels for film in films]), begun)


def encode(job: Encode) -> Left:
    """Encode an array of `decode` with the default backbone, float32 (n, 1280)."""
    begun = _cpu_s()
    images = np.load(job.images)
    size = images.shape[1]
    if size not in _ENCODERS:
        backbone = BACKBONES["efficientnet_lite0"]
        _ENCODERS[size] = open_encoder(backbone, preprocessing(backbone, image_size=size))
    return _left(job.number, job.out, _ENCODERS[size].encode(images), begun)


def nothing(job: Nothing) -> NothingDone:
    """Do nothing with the names of 512 files."""
    return NothingDone(job.number)


def _left(number: int, out: str, array: np.ndarray, begun: float) -> Left:
    path = Path(out)
    with written_whole(path) as partial, partial.open("wb") as file:
        np.save(file, array)
    data = path.read_bytes()
    return Left(number, out, len(data), hashlib.sha256(data).hexdigest(), _cpu_s() - begun)


def _cpu_s() -> float:
    """Processor seconds of this process and of those that decode for it."""
    below = [each.cpu_times() for each in psutil.Process().children()]
    return time.process_time() + sum(each.user + each.system for each in below)


def digest(lefts: Sequence[Left]) -> str:
    """One hash of all that jobs have left, in the order of the jobs."""
    return hashlib.sha256(
        "".join(left.sha256 for left in sorted(lefts, key=lambda left: left.number)).encode()
    ).hexdigest()
