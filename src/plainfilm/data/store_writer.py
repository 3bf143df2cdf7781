"""A store while it is written: beside its name, once, whole or not at all, whatever the disk does.

HDF5 survives neither a kill while it writes nor a file that cannot be closed; both are kept from it here.
"""

import contextlib
import datetime as dt
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from plainfilm.data import hdf5
from plainfilm.data.files import written_whole
from plainfilm.data.shard_files import digest_of
from plainfilm.data.store import (
    COLUMN_DIGESTS,
    DIGESTS,
    FORMAT,
    SEAL,
    SHARDED,
    UNSHARDED,
    VERSION,
    Columns,
    is_store,
    read_attributes,
    seal_of,
)
from plainfilm.data.store_columns import COLUMNS, DIGEST_BYTES, GROUPS, storable, write
from plainfilm.data.store_images import IMAGES, ShardTable
from plainfilm.errors import StoreError
from plainfilm.reasons import reason_of

_INDEX_BYTES = 1 << 17


class _Disk(io.FileIO):
    """A file that keeps the first error of writing and pretends from then on: HDF5 crashes if it cannot close a file."""

    error: BaseException | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        try:
            while len(rest) and self.error is None:
                rest = rest[super().write(rest) :]
        except (OSError, KeyboardInterrupt) as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size) if self.error is None else 0
        except (OSError, KeyboardInterrupt) as error:
            self.error = error
            return 0

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        read = super().readinto(view) or 0
        view[read:] = bytes(len(view) - read)  # as HDF5's own driver beyond the end
        return len(view)

    def check(self) -> None:
        """Raise what was kept."""
        if self.error:
            raise self.error


class StoreWriter:
    """A store while it is being written: images row by row, or shards that hold them, then columns; given by `create`."""

    def __init__(self, file: h5py.File, disk: _Disk, size: int, expected: int) -> None:
        self._file, self._disk, self._size, self._expected = file, disk, size, expected
        self._images: h5py.Dataset | None = None
        self._digests = bytearray()
        self._sealed: dict[str, str] = {}

    def append(self, images: NDArray[np.uint8]) -> None:
        """Append images, uint8 (n, size, size)."""
        held = self._dataset()
        at = len(self._digests) // DIGEST_BYTES
        if at + len(images) > len(held):
            held.resize(at + len(images), axis=0)
        held[at : at + len(images)] = images
        self._disk.check()
        self._digests += b"".join(map(digest_of, images))

    def refer(self, table: ShardTable, digests: NDArray[np.uint8]) -> None:
        """Name the shards that hold the images, and the SHA-256 of each image, uint8 (n, 32); instead of `append`."""
        self._sealed |= table.write(self._file)
        self._digests += digests.tobytes()

    def finish(self, columns: Columns, *, attributes: Mapping[str, str | int]) -> None:
        """Add the columns and the root attributes."""
        if not self._sealed:
            self._dataset().resize(len(columns.labels), axis=0)
        digests = np.frombuffer(self._digests, np.uint8).reshape(-1, DIGEST_BYTES)
        self._file.create_dataset(DIGESTS, data=digests)
        version = VERSION if attributes.get("task") == "findings" else SHARDED if self._sealed else UNSHARDED
        for name in COLUMNS:
            self._sealed |= write(self._file, name, getattr(columns, name))
        for group in GROUPS:
            for name, values in getattr(columns, group).items():
                self._sealed |= write(self._file, f"{group}/{name}", values)
        created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        classes = np.array([storable(name) for name in columns.classes], h5py.string_dtype())
        told = {name: storable(value) if isinstance(value, str) else value for name, value in attributes.items()}
        self._file.attrs.update(
            {"created": created, **told, "format": FORMAT, "version": version, "classes": classes, "size": self._size,
             "fingerprint": hashlib.sha256(digests.data).hexdigest(), COLUMN_DIGESTS: json.dumps(self._sealed, sort_keys=True)}
        )  # fmt: skip
        self._file.attrs[SEAL] = seal_of(read_attributes(self._file))

    def _dataset(self) -> h5py.Dataset:
        if self._images is None:
            side = self._size
            self._images = self._file.create_dataset(
                IMAGES, (self._expected, side, side), np.uint8, maxshape=(None, side, side), chunks=(1, side, side)
            )
        return self._images


def check_place(path: Path) -> None:
    """Raise StoreError where no store can be made: a folder is there, or another kind of file."""
    if path.is_dir():
        raise StoreError(f"Expected a file to write; received {path}, a folder. Choose another --out.")
    if path.is_file() and not is_store(path):
        raise StoreError(
            f"Expected a new name or an old store; received {path}, another kind of file. Choose another --out."
        )


@contextlib.contextmanager
def create(path: Path, *, size: int, expected: int, at: Path | None = None) -> Iterator[StoreWriter]:
    """Open a new store for writing; it appears under its name when all went well.

    Written to `at` it stays there, and whoever named that puts it in its place.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full; the old file is left as it was.
    """
    check_place(path)
    try:
        with contextlib.nullcontext(at) if at else written_whole(path) as partial, _Disk(partial, "w+") as disk:
            with h5py.File(disk, "w") as file:
                _limit_index(file)
                yield StoreWriter(file, disk, size, expected)
            disk.check()
        if not at:
            hdf5.remember(path, FORMAT)
    except (OSError, RuntimeError) as error:  # HDF5 reports trouble as either
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: Exception) -> StoreError:
    """Say in one line that a store cannot be written."""
    return StoreError(
        f"Expected to write {path}; received: {reason_of(error)}. Free space, or choose another --out. Nothing was changed."
    )


def _limit_index(file: h5py.File) -> None:
    """Let HDF5 hold little of its index of the images: at 20,000 of them it would take 6 MB of memory."""
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = _INDEX_BYTES
    file.id.set_mdc_config(config)


def held_name(name: str) -> str:
    """Give a name that HDF5 can hold for a column."""
    return re.sub(r"^\.$|[/\0\ud800-\udfff]", "_", name)
