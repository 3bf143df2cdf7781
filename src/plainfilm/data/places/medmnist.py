"""MedMNIST's .npz as an archive: each row of its arrays of images is a small .npy file, with its label and its split.

Rows are read from the stream of their array, which is never in memory as a whole.
"""

import io
import math
import tokenize
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.decoding import decoded
from plainfilm.data.places.archive_members import Archive, InOrder, Members
from plainfilm.errors import CatalogError

SPLITS = {"train": "train", "val": "validation", "test": "test"}
CLASSES = {
    "pneumoniamnist": ("normal", "pneumonia"),
    "chestmnist": (
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax"),
        *("consolidation", "edema", "emphysema", "fibrosis", "pleural thickening", "hernia"),
    ),
}  # medmnist/info.py 3.0.2; its "pleural" is NIH ChestX-ray14's Pleural_Thickening

MOST_FINDINGS = 100

_MOST_HEADER_BYTES = 65536  # NumPy reads headers of 10,000
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True, slots=True)
class _Array:
    """A .npy in the zip, whose data begin at `start`."""

    member: zipfile.ZipInfo
    start: int
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def row_header(self) -> bytes:
        """What stands before a row's bytes in a .npy of its own."""
        header = io.BytesIO()
        told = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape[1:]}
        np.lib.format.write_array_header_1_0(header, told)
        return header.getvalue()


class MedMNIST(Archive):
    """The rows of the image arrays, by split and row: `train/000000.npy`, then `val/…` and `test/…`.

    Raises
    ------
    CatalogError
        The zip holds other arrays, or arrays of other shapes or types.
    """

    in_order = True

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self._file = file
        self._images, labels = _arrays(path, file)
        members = Members(path)
        for split, array in self._images.items():
            size = len(array.row_header) + array.row_bytes
            for row in range(array.shape[0]):
                members.add(f"{split}/{row:06d}.npy", size)
        super().__init__(members)
        self.splits = {name: SPLITS[name.split("/")[0]] for name in self.names}
        self._label(path.name.lower(), np.concatenate([_values(file, array) for array in labels]))
        self._stream = InOrder(self._rows)

    def _label(self, file_name: str, values: NDArray[np.int64]) -> None:
        known = next((classes for set_name, classes in CLASSES.items() if file_name.startswith(set_name)), ())
        if values.shape[1] == 1:
            classes = dict(enumerate(known))
            self.labels = {
                name: classes.get(n, str(n)) for name, n in zip(self.names, values[:, 0].tolist(), strict=True)
            }
            return
        findings = known if len(known) == values.shape[1] else tuple(map(str, range(values.shape[1])))
        rows = list(map(tuple, values.tolist()))
        shared: dict[tuple[int, ...], Mapping[str, int]] = {
            row: dict(zip(findings, row, strict=True)) for row in set(rows)
        }
        self.findings = {name: shared[row] for name, row in zip(self.names, rows, strict=True)}

    def _rows(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Give numbers and .npy files of all rows from the first one of the array that holds `number`."""
        first = 0
        for array in self._images.values():
            if number < first + array.shape[0]:
                header = array.row_header
                with self._file.open(array.member) as stream:
                    stream.read(array.start)
                    for row in range(array.shape[0]):
                        yield first + row, header + stream.read(array.row_bytes)
            first += array.shape[0]

    def _whole(self, number: int) -> bytes:
        return self._stream.take(number)

    def _head(self, number: int, length: int) -> bytes:
        return self._stream.look(number)[:length]


def is_npz(path: Path, names: Collection[str]) -> bool:
    """Whether the names of a zip's members are those of arrays, rather than of image files that happen to be .npy."""
    is_flat = bool(names) and all(name.endswith(".npy") and "/" not in name for name in names)
    return is_flat and (path.suffix.lower() == ".npz" or "train_images.npy" in names)


def _arrays(path: Path, file: zipfile.ZipFile) -> tuple[dict[str, _Array], list[_Array]]:
    """Images by split, and labels in the same order."""
    keys = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
    wanted = [(split, f"{split}_images", f"{split}_labels") for split in SPLITS]
    if not all(images in keys and labels in keys for _, images, labels in wanted):
        expected = ", ".join(key for _, *pair in wanted for key in pair)
        raise CatalogError(
            f"Expected an .npz of MedMNIST with the arrays {expected}; received {path} with {', '.join(list(keys)[:12])}. "
            "Save the images as files, in one folder a class."
        )
    images = {split: _images(path, file, keys[key]) for split, key, _ in wanted}
    labels = [_labels(path, file, keys[key], images[split].shape[0]) for split, _, key in wanted]
    if len({array.shape[1:] for array in labels}) > 1:
        raise _misshapen(path, "labels", "the same number of columns in all splits", labels[-1])
    return images, labels


def _images(path: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Array:
    array = _array(file, member)
    is_gray_or_rgb = len(array.shape) == 3 or (len(array.shape) == 4 and array.shape[3] == 3)
    if not is_gray_or_rgb or array.dtype != np.uint8 or array.is_fortran:
        raise _misshapen(path, "images", "uint8 (n, h, w) or (n, h, w, 3) in C order", array)
    return array


def _labels(path: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo, rows: int) -> _Array:
    array = _array(file, member)
    is_table = len(array.shape) == 2 and array.shape[0] == rows and 0 < array.shape[1] <= MOST_FINDINGS
    if not is_table or array.dtype.kind not in "iub" or member.file_size > decoded.MAX_BYTES:
        raise _misshapen(path, "labels", f"integers ({rows}, k)", array)
    return array


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Array:
    with file.open(member) as stream:
        head = io.BytesIO(stream.read(_MOST_HEADER_BYTES))
    version = np.lib.format.read_magic(head)
    if version not in _READERS:
        raise ValueError(version)
    try:
        shape, is_fortran, dtype = _READERS[version](head)
    except (SyntaxError, tokenize.TokenError, MemoryError) as error:  # of Python's parser, on what is no dict
        raise ValueError(version) from error
    array = _Array(member, head.tell(), shape, is_fortran, dtype)
    if not dtype.hasobject and array.start + math.prod(shape) * dtype.itemsize != member.file_size:
        raise ValueError(shape)
    return array


def _values(file: zipfile.ZipFile, array: _Array) -> NDArray[np.int64]:
    with file.open(array.member) as stream:
        stream.read(array.start)
        flat = np.frombuffer(stream.read(array.member.file_size), array.dtype)
    return flat.reshape(array.shape, order="F" if array.is_fortran else "C").astype(np.int64)


def _misshapen(path: Path, kind: str, expected: str, array: _Array) -> CatalogError:
    received = f"{array.dtype} {array.shape}{' in Fortran order' if array.is_fortran else ''}"
    return CatalogError(
        f"Expected {kind} of {expected}; received {received} as {array.member.filename} of {path}. "
        "Save the images as files, in one folder a class."
    )
