"""`plainfilm ingest`: folders or archives of radiographs become a store."""

import contextlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import claims, corrections, files, split, study_dates, texts
from plainfilm.data.catalog import Catalog, read_catalog
from plainfilm.data.duplicates import join_groups
from plainfilm.data.files import followed
from plainfilm.data.ingest import Ingested, corrections_path, fill_store
from plainfilm.data.patients import named_by, patient_keys
from plainfilm.data.store import Store, is_store, members
from plainfilm.errors import UsageError
from plainfilm.model.cpus import processors
from plainfilm.results.task import Task
from plainfilm.workflows.checks import check_seed, size_for
from plainfilm.workflows.clustering import check_cluster, on_cluster
from plainfilm.workflows.options import IngestOptions, StoringOptions
from plainfilm.workflows.parsing import AUTO, mapping_of
from plainfilm.workflows.progress import Progress
from plainfilm.workflows.reading import asked_of
from plainfilm.workflows.verb import verb

_MET_AT_ONCE, _MOST_FOLDERS = 256, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a store to be, as a listing knows them: classes, the label of each row, its group and source; pixels may join groups.

    Of findings `labels` is 0, and `targets` has the state of each, as in a store.
    """

    task: Task
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    targets: split.Labels
    group: NDArray[np.int64]
    source: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be read: files with their labels, and how."""

    options: IngestOptions
    catalog: Catalog


def plan(options: IngestOptions) -> Plan:
    """Check the options and list the files.

    Raises
    ------
    UsageError, CatalogError
        An option out of its range, or folders or archives that name no labelled radiographs.
    SplitError
        Too few patients of a class for a split.
    """
    out, options = followed(options.out), sized(options)
    check_options(options)
    if not out.is_dir():
        check_name(out)
    check_new(out, overwrite=options.overwrite or options.add)
    is_added = options.add and is_store(out)
    before = _check_added(options, out) if is_added and not options.dry_run else None
    catalog = listed(options)
    if before is not None and catalog.task != before:
        raise UsageError(
            f"Expected {before} to be added to {out}, which is a store of {before}; received {catalog.task}. Give the options that it was made with, such as --labels or --task."
        )
    makes_split = options.resplit or not (is_added or any(entry.split for entry in catalog.entries))
    if not options.dry_run and makes_split:
        rows = rows_of(catalog)
        if rows.task == "classes":  # findings that are too rare are left out once all is read
            parts = 2 if options.test_from else len(split.NAMES)
            split.check_enough(rows.labels, rows.group, rows.classes, parts=parts)
    return Plan(options, catalog)


def pixels(options: StoringOptions) -> int:
    """Give the size of the stored images in pixels.

    Raises
    ------
    UsageError
        It is auto, for a verb that knows no recipe.
    """
    if options.size == AUTO:
        raise UsageError(
            "Expected --size in pixels; received auto, which ingest and train know by a recipe. Give a number."
        )
    return options.size


def sized(options: IngestOptions) -> IngestOptions:
    """Give options with the size that is meant: of auto, what the recipe's backbones look at.

    Raises
    ------
    UsageError
        A recipe or a backbone beside a size.
    """
    if options.size != AUTO:
        if options.recipe != "default" or options.backbone is not None:
            raise UsageError(
                "Expected --size auto with a recipe or a backbone; received another size. Leave them out, or the size."
            )
        return options
    from plainfilm.model import recipes  # not needed for a size in pixels

    chosen = {} if options.backbone is None else {"backbone.name": options.backbone}
    return replace(options, size=size_for(recipes.members(recipes.load(options.recipe, chosen))))


def _check_added(options: IngestOptions, out: Path) -> Task:
    """Refuse a store that these options cannot add to; give its task."""
    with Store(out) as old:
        if corrections.made_in(old.attributes):
            raise UsageError(
                f"Expected to add to a store whose labels are those of its folders; received {out}, of which some were corrected. Ingest the "
                f"folders to another store, and apply {corrections_path(out)} to that with plainfilm relabel."
            )
        if (old.size, old.attributes["fit"]) != (options.size, options.fit):
            raise UsageError(
                f"Expected to add radiographs of {old.size} px, fit {old.attributes['fit']}, as {out} has them; received --size {options.size} "
                f"--fit {options.fit}. Give --size {old.size} --fit {old.attributes['fit']}."
            )
        return old.task


def check_options(options: IngestOptions) -> None:
    """Raise UsageError where an option is out of its range, whatever the folders are."""
    if options.on_bad not in {"skip", "fail"}:
        raise UsageError(f"Expected --on-bad to be skip or fail; received {options.on_bad}. Write one of them.")
    if not 32 <= pixels(options) <= 2048:
        raise UsageError(f"Expected a size from 32 to 2048 px; received {options.size}. Set --size within that range.")
    if options.shard is not None and not 8 <= options.shard <= 4096:
        raise UsageError(
            f"Expected --shard from 8 to 4096 radiographs; received {options.shard}. Set it within that range."
        )
    _check_dates(options)
    check_seed(options.seed)
    check_cluster(options)
    asked_of(options)


def _check_dates(options: IngestOptions) -> None:
    if options.test_from is None:
        if options.date_column is not None or options.both_sides != "train":
            given = "--date-column" if options.date_column is not None else "--both-sides"
            raise UsageError(f"Expected --test-from with {given}; received none. Add it, or leave {given} out.")
        return
    study_dates.read_start(options.test_from)
    if options.add:
        raise UsageError("Expected a new store for --test-from; received --add, which keeps each part. Leave one out.")


def check_name(out: Path) -> None:
    """Raise UsageError where a name does not end as a store's."""
    if out.suffix not in {".h5", ".hdf5"}:
        raise UsageError(f"Expected a store's name that ends in .h5; received {out}. Write for example {out.stem}.h5")


def check_new(out: Path, *, overwrite: bool) -> None:
    """Raise UsageError where a store is being written, or is there and may not be replaced."""
    files.settle(out)
    claims.check_free(out)
    if is_store(out) and not overwrite:
        raise UsageError(
            f"Expected --out to be a new store; received {out}, which is there. Name another, or pass --overwrite to replace it."
        )


def listed(options: IngestOptions) -> Catalog:
    """List the files with their labels; read no pixels.

    Raises
    ------
    UsageError, CatalogError
        As `plan`.
    """
    given = options.sources
    folders = [Path(each) for each in ([given] if isinstance(given, str | Path) else given)]
    if not folders:
        raise UsageError(
            "Expected a folder or archive of radiographs; received none. Write: plainfilm ingest FOLDER --out NAME.h5"
        )
    asked = replace(
        asked_of(options),
        mapping=mapping_of(options.mapping),
        classes=options.classes,
        separate_sources=options.separate_sources,
        keep_others=options.keep_non_radiographs,
        test_from=None if options.test_from is None else study_dates.read_start(options.test_from),
        date_column=options.date_column,
        leaves_out_straddling=options.both_sides == "leave-out",
    )
    met = _Met(options.progress) if options.dry_run else None
    catalog = read_catalog(folders, asked, seen=met) if met else read_catalog(folders, asked)
    if met:
        met.done()
    if asked.test_from and not options.resplit and any(entry.split for entry in catalog.entries):
        raise UsageError(
            "Expected no split for --test-from; received folders or a table that give one. Add --resplit, or leave --test-from out."
        )
    return catalog


class _Met:
    """Counts files as they are met, for who waits: how many so far, and in which folder of a SOURCE."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._number, self._folder = progress, 0, ""
        self._folders = set[str]()

    def __call__(self, name: str) -> None:
        folder, below, _ = name.partition("/")
        folder = folder if below else ""
        if folder != self._folder:
            self._tell()
            self._folders.add(folder)
            self._folder = folder if len(self._folders) <= _MOST_FOLDERS else ""
        self._number += 1
        if self._number % _MET_AT_ONCE == 0:
            self._tell()

    def done(self) -> None:
        """Say that all are met."""
        self._tell(of=self._number)

    def _tell(self, of: int = 0) -> None:
        self._progress("Listing", self._number, of, self._folder)


def rows_of(catalog: Catalog) -> Rows:
    """Give the labelled rows of a listing; what is one patient's by name is one group."""
    entries = [entry for entry in catalog.entries if entry.label is not None]
    named, labels = np.unique(texts.as_array([str(entry.label) for entry in entries]), return_inverse=True)
    classes: tuple[str, ...] = tuple(named.tolist())
    targets: split.Labels = labels
    patients, _ = patient_keys(list(map(named_by, entries)), apart=catalog.asked.separate_sources)
    group = join_groups(len(entries), np.empty((0, 2), np.int64), patients)
    source = texts.as_array([entry.source for entry in entries])
    if catalog.task == "findings":
        classes, targets, labels = catalog.told, catalog.states_of(entries), np.zeros(len(entries), np.int64)
    return Rows(task=catalog.task, classes=classes, labels=labels, targets=targets, group=group, source=source)


@on_cluster
def run(plan: Plan) -> Ingested:
    """Decode every file once and write the store; with `dry_run` only say what was listed."""
    options = plan.options
    if options.dry_run:
        return as_listed(plan.catalog, Path(options.out))
    out = followed(options.out)
    with contextlib.ExitStack() as held:
        old = held.enter_context(Store(out)) if options.add and is_store(out) else None
        openings = old.logged_openings() if old else []
        done = fill_store(
            plan.catalog,
            out,
            size=pixels(options),
            fit=options.fit,
            on_bad=options.on_bad,
            workers=options.workers or processors(),
            seed=options.seed,
            resplit=options.resplit,
            old=old,
            shard=options.shard,
            progress=lambda stage, done, every: options.progress(stage, done, every, ""),
        )
    if openings and not options.resplit:
        with Store(out) as new:
            new.take_over(openings)
    return done


def as_listed(catalog: Catalog, path: Path = Path()) -> Ingested:
    """Say what is known before a pixel is read: no duplicates yet, no leak."""
    entries = catalog.entries
    found = Counter((entry.label, entry.split or "not given") for entry in entries if entry.label is not None)
    parts = [part for part in ("not given", *split.NAMES) if any(part == given for _, given in found)]
    classes = tuple(sorted({label for label, _ in found}))
    counts = {label: {part: found[label, part] for part in parts} for label in classes}
    if catalog.task == "findings":
        classes, given = catalog.told, np.array([entry.split or "not given" for entry in entries])
        has = members(catalog.states_of(entries), classes)
        counts = {name: {part: int((own & (given == part)).sum()) for part in parts} for name, own in has.items()}
    return Ingested(
        path=path,
        images=len(entries),
        classes=classes,
        counts=counts,
        problems=catalog.problems,
        exact=0,
        near=0,
        conflicts=0,
        leakage=None,
        sources=tuple(sorted({entry.source for entry in entries})),
        levels=catalog.levels,
        task=catalog.task,
        unlabelled=sum(entry.label is None for entry in entries),
    )


ingest = verb(IngestOptions, plan, run)
