"""A catalog read in shards: runs of its files, decoded and described, so that a command goes on where one that was killed has ended.

A shard is named by the hash of all that it depends on: what is there under its name is done, whoever made it. A catalog of one
shard is held in memory and leaves nothing behind.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plainfilm import __version__
from plainfilm.data import claims, copies, decoder_pool, duplicates, shard_files
from plainfilm.data.catalog import Entry
from plainfilm.data.images import Radiograph
from plainfilm.data.places.archives import Archive, open_archive
from plainfilm.data.shard_files import Film, Outcome, PixelReader, linked
from plainfilm.data.store_images import ShardTable
from plainfilm.engines.current import elsewhere
from plainfilm.engines.engine import Engine
from plainfilm.engines.left_files import LeftFile
from plainfilm.errors import ImageError

BATCH = 32
_VERSION = 1  # of what is known of a film
MOST_FILMS = 512
_PIXELS = 1 << 27  # of a shard at most, where a batch allows it
_SHARDS = 32  # of a catalog at least, if it is none that fits into memory: a kill costs one
Advance = Callable[[int, int], None]
Pixels = Callable[[Sequence[int]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shard:
    """A shard that was read.

    Attributes
    ----------
    outcomes : list
        A `Film`, or the error, of each file.
    known : mapping
        Arrays by name, one value a film, in order: `digest` uint8 (n, 32), `hash` uint64 (n) and `thumb` uint8
        (n, 32, 32) of `duplicates`, and those of `copies.described`. Masks are no films.
    pixels : callable
        Gives films by their places, uint8 (k, s, s).
    file : Path or None
        Where they lie, None for memory or another store,
    places : int64 (n) or None
        and which of that file's films they are; None for all of them.
    """

    outcomes: Sequence[Outcome]
    known: Mapping[str, NDArray[Any]]
    pixels: Pixels
    file: Path | None = None
    places: NDArray[np.int64] | None = None


class _Noted(NamedTuple):
    """What is remembered of a shard until the store is written."""

    digest: NDArray[np.uint8]
    pixels: Pixels
    file: Path | None
    places: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class ShardJob:
    """A shard for another process to read: files, or archives with a member, with their depths in bits; and its path without an ending."""

    number: int
    path: str
    files: tuple[tuple[str, str, int | None], ...]
    size: int
    fit: str
    workers: int


def read_shard(job: ShardJob) -> LeftFile:
    """Read a shard, unless it is there and whole; tell the file that is written last, and says what is in the other one."""
    path = Path(job.path)
    if not shard_files.is_whole(path):
        files = [(_source(Path(file), member), depth) for file, member, depth in job.files]
        _made(decoder_pool.read_many(files, size=job.size, fit=job.fit, workers=job.workers), job.size, path)
    return LeftFile.of(job.number, path.with_suffix(shard_files.KNOWN))


def _source(file: Path, member: str) -> decoder_pool.Source:
    """Give what the decoder takes of a file, or of a member of an archive."""
    return partial(_archive(file, file.stat().st_mtime_ns).read, member) if member else file


@lru_cache(maxsize=1)
def _archive(file: Path, _changed_ns: int) -> Archive:
    return open_archive(file)


class Shards:
    """The shards of a catalog, in its order.

    Parameters
    ----------
    entries
        Of the catalog, in the order of the rows to be.
    depths
        Depth in bits of some of them, by place.
    size, fit
        As of `images.read`.
    folder
        Where they will lie; made for its owner alone when the first one is written.
    films
        Of a shard; by default 512, fewer above 512 px.
    before
        Shards that were read elsewhere, and come first.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        depths: Mapping[int, int],
        *,
        size: int,
        fit: str,
        folder: Path,
        films: int | None = None,
        before: Iterable[Shard] = (),
    ) -> None:
        self._before = before
        self._entries, self._depths, self._size, self._fit, self._folder = entries, depths, size, fit, folder
        most = films or max(BATCH, min(MOST_FILMS, _PIXELS // size**2))
        self._in_memory = len(entries) <= most
        self._films = most if films or self._in_memory else max(BATCH, min(most, -(-len(entries) // _SHARDS)))
        self._read: list[_Noted] = []

    def read(self, *, workers: int, advance: Advance) -> Iterator[Shard]:
        """Read all shards in order; what is there and whole is taken as it is. Files on disk may be read by the engine of the command.

        Parameters
        ----------
        workers
            Processes that decode.
        advance
            Called with files done and files in all.
        """
        every = len(self._entries)
        paths = {start: self._path(start) for start in range(0, every, self._films)}
        missing = _missing(paths)
        if (engine := elsewhere()) and self._can_be_sent():
            self._send(engine, missing, advance)
            missing = _missing({start: paths[start] for start in missing})
        files = (file for start in missing for file in self._files(start))
        done = every - sum(len(self._run(start)) for start in missing)
        advance(done, every)  # the first picture takes as long as a decoder needs to start

        def decoded() -> Iterator[Radiograph | ImageError]:
            nonlocal done
            for outcome in decoder_pool.read_many(files, size=self._size, fit=self._fit, workers=workers):
                done += 1
                advance(done, every)
                yield outcome

        for shard in self._before:
            yield self._noted(shard)
        outcomes = decoded()
        for start, path in paths.items():
            own = islice(outcomes, len(self._run(start)))
            yield self._noted(_made(own, self._size, path) if path is None or start in missing else _loaded(path))
        next(outcomes, None)  # the decoders come to their end

    def _can_be_sent(self) -> bool:
        """Whether the shards will be files, and none is of an archive that is read from its beginning."""
        return not self._in_memory and not any(entry.place.in_order for entry in self._entries)

    def _send(self, engine: Engine, missing: Sequence[int], advance: Advance) -> None:
        """Let an engine read shards, given by where they start."""
        every = len(self._entries)
        done = every - sum(len(self._run(start)) for start in missing)
        advance(done, every)
        jobs = (self._job(start, workers=engine.threads) for start in missing)
        for left in engine.map(read_shard, jobs):
            done += len(self._run(left.number))
            advance(done, every)

    def _job(self, start: int, *, workers: int) -> ShardJob:
        files = tuple((*_named(self._entries[place]), self._depths.get(place)) for place in self._run(start))
        path = str(self._folder.absolute() / self._key(start))
        return ShardJob(start, path, files, self._size, self._fit, workers)

    def images(self, keep: NDArray[np.bool_]) -> Iterator[NDArray[np.uint8]]:
        """Give those of all films that are to be kept, bool (n), in order: uint8 (up to 32, s, s) at a time."""
        for shard, own in self._kept_of(keep):
            for at in range(0, len(own), BATCH):
                yield shard.pixels(own[at : at + BATCH].tolist())

    def shelve(self, keep: NDArray[np.bool_], folder: Path) -> tuple[ShardTable, NDArray[np.uint8]]:
        """Put the shards of the films that are to be kept, bool (n), into a new folder.

        Returns
        -------
        ShardTable
            Where each film is.
        uint8 (k, 32)
            SHA-256 of each.
        """
        folder.mkdir(mode=0o700)
        files, films, places, digests = list[Path](), list[int](), list[NDArray[np.int64]](), list[NDArray[np.uint8]]()
        for shard, own in self._kept_of(keep):
            if not len(own):
                continue
            digest = shard.digest[own]
            if shard.file is None:
                path = folder / hashlib.sha256(digest.tobytes()).hexdigest()[:32]
                with shard_files.written(path, self._size) as writer:
                    for at in range(0, len(own), BATCH):
                        writer.append(shard.pixels(own[at : at + BATCH].tolist()))
                there, count = np.arange(len(own)), len(own)
                files.append(path.with_suffix(shard_files.PIXELS))
            else:
                there = own if shard.places is None else shard.places[own]
                count = PixelReader(shard.file).shape[0]
                files.append(linked(shard.file, folder))
            places.append(there + sum(films))
            films.append(count)
            digests.append(digest)
        table = ShardTable(
            file=[path.name for path in files],
            bytes=np.array([path.stat().st_size for path in files], np.int64),
            films=np.array(films, np.int64),
            place=np.concatenate(places).astype(np.int64),
        )
        return table, np.concatenate(digests)

    def _kept_of(self, keep: NDArray[np.bool_]) -> Iterator[tuple[_Noted, NDArray[np.int64]]]:
        start = 0
        for shard in self._read:
            end = start + len(shard.digest)
            yield shard, np.flatnonzero(keep[start:end])
            start = end

    def _noted(self, shard: Shard) -> Shard:
        self._read.append(_Noted(shard.known["digest"], shard.pixels, shard.file, shard.places))
        return shard

    def _run(self, start: int) -> range:
        return range(start, min(start + self._films, len(self._entries)))

    def _files(self, start: int) -> Iterator[tuple[Any, int | None]]:
        for place in self._run(start):
            entry = self._entries[place]
            yield entry.place.item(entry.name), self._depths.get(place)

    def _path(self, start: int) -> Path | None:
        """Give where a shard lies, or will, without an ending; None for memory."""
        return None if self._in_memory else self._folder / self._key(start)

    def _key(self, start: int) -> str:
        """Name a shard by all that it depends on."""
        digest = hashlib.sha256(json.dumps([_VERSION, __version__, self._size, self._fit]).encode())
        for place in self._run(start):
            digest.update(json.dumps([self._depths.get(place), *_state(self._entries[place])]).encode())
        return digest.hexdigest()[:32]


def reading_folder(path: Path) -> Path:
    """Give the folder of what is read for a path: hidden, beside it."""
    return claims.beside(path, "shards")


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Keep a folder of what is read for a command that does not come to its end, for a week; once it has, remove it."""
    _sweep(folder.parent)
    try:
        yield
    except KeyboardInterrupt as stop:
        is_told = bool(getattr(stop, "__notes__", ()))
        if not is_told and any(folder.glob(f"*{shard_files.KNOWN}")):
            stop.add_note("What was read is kept for a week: the same command goes on from there.")
        raise
    claims.remove(folder)


def _sweep(folder: Path) -> None:
    """Remove from a folder what was read more than a week ago and never became a store."""
    with contextlib.suppress(OSError), claims.claimed(folder / "shards") as own:
        for left in folder.glob(".*.shards"):
            if own.now() - left.stat().st_mtime > claims.WEEK_S and not claims.is_used(left):
                claims.remove(left)


def _named(entry: Entry) -> tuple[str, str]:
    """Name a file by its path, or an archive by its path and a member of it."""
    item = entry.place.item(entry.name)
    file, member = (item, "") if isinstance(item, Path) else (entry.place.root, entry.name)
    return str(file.absolute()), member


def _missing(paths: Mapping[int, Path | None]) -> list[int]:
    """Give where the shards start that are to be read; those that are held in memory always are."""
    return [start for start, path in paths.items() if path is None or not shard_files.is_whole(path)]


def _state(entry: Entry) -> tuple[str, str, int, int, int]:
    """Tell a file as it is now, or its archive and how long it is there."""
    place = entry.place
    item = place.item(entry.name)
    inside, path = (-1, item) if isinstance(item, Path) else (place.size(entry.name), place.root)
    root = os.fspath(place.root.absolute())
    try:
        status = path.stat()
    except OSError:
        return root, entry.name, inside, -1, 0
    return root, entry.name, inside, status.st_size, status.st_mtime_ns


def _made(outcomes: Iterable[Radiograph | ImageError], size: int, path: Path | None) -> Shard:
    """Gather outcomes as a shard, in files or, without a path, in memory."""
    if path is None:
        blocks = [np.empty((0, size, size), np.uint8)]
        told, known = gathered(outcomes, size, blocks.append)
        return Shard(outcomes=told, known=known, pixels=np.concatenate(blocks).__getitem__)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with shard_files.written(path, size) as writer:
        told, known = gathered(outcomes, size, writer.append)
    shard_files.write_known(path, told, known)
    return _in_files(path, told, known)


def _loaded(path: Path) -> Shard:
    return _in_files(path, *shard_files.read_known(path))


def _in_files(path: Path, outcomes: Sequence[Outcome], known: Mapping[str, NDArray[Any]]) -> Shard:
    pixels = path.with_suffix(shard_files.PIXELS)
    return Shard(outcomes=outcomes, known=known, pixels=PixelReader(pixels), file=pixels)


def gathered(
    outcomes: Iterable[Radiograph | ImageError], size: int, take: Callable[[NDArray[np.uint8]], None]
) -> tuple[list[Outcome], dict[str, NDArray[Any]]]:
    """Hand over the films among some outcomes in blocks, and say what is known of each."""
    told = list[Outcome]()
    known = [_known(np.empty((0, size, size), np.uint8))]

    def flush(films: list[NDArray[np.uint8]]) -> None:
        block = np.stack(films)
        take(block)
        known.append(_known(block))
        films.clear()

    waiting = list[NDArray[np.uint8]]()
    for outcome in outcomes:
        if isinstance(outcome, ImageError):
            told.append(outcome)
            continue
        told.append(film := Film(outcome.sha256, outcome.provenance, outcome.remarks))
        if not is_mask(film):
            waiting.append(outcome.pixels)
        if len(waiting) == BATCH:
            flush(waiting)
    if waiting:
        flush(waiting)
    return told, {name: np.concatenate([each[name] for each in known]) for name in known[0]}


def is_mask(film: Film) -> bool:
    """Whether a file that was read is a mask, of which nothing is kept."""
    return "mask" in dict(film.remarks)


def _known(block: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    means = np.concatenate(
        [np.empty((0, copies.SIDE_PX, copies.SIDE_PX), np.float32), *duplicates.area_means(block, copies.SIDE_PX)]
    )
    digests = b"".join(map(shard_files.digest_of, block))
    return {
        "digest": np.frombuffer(digests, np.uint8).reshape(-1, hashlib.sha256().digest_size),
        "hash": duplicates.perceptual_hash(means),
        "thumb": duplicates.thumbnails(means),
        **copies.described(block, means),
    }
