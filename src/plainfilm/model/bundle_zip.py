"""The members of a bundle read out of its ZIP, which must be laid out as `bundle.write` does it and hold nothing else.

Python's zipfile takes much that is not meant here: gaps, overlaps, bytes before and behind, names that local and central
headers tell differently. So this reads the few fixed structures itself (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16)
and compares every field, before the first member is read. No name from the file is ever used as a path.
"""

import contextlib
import stat
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_END = struct.Struct("<4s4H2IH")  # 4.3.16
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_STORED, _IS_FOLDER = 0, 0x10
_MOST_MEMBERS, _LONGEST_NAME = 16, 64


class Damaged(Exception):  # noqa: N818 - a finding about a file; whoever reads it makes an error of it
    """What is wrong with a bundle, as words in brackets behind its path."""


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    crc: int
    size: int
    start: int  # of its local header


class Archive:
    """An open ZIP whose directory and local headers agree; gives its members' bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        listed = _list(file)
        self._members = {member.name: member for member in listed}
        if len(self._members) != len(listed):
            raise Damaged("its members are not a bundle's")

    def check(self, limits: Mapping[str, int], *, optional: Collection[str] = ()) -> None:
        """Check names and sizes.

        Parameters
        ----------
        limits
            Bytes that each member may have, by name; others are refused.
        optional
            Names of members that may be missing.

        Raises
        ------
        Damaged
            Other or missing members, or too large ones.
        """
        if not set(limits) - set(optional) <= set(self._members) <= set(limits):
            raise Damaged("its members are not a bundle's")
        for name, member in self._members.items():
            if member.size > limits[name]:
                raise Damaged(f"{name} is compressed or too large")

    def read(self, name: str, most: int) -> bytes:
        """Read a member of `most` bytes or fewer.

        Raises
        ------
        Damaged
            No such member, a larger or an altered one.
        """
        if name not in self._members:
            raise Damaged("its members are not a bundle's")
        member = self._members[name]
        if member.size > most:
            raise Damaged(f"{name} is compressed or too large")
        self._file.seek(member.start + _LOCAL.size + len(name))
        data = self._file.read(member.size)
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise Damaged(f"{name} is cut off or altered")
        return data

    def read_all(self) -> dict[str, bytes]:
        """Read all members; call `check` before."""
        return {name: self.read(name, member.size) for name, member in self._members.items()}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a ZIP for reading.

    Raises
    ------
    Damaged
        No file, no ZIP; duplicate, compressed or encrypted members, links, folders, or any byte out of place.
    OSError
        It cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever, a device never end
        raise Damaged("no file")
    with path.open("rb") as file:
        yield Archive(file)


def _list(file: BinaryIO) -> list[_Member]:
    """Read the central directory, which must end where the last 22 bytes begin and begin where the last member ends."""
    size = file.seek(0, 2)
    file.seek(max(size - _END.size, 0))
    end = file.read(_END.size)
    if len(end) < _END.size:
        raise Damaged("no ZIP file")
    magic, disk, start_disk, here, count, length, start, comment = _END.unpack(end)
    whole = (magic, disk, start_disk, here, comment, start + length) == (_END_MAGIC, 0, 0, count, 0, size - _END.size)
    if not whole or not 0 < count <= _MOST_MEMBERS or length > _MOST_MEMBERS * (_CENTRAL.size + _LONGEST_NAME):
        raise Damaged("no ZIP file, or one that is cut off or has bytes behind it")
    file.seek(start)
    directory = file.read(length)
    listed, at = list[_Member](), 0
    for _ in range(count):
        member, at = _central(directory, at)
        listed.append(member)
    if at != length:
        raise Damaged("its directory has other bytes in it")
    _check_layout(file, listed, start)
    return listed


def _central(directory: bytes, at: int) -> tuple[_Member, int]:
    if at + _CENTRAL.size > len(directory):
        raise Damaged("its directory is cut off")
    magic, _, needed, flags, method, _, _, crc, packed, size, name, extra, comment, disk, _, kind, start = (
        _CENTRAL.unpack_from(directory, at)
    )
    at += _CENTRAL.size
    if (magic, disk, extra, comment) != (_CENTRAL_MAGIC, 0, 0, 0) or not 0 < name <= _LONGEST_NAME:
        raise Damaged("its members are not a bundle's")
    raw = directory[at : at + name]
    if not raw.isascii():
        raise Damaged("its members are not a bundle's")
    shown = raw.decode()
    _check_plain(shown, needed, flags, method, packed, size)
    if kind & _IS_FOLDER or stat.S_IFMT(kind >> 16) not in {0, stat.S_IFREG}:
        raise Damaged("a member is a link or a folder")
    return _Member(shown, crc, size, start), at + name


def _check_plain(name: str, needed: int, flags: int, method: int, packed: int, size: int) -> None:
    if method != _STORED or packed != size or needed > 20:
        raise Damaged(f"{_known(name)} is compressed or too large")
    if flags:
        raise Damaged(f"{_known(name)} is encrypted, or its size is told behind it")


def _known(name: str) -> str:
    return name if name.isprintable() else "a member"


def _check_layout(file: BinaryIO, listed: list[_Member], end: int) -> None:
    """Go from local header to local header: each tells what the directory does, and the next begins where it ends."""
    at = 0
    for member in sorted(listed, key=lambda each: each.start):
        name = member.name.encode()
        file.seek(member.start)
        magic, needed, flags, method, _, _, crc, packed, size, length, extra = _LOCAL.unpack(
            file.read(_LOCAL.size).ljust(_LOCAL.size, b"\0")
        )
        told = (magic, crc, size, length, extra, member.start, file.read(len(name)))
        if told != (_LOCAL_MAGIC, member.crc, member.size, len(name), 0, at, name):
            raise Damaged("its members overlap, have gaps, or are not what its directory says")
        _check_plain(member.name, needed, flags, method, packed, size)
        at += _LOCAL.size + len(name) + member.size
    if at != end:
        raise Damaged("its members overlap, have gaps, or are not what its directory says")
