"""What is on its way through the node, on disk: received -> answered -> delivered -> erased. The only thing that is kept.

Every step is one rename or one line, so that a node that was killed goes on where it stopped: nothing lost, nothing judged
twice. Files are named by hashes; of what is done, the hashes of the last instances remain.
"""

import hashlib
import itertools
import logging
import os
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from plainfilm.data.images import MAX_BYTES
from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of
from plainfilm.serve.dicom.disk import erase, is_of_the_disk, kind, locked, read, sync, write
from plainfilm.serve.dicom.journal import Journal
from plainfilm.serve.dicom.log import told
from plainfilm.serve.dicom.set_aside import FIRST_S, Aside, SetAside
from plainfilm.serve.dicom.spool_entries import KEY, age, entry_problem, title
from plainfilm.serve.dicom.spool_room import SpoolFullError, SpoolLimits, unwritable

_FOLDERS = ("received", "outbox", "failed", "again", "partial")
_PARTIAL = re.compile(r"[0-9a-f]{64}\.[0-9]+|probe")
_MOST_BYTES = MAX_BYTES + (1 << 20)  # of a file in the spool: an image and its head
_MOST_JUDGING = 128  # of the file that counts: a key and a number
_INSTANCE = "-instance"
LOOK_S = 5.0  # between two looks at what is due again, at most


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
    again_s
        Until the first new try of what is set aside.

    Attributes
    ----------
    model : str
        As given; changed while it runs, it holds for what comes from then on.
    retried : int
        New tries of what was set aside, since the start.

    Raises
    ------
    PlainfilmError
        Another node has it, or it cannot be written.
    """

    def __init__(
        self, folder: Path, *, model: str, limits: SpoolLimits | None = None, again_s: float = FIRST_S
    ) -> None:
        self._folder, self.model, self._limits = folder, model, limits or SpoolLimits()
        self._lock = locked(folder)
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: deque[str] = deque()
        self._outbox: dict[str, str] = {}  # key -> peer, in order of answering
        self._left: set[Path] = set()  # what can be neither erased nor moved: passed over until the next start
        self._is_ending = False
        self._stored = self.retried = 0
        self._begun = ("", 0)
        self._sizes: dict[str, int] = {}  # bytes of what is on its way, by key
        self._look_s, self._looked = min(LOOK_S, again_s / 4), 0.0
        try:
            self._open(again_s)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise PlainfilmError(
                    f"Expected a spool that can be read and written; received {folder} ({reason_of(error)}). Mend it, or choose another with --spool."
                ) from None
            raise

    def _open(self, again_s: float) -> None:
        for name in _FOLDERS:
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)
        self._aside = SetAside(self._folder, first_s=again_s)
        for name in ("journal", "judging"):
            self._cleared(self._folder / name)
        self._journal = Journal(self._folder / "journal")
        self._go_on()

    def close(self) -> None:
        """Leave the spool to another node."""
        handle, self._lock = self._lock, -1
        if handle >= 0:
            os.close(handle)

    # --- received -----------------------------------------------------------------------------------------------------

    def key(self, uid: str) -> str:
        """Name of an instance in the spool, 64 hexadecimal digits; never the UID itself, which a sender chooses."""
        return hashlib.sha256(f"{self.model}\n{uid}".encode()).hexdigest()

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

    def next(self, timeout_s: float, *, but: Set[str] = frozenset()) -> tuple[str, Path] | None:
        """Key and file of the instance that came first and is not answered, nor one of `but`; None if none comes in time."""

        def first() -> str | None:
            return next((key for key in self._waiting if key not in but), None)

        with self._changed:
            self._changed.wait_for(lambda: first() or self._is_ending, timeout_s)
            key = first()
            return (key, self._received(key)) if key else None

    def content(self, file: Path) -> bytes:
        """Read a file of the spool.

        Raises
        ------
        OSError
            It cannot be read, is no regular file, or is larger than any image.
        """
        return read(file, most=_MOST_BYTES)

    def readmit(self) -> None:
        """Let the instance that was set aside and is due be judged again: one at a time, behind those that wait."""
        if time.monotonic() - self._looked < self._look_s:
            return
        aside = self._aside.due(suffix=_INSTANCE)
        if aside is None:
            self._looked = time.monotonic()
            return
        try:
            self._aside.back(aside, self._received(aside.key))
        except OSError as error:
            self._looked = time.monotonic()
            if self.is_at_fault(error):
                raise
            self._aside.put_off(aside, reason_of(error))
            return
        with self._changed:
            self._sizes[aside.key] = self._received(aside.key).lstat().st_size
            self._waiting.append(aside.key)
            self.retried += 1

    def begun(self, key: str) -> int:
        """Note that an instance is being judged; give how many processes have begun that, this one included.

        One that ends the process that judges it is so found out.
        """
        if self._begun[0] == key:
            return self._begun[1]
        file = self._folder / "judging"
        self._cleared(file)
        before = read(file, most=_MOST_JUDGING).decode("ascii", "replace").split() if file.exists() else []
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
        with self._changed:
            self._waiting.remove(key)
            self._outbox[key] = to
            self._sizes[key] = sum(map(len, answers.values()))
            self._changed.notify_all()
        self._erase(self._received(key))
        self._aside.forget(f"{key}{_INSTANCE}")

    def give_up(self, key: str, reason: str) -> None:
        """Set an instance aside that no answer can be made for now, with the reason; it is tried again.

        Raises
        ------
        OSError
            The disk failed; the instance still waits.
        """
        self._put_aside(f"{key}{_INSTANCE}", self._received(key), reason)
        with self._changed:
            self._waiting.remove(key)
            del self._sizes[key]

    # --- delivered ----------------------------------------------------------------------------------------------------

    def parcels(self, to: str, *, at_most: int, timeout_s: float) -> list[Parcel]:
        """Answers that wait for a peer, the oldest first; none if none come in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending or to in self._outbox.values(), timeout_s)
            keys = list(itertools.islice((key for key, peer in self._outbox.items() if peer == to), at_most))
        parcels = [Parcel(key, to, self._files(key)) for key in keys]
        for parcel in parcels:
            if not parcel.files:  # somebody took them away
                self._finish(parcel.key)
        return [parcel for parcel in parcels if parcel.files]

    def wake(self) -> None:
        """End all waiting in `next` and `parcels`, now and from now on."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def delivered(self, key: str, file: Path) -> None:
        """Erase an answer that its peer has; with the last one, the entry."""
        self._erase(file)
        if not self._files(key):
            self._finish(key)

    def refused(self, key: str, file: Path, reason: str) -> None:
        """Set an answer aside that its peer did not take, with the reason; it is tried again.

        Raises
        ------
        OSError
            The disk failed; the answer still waits.
        """
        self._put_aside(f"{key}-{file.stem}", file, reason, to=self._outbox.get(key, ""))
        if not self._files(key):
            self._finish(key)

    # --- set aside ----------------------------------------------------------------------------------------------------

    def due(self, to: str) -> Aside | None:
        """Give an answer that was set aside and shall be tried again now."""
        return self._aside.due(to)

    def taken(self, aside: Aside) -> None:
        """Erase an answer that its peer has taken after all."""
        self._tried()
        self._aside.forget(aside.name)

    def put_off(self, aside: Aside, reason: str) -> None:
        """Note that another try failed: the next comes later."""
        self._tried()
        self._aside.put_off(aside, reason)

    def is_at_fault(self, error: OSError) -> bool:
        """Whether an error is the whole spool's, full or out of order, and not of the one thing that it came with."""
        return is_of_the_disk(error) or bool(unwritable(self._folder))

    # --- state --------------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Since the start: instances stored; now: those that wait for a judgement, those with undelivered answers, and things set aside."""
        failed = len(self._aside.sizes())
        with self._changed:
            return {
                "received": self._stored,
                "waiting": len(self._waiting),
                "undelivered": len(self._outbox),
                "failed": failed + len(self._left),
            }

    def addressees(self) -> set[str]:
        """Names of the peers that answers wait for."""
        with self._changed:
            return set(self._outbox.values()) | self._aside.addressees()

    def trouble(self) -> str:
        """Why nothing more can be stored now; nothing where it can."""
        try:
            self._make_room(0)
        except SpoolFullError:
            return "the spool or its disk is full"
        return unwritable(self._folder)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Find what an earlier node left, whatever ended it, and end each step that it had begun."""
        for name, go_on in (("partial", self._swept), ("outbox", self._entered), ("received", self._awaited)):
            for path in sorted((self._folder / name).iterdir(), key=age):
                try:
                    go_on(path)
                except OSError as error:
                    if self.is_at_fault(error):
                        raise
                    self._pass_over(path, error)

    def _cleared(self, path: Path) -> None:
        if os.path.lexists(path) and kind(path) != "file":
            self._put_odd(path, f"a {kind(path)} with the name of a file of ours")

    def _swept(self, path: Path) -> None:
        if _PARTIAL.fullmatch(path.name) and kind(path) in {"file", "folder"}:
            erase(path)
        else:
            self._put_odd(path, f"a {kind(path)} in partial that is none of ours")

    def _entered(self, path: Path) -> None:
        key = path.name
        if key in self._journal if KEY.fullmatch(key) else False:
            self._finish(key)
        elif problem := entry_problem(path):
            self._put_odd(path, problem)
        elif not self._files(key):
            self._finish(key)
        else:
            self._outbox[key] = title(path / "to")
            self._sizes[key] = sum(file.lstat().st_size for file in self._files(key))

    def _awaited(self, path: Path) -> None:
        if path.suffix != ".dcm" or not KEY.fullmatch(path.stem) or kind(path) != "file":
            self._put_odd(path, f"a {kind(path)} in received that is no instance")
        elif path.stem in self._journal or path.stem in self._outbox:
            path.unlink()
        else:
            self._waiting.append(path.stem)
            self._sizes[path.stem] = path.lstat().st_size

    def _put_odd(self, path: Path, problem: str) -> None:
        """Set aside what somebody else put into the spool, by the hash in its name or else that of its name."""
        found = KEY.match(path.name)
        key = found[0] if found else hashlib.sha256(os.fsencode(path.name)).hexdigest()
        told("dicom.set-aside", key=key, level=logging.WARNING, reason=problem)
        self._aside.put_odd(key, path, f"{problem}: {path.name!a}")

    def _put_aside(self, name: str, path: Path, reason: str, *, to: str = "") -> None:
        """Set a thing aside; where the disk is sound and lets only this thing not be moved, it is passed over."""
        try:
            self._aside.put(name, path, reason, to=to)
        except OSError as error:
            if not os.path.lexists(path):
                self._aside.forget(name)  # somebody took it away
            elif self.is_at_fault(error):
                raise
            else:
                self._pass_over(path, error)
        else:
            told("dicom.set-aside", key=name, level=logging.WARNING, kind=name.partition("-")[2], reason=reason)

    def _erase(self, path: Path) -> None:
        """Erase what is done; where that fails, it must not come again before the next start."""
        try:
            erase(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._pass_over(path, error)

    def _pass_over(self, path: Path, error: OSError) -> None:
        found = KEY.search(str(path.relative_to(self._folder)))
        told("dicom.passed-over", key=found[0] if found else "", level=logging.ERROR, reason=reason_of(error))
        self._left.add(path)

    def _tried(self) -> None:
        with self._changed:
            self.retried += 1

    def _is_known(self, key: str) -> bool:
        return key in self._sizes or key in self._journal or self._aside.has(f"{key}{_INSTANCE}")

    def _make_room(self, size: int) -> None:
        aside = self._aside.sizes()
        with self._changed:
            sizes = [*self._sizes.values(), *aside]
        self._limits.check(self._folder, sizes, size)

    def _finish(self, key: str) -> None:
        self._journal.add(key)
        self._erase(self._entry(key))
        with self._changed:
            self._outbox.pop(key, None)
            self._sizes.pop(key, None)

    def _files(self, key: str) -> tuple[Path, ...]:
        return tuple(file for file in sorted(self._entry(key).glob("*.dcm")) if file not in self._left)

    def _received(self, key: str) -> Path:
        return self._folder / "received" / f"{key}.dcm"

    def _entry(self, key: str) -> Path:
        return self._folder / "outbox" / key
