"""The store that a verb works on: the one that was named, or the one that folders and archives are read into, kept in the cache.

It is found again by what was read and how: names, sizes and times of the files, the options, and the version of plainfilm.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from plainfilm import __version__
from plainfilm.data import cache, claims, files, upkeep
from plainfilm.data import store as stores
from plainfilm.data.cataloguing.sources import listing
from plainfilm.data.ingest import Ingested
from plainfilm.data.store import Store
from plainfilm.errors import StoreError, UsageError
from plainfilm.reasons import reason_of
from plainfilm.results.task import Task
from plainfilm.workflows import ingest
from plainfilm.workflows.clustering import check_cluster
from plainfilm.workflows.ingest import Rows
from plainfilm.workflows.options import WHERE_IT_RUNS, IngestOptions, Source, SourceOptions, StoringOptions
from plainfilm.workflows.progress import Progress
from plainfilm.workflows.reading import given_of, without_paths

_STORES, _BUNDLES = {".h5", ".hdf5"}, ".plainfilm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The store in the cache that folders were read into; `done` says what came of it, None where that was before."""

    store: Path
    done: Ingested | None = None


def _any(_: object) -> None:
    """Find nothing wrong."""


def open_store(
    source: Source,
    options: SourceOptions,
    progress: Progress,
    *,
    show_text: bool = False,
    check_size: Callable[[int], object] = _any,
    check_rows: Callable[[Store | Rows], object] = _any,
) -> tuple[Store, Reading | None]:
    """Open a store; folders and archives are first read into one, unless they were before as they are now.

    Parameters
    ----------
    source, options, progress, show_text
        As the verb was given them.
    check_size
        Called with the size of the images in pixels, before a folder is listed.
    check_rows
        Called with the store, or with the rows of a folder's listing before a pixel is read.

    Raises
    ------
    UsageError
        Options about reading beside a store, or a store among folders.
    CatalogError, StoreError
        As `ingest` and `Store`.
    """
    check_cluster(options)
    places = places_of(source)
    named = [place for place in places if not is_to_read(place)]
    if not named:
        found, reading = _kept(places, options, progress, check_size, check_rows)
        found.shows_text = show_text
        return found, reading
    if bundle := next((place for place in named if place.suffix == _BUNDLES), None):
        raise UsageError(
            f"Expected a store, or folders and archives; received {bundle}, a classifier. Name its radiographs."
        )
    if len(places) > 1:
        other = next(place for place in places if place != named[0])
        raise UsageError(
            f"Expected one store, or folders and archives; received the store {named[0]} and {other}. Name one of them."
        )
    found = Store(named[0], shows_text=show_text)
    if given := given_of(replace(options, task=None), SourceOptions):
        raise UsageError(
            f"Expected {given} with a folder; received a store, which has been read. Leave out what is about reading."
        )
    _check_task(found, options.task)
    check_size(found.size)
    check_rows(found)
    return found, None


def _check_task(store: Store, asked: Task | None) -> None:
    if asked not in {None, store.task}:
        raise UsageError(
            f"Expected --task {store.task} with {store.path}, a store of {store.task}; received {asked}. Ingest its radiographs again with "
            f"--task {asked}."
        )


def places_of(source: Source) -> list[Path]:
    """Give the paths that a SOURCE names."""
    if isinstance(source, str | Path):
        return [Path(source)]
    return [Path(each) for each in source] if isinstance(source, Sequence) else [source.path]


def command_of(command: str, source: Source, options: SourceOptions) -> str:
    """Give what was typed, without the paths of the data where they have numbers."""
    if not options.pseudonyms:
        return command
    return without_paths(command, [*places_of(source), *([Path(options.labels)] if options.labels else [])])


def is_to_read(place: Path) -> bool:
    """Whether a path is meant as a folder or an archive of radiographs, be it one or not; else as a store or a bundle."""
    if place.is_dir():
        return place.suffix not in _STORES
    return not (place.suffix in {*_STORES, _BUNDLES} or stores.is_store(place))


def _kept(
    places: Sequence[Path],
    options: SourceOptions,
    progress: Progress,
    check_size: Callable[[int], object],
    check_rows: Callable[[Store | Rows], object],
) -> tuple[Store, Reading]:
    shared = {each.name: getattr(options, each.name) for each in fields(StoringOptions)}
    asked = IngestOptions(places, "", **shared, seed=options.split_seed, overwrite=True, progress=progress)
    ingest.check_options(asked)
    check_size(ingest.pixels(options))
    path = _path(places, options)
    if path.is_file():
        progress("Checking the store", 0, 1, "")
    with cache.held(path) as keep:
        found, reading = _read_or_found(path, asked, check_rows, progress)
        keep(found)
    if reading.done:
        upkeep.make_room(path.stat().st_size, path)
    return found, reading


def _read_or_found(
    path: Path,
    asked: IngestOptions,
    check_rows: Callable[[Store | Rows], object],
    progress: Progress,
) -> tuple[Store, Reading]:
    if found := _whole(path):
        check_rows(found)
        return found, Reading(store=path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with claims.turn(
            path.with_name(f"{path.name}.reading"),
            waiting=lambda: progress("Waiting for the run that reads the same", 0, 1, ""),
        ):
            if found := _whole(path):
                return found, Reading(store=path)
            planned = ingest.plan(replace(asked, out=path))
            check_rows(ingest.rows_of(planned.catalog))
            path.unlink(missing_ok=True)
            done = ingest.run(planned)
    except OSError as error:
        raise _cannot_keep(path, error) from error
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise _cannot_keep(path, error.__cause__) from error
        raise
    return Store(path), Reading(store=path, done=done)


def _path(places: Sequence[Path], options: SourceOptions) -> Path:
    """Name the store of these files, read so: by a folder's name, for people, and by the hash of all that it depends on."""
    told = {each.name: getattr(options, each.name) for each in fields(SourceOptions) if each.name not in WHERE_IT_RUNS}
    if options.labels and Path(options.labels).is_file():
        told["labels"] = hashlib.sha256(Path(options.labels).read_bytes()).hexdigest()
    digest = hashlib.sha256(json.dumps([__version__, stores.VERSION, told], default=_plain).encode())
    for entry in listing(places):
        digest.update(json.dumps(entry).encode())
    name = "radiographs" if options.pseudonyms else re.sub(r"[^\w.-]+", "-", places[0].resolve().name)[:60].strip("-.")
    return files.cache_folder() / stores.KEPT / f"{name or 'radiographs'}-{digest.hexdigest()[:16]}.h5"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, Sequence) else str(value)


def _whole(path: Path) -> Store | None:
    """Open a store that was kept, if it is there and all of it is what was written."""
    files.settle(path)
    if not path.is_file():
        return None
    try:
        found = Store(path)
    except StoreError:
        return None
    try:
        found.verify()
    except StoreError:
        found.close()
        return None
    return found


def _cannot_keep(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"Expected to keep what is read in {path.parent}; received: {reason_of(error)}. Free space, set PLAINFILM_CACHE to a folder that "
        "you can write to, or write a store of your own with: plainfilm ingest FOLDER --out NAME.h5"
    )
