"""What every kind of archive shares: its members by name, checked, and a stream of them that can only be read in order."""

import lzma
import re
import struct
import sys
import tarfile
import threading
import weakref
import zipfile
import zlib
from abc import ABC, abstractmethod
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Self

from plainfilm.data.decoding import decoded
from plainfilm.errors import CatalogError, Problem

MAX_MEMBERS = 5_000_000
MOST_INFLATED = 200  # times the archive's size; radiographs inflate two- to fourfold
ALWAYS_INFLATED_BYTES = 2_000_000_000  # whatever the archive's size: a few seconds
BUFFER_BYTES = 256_000_000

_DAMAGE: list[type[Exception]] = [ArithmeticError, EOFError, LookupError, RuntimeError, ValueError]
_DAMAGE += [zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error]
if sys.version_info >= (3, 14):
    with suppress(ImportError):  # Python may be built without
        from compression import zstd

        _DAMAGE.append(zstd.ZstdError)
DAMAGE = tuple(_DAMAGE)  # what the standard library raises on damaged bytes, besides OSError
FAULTS = {
    "linked-member": "The member is a link, a device or the like; it was left out. Pack the file itself.",
    "encrypted": "The member is encrypted. Unpack the archive with its password and name the folder.",
    "unsupported-compression": "The member is neither stored nor deflated. Unpack the archive and name the folder.",
}
_OUTSIDE = "The member's name leads out of the archive; it was left out. Pack it with relative paths."
_REPEATED = "The archive has several members of this name; the last one counts."


class Members:
    """The members of an archive while they are listed: each is numbered from 0, and kept or set aside.

    `at` has the numbers of those kept by name, ascending; `sizes` the bytes of all by number.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at: dict[str, int] = {}
        self.sizes = array("Q")
        self.problems: list[Problem] = []
        self.most_bytes = ALWAYS_INFLATED_BYTES + MOST_INFLATED * path.stat().st_size
        self._bytes = 0

    def add(self, written: str, size: int, fault: str | None = None) -> None:
        """Take the next member: its name as the archive writes it, its bytes, and the key of `FAULTS` that it is left out for.

        Raises
        ------
        CatalogError
            More members, or more bytes in all, than an archive may have.
        """
        if len(self.sizes) == MAX_MEMBERS:
            raise CatalogError(
                f"Expected an archive of at most {MAX_MEMBERS:,} members; received {self.path}, which has more. "
                "Unpack it and name the folder."
            )
        self.sizes.append(size)
        name = _normal(written)
        if name is None:
            self.problems.append(Problem(written, "outside-folder", _OUTSIDE))
            return
        if self.at.pop(name, None) is not None:
            self.problems.append(Problem(name, "repeated-member", _REPEATED, fatal=False))
        if fault:
            self.problems.append(Problem(name, fault, FAULTS[fault]))
        elif size > decoded.MAX_BYTES:
            self.problems.append(Problem(name, "too-many-bytes", _too_large(size)))
        else:
            self.at[name] = len(self.sizes) - 1
            self._bytes += size
            self.check_inflated(self._bytes)

    def check_inflated(self, length: int) -> None:
        """Raise CatalogError where the archive inflates to more bytes than can be meant."""
        if length > self.most_bytes:
            raise CatalogError(
                f"Expected an archive that inflates to at most {MOST_INFLATED} times its size; received {self.path}, "
                "which inflates to more. Unpack it, if you trust it, and name the folder."
            )


def _normal(written: str) -> str | None:
    """Posix form of a member's name, None where it is none below the archive."""
    tidy = written.replace("\\", "/")
    parts = [part for part in tidy.split("/") if part not in {"", "."}]
    name = "/".join(parts)
    leads_outside = tidy.startswith("/") or re.match("[A-Za-z]:", name) or any(part.strip() == ".." for part in parts)
    if leads_outside or "\0" in name or not name:
        return None
    return written if name == written else name  # the same object: a million of them count


def _too_large(size: int) -> str:
    most = decoded.MAX_BYTES // 1_000_000
    return f"The member has {size / 1e6:.0f} MB, more than {most} MB. Save a smaller or compressed copy."


class Archive(ABC):
    """An opened archive, read where it lies, from several threads if need be; as a context manager, or with its last reference, it closes itself.

    Attributes
    ----------
    names
        Posix paths of the regular members, in the archive's order. Hidden and system files are among them.
    problems
        Members set aside, and names that several members have.
    in_order
        Whether members should be read in the order of `names`, each once: another order, or a second `read`, starts the
        archive again from its beginning. `head` does not count.
    labels, splits, findings
        By name, of MedMNIST only: class; train, validation or test; and where there are several findings, 0 or 1 by finding.
    """

    in_order: bool = False

    def __init__(self, members: Members) -> None:
        self.names = tuple(members.at)
        self.problems = members.problems
        self.labels: Mapping[str, str] = MappingProxyType({})
        self.splits: Mapping[str, str] = MappingProxyType({})
        self.findings: Mapping[str, Mapping[str, int]] = MappingProxyType({})
        self._at, self._sizes = members.at, members.sizes

    def position(self, name: str) -> int:
        """Give the number of a member, ascending in the archive's order."""
        return self._at[name]

    def size(self, name: str) -> int:
        """Give the bytes of a member."""
        return self._sizes[self._at[name]]

    def read(self, name: str) -> bytes:
        """Read a whole member.

        Raises
        ------
        OSError
            It is damaged, inflates to another size than it declares, or the disk fails; the message is a sentence without the name.
        """
        number, size = self._at[name], self.size(name)
        with _plain_errors():
            data = self._whole(number)
            if len(data) != size:
                raise EOFError
            return data

    def head(self, name: str, length: int = 512) -> bytes:
        """Read the first `length` bytes of a member, fewer where it is shorter.

        Raises
        ------
        OSError
            As `read`.
        """
        number, size = self._at[name], self.size(name)
        with _plain_errors():
            return self._head(number, min(length, size))

    def hold(self, resources: ExitStack) -> None:
        """Take what is open for the archive, to close it with it."""
        self._closed = weakref.finalize(self, resources.close)

    def close(self) -> None:
        """Close the file."""
        self._closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _whole(self, number: int) -> bytes: ...

    @abstractmethod
    def _head(self, number: int, length: int) -> bytes: ...


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unreadable(error.strerror) from error
    except DAMAGE as error:
        raise _unreadable(None) from error


def _unreadable(disk_error: str | None) -> OSError:
    found, advice = "a damaged one", "Copy or download the archive again."
    if disk_error:
        found, advice = f"an error from the disk ({disk_error})", "Check the disk."
    return OSError(f"Expected a member that can be read whole; received {found}. {advice}")


class InOrder:
    """Members that can only be read one after the other. Thread-safe.

    Those passed over on the way to one wait, `BUFFER_BYTES` of them at most; whoever asks for one that is gone starts again.
    `begin` gives numbers and bytes in order, from the given number or one before it.
    """

    def __init__(self, begin: Callable[[int], Iterator[tuple[int, bytes]]]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._rest: Iterator[tuple[int, bytes]] | None = None
        self._last = -1
        self._waiting: OrderedDict[int, bytes] = OrderedDict()
        self._held = 0

    def take(self, number: int) -> bytes:
        """Give a member and let it go."""
        with self._lock:
            data = self._reach(number)
            self._held -= len(self._waiting.pop(number))
            return data

    def look(self, number: int) -> bytes:
        """Give a member that will be asked for again."""
        with self._lock:
            return self._reach(number)

    def _reach(self, number: int) -> bytes:
        if number in self._waiting:
            return self._waiting[number]
        if self._rest is None or number <= self._last:
            self._rest = self._begin(number)
        for last, data in self._rest:
            self._last = last
            self._put(last, data)
            if last == number:
                return data
        raise EOFError

    def _put(self, number: int, data: bytes) -> None:
        self._held += len(data) - len(self._waiting.pop(number, b""))
        self._waiting[number] = data
        while self._held > BUFFER_BYTES and len(self._waiting) > 1:
            self._held -= len(self._waiting.popitem(last=False)[1])
