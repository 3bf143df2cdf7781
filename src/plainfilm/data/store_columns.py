"""The columns of a store in HDF5: each read when it is asked for, once, and held against its own SHA-256.

A column is a dataset of n numbers or n texts; where text recurs, a group of `codes` (n), -1 for "", and the `categories` that they
number, as in AnnData's format; of SHA-256 in hex the bytes, uint8 (n, 32).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from plainfilm.data import texts
from plainfilm.errors import FlawError

COLUMNS = ("labels", "split", "patient", "source", "file", "sha256", "group")
GROUPS = ("provenance", "findings")
CODES, CATEGORIES = "codes", "categories"
DIGEST_BYTES = hashlib.sha256().digest_size
_COUNTED = ("labels", "group")
_RECURRING = ("split", "patient", "source")
_TEXT = h5py.string_dtype()
_IN_HEX = re.compile(r"[0-9a-f]{64}")
_AT_ONCE = 1 << 16  # texts
_ROOM_BYTES = 16 << 20  # that text which recurs may take in all its rows,
_UNPACKED = 4  # and beyond it so many times the file; a writer keeps to
_A_ROW_BYTES = 256  # a row, which is less: of each row a file holds 80 bytes at least
_T = TypeVar("_T")


class Words(NamedTuple):
    """Text whose values recur: `values`, all different and none "", and the place of each row's among them, -1 for "" (n)."""

    values: tuple[str, ...]
    codes: NDArray[np.signedinteger[Any]]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Count the rows of each value, int64 (values)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    @property
    def letters(self) -> int:
        """Count the letters of all rows."""
        return int(self.counts @ np.array([len(value) for value in self.values], np.int64))


class ColumnReader:
    """Reads the columns of a store, and remembers them.

    Parameters
    ----------
    file
        The open store.
    again
        Gives it until the block ends, also once it was closed.
    file_bytes
        Its size.

    Raises
    ------
    FlawError
        The columns, here or as they are read, are not those of a store; or not those that were written.
    """

    def __init__(
        self, file: h5py.File, again: Callable[[], AbstractContextManager[h5py.File]], *, file_bytes: int
    ) -> None:
        self._again, self._file_bytes = again, file_bytes
        below = [f"{group}/{name}" for group in GROUPS for name in file.get(group, {}).keys()]  # noqa: SIM118 - a dataset has none
        self.names = (*COLUMNS, *below)
        self._lengths = {_length(name, file[name]) for name in self.names}
        self._datasets = {dataset for name in self.names for dataset in _datasets(name, file[name])}
        self._digests: Mapping[str, str] | None = None
        self._read: dict[str, Any] = {}

    def check_length(self, rows: int) -> None:
        """Raise FlawError where a column has more rows or fewer."""
        if self._lengths != {rows}:
            raise FlawError("its columns are not of one length")

    def hold_against(self, digests: Mapping[str, str]) -> None:
        """Hold what is read from now on against the SHA-256 of each dataset, in hex, by its name."""
        if digests.keys() != self._datasets:
            raise FlawError("its columns are not those that were written")
        self._digests = digests

    def digests(self) -> dict[str, str]:
        """Read every column, keeping none, and give the SHA-256 of each dataset, in hex, by its name."""
        with self._again() as file:
            return {name: digest_of(self._dataset(name, file[name])) for name in sorted(self._datasets)}

    def once(self, key: str, read: Callable[[], _T]) -> _T:
        """Give what was read before under a key, or read it."""
        if key not in self._read:
            self._read[key] = read()
        return self._read[key]  # type: ignore[no-any-return]

    def column(self, name: str) -> NDArray[Any]:
        """Give a column as an array (n), text as `texts.as_array` does."""
        return self.once(name, lambda: self._column(name))

    def words(self, name: str) -> Words:
        """Give a column of text by its values and their places."""
        with self._again() as file:
            if isinstance(file[name], h5py.Group):
                return self._words(name, file[name])
        return _numbered(self.column(name))

    def codes(self, name: str) -> NDArray[np.signedinteger[Any]]:
        """Number the values of a column of text, -1 for "" (n): rows with one value have one number."""
        with self._again() as file:
            if isinstance(file[name], h5py.Group):
                return self._codes(name, file[name])
        return _numbered(self.column(name)).codes

    def in_bytes(self, name: str) -> NDArray[np.uint8] | None:
        """Give a column of SHA-256 as bytes, uint8 (n, 32); None where it is held as text."""
        with self._again() as file:
            return self._dataset(name, file[name]) if _holds_bytes(name, file[name]) else None

    def _column(self, name: str) -> NDArray[Any]:
        with self._again() as file:
            held = file[name]
            if isinstance(held, h5py.Group):
                return texts.spread(*self._words(name, held))
            column = self._dataset(name, held)
            return _in_hex(column) if _holds_bytes(name, held) else column

    def _codes(self, name: str, held: h5py.Group) -> NDArray[np.signedinteger[Any]]:
        codes = self._dataset(f"{name}/{CODES}", held[CODES])
        if len(codes) and not -1 <= codes.min() <= codes.max() < len(held[CATEGORIES]):
            raise FlawError(f"its column {name} has codes of no value")
        return codes

    def _words(self, name: str, held: h5py.Group) -> Words:
        codes, values = self._codes(name, held), self._dataset(f"{name}/{CATEGORIES}", held[CATEGORIES])
        words = Words(tuple(values.tolist()), codes)
        if words.letters > _ROOM_BYTES + _UNPACKED * self._file_bytes:
            raise FlawError(f"its column {name} has {words.letters:,} letters")
        return words

    def _dataset(self, name: str, data: h5py.Dataset) -> NDArray[Any]:
        column = read_plain(data)
        if self._digests is not None and digest_of(column) != self._digests[name]:
            raise FlawError(f"its column {name} is not the one that was written")
        return column


class ColumnGroup(Mapping[str, NDArray[Any]]):
    """The columns below `provenance` or `findings` by name, each read when it is asked for."""

    def __init__(self, reader: ColumnReader, group: str) -> None:
        self._reader, self._group = reader, group
        self._names = tuple(name.partition("/")[2] for name in reader.names if name.startswith(f"{group}/"))

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._reader.column(f"{self._group}/{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __repr__(self) -> str:
        return f"<{self._group}: {', '.join(self._names) or 'none'}>"


def write(file: h5py.File, name: str, values: NDArray[Any]) -> dict[str, str]:
    """Write a column (n), text or numbers, in the form that fits it, and give the SHA-256 of each dataset, in hex, by its name."""
    if not texts.is_text(values):
        return _written(file, name, values)
    held = [storable(value) for value in values.tolist()]
    if name == "sha256" and all(map(_IN_HEX.fullmatch, held)):
        return _written(file, name, np.frombuffer(bytes.fromhex("".join(held)), np.uint8).reshape(-1, DIGEST_BYTES))
    found = sorted(set(held) - {""})
    place = {value: number for number, value in enumerate(found)} | {"": -1}
    words = Words(tuple(found), np.array([place[value] for value in held], np.min_scalar_type(-1 - len(found))))
    recurs = name in _RECURRING or 2 * len(found) <= len(held)
    if not recurs or words.letters > _ROOM_BYTES + _A_ROW_BYTES * len(held):
        return _written(file, name, held)
    return _written(file, f"{name}/{CODES}", words.codes) | _written(file, f"{name}/{CATEGORIES}", words.values)


def write_plain(file: h5py.File, name: str, values: NDArray[Any]) -> dict[str, str]:
    """Write values (n), numbers or text, one by one, and give their SHA-256, in hex, by the name."""
    return _written(file, name, values.tolist() if texts.is_text(values) else values)


def read_plain(data: h5py.Dataset) -> NDArray[Any]:
    """Read what `write_plain` wrote."""
    return _texts(data) if _is_text(data) else np.asarray(data[:])


def _written(file: h5py.File, name: str, values: Any) -> dict[str, str]:
    if isinstance(values, np.ndarray):
        file.create_dataset(name, data=values)
        return {name: digest_of(values)}
    data = file.create_dataset(name, (len(values),), _TEXT)
    for at in range(0, len(values), _AT_ONCE):
        data[at : at + _AT_ONCE] = np.array(values[at : at + _AT_ONCE], object)
    return {name: digest_of(texts.as_array(values))}


def storable(value: str) -> str:
    """Give text as HDF5 can hold it: file names need not be Unicode (PEP 383), and nothing after a NUL would be read."""
    return value.replace("\0", "").encode(errors="backslashreplace").decode()


def digest_of(column: NDArray[Any]) -> str:
    """SHA-256, in hex, over the values of a column: numbers as they lie in memory, little-endian, behind their kind; text as JSON."""
    if not texts.is_text(column):
        kind, lying = column.dtype, np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
        digest = hashlib.sha256(f"{kind.kind}{kind.itemsize} ".encode())
        digest.update(lying.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()
    digest = hashlib.sha256(b"[")
    for at in range(0, len(column), _AT_ONCE):
        between = ", " if at else ""
        digest.update((between + json.dumps(column[at : at + _AT_ONCE].tolist())[1:-1]).encode())
    digest.update(b"]")
    return digest.hexdigest()


def _numbered(column: NDArray[Any]) -> Words:
    values, codes = np.unique(column, return_inverse=True)
    is_told = values != ""
    return Words(tuple(values[is_told].tolist()), codes - int(not is_told.all()))


def _length(name: str, held: Any) -> int:
    """Give the rows of a column, -1 where it has none or more dimensions; FlawError where its values are of another kind."""
    is_number = name in _COUNTED or name.startswith("findings/")
    if isinstance(held, h5py.Group):
        codes, values = held[CODES], held[CATEGORIES]
        fits = codes.dtype.kind == "i" and _is_text(values) and values.ndim == 1 and not is_number
        length = codes.shape
    else:
        kinds = "iu" if is_number else "iufb" if name.startswith("provenance/") else ""
        fits = held.dtype.kind in kinds or (_is_text(held) and not is_number) or _holds_bytes(name, held)
        length = held.shape[:1] if _holds_bytes(name, held) else held.shape
    if not fits:
        raise FlawError(f"its column {name} has values of another kind")
    return int(length[0]) if len(length) == 1 else -1


def _datasets(name: str, held: Any) -> list[str]:
    return [f"{name}/{part}" for part in (CODES, CATEGORIES)] if isinstance(held, h5py.Group) else [name]


def _is_text(data: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(data.dtype) is not None


def _holds_bytes(name: str, held: Any) -> bool:
    return (
        name == "sha256"
        and isinstance(held, h5py.Dataset)
        and held.dtype == np.uint8
        and held.shape[1:] == (DIGEST_BYTES,)
    )


def _texts(data: h5py.Dataset) -> NDArray[Any]:
    text = data.asstr()
    return texts.gathered(len(data), (text[at : at + _AT_ONCE].tolist() for at in range(0, len(data), _AT_ONCE)))


def _in_hex(digests: NDArray[np.uint8]) -> NDArray[Any]:
    letters = 2 * DIGEST_BYTES

    def blocks() -> Iterator[list[str]]:
        for at in range(0, len(digests), _AT_ONCE):
            digits = digests[at : at + _AT_ONCE].tobytes().hex()
            yield [digits[start : start + letters] for start in range(0, len(digits), letters)]

    return texts.gathered(len(digests), blocks())
