"""The pixels of a store: one dataset of its file, or shards in a folder beside it, which the file is the index of."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from plainfilm.data import store_columns, texts
from plainfilm.data.shard_files import PIXELS, PixelReader, linked
from plainfilm.errors import FlawError, StoreError

GROUP = "shards"
IMAGES = "images"
_FILE, _BYTES, _FILMS, _PLACE = "file", "bytes", "films", "place"
_NAME = re.compile(rf"[0-9a-f]{{32}}{re.escape(PIXELS)}")


class StoreImages(Protocol):
    """Images by their rows."""

    shape: tuple[int, ...]

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read images, uint8 (len(rows), s, s)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardTable:
    """Which shards an index is of: the name, bytes and films of each, and for each row of the store the film among those of all shards, int64 (n)."""

    file: Sequence[str]
    bytes: NDArray[np.int64]
    films: NDArray[np.int64]
    place: NDArray[np.int64]

    def write(self, file: h5py.File) -> dict[str, str]:
        """Write it, and give the SHA-256 of each dataset, in hex, by its name."""
        columns = {_FILE: texts.as_array(self.file), _BYTES: self.bytes, _FILMS: self.films, _PLACE: self.place}
        written: dict[str, str] = {}
        for name, values in columns.items():
            written |= store_columns.write_plain(file, f"{GROUP}/{name}", values)
        return written


class DatasetImages:
    """Images in the store's own file."""

    def __init__(self, data: h5py.Dataset, size: int) -> None:
        if data.dtype != np.uint8 or data.shape[1:] != (size, size):
            raise FlawError(f"its images are not of {size} × {size} bytes")
        self.shape: tuple[int, ...] = data.shape
        self._data = data

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read images, uint8 (len(rows), s, s)."""
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in enumerate(rows.tolist()):
            self._data.read_direct(out, np.s_[row], np.s_[place])
        return out


class ShardedImages:
    """Images in shards; the size of each is looked at when the store is opened.

    Raises
    ------
    StoreError
        A shard is not there, or not as long as it was written.
    FlawError
        The index is not that of shards.
    """

    def __init__(self, file: h5py.File, store: Path, size: int, digests: Mapping[str, str]) -> None:
        group, columns = file[GROUP], dict[str, Any]()
        for name in (_FILE, _BYTES, _FILMS, _PLACE):
            columns[name] = store_columns.read_plain(group[name])
            if store_columns.digest_of(columns[name]) != digests[f"{GROUP}/{name}"]:
                raise FlawError("its table of shards is not the one that was written")
        self._place = columns[_PLACE]
        self.shape: tuple[int, ...] = (len(self._place), size, size)
        self._films, self._ends = columns[_FILMS], np.cumsum(columns[_FILMS])
        self._store, self.names = store, columns[_FILE].tolist()
        if not all(map(_NAME.fullmatch, self.names)):
            raise FlawError("its shards have other names")
        if len(self._place) and not 0 <= self._place.min() <= self._place.max() < self._ends[-1]:
            raise FlawError("its rows are not in its shards")
        self._check(columns[_BYTES].tolist())
        self._table = ShardTable(file=self.names, bytes=columns[_BYTES], films=columns[_FILMS], place=columns[_PLACE])

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read images, uint8 (len(rows), s, s), from one shard after the other."""
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        shards, places = self.where(rows)
        for shard in np.unique(shards).tolist():
            reader = PixelReader(shards_folder(self._store) / self.names[shard])
            if reader.shape[1:] != self.shape[1:]:
                raise FlawError(f"its shard {self.names[shard]} has films of another size")
            asked = shards == shard
            out[asked] = reader(places[asked].tolist())
        return out

    @property
    def files(self) -> list[Path]:
        """Where the shards lie."""
        return [shards_folder(self._store) / name for name in self.names]

    def shelved(self, folder: Path) -> ShardTable:
        """Put the shards into a new folder too, and give the table of them."""
        folder.mkdir(mode=0o700)
        for file in self.files:
            linked(file, folder)
        return self._table

    def where(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the shard of each row, and its place there, int64 (k)."""
        films = self._place[rows]
        shards = np.searchsorted(self._ends, films, side="right")
        return shards, films - (self._ends - self._films)[shards]

    def _check(self, sizes: Sequence[int]) -> None:
        folder = shards_folder(self._store)
        try:
            with os.scandir(folder) as found:
                there = {each.name: each.stat().st_size for each in found if each.is_file()}
        except FileNotFoundError:
            there = {}
        lacking = [name for name, size in zip(self.names, sizes, strict=True) if there.get(name) != size]
        if lacking:
            raise StoreError(
                f"Expected {len(self.names):,} shards of {self._store} in {folder}, which hold its radiographs; received {len(self.names) - len(lacking):,} "
                f"that are whole (first that is not: {lacking[0]}). Move both together, or ingest again."
            )


def shards_folder(store: Path) -> Path:
    """Give the folder of a store's shards: `NAME.h5.shards`."""
    return store.with_name(f"{store.name}.shards")


def opened(file: h5py.File, store: Path, size: int, digests: Mapping[str, str]) -> StoreImages:
    """Open the images of a store; `digests` are the SHA-256 of its datasets by name."""
    return ShardedImages(file, store, size, digests) if GROUP in file else DatasetImages(file[IMAGES], size)
