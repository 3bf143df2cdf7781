"""Files and folders that are there whole or not at all, whatever they replace; and the cache.

Each is written beside its name under a claim, flushed, synced and put in its place in one step. Where that takes several, a note
of what is ready is left first, by which the next command that looks there completes them.
"""

import contextlib
import ctypes
import errno
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from plainfilm.data import claims
from plainfilm.data.claims import Claim
from plainfilm.errors import UsageError, telling
from plainfilm.reasons import reason_of

_AT_FDCWD, _SWAP = -100, 2  # RENAME_EXCHANGE of renameat2(2) on Linux, RENAME_SWAP of renamex_np(2) on macOS


def cache_folder() -> Path:
    """Give the folder for weights, encoders, features and compiled passes: `PLAINFILM_CACHE`, or plainfilm's in the user's cache."""
    if own := os.environ.get("PLAINFILM_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plainfilm"
    except RuntimeError:
        raise UsageError(
            "Expected a home folder for the cache; received a user without one. Set PLAINFILM_CACHE."
        ) from None


def followed(path: str | Path) -> Path:
    """Give a path, or where it points if it is a symbolic link, there or not: what is written takes the place of that, not of the link.

    Raises
    ------
    UsageError
        The link leads to itself, or the folder around may not be looked into.
    """
    path = Path(path)
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:
        if isinstance(error, PermissionError):
            raise UsageError(
                f"Expected a place to write; received {path} ({reason_of(error)}). Name another."
            ) from None
        raise UsageError(
            f"Expected a place to write; received {path}, a link that leads to itself. Remove it."
        ) from None


@contextlib.contextmanager
def written_whole(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a name beside `path` to write a file or a folder to; on success it takes the place of `path`.

    A run that is killed leaves `path` as it was; what it left beside it is removed by the next run in the same folder. A
    folder takes the place of an empty one or of none, never of a full one. Two runs may write the same path: the last one
    counts, whole. What is not `durable` may be gone or cut short after a failure of power.
    """
    path = followed(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with claims.claimed(path) as own, _partials(own, [path]) as (partial,):
        yield partial
        if durable:
            _sync(partial)
        partial.replace(path)
        if durable:
            _sync_folder(path.parent)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder in the system's temporary folder until the block ends; one that a kill leaves there is removed by the next that asks."""
    place = Path(tempfile.gettempdir()) / "plainfilm"
    with claims.claimed(place) as own, _partials(own, [place]) as (folder,):
        folder.mkdir(mode=0o700)
        yield folder


@contextlib.contextmanager
def reserved(*paths: Path, overwrite: bool = False, apart: bool = False) -> Iterator[tuple[Path, ...]]:
    """As `written_whole`, for paths in one folder that belong together, kept from other runs from the start.

    Parameters
    ----------
    paths
        The last one is what others look for; each run that writes it names all of them. The others may be left unwritten.
    overwrite
        A folder takes the place of a full one too: the old one is there until the new one is.
    apart
        The last path must never stand beside the others of another run: a kill may leave it missing until the next
        command completes it.

    Raises
    ------
    UsageError
        Another run has reserved the last path.
    """
    paths = tuple(map(followed, paths))
    last = paths[-1]
    last.parent.mkdir(parents=True, exist_ok=True)
    with claims.turn(last, waits=False) as own:
        _complete(last)
        with _partials(own, paths) as partials:
            yield tuple(partials)
            written = [each for each in zip(partials, paths, strict=True) if each[0].exists() or each[1] == last]
            new = written[-1][0].stat().st_ino
            with telling(lambda: _whole(last, new)):
                _publish(own, written, overwrite=overwrite, apart=apart)


def _whole(path: Path, new: int) -> str:
    """Say of a path, whose new content has this inode, that it is written in full, if it is."""
    if claims.beside(path, "ready").exists():
        return f"{path} is written in full; the next command that looks there puts it in its place."
    return f"{path} is written and whole." if path.exists() and path.stat().st_ino == new else ""


def replace_folder(own: Claim, new: Path, folder: Path) -> None:
    """Put a whole folder, new or not, in the place of the one beside it that `own` is a turn for; the old one is removed."""
    _publish(own, [(new, folder)], overwrite=True, apart=False)
    claims.remove(new)


def settle(path: Path) -> None:
    """Complete what a kill has stopped while `path`, or the folder that it is in, was replaced; one look where nothing was."""
    for place in (path.absolute().parent, path.absolute()):
        with contextlib.suppress(OSError):  # where it cannot be written, it stays as it is
            if place.name and claims.beside(place, "ready").exists():
                with claims.turn(place) as own:
                    _complete(place)
                    claims.sweep(own)


@contextlib.contextmanager
def _partials(own: Claim, paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give a name to write each path to; what is left of them is removed, unless it waits for the next command."""
    claims.sweep(own)
    _sweep_old_names(paths, own)
    partials = [own.beside(path, "partial") for path in paths]
    try:
        yield partials
    finally:
        if not claims.beside(own.path, "ready").exists():
            for partial in partials:
                claims.remove(partial)


def _publish(own: Claim, written: Sequence[tuple[Path, Path]], *, overwrite: bool, apart: bool) -> None:
    for partial, path in written:
        if path.is_dir() and not partial.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        _sync(partial)
    new, last = written[-1]
    if len(written) > 1 or not _put(new, last, overwrite=overwrite):
        names = [(partial.name, path.name) for partial, path in written]
        told = {"token": own.token, "names": names, "apart": apart}
        note = own.beside(last, "stale")
        note.write_text(json.dumps(told), encoding="utf-8")
        _sync(note)
        note.replace(claims.beside(last, "ready"))
        _sync_folder(last.parent)
        try:
            _complete(last)
        except OSError:
            if all(partial.exists() for partial, _ in written):  # not a step was taken, so that no command shall go on
                claims.beside(last, "ready").unlink(missing_ok=True)
            raise
    _sync_folder(last.parent)


def _put(partial: Path, path: Path, *, overwrite: bool) -> bool:
    """Put one file or folder in its place; False where that takes more than one step."""
    try:
        partial.replace(path)
    except OSError:
        is_full = path.is_dir() and any(path.iterdir())
        if not (partial.is_dir() and path.is_dir()) or (is_full and not overwrite):
            raise
        return _exchange(partial, path)
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system or the file system cannot."""
    if sys.platform not in {"linux", "darwin"}:
        return False
    name = "renameat2" if sys.platform == "linux" else "renamex_np"
    swap, first, second = getattr(ctypes.CDLL(None), name, None), os.fsencode(one), os.fsencode(other)
    if swap is None:
        return False
    told = (_AT_FDCWD, first, _AT_FDCWD, second, _SWAP) if sys.platform == "linux" else (first, second, _SWAP)
    return bool(swap(*told) == 0)


def _complete(place: Path) -> None:
    """Do what is left of the steps by which a path, and those beside it, are replaced. Only whoever has the turn may."""
    ready = claims.beside(place, "ready")
    if not ready.exists() or not _is_ours(ready):
        return
    steps, is_apart = _noted(ready, place)
    if is_apart and steps[-1][0].exists():
        place.unlink(missing_ok=True)
    for partial, path, old in steps if is_apart else reversed(steps):  # where the last one fails, nothing has changed
        if partial.exists():
            if partial.is_dir() and path.is_dir():
                path.rename(old)
            partial.replace(path)
    _sync_folder(place.parent)
    ready.unlink()
    for _, _, old in steps:
        claims.remove(old)


def _noted(ready: Path, place: Path) -> tuple[list[tuple[Path, Path, Path]], bool]:
    """Read what is ready: each path between its partial and its old name, and whether they must not be mixed."""
    try:
        told = json.loads(ready.read_bytes())
        owner, names = Claim(place, re.fullmatch(claims.TOKEN, told["token"])[0]), told["names"]  # type: ignore[index]
        paths = [place.with_name(name) for _, name in names]
        steps = [(owner.beside(path, "partial"), path, owner.beside(path, "old")) for path in paths]
        are_ours = all(_is_ours(partial) for partial, _, _ in steps if partial.exists())
        return (steps, bool(told["apart"])) if are_ours else ([], False)
    except (ValueError, KeyError, TypeError):  # damaged: the old stays, or what of the new is there
        return [], False


def _is_ours(path: Path) -> bool:
    """Whether this user made it: in a folder that many write to, nobody else's note moves our files."""
    return not hasattr(os, "geteuid") or path.lstat().st_uid == os.geteuid()


def _sync(path: Path) -> None:
    """Let a file, or a folder with all that is in it, reach the disk: before it gets its name, or the name could outlive it."""
    inside = sorted(path.rglob("*"), reverse=True) if path.is_dir() else []
    for each in (*inside, path):
        if each.is_dir():
            _sync_folder(each)
        elif each.is_file() and not each.is_symlink():
            with contextlib.suppress(PermissionError), each.open("rb+" if sys.platform == "win32" else "rb") as handle:
                os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows opens no folder, and some file systems sync none
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep_old_names(paths: Sequence[Path], own: Claim) -> None:
    """Remove what 0.2 and before left beside a path: its names tell of no host, so that only their age counts."""
    now = own.now()
    for path in paths:
        mine = re.compile(rf"\.{re.escape(path.name)}\.[0-9]+\.partial")
        for entry in os.scandir(path.parent):
            if entry.name.startswith(".") and mine.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    if now - entry.stat(follow_symlinks=False).st_mtime > claims.WEEK_S:
                        claims.remove(path.parent / entry.name)
