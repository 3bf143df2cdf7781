"""A zip, a tar or MedMNIST's .npz read where it lies: nothing is unpacked to the disk, and no member's name becomes a path."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import sys
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

from plainfilm.data.places.archive_members import DAMAGE, Archive, Members
from plainfilm.data.places.medmnist import MedMNIST, is_npz
from plainfilm.data.places.tar_archive import TarArchive
from plainfilm.errors import CatalogError
from plainfilm.reasons import reason_of

__all__ = ["Archive", "is_archive", "open_archive"]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_COMPRESSED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b\x08": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
if sys.version_info >= (3, 14):
    with suppress(ImportError):  # Python may be built without
        from compression import zstd

        _COMPRESSED[b"\x28\xb5\x2f\xfd"] = zstd.ZstdFile
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd, which Python reads from 3.14 on",
    b"\x1f\x9d": "a file compressed by compress",
    b"LZIP": "a file compressed by lzip",
}
_UNIX = (3, 19)  # APPNOTE.TXT 6.3.10, 4.4.2: systems whose zips tell a file's mode


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive or a compressed file does; its name does not count."""
    if not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
        return _signature(head) is not None or _begins_a_tar(head)
    return False


def open_archive(path: Path) -> Archive:
    """Open a zip, a tar (plain, or compressed by gzip, bzip2, xz or, from Python 3.14 on, zstd) or an .npz of MedMNIST, and list it.

    Raises
    ------
    CatalogError
        Another kind; one that is damaged, encrypted or a part of several; one of too many members or that inflates too far.
    """
    with ExitStack() as opened:
        try:
            archive = _opened(path, opened)
        except DAMAGE as error:
            raise _damaged(path) from error
        except OSError as error:
            if error.strerror is None:
                raise _damaged(path) from error
            raise CatalogError(
                f"Expected an archive that can be read; received {path} ({reason_of(error)}). Check its permissions."
            ) from error
        lost = [problem for problem in archive.problems if problem.fatal]
        if lost and not archive.names:
            raise CatalogError(
                f"Expected an archive of members that can be read; received {path}, where none can. {lost[0].sentence}"
            )
        archive.hold(opened.pop_all())
    return archive


def _damaged(path: Path) -> CatalogError:
    return CatalogError(
        f"Expected a whole archive; received {path}, which is damaged, cut off or the first of several parts. "
        "Copy or download it again, or join its parts."
    )


def _signature(head: bytes) -> bytes | None:
    return next((known for known in (*_ZIP, *_COMPRESSED, *_OTHERS) if head.startswith(known)), None)


def _begins_a_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _opened(path: Path, opened: ExitStack) -> Archive:
    file = opened.enter_context(path.open("rb"))
    head = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    signature = _signature(head) or b""
    if signature in _ZIP:
        return _opened_zip(path, file, opened)
    if signature in _COMPRESSED:
        stream = opened.enter_context(_COMPRESSED[signature](file))
        if not _begins_a_tar(stream.read(tarfile.BLOCKSIZE)):
            raise CatalogError(
                f"Expected a tar in a compressed file; received {path}, which holds none. Unpack it and name the folder."
            )
        stream.seek(0)
        return TarArchive(Members(path), stream, in_order=True)
    if _begins_a_tar(head):
        return TarArchive(Members(path), file, in_order=False)
    received = _OTHERS.get(signature, "none of these")
    raise CatalogError(f"Expected a zip or a tar; received {path}, {received}. Unpack it and name the folder.")


def _opened_zip(path: Path, file: BinaryIO, opened: ExitStack) -> Archive:
    if _is_last_of_several(file):
        raise CatalogError(
            f"Expected a whole zip; received {path}, the last of several parts. Join them (zip -s 0) or unpack them, "
            "and name what that gives."
        )
    directory = opened.enter_context(zipfile.ZipFile(file))
    infos = [info for info in directory.infolist() if not _is_folder(info)]
    if is_npz(path, [info.filename for info in infos]) and not any(map(_fault, infos)):
        return MedMNIST(path, directory)
    members = Members(path)
    for info in infos:
        members.add(_name(info), info.file_size, _fault(info))
    return _Zip(members, directory, infos)


def _is_last_of_several(file: BinaryIO) -> bool:
    """Whether the record at a zip's end (APPNOTE.TXT, 4.3.16) says that this part is not the first."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 65_557))
    _, found, rest = file.read().rpartition(b"PK\x05\x06")
    return bool(found) and rest[:2] not in {b"\0\0", b"\xff\xff"}


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(("/", "\\")) or (
        info.create_system in _UNIX and stat.S_ISDIR(info.external_attr >> 16)
    )


def _fault(info: zipfile.ZipInfo) -> str | None:
    if info.create_system in _UNIX and stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
        return "linked-member"
    if info.flag_bits & 1:
        return "encrypted"
    is_known = info.compress_type in {
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    }  # zipfile inflates others without a limit
    return None if is_known else "unsupported-compression"


def _name(info: zipfile.ZipInfo) -> str:
    """Give a member's name: Info-ZIP's Unicode name if it is there, else in UTF-8 if it can be, which macOS does not say, else cp437."""
    if info.orig_filename.isascii() and not info.extra:
        return info.orig_filename
    written = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 0x7075 and extra[5:9] == struct.pack("<L", zlib.crc32(written)):  # APPNOTE.TXT, 4.6.9
            return extra[9 : 4 + length].decode("utf-8")
        extra = extra[4 + length :]
    with suppress(UnicodeDecodeError):
        return written.decode("utf-8")
    return info.orig_filename


class _Zip(Archive):
    def __init__(self, members: Members, directory: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> None:
        super().__init__(members)
        self._directory, self._infos, self._lock = directory, infos, threading.Lock()

    def _whole(self, number: int) -> bytes:
        return self._head(number, self._infos[number].file_size)

    def _head(self, number: int, length: int) -> bytes:
        with self._lock:  # zipfile counts its open members without one
            member = self._directory.open(self._infos[number])
        try:
            return member.read(length)
        finally:
            with self._lock:
                member.close()
