"""A tar, plain or compressed: where each member begins in its stream is listed once, and no header is read twice."""

import io
import re
import tarfile
import threading
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from plainfilm.data.places.archive_members import Archive, InOrder, Members

HEAD_BYTES = 512
MOST_HEADS = 128_000  # of a compressed tar, kept from its listing: 70 MB
MOST_PIECES = 1_000_000  # of all sparse members together: 0.1 GB

_MOST_HEADER_BYTES = 1_000_000  # a member's headers, with long names and what pax adds
_LONG_NUMBER = re.compile(rb"\d{100}")  # tarfile took a time quadratic in its length (CVE-2024-6232)
_NO_FILES = (b"V", b"D")  # GNU's volume labels and lists of folders


class _Headers(io.RawIOBase):
    """What tarfile reads headers through: forwards only, a limited number of bytes a member, and not beyond what may be inflated."""

    def __init__(self, file: BinaryIO, members: Members) -> None:
        self._file, self._members = file, members
        self._left, self.last = _MOST_HEADER_BYTES, b""

    def next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        self._left = _MOST_HEADER_BYTES
        info = tar.next()
        cast("Any", tar).members.clear()  # it would keep them all
        return info

    def read(self, length: int = -1, /) -> bytes:
        if not 0 <= length <= self._left:
            raise tarfile.ReadError(length)
        self._left -= length
        self.last = self._file.read(length)
        if length > tarfile.BLOCKSIZE and _LONG_NUMBER.search(self.last):
            raise tarfile.ReadError(length)
        return self.last

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int, whence: int = 0, /) -> int:
        if position < self._file.tell():
            raise tarfile.ReadError(position)
        self._members.check_inflated(position)
        return self._file.seek(position, whence)


class TarArchive(Archive):
    """A tar in `file`, which is read through once; again for each pass over its members where it is compressed (`in_order`).

    Raises
    ------
    CatalogError
        It has too many members, or inflates too far.
    tarfile.TarError, OSError, EOFError, ArithmeticError
        It is damaged.
    """

    def __init__(self, members: Members, file: BinaryIO, *, in_order: bool) -> None:
        self.in_order = in_order
        self._file, self._lock = file, threading.Lock()
        self._starts, self._heads = array("Q"), dict[int, bytes]()
        self._pieces: dict[int, list[tuple[int, int]]] = {}
        self._held_pieces = 0
        self._list(members)
        super().__init__(members)
        self._stream = InOrder(self._all)

    def _list(self, members: Members) -> None:
        headers = _Headers(self._file, members)
        tar = tarfile.TarFile(fileobj=headers, encoding="utf-8")
        while (info := headers.next(tar)) is not None:
            if not info.isdir() and info.type not in _NO_FILES:
                self._add(members, info)
        if headers.last.strip(b"\0"):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError
        while self.in_order and self._file.read(1_000_000):  # the checksum stands at the end
            members.check_inflated(self._file.tell())

    def _add(self, members: Members, info: tarfile.TarInfo) -> None:
        number = len(self._starts)
        self._starts.append(info.offset_data)
        members.add(info.name, info.size, None if info.isreg() else "linked-member")
        if info.sparse is not None:
            self._pieces[number] = _checked(cast("list[tuple[int, int]]", info.sparse), info.size)
            self._held_pieces += len(self._pieces[number])
            if self._held_pieces > MOST_PIECES:
                raise tarfile.ReadError(self._held_pieces)
        elif self.in_order and info.isreg() and len(self._heads) < MOST_HEADS:
            self._heads[number] = self._bytes(number, min(HEAD_BYTES, info.size))

    def _all(self, _: int) -> Iterator[tuple[int, bytes]]:
        for number in self._at.values():
            yield number, self._bytes(number, self._sizes[number])

    def _bytes(self, number: int, length: int) -> bytes:
        self._file.seek(self._starts[number])
        if number not in self._pieces:
            return self._file.read(length)
        whole = bytearray(self._sizes[number])
        for start, size in self._pieces[number]:
            whole[start : start + size] = self._file.read(size)
        return bytes(whole[:length])

    def _whole(self, number: int) -> bytes:
        if self.in_order:
            return self._stream.take(number)
        with self._lock:
            return self._bytes(number, self._sizes[number])

    def _head(self, number: int, length: int) -> bytes:
        if self.in_order:
            known = self._heads.get(number, b"")
            return known[:length] if len(known) >= length else self._stream.look(number)[:length]
        with self._lock:
            return self._bytes(number, length)


def _checked(pieces: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Give the pieces of a sparse member that hold data; they must lie in it one behind the other."""
    held = [(start, length) for start, length in pieces if length]
    end = 0
    for start, length in held:
        if start < end or length < 0 or start + length > size:
            raise tarfile.ReadError(start)
        end = start + length
    return held
