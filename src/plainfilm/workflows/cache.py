"""What lies in the cache, by kind; what is taken away; and how large it may become."""

import datetime as dt
import time
from collections.abc import Iterable, Sequence

from plainfilm.data import files, upkeep
from plainfilm.data.upkeep import DAY_S, KINDS, Entry
from plainfilm.errors import UsageError
from plainfilm.results.inspection import Cache, CacheKind


def look(
    *, prune: bool = False, kind: Sequence[str] = (), older_than: float | None = None, limit: str | None = None
) -> Cache:
    """Say what the cache holds, after what is asked for.

    Parameters
    ----------
    prune
        Take away entries of the kinds, and those that were not used for so long; of `KINDS` that hold what cannot be made anew only
        where they are named. What a process uses is left.
    kind
        Kinds to look at, or to take away; all by default.
    older_than
        Days since an entry was last used.
    limit
        A size such as "20GB" that the cache keeps to from now on; "none" lifts it.

    Raises
    ------
    UsageError
        A size that is none, or a kind that is not there.
    """
    _check_kinds(kind)
    if limit is not None:
        most = None if limit.casefold() == "none" else upkeep.read_size(limit)
        upkeep.set_limit(most)
        if most is not None:
            upkeep.shrink(most)
    chosen = [entry for entry in upkeep.entries(kind) if _is_old(entry, older_than)]
    pruned = upkeep.Pruned((), ())
    if prune:
        pruned = upkeep.prune(entry for entry in chosen if kind or not upkeep.kind_of(entry.kind).goes_by_name)
        chosen = upkeep.entries(kind)
    return Cache(
        path=files.cache_folder(),
        bytes=sum(entry.bytes for entry in upkeep.entries()),
        limit=upkeep.limit(),
        kinds=_by_kind(chosen),
        pruned=_by_kind(pruned.gone),
        in_use=len(pruned.in_use),
    )


def _check_kinds(kinds: Sequence[str]) -> None:
    there = {entry.kind for entry in upkeep.entries()}
    if strange := [name for name in kinds if name not in KINDS and name not in there]:
        raise UsageError(
            f"Expected a kind among {', '.join(sorted({*KINDS, *there}))}; received {strange[0]!r:.40}. Name one of them."
        )


def _is_old(entry: Entry, days: float | None) -> bool:
    return days is None or time.time() - entry.used_s >= days * DAY_S


def _by_kind(entries: Iterable[Entry]) -> tuple[CacheKind, ...]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.kind, []).append(entry)
    return tuple(
        _told(name, own) for name, own in sorted(found.items(), key=lambda item: -sum(e.bytes for e in item[1]))
    )


def _told(name: str, own: Sequence[Entry]) -> CacheKind:
    kind, used = upkeep.kind_of(name), [entry.used_s for entry in own]
    return CacheKind(
        name=name,
        what=kind.what,
        entries=len(own),
        bytes=sum(entry.bytes for entry in own),
        oldest_use=_utc(min(used)),
        newest_use=_utc(max(used)),
        lost=kind.lost,
        only_by_name=kind.goes_by_name,
    )


def _utc(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")
