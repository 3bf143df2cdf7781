"""What stops only itself: things that could not be delivered, answered or read, kept with their reason and tried again, ever more rarely."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from plainfilm.serve.dicom.disk import kind, read, sync, write

FIRST_S, LONGEST_S = 60.0, 3600.0  # between one try and the next: doubled each time, up to an hour
_SPREAD = 0.25  # of an interval, drawn: so that what failed together does not come together
_LONGEST_WAIT_S = LONGEST_S * (1 + _SPREAD)
_MOST_STATE = 4096


def interval_s(tries: int, *, first_s: float = FIRST_S) -> float:
    """Seconds until the next try after so many: doubled each time, and drawn from around that."""
    return min(first_s * 2.0 ** min(tries - 1, 30), LONGEST_S) * random.uniform(1 - _SPREAD, 1 + _SPREAD)


class _State(msgspec.Struct):
    """For which peer a thing is, and how often it was tried."""

    to: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Aside:
    """A thing that was set aside: its name (key and kind), its file, and who shall have it."""

    name: str
    file: Path
    to: str

    @property
    def key(self) -> str:
        """The hash that stands for the instance."""
        return self.name.partition("-")[0]

    @property
    def kind(self) -> str:
        """What it is of the instance, such as "1-report"."""
        return self.name.partition("-")[2]


class SetAside:
    """The folders `failed` (things, each with a line that says why) and `again` (when each is tried again) of a spool.

    `again/NAME` says in JSON for whom and how often; its time of modification is that of the next try, so that `touch` makes it now.

    Parameters
    ----------
    spool
        The spool's folder.
    first_s
        Seconds until the first new try.
    """

    def __init__(self, spool: Path, *, first_s: float = FIRST_S) -> None:
        self._folder, self._again, self._first_s = spool / "failed", spool / "again", first_s
        for left in _inside(self._again):
            if kind(left) == "file" and not os.path.lexists(self._file(left.name)):
                left.unlink()  # its thing was dropped, or was under way when the node was killed

    def put(self, name: str, path: Path, reason: str, *, to: str = "") -> None:
        """Move a thing here; `to` names the peer that shall have it.

        Raises
        ------
        OSError
            The disk failed; the thing is where it was.
        """
        self._note(name, reason, to)
        path.rename(self._file(name))
        sync(self._folder)

    def put_off(self, aside: Aside, reason: str) -> None:
        """Note that another try failed."""
        self._note(aside.name, reason, aside.to)

    def put_odd(self, name: str, path: Path, reason: str) -> None:
        """Move here what is none of ours, such as a link or a folder; it is not tried again."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        count, target = 0, self._folder / f"{name}-odd"
        while os.path.lexists(target):
            count += 1
            target = self._folder / f"{name}-odd-{count}"
        path.rename(target)
        write(target.with_name(f"{target.name}.txt"), [f"{reason}\n".encode(errors="replace")], is_new=False)
        sync(self._folder)

    def has(self, name: str) -> bool:
        """Whether a thing is here."""
        return os.path.lexists(self._file(name))

    def due(self, to: str = "", *, suffix: str = "") -> Aside | None:
        """Give a thing for a peer that shall be tried again now, the one that has waited longest, or None."""
        for _, name in sorted((left, name) for left, name in self._waits() if left <= 0 and name.endswith(suffix)):
            if self._state(name).to == to and self.has(name):
                return Aside(name, self._file(name), to)
        return None

    def forget(self, name: str) -> None:
        """Erase a thing that has gone its way, and what was noted of it."""
        self._file(name).unlink(missing_ok=True)
        self._reason(name).unlink(missing_ok=True)
        (self._again / name).unlink(missing_ok=True)

    def back(self, aside: Aside, path: Path) -> None:
        """Move a thing back to where it came from; what was noted stays until `forget`."""
        aside.file.rename(path)
        sync(path.parent)

    def addressees(self) -> set[str]:
        """Names of the peers that things wait for."""
        return {self._state(name).to for _, name in self._waits()} - {""}

    def sizes(self) -> list[int]:
        """Bytes of each thing; read from the disk each time, for people empty that folder."""
        sizes = []
        for path in _inside(self._folder):
            with suppress(FileNotFoundError):  # somebody was faster
                if path.suffix != ".txt":
                    sizes.append(path.lstat().st_size)
        return sizes

    def _note(self, name: str, reason: str, to: str) -> None:
        for folder in (self._folder, self._again):  # people empty them, and may erase them
            folder.mkdir(mode=0o700, exist_ok=True)
        tries = self._state(name).tries + 1
        after_s = interval_s(tries, first_s=self._first_s)
        write(self._reason(name), [f"{reason}\n".encode(errors="replace")], is_new=False)
        partial = self._again / f".{name}"
        write(partial, [msgspec.json.encode(_State(to, tries))], is_new=False)
        os.utime(partial, (time.time(), time.time() + after_s))
        partial.rename(self._again / name)

    def _waits(self) -> Iterator[tuple[float, str]]:
        """Seconds until the next try, and name, of each thing that is tried again."""
        for path in _inside(self._again):
            with suppress(FileNotFoundError):
                left = path.lstat().st_mtime - time.time()
                yield (left if left <= _LONGEST_WAIT_S else 0.0), path.name  # beyond it, the clock was put back

    def _state(self, name: str) -> _State:
        """What is noted of a thing; nothing where it was garbled, or written by another version."""
        try:
            return msgspec.json.decode(read(self._again / name, most=_MOST_STATE), type=_State)
        except (OSError, ValueError, RecursionError):
            return _State()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.dcm"

    def _reason(self, name: str) -> Path:
        return self._folder / f"{name}.txt"


def _inside(folder: Path) -> list[Path]:
    """What a folder holds but hidden files; nothing where somebody has erased it."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
