"""What lies in the cache by kind, what may be taken away, and how large it may become.

Nothing that a process has claimed is taken away. What cannot be made anew from the images, or holds them, goes only where its kind
is named.
"""

import contextlib
import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plainfilm.data import claims, files
from plainfilm.errors import UsageError

DAY_S = 86_400
LIMIT_VARIABLE = "PLAINFILM_CACHE_LIMIT"
_LIMIT_FILE = ".limit"  # hidden: no entry
_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?b)?", re.IGNORECASE)
_LOOKED_AFTER = 0.01  # of the limit: so much is written before a process adds up the cache again


@dataclass(frozen=True, slots=True)
class Kind:
    """A folder of the cache: what it holds, what is lost with it; `goes_by_name` where it is taken away only if it is named."""

    what: str
    lost: str
    goes_by_name: bool = False


KINDS: Mapping[str, Kind] = {
    "features": Kind("features of radiographs", "they are computed anew, which takes as long as the first time"),
    "encoders": Kind("backbones as they run", "they are built anew, which needs plainfilm[train]"),
    "maps": Kind("maps of blocks that are not trained", "a fine-tuning computes them anew"),
    "signatures": Kind("hashes of radiographs", "they are computed anew"),
    "probes": Kind("what audits look at", "the next audit looks anew"),
    "fits": Kind("heads of folds, seeds and members", "the next command trains them anew"),
    "epochs": Kind("fine-tunings that have begun on a cluster", "they begin anew"),
    "turned": Kind("features of turned radiographs", "they are computed anew"),
    "compiled": Kind("compiled passes of heads", "the next training compiles anew, some seconds"),
    "golden": Kind("notes on large bundles that gave their golden answers here", "they are asked for them again, some seconds"),
    "opened": Kind("notes on stores that were looked through", "the next command looks through each store again"),
    "stores": Kind("stores that folders were read into", "the folders are read anew, where they are still there; their logs of test openings go too", goes_by_name=True),
    "openings": Kind("how often test sets were scored", "the count: only the log beside each store still knows", goes_by_name=True),
    "answers": Kind("answers to commands under way on a cluster", "they are given anew"),
    "reading": Kind("what commands that were stopped have read of folders", "it is read anew"),
    "left": Kind("what commands that were killed left half made", "nothing"),
    "networks": Kind("networks from hubs that were fetched or imported", "they are fetched anew, or to be imported again", goes_by_name=True),
    "weights": Kind("weights that were fetched or imported", "they are fetched anew, or to be imported again", goes_by_name=True),
}  # fmt: skip
_UNKNOWN = Kind("unknown to this version", "whatever they are for", goes_by_name=True)
_IN_FOLDERS = ("epochs", "maps", "networks", "openings")  # an entry is a folder
_PARTS = ".parts"  # of features that are being made: a folder
_SHARDS = ".shards"  # of a store that is being read: a hidden folder


@dataclass(frozen=True, slots=True)
class Entry:
    """What is taken away as a whole: `paths` of one kind, their size, and when they were last used (s since 1970)."""

    kind: str
    paths: Sequence[Path]
    bytes: int
    used_s: float


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken away, and what was left since a process uses it."""

    gone: Sequence[Entry]
    in_use: Sequence[Entry]


def kind_of(name: str) -> Kind:
    """Say what a folder of the cache holds."""
    return KINDS.get(name, _UNKNOWN)


def entries(kinds: Collection[str] = ()) -> list[Entry]:
    """List what lies in the cache, of all kinds or some."""
    folder = files.cache_folder()
    names = sorted(path.name for path in _within(folder) if path.is_dir())
    units = [unit for name in names for unit in _units(folder / name)]
    units += [
        ("left", [path]) for place in (folder, *(folder / name for name in names)) for path in claims.left_in(place)
    ]
    found = [_entry(kind, paths) for kind, paths in units if not kinds or kind in kinds]
    return [entry for entry in found if entry is not None]


def prune(chosen: Iterable[Entry]) -> Pruned:
    """Take entries away, but for those that a process has claimed."""
    gone: list[Entry] = []
    in_use: list[Entry] = []
    held: dict[Path, frozenset[str]] = {}
    for entry in chosen:
        folder = entry.paths[0].parent
        if folder not in held:
            held[folder] = claims.names_in(folder)
        (gone if _take_away(entry, held[folder]) else in_use).append(entry)
    return Pruned(gone, in_use)


def limit() -> int | None:
    """Give the bytes that the cache may take, as `PLAINFILM_CACHE_LIMIT` says or as `set_limit` was told; None for no limit.

    Raises
    ------
    UsageError
        It is no size.
    """
    told = os.environ.get(LIMIT_VARIABLE, "")
    with contextlib.suppress(OSError):
        told = told or (files.cache_folder() / _LIMIT_FILE).read_text(encoding="utf-8")
    return read_size(told.strip()) if told.strip() else None


def set_limit(most: int | None) -> None:
    """Keep a limit in bytes for every command that uses this cache; None lifts it."""
    path = files.cache_folder() / _LIMIT_FILE
    if most is None:
        path.unlink(missing_ok=True)
        return
    with files.written_whole(path) as partial:
        partial.write_text(f"{most}\n", encoding="utf-8")


def read_size(text: str) -> int:
    """Read a size such as "20GB" or "500 MB", in bytes; "none" is no size, and an error too."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"Expected a size of the cache such as 20GB; received {text!r:.40}. Give a number with MB, GB or TB."
        )
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


def shrink(most: int, *, but: Path | None = None) -> None:
    """Take away what was not used for longest until the cache takes so many bytes at most, but for one path."""
    every = entries()
    over = sum(entry.bytes for entry in every) - most
    may_go = [entry for entry in every if not (kind_of(entry.kind).goes_by_name or (but and but in _all(entry)))]
    for entry in sorted(may_go, key=lambda each: each.used_s):
        if over <= 0:
            return
        over -= sum(each.bytes for each in prune([entry]).gone)


class _Room:
    """Keeps the cache within its limit while this process writes to it."""

    def __init__(self) -> None:
        self._written: float | None = None

    def make(self, written: int, path: Path) -> None:
        """Take away what was not used for longest, once this process has written so many bytes more, to a path that stays."""
        try:
            most = limit()
        except UsageError:
            return
        if most is None:
            return
        self._written = (most if self._written is None else self._written) + written
        if self._written < most * _LOOKED_AFTER:
            return
        self._written = 0.0
        shrink(most, but=path)


make_room = _Room().make


def _all(entry: Entry) -> Iterator[Path]:
    for path in entry.paths:
        yield path
        yield from path.rglob("*") if path.is_dir() else ()


def _within(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _units(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Give what is taken away together, with its kind: a folder, a store with what lies beside it, or a file."""
    inside, kind = _within(folder), folder.name
    if kind in _IN_FOLDERS or kind not in KINDS:
        yield from ((kind, [path]) for path in inside)
    elif kind == "stores":
        yield from (("reading", [path]) for path in sorted(folder.glob(f".*{_SHARDS}")))
        for stem in dict.fromkeys(
            path.name.partition(".h5")[0].removesuffix(".problems.csv").removesuffix(".pseudonyms.csv")
            for path in inside
        ):
            yield kind, [path for path in inside if path.name.startswith(f"{stem}.")]
    else:
        yield from ((kind, [path]) for path in inside if path.is_file() or path.suffix == _PARTS)


def _entry(kind: str, paths: Sequence[Path]) -> Entry | None:
    seen = []
    for path in paths:
        with contextlib.suppress(OSError):  # gone meanwhile
            seen += [each.stat() for each in ([path, *path.rglob("*")] if path.is_dir() else [path])]
    if not seen:
        return None
    inside = [each for each in seen if not stat.S_ISDIR(each.st_mode)]
    used = [each.st_mtime for each in seen] + [
        each.st_atime for each in inside
    ]  # to look into a folder is no use of it
    return Entry(kind, tuple(paths), sum(each.st_size for each in inside), max(used))


def _maker(path: Path) -> str:
    """Name what whoever uses a path has claimed: itself, or what will be made of what lies there."""
    if path.suffix == _PARTS:
        path = path.with_suffix(".npy")
    elif path.suffix == _SHARDS and path.name.startswith("."):
        return path.name[1:].removesuffix(_SHARDS)
    return claims.name_of(path)


def _take_away(entry: Entry, claimed: Collection[str]) -> bool:
    if any(_maker(path) in claimed for path in entry.paths):
        return False
    if entry.paths[0].is_dir() and claims.is_used(entry.paths[0]):
        return False
    with claims.claimed(entry.paths[0]) as own:
        for path in entry.paths:
            aside = own.beside(path, "stale")
            try:
                path.rename(aside)
            except OSError:  # gone, or open on a system that keeps what is open
                return not path.exists()
            if claims.name_of(path) in claims.names_in(path.parent, but=own):  # claimed meanwhile, before it was aside
                with contextlib.suppress(OSError):
                    aside.rename(path)
                return False
            claims.remove(aside)
    return True


def last_used(path: Path) -> None:
    """Note that an entry is used now; its time of change stays."""
    with contextlib.suppress(OSError):
        status = path.stat()
        if time.time() - max(status.st_atime, status.st_mtime) > DAY_S / 24:
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
