"""Where the files of a SOURCE lie, a folder or an archive: lists them, and gives the first bytes, the size or the whole of each."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from plainfilm.data.files import scratch
from plainfilm.errors import CatalogError, Problem
from plainfilm.reasons import reason_of
from plainfilm.results.pages import PAGES

if TYPE_CHECKING:
    from plainfilm.data.places.archive_members import Archive

_SYSTEM_FOLDERS = {
    *("__macosx", "system volume information", "lost+found", "__pycache__", "node_modules", "recycler", "recycled"),
    *("lost.dir", "network trash folder", "temporary items", "thumbnails", "thumbs"),
}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "dicomdir", "ehthumbs.db", "icon\r"}
_MARKS = (".", "$", "@", "#", "~$")  # hidden; the dust-bins, thumbnails and snapshots of Windows and of network drives
_WRITTEN = frozenset(name for names in PAGES.values() for name in names)

MAX_TEXT_BYTES = 100_000_000
Read = Callable[[], bytes]


class Place(Protocol):
    """What holds the files of a SOURCE; names are posix paths below it."""

    root: Path
    problems: list[Problem]
    passed_over: list[str]  # folders of the system
    followed: list[str]  # linked folders
    in_order: bool  # whether files are much sooner read in the order that they are listed in

    def files(self) -> Iterator[str]:
        """Names of all files, in the order of their parts."""

    def order(self, name: str) -> tuple[str | int, ...]:
        """Sort key of a file that `files` gives: that order, but for files of linked folders, which lie among the others."""

    def head(self, name: str, length: int = 512) -> bytes:
        """First bytes of a file; none where it cannot be read."""

    def size(self, name: str) -> int:
        """Bytes of a file, -1 where it has none."""

    def text(self, name: str) -> str:
        """Text of a small file, as far as it is UTF-8."""

    def item(self, name: str) -> Path | Read:
        """What the decoder takes: a path, or what gives the bytes."""

    def on_disk(self, name: str) -> AbstractContextManager[Path]:
        """Give the path of a file, for as long as it is needed."""


def is_system_folder(name: str) -> bool:
    """Whether a folder is hidden, or one that a system makes for itself."""
    return name.startswith(_MARKS) or name.lower() in _SYSTEM_FOLDERS


def is_system_file(name: str) -> bool:
    """Whether a file is hidden, or one that a system makes for itself."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM_FILES


def is_written(has: Callable[[str], bool]) -> bool:
    """Whether a folder that `has` files of some names is one that a command of plainfilm wrote."""
    return any(has(told) and has(page) for told, page in PAGES.values())


def _written(name: str) -> Problem:
    return Problem(
        name, "own-folder", "A command of plainfilm wrote this folder; its pictures are passed over.", fatal=False
    )


class Folder:
    """A folder. One that is linked is read once, unless it leads to where something is read already; so a loop ends.

    Raises
    ------
    CatalogError
        When listed: the folder itself may not be listed. One below it that may not becomes a problem.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.passed_over: list[str] = []
        self.followed: list[str] = []
        self.in_order = False
        self._linked: list[tuple[str, str]] = []

    def files(self) -> Iterator[str]:
        """Names of all files, in the order of their parts; those of linked folders last."""
        root = os.path.realpath(self.root)
        yield from self._walk("", root, None)
        seen = {root}
        while self._linked:
            name, target = self._linked.pop(0)
            if root.startswith(target.rstrip("/") + "/"):
                self._note(name, "The folder is a link to a folder around SOURCE, and was not followed.")
            elif target in seen or target.startswith(f"{root}/"):
                self._note(name, "The folder is a link to a folder that is read already, and was not followed.")
            else:
                self.followed.append(name)
                yield from self._walk(f"{name}/", target, seen)

    def order(self, name: str) -> tuple[str | int, ...]:
        """Sort key that puts the files of a folder together, in the order of their names."""
        return _natural(name)

    def head(self, name: str, length: int = 512) -> bytes:
        """First bytes of a file; none where it cannot be read."""
        try:
            path = self.root / name
            if not path.is_file():  # a pipe would never end
                return b""
            with path.open("rb") as file:
                return file.read(length)
        except OSError:
            return b""

    def size(self, name: str) -> int:
        """Bytes of a file, -1 where it has none."""
        try:
            return (self.root / name).stat().st_size
        except OSError:
            return -1

    def text(self, name: str) -> str:
        """Text of a small file, as far as it is UTF-8."""
        return self.head(name, MAX_TEXT_BYTES).decode("utf-8", "replace")

    def item(self, name: str) -> Path:
        """Path of a file."""
        return self.root / name

    @contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """Give the path of a file."""
        yield self.root / name

    def _walk(self, start: str, folder: str, seen: set[str] | None) -> Iterator[str]:
        """Names below a folder, `start` before each; in `seen` the real folders that links have led to."""
        waiting: list[Iterator[tuple[str, str | None]]] = [self._listed(start, folder, seen)]
        while waiting:
            for name, below in waiting[-1]:
                if below is None:
                    yield name
                else:
                    waiting.append(self._listed(f"{name}/", below, seen))
                    break
            else:
                waiting.pop()

    def _listed(self, start: str, folder: str, seen: set[str] | None) -> Iterator[tuple[str, str | None]]:
        """Name of each file and folder in a folder, with the folder's own path."""
        if seen is not None:
            if folder in seen:
                return
            seen.add(folder)
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=_name_of)
        except OSError as error:
            self._refuse(start, error)
            return
        if start and is_written({entry.name for entry in entries}.__contains__):
            self.problems.append(_written(start[:-1]))
            return
        for entry in entries:
            if not _is_folder(entry):
                if _is_special(entry):
                    self._note(
                        start + entry.name, "A pipe, a socket or a device, and no file; passed over.", "not-a-file"
                    )
                else:
                    yield start + entry.name, None
            elif is_system_folder(entry.name):
                self.passed_over.append(start + entry.name)
            elif entry.is_symlink():
                self._linked.append((start + entry.name, os.path.realpath(entry.path)))
            else:
                yield start + entry.name, entry.path

    def _refuse(self, below: str, error: OSError) -> None:
        if not below:
            raise CatalogError(
                f"Expected a folder that can be listed; received {self.root} ({reason_of(error)}). Check its permissions."
            ) from error
        sentence = f"The folder cannot be listed ({reason_of(error)})."
        self.problems.append(Problem(below.rstrip("/"), "no-permission", sentence))

    def _note(self, name: str, sentence: str, code: str = "linked-folder") -> None:
        self.problems.append(Problem(name, code, sentence, fatal=False))


class Archived:
    """The files of an archive that is read where it lies."""

    def __init__(self, archive: "Archive", root: Path) -> None:
        self.archive, self.root = archive, root
        own = _written_in(archive.names)
        self.problems: list[Problem] = [*archive.problems, *map(_written, own)]
        self._written = tuple(f"{folder}/" for folder in own)
        self.passed_over: list[str] = []
        self.followed: list[str] = []
        self.in_order = archive.in_order

    def files(self) -> Iterator[str]:
        """Names of all files, in the order of their parts; of an archive that is read in order, in its own."""
        passed_over: dict[str, None] = {}
        for name in sorted(self.archive.names, key=self.order):
            above = name.split("/")[:-1]
            system = next((depth for depth, part in enumerate(above, 1) if is_system_folder(part)), 0)
            if system:
                passed_over["/".join(above[:system])] = None
            elif not name.startswith(self._written):
                yield name
        self.passed_over = list(passed_over)

    def order(self, name: str) -> tuple[str | int, ...]:
        """Sort key of a member, in the order of `files`."""
        return (self.archive.position(name),) if self.in_order else _natural(name)

    def head(self, name: str, length: int = 512) -> bytes:
        """First bytes of a member; none where it cannot be read."""
        try:
            return self.archive.head(name, length)
        except OSError:
            return b""

    def size(self, name: str) -> int:
        """Bytes of a member, -1 where there is none."""
        try:
            return self.archive.size(name)
        except (KeyError, OSError):
            return -1

    def text(self, name: str) -> str:
        """Text of a small member, as far as it is UTF-8."""
        return self.head(name, MAX_TEXT_BYTES).decode("utf-8", "replace")

    def item(self, name: str) -> Read:
        """What gives the bytes of a member."""
        return partial(self.archive.read, name)

    @contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """Write a member to a temporary file: a table, never an image."""
        with scratch() as folder:
            path = folder / PurePosixPath(name).name
            path.write_bytes(self.archive.read(name))
            yield path


def _natural(name: str) -> tuple[str, ...]:
    return tuple(name.split("/"))


def _written_in(names: Iterable[str]) -> list[str]:
    """Folders among the members of an archive that a command of plainfilm wrote, none inside another."""
    held: dict[str, set[str]] = {}
    for name in names:
        folder, _, bare = name.rpartition("/")
        if folder and bare in _WRITTEN:
            held.setdefault(folder, set()).add(bare)
    own = [folder for folder in sorted(held) if is_written(held[folder].__contains__)]
    return [folder for folder in own if not any(folder.startswith(f"{other}/") for other in own)]


def _name_of(entry: "os.DirEntry[str]") -> str:
    return entry.name


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _is_special(entry: "os.DirEntry[str]") -> bool:
    """Whether reading it might never end; a link that leads nowhere is a file that cannot be read."""
    try:
        return not entry.is_file() and (not entry.is_symlink() or Path(entry.path).exists())
    except OSError:  # a link that leads in a circle
        return False
