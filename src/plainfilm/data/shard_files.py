"""The two files of a shard: KEY.npy with the pixels of its films, KEY.npz with what is known of each of its files.

Both are NumPy's own formats and hold no objects. The second one is written last: where it is, the first one was whole.
"""

import contextlib
import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.files import written_whole
from plainfilm.errors import ImageError

PIXELS, KNOWN = ".npy", ".npz"
FLEETING = frozenset(  # reasons that may be gone the next time, or with another package
    {"not-found", "no-permission", "unreadable", "out-of-memory", "decoder-crashed", "too-slow", "unsupported-encoding"}
)
_DAMAGE = (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile)
_SAID, _DIGEST = "said", "digest"


class Film(NamedTuple):
    """What is known of a file that was read, beside its pixels: as in `images.Radiograph`."""

    sha256: str
    provenance: Mapping[str, Any]
    remarks: Sequence[tuple[str, str]]


Outcome = Film | ImageError


class PixelWriter:
    """A file of films whose number is known when the last one is written."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size, self._films = file, size, 0
        self._write_header()

    def append(self, films: NDArray[np.uint8]) -> None:
        """Append films, uint8 (n, size, size)."""
        self._file.write(films.tobytes())
        self._films += len(films)

    def finish(self) -> None:
        """Say how many there are: NumPy's header leaves room for it."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        shape = (self._films, self._size, self._size)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})


class PixelReader:
    """Reads films of a file by their places.

    Raises
    ------
    ValueError
        It holds no films.
    OSError
        It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("of another version")
            self.shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            self._offset = file.tell()
        if dtype != np.uint8 or len(self.shape) != 3:
            raise ValueError("no films")

    def __call__(self, places: Sequence[int]) -> NDArray[np.uint8]:
        """Read films, uint8 (len(places), s, s), in the order asked for."""
        out = np.empty((len(places), *self.shape[1:]), np.uint8)
        with self._path.open("rb", buffering=0) as file:
            for film, place in zip(out, places, strict=True):
                file.seek(self._offset + int(place) * film.size)
                if file.readinto(film.data) != film.size:
                    raise ValueError("it is shorter than it says")
        return out


@contextlib.contextmanager
def written(path: Path, size: int) -> Iterator[PixelWriter]:
    """Give what the pixels of a shard are written to; they are there when all went well."""
    with written_whole(path.with_suffix(PIXELS), durable=False) as partial, partial.open("wb") as file:
        writer = PixelWriter(file, size)
        yield writer
        writer.finish()


def linked(file: Path, folder: Path) -> Path:
    """Give a file a second name in a folder; where the file system has none, copy it."""
    path = folder / file.name
    try:
        path.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, path)
    return path


def write_known(path: Path, outcomes: Sequence[Outcome], known: Mapping[str, NDArray[Any]]) -> None:
    """Write what is known of each file, and arrays with a value a film, `digest` among them; with it the shard is whole."""
    said = json.dumps([_said(outcome) for outcome in outcomes]).encode()
    with written_whole(path.with_suffix(KNOWN), durable=False) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **{_SAID: np.frombuffer(said, np.uint8)}, **known)


def read_known(path: Path) -> tuple[list[Outcome], dict[str, NDArray[Any]]]:
    """Read what `write_known` wrote; raises what NumPy and zipfile do where it is damaged."""
    with path.with_suffix(KNOWN).open("rb") as file, np.load(file, allow_pickle=False) as kept:
        known = {name: kept[name] for name in kept.files}
    return [_heard(each) for each in json.loads(known.pop(_SAID).tobytes())], known


def is_whole(path: Path) -> bool:
    """Whether a shard is there, its pixels are those that were written, and reading it again would give no more."""
    try:
        outcomes, known = read_known(path)
        pixels = PixelReader(path.with_suffix(PIXELS))
        is_same = pixels.shape[0] == len(known[_DIGEST]) and all(
            digest_of(pixels([place])[0]) == digest.tobytes() for place, digest in enumerate(known[_DIGEST])
        )
    except _DAMAGE:
        return False
    return is_same and not any(isinstance(each, ImageError) and each.code in FLEETING for each in outcomes)


def digest_of(film: NDArray[np.uint8]) -> bytes:
    """SHA-256 of the pixels of a film."""
    return hashlib.sha256(film.data).digest()


def _said(outcome: Outcome) -> Any:
    return [outcome.code, str(outcome)] if isinstance(outcome, ImageError) else [*outcome]


def _heard(said: Sequence[Any]) -> Outcome:
    if len(said) == 2:
        return ImageError(*said)
    sha256, provenance, remarks = said
    return Film(sha256, provenance, [(code, sentence) for code, sentence in remarks])
