"""Archives that tests make: of members by name, and with what a hostile or an old program writes into them."""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TAR_MODES = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def zipped(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, method)
    return path


def tarred(path: Path, members: Mapping[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=form) as file:
        for name, data in members.items():
            file.addfile(tar_header(name, len(data)), io.BytesIO(data))
    return path


def tar_header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.type = size, kind
    return header


def changed(path: Path, old: bytes, new: bytes) -> Path:
    """The file with `old`, which must be there, replaced."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def forged(path: Path, offset: int, layout: str, value: int) -> Path:
    """A zip of which a field of every entry in its directory (APPNOTE.TXT, 4.3.12) says `value`."""
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into(layout, data, at + offset, value)
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)
    return path


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def medmnist_arrays(
    *, rows: int = 5, side: int = 32, channels: int = 0, findings: int = 1
) -> dict[str, NDArray[np.uint8]]:
    """What an .npz of MedMNIST holds, in its order."""
    rng = np.random.default_rng(0)
    shape = (side, side, channels) if channels else (side, side)
    arrays = {}
    for at, split in enumerate(("train", "val", "test")):
        arrays[f"{split}_images"] = rng.integers(0, 256, (rows + at, *shape), dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 2, (rows + at, findings), dtype=np.uint8)
    return arrays
