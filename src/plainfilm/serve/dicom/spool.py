"""What is on its way through the node, on disk: received -> answered -> delivered -> erased. The only thing that is kept.

Every step is one rename or one line, so that a node that was killed goes on where it stopped: nothing lost, nothing judged
twice. Files are named by hashes; of what is done, the hashes of the last instances remain.
"""

import hashlib
import itertools
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plainfilm.errors import PlainfilmError
from plainfilm.serve.dicom.disk import locked, sync, write
from plainfilm.serve.dicom.journal import Journal

_FOLDERS = ("received", "outbox", "failed", "partial")
_KEY = re.compile("[0-9a-f]{64}")


class SpoolFullError(PlainfilmError):
    """No room for another instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much may lie in a spool, answers that peers refused included: instances, bytes, and bytes left free on its disk."""

    instances: int = 10_000
    held_bytes: int = 50_000_000_000
    free_bytes: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """Answers to one instance, for one peer: the files that are still to be delivered, the report first."""

    key: str
    to: str
    files: tuple[Path, ...]


class Spool:
    """A folder that one node has to itself. Thread-safe.

    Parameters
    ----------
    folder
        Made if it is not there; for the owner alone (mode 0700).
    model
        SHA-256 of the bundle: another model judges an instance anew.
    limits
        What may lie in it.

    Raises
    ------
    PlainfilmError
        Another node has it, or it cannot be written.
    """

    def __init__(self, folder: Path, *, model: str, limits: SpoolLimits | None = None) -> None:
        self._folder, self._model, self._limits = folder, model, limits or SpoolLimits()
        self._lock = locked(folder)
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: deque[str] = deque()
        self._outbox: dict[str, str] = {}  # key -> peer, in order of answering
        self._is_ending = False
        self._stored = 0
        self._begun = ("", 0)
        self._sizes: dict[str, int] = {}  # bytes of what is on its way, by key
        for name in _FOLDERS:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        self._journal = Journal(folder / "journal")
        self._go_on()

    # --- received -----------------------------------------------------------------------------------------------------

    def key(self, uid: str) -> str:
        """Name of an instance in the spool, 64 hexadecimal digits; never the UID itself, which a sender chooses."""
        return hashlib.sha256(f"{self._model}\n{uid}".encode()).hexdigest()

    def holds(self, uid: str) -> bool:
        """Whether an instance is on its way, or was answered already."""
        with self._changed:
            return self._is_known(self.key(uid))

    def store(self, uid: str, parts: Sequence[bytes]) -> bool:
        """Put an instance safely on disk; False if it was known already, and nothing is done.

        Raises
        ------
        SpoolFullError
            No room.
        OSError
            The disk failed.
        """
        key, size = self.key(uid), sum(map(len, parts))
        if self.holds(uid):
            return False
        self._make_room(size)
        partial = self._folder / "partial" / f"{key}.{next(self._numbers)}"
        try:
            write(partial, parts)
            with self._changed:
                if self._is_known(key):  # of two associations with one instance, the first has it
                    return False
                partial.rename(self._received(key))
                sync(self._folder / "received")
                self._sizes[key] = size
                self._waiting.append(key)
                self._stored += 1
                self._changed.notify_all()
        finally:
            partial.unlink(missing_ok=True)
        return True

    def next(self, timeout_s: float) -> tuple[str, Path] | None:
        """Key and file of the instance that came first and is not answered; None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_ending, timeout_s)
            return (self._waiting[0], self._received(self._waiting[0])) if self._waiting else None

    def begun(self, key: str) -> int:
        """Note that an instance is being judged; give how many processes have begun that, this one included.

        One that ends the process that judges it is so found out.
        """
        if self._begun[0] == key:
            return self._begun[1]
        file = self._folder / "judging"
        before = file.read_text(encoding="ascii", errors="replace").split() if file.exists() else []
        times = 1 + (int(before[1]) if len(before) == 2 and before[0] == key and before[1].isdigit() else 0)
        write(file, [f"{key} {times}\n".encode()], is_new=False)
        self._begun = (key, times)
        return times

    # --- answered -----------------------------------------------------------------------------------------------------

    def answer(self, key: str, answers: Mapping[str, bytes], *, to: str) -> None:
        """Put the answers to an instance, by name, into the outbox, all or none; the instance itself is erased.

        Raises
        ------
        OSError
            The disk failed; the instance still waits.
        """
        entry = self._folder / "partial" / f"{key}.{next(self._numbers)}"
        entry.mkdir(mode=0o700)
        try:
            for name, data in answers.items():
                write(entry / f"{name}.dcm", [data])
            write(entry / "to", [to.encode()])
            sync(entry)
            entry.rename(self._entry(key))
            sync(self._folder / "outbox")
        finally:
            shutil.rmtree(entry, ignore_errors=True)
        self._received(key).unlink()
        with self._changed:
            self._waiting.remove(key)
            self._outbox[key] = to
            self._sizes[key] = sum(map(len, answers.values()))
            self._changed.notify_all()

    def give_up(self, key: str, reason: str) -> None:
        """Keep an instance that no answer can be made for, with the reason, among the failed."""
        self._fail(key, "instance", self._received(key), reason)
        self._journal.add(key)
        with self._changed:
            self._waiting.remove(key)
            del self._sizes[key]

    # --- delivered ----------------------------------------------------------------------------------------------------

    def parcels(self, to: str, *, at_most: int, timeout_s: float) -> list[Parcel]:
        """Answers that wait for a peer, the oldest first; none if none come in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending or to in self._outbox.values(), timeout_s)
            keys = list(itertools.islice((key for key, peer in self._outbox.items() if peer == to), at_most))
        return [Parcel(key, to, self._files(key)) for key in keys]

    def wake(self) -> None:
        """End all waiting in `next` and `parcels`, now and from now on."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def delivered(self, key: str, file: Path) -> None:
        """Erase an answer that its peer has; with the last one, the entry."""
        file.unlink(missing_ok=True)
        if not self._files(key):
            self._finish(key)

    def refused(self, key: str, file: Path, reason: str) -> None:
        """Keep an answer that its peer refused for good, with the reason, among the failed."""
        self._fail(key, file.stem, file, reason)
        if not self._files(key):
            self._finish(key)

    def counts(self) -> dict[str, int]:
        """Instances stored since the start, waiting for a judgement, with undelivered answers; and files that have failed."""
        with self._changed:
            return {
                "received": self._stored,
                "waiting": len(self._waiting),
                "undelivered": len(self._outbox),
                "failed": len(self._failed()),
            }

    def addressees(self) -> set[str]:
        """Names of the peers that answers wait for."""
        with self._changed:
            return set(self._outbox.values())

    def close(self) -> None:
        """Leave the spool to another node."""
        handle, self._lock = self._lock, -1
        if handle >= 0:
            os.close(handle)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Find what an earlier node left, whatever ended it, and end each step that it had begun."""
        for left in (self._folder / "partial").iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for entry in self._ours("outbox"):
            key = entry.name
            if key in self._journal or not self._files(key):
                self._finish(key)
                continue
            self._outbox[key] = (entry / "to").read_text(encoding="utf-8")
            self._sizes[key] = sum(file.stat().st_size for file in self._files(key))
        for file in self._ours("received"):
            if file.stem in self._journal or file.stem in self._outbox:
                file.unlink()
                continue
            self._waiting.append(file.stem)
            self._sizes[file.stem] = file.stat().st_size

    def _ours(self, name: str) -> list[Path]:
        """Entries of a folder in the order of their coming, without what others may have put there."""
        return sorted((path for path in (self._folder / name).iterdir() if _KEY.fullmatch(path.stem)), key=_age)

    def _is_known(self, key: str) -> bool:
        return key in self._sizes or key in self._journal

    def _failed(self) -> list[int]:
        """Bytes of each file that has failed; on disk alone, for people empty that folder."""
        return [file.stat().st_size for file in (self._folder / "failed").glob("*.dcm")]

    def _make_room(self, size: int) -> None:
        with self._changed:
            sizes = [*self._sizes.values(), *self._failed()]
        count, held = len(sizes), sum(sizes)
        free = shutil.disk_usage(self._folder).free
        limits = self._limits
        if count >= limits.instances or held + size > limits.held_bytes or free - size < limits.free_bytes:
            raise SpoolFullError(
                f"Expected room for {size} bytes; received a spool of {count} entries, {held} bytes and {free} bytes free on its disk. "
                "See whether the peers take their answers, and empty its folder failed."
            )

    def _finish(self, key: str) -> None:
        self._journal.add(key)
        shutil.rmtree(self._entry(key))
        with self._changed:
            self._outbox.pop(key, None)
            self._sizes.pop(key, None)

    def _fail(self, key: str, kind: str, file: Path, reason: str) -> None:
        name = f"{key}-{kind}"
        write(self._folder / "failed" / f"{name}.txt", [f"{reason}\n".encode(errors="replace")], is_new=False)
        file.rename(self._folder / "failed" / f"{name}.dcm")
        sync(self._folder / "failed")

    def _files(self, key: str) -> tuple[Path, ...]:
        return tuple(sorted(self._entry(key).glob("*.dcm")))

    def _received(self, key: str) -> Path:
        return self._folder / "received" / f"{key}.dcm"

    def _entry(self, key: str) -> Path:
        return self._folder / "outbox" / key


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
