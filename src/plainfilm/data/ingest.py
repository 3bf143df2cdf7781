"""A catalog becomes a store: decode, find duplicates and conflicts, split, write."""

import contextlib
import errno
import hashlib
import html
import itertools
import json
import os
import secrets
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm import shell
from plainfilm.arguments import quoted
from plainfilm.data import (
    burned_text,
    claims,
    copies,
    duplicates,
    hdf5,
    split,
    store,
    store_images,
    store_writer,
    texts,
)
from plainfilm.data.adding import Held, held_by, remarks_of
from plainfilm.data.catalog import Asked, Catalog, Entry
from plainfilm.data.decoding.modalities import LATERAL_VIEWS, lateral_sentence
from plainfilm.data.depths import folder_depths
from plainfilm.data.duplicates import chain
from plainfilm.data.files import reserved
from plainfilm.data.patients import Named, named_by, patient_keys
from plainfilm.data.problem_words import how_many
from plainfilm.data.provenance import Provenance, sorted_out
from plainfilm.data.pseudonyms import Key, key_path, pseudonymized, write_key
from plainfilm.data.shard_files import Film, Outcome
from plainfilm.data.shards import Advance, Shard, Shards, is_mask, kept, reading_folder
from plainfilm.data.spelling import listed, plain_id
from plainfilm.data.store import Store
from plainfilm.data.store_writer import held_name
from plainfilm.data.tables.columns import FLAGS
from plainfilm.data.tables.findings import NOT_STATED
from plainfilm.errors import CatalogError, Problem, SplitError, StoreError
from plainfilm.harmless import as_html, harmless, write_csv
from plainfilm.reasons import reason_of
from plainfilm.results.columns import LeftOutColumn
from plainfilm.results.ingested import FolderLevel
from plainfilm.results.task import Task

MEASURED = frozenset(
    {"width", "height", "format", "mode", "bits", "quality", "ppi", "photometric", "transfer_syntax"}
)  # never a table's word
_TEXT = (
    "Expected a picture without text; lines of text are seen in this one, maybe a name. Cover them in the file; pictures in reports "
    "cover them, the store does not."
)
STAGES = (
    "Looking for new files",
    "Reading radiographs",
    "Comparing radiographs",
)  # the first with an old store, the last of many
Progress = Callable[[str, int, int], None]
_MOST_LOOKED = 128
_ONE_FILE_BYTES = 1 << 30  # of pixels; a store of more is an index with shards
_MANY_COMPARED = 4096  # images, compared in a second or two: of fewer no progress is told
_STEPS = 1000
_LEAK = (
    "Expected a patient, or an image and its copies, in one part of the given split; this one stands in another part too. "
    "Correct the split, or make a new one with --resplit."
)
_JOINED_PARTS = (
    "Expected a patient, or an image and its copies, in one part of the split; added files show that this one stands in two. Its images of "
    "the test set were left out of it, and no other set has them. Make a new split with --resplit."
)
_ON_BOTH_SIDES = {
    leaves_out: f"Expected a patient, or an image and its copies, on one side of --test-from; this one has images on both. {fate}"
    for leaves_out, fate in (
        (False, "All of them went to training and validation."),
        (True, "All of them were left out of the split."),
    )
}
_ONE_ID = (
    "Every image bears the same id of a patient; taken for no id at all. Give a column patient_id, or the images of one "
    "patient may stand in two parts of the split."
)
_JOINED = (
    "{} ids of patients occur in several sources, and each was taken for one patient. If they are not, as where every hospital counts "
    "from 1, keep them apart with --separate-sources."
)
_FEWEST_FINDINGS = 2
_RARE = "Too few patients (or unrelated images) have or surely lack it, so it is kept and not trained on: {}."
_LACKING = (
    "A part of the split has none that have it, or none that surely lack it, so it is kept and not trained on: {}."
)
_NOT_RADIOGRAPHS = {"not-radiograph-modality", "not-chest", "colour"}  # remarks by which a file is no chest radiograph


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What an ingest did: `counts` are images by class and split, `problems` what was left out or flagged."""

    path: Path
    images: int
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    problems: tuple[Problem, ...]
    exact: int  # pairs of files with the same bytes
    near: int  # pairs of nearly the same image
    conflicts: int  # images left out because they stand under two labels
    leakage: split.Leakage | None  # of a given split
    sources: tuple[str, ...]
    levels: tuple[FolderLevel, ...] = ()
    left_out_columns: tuple[LeftOutColumn, ...] = ()
    kept_columns: tuple[str, ...] = ()  # since they were asked for
    looked_for_text: int = 0  # images, drawn at random
    key: Key | None = None  # what the numbers stand for
    added: int | None = None  # films that the store had not, where it was added to
    gone: int = 0  # films that it had, and the folders have not any more
    task: Task = "classes"  # of findings an image stands in the counts of each that it has
    unlabelled: int = 0  # images

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {sum(parts.values()):,}" for name, parts in self.counts.items())
        return harmless(
            f"Ingested({str(self.path)!r}, {self.images:,} radiographs: {told}; {len(self.problems):,} problems)"
        )

    def _repr_html_(self) -> str:
        parts = list(next(iter(self.counts.values()), {}))
        table = as_html([[name, *own.values()] for name, own in self.counts.items()], [str(self.path), *parts])
        listed_in = f": {problems_path(self.path).name}" if self.path.is_file() else ""
        return f"{table}<p>{len(self.problems):,} problems{html.escape(listed_in)}</p>" if self.problems else table


@dataclass(slots=True)
class _Read:
    """What has been read so far, a list entry a row; with the catalog it decides how memory grows with the images.

    A column of `provenance` is None where a row has no such value, and ends with the last row that has one; equal
    values are one object, out of `values`. Text is looked for on every `looked_every`th film, `looked` so far.
    """

    thumbs: duplicates.ThumbnailFile
    copies: copies.CopyFinder
    looked_every: int = 1
    looked: int = 0
    entries: list[Entry] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    provenance: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str | int, str | int] = field(default_factory=dict)
    hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def fill_store(
    catalog: Catalog,
    out: Path,
    *,
    size: int = 256,
    fit: str = "stretch",
    on_bad: str = "skip",
    workers: int = 1,
    seed: int = 0,
    resplit: bool = False,
    only_test: bool = False,
    old: Store | None = None,
    shard: int | None = None,
    read_into: Path | None = None,
    progress: Progress = lambda _stage, _done, _all: None,
) -> Ingested:
    """Read every file of a catalog into a new store, with `NAME.problems.csv` beside it, and with pseudonyms `NAME.pseudonyms.csv`.

    Parameters
    ----------
    catalog
        What to read.
    out
        The store's path; an old store stays until the new one is whole.
    size, fit
        Height and width in pixels; "stretch", "crop" or "pad".
    on_bad
        "skip": a file that cannot be read becomes a problem; "fail": it ends the ingest.
    workers
        Processes that decode.
    seed
        Of the order of rows and of the split.
    resplit
        Make a new split even where one is given.
    only_test
        Every labelled row is of the test set, whatever split is given, and one class will do: for images that nothing
        is trained on.
    old
        A store to add to, which the new one may replace: its films are taken from there and keep their order and, where no split is
        given, their part.
    shard
        Films a shard, in which the store is kept whatever its size; by default one of up to 1 GB of pixels is one file.
    read_into
        Folder of what is read, which the caller keeps as `shards.kept` does; by default one beside the store.
    progress
        Called with one of `STAGES`, and files or steps done and in all.

    Raises
    ------
    CatalogError
        No file could be read, or one could not with `on_bad="fail"`, or fewer than two classes are left.
    SplitError
        Too few patients of a class.
    StoreError
        The store, or its table of problems, cannot be written.
    """
    catalog, key = pseudonymized(catalog) if catalog.asked.pseudonyms else (catalog, None)
    looking, reading, comparing = (partial(progress, stage) for stage in STAGES)
    held, fresh = held_by(old, catalog.entries, looking) if old else (None, catalog.entries)
    before = held.shards(remarks_of(problems_path(held.store.path))) if held else ()
    order = _shuffled(fresh, seed)
    depths, guessed = folder_depths(order, workers=workers)
    folder = read_into or reading_folder(out)
    shards = Shards(order, depths, size=size, fit=fit, folder=folder, films=shard, before=before)
    entries = [*(held.entries if held else ()), *order]
    with (
        contextlib.nullcontext() if read_into else kept(folder),
        place(out) as (_, key_file, table, shelf, new),
        tempfile.TemporaryFile(dir=out.parent) as small,
        tempfile.TemporaryFile(dir=out.parent) as large,
    ):
        finder = copies.CopyFinder(duplicates.ThumbnailFile(large, copies.SIDE_PX))
        read = _Read(duplicates.ThumbnailFile(small), finder, looked_every=_looked_every(len(entries)))
        read.problems += guessed
        _read_all(read, entries, shards.read(workers=workers, advance=reading), on_bad)
        found = _found(read, catalog, held, comparing, seed=seed, resplit=resplit, only_test=only_test)
        done = _told_of(out, catalog, read, found, key, held)
        attributes: dict[str, str | int] = {"fit": fit, "seed": seed, "layout": catalog.layout}
        attributes |= _attributes(done, catalog.asked)
        attributes["ingested_with"] = _repeat(
            out, catalog.asked, size=size, fit=fit, seed=seed, resplit=resplit, on_bad=on_bad
        )
        with store_writer.create(out, size=size, expected=done.images, at=new) as writer:
            if shard or (old and old.is_sharded) or done.images * size**2 > _ONE_FILE_BYTES:
                writer.refer(*shards.shelve(found.keep, shelf))
            for films in () if shelf.is_dir() else shards.images(found.keep):
                writer.append(films)
            writer.finish(found.columns, attributes=attributes)
        if key is not None:
            write_key(key_file, key)
        failed = _write_problems(table, problems_path(out), done.problems)
    if failed:
        raise StoreError(
            f"Expected to write {problems_path(out)}; received: {reason_of(failed)}. The store itself is whole; free space and ingest again for this table."
        )
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the films that were read are: rows to `keep`, bool (n), their columns and what is told; pairs of duplicates; leaks of a given split."""

    keep: NDArray[np.bool_]
    columns: store.Columns
    targets: split.Labels
    duplicates: duplicates.Duplicates
    provenance: Provenance
    leakage: split.Leakage | None


def _found(
    read: _Read, catalog: Catalog, held: Held | None, comparing: Advance, *, seed: int, resplit: bool, only_test: bool
) -> _Found:
    if not catalog.asked.keep_others:
        _check_radiographs(read)
    classes: tuple[str, ...]
    labels: split.Labels
    classes, labels = _targets(read, catalog, one_will_do=only_test)
    found = _duplicates(read, comparing)
    keep, conflicts = _without_conflicts(read, found, labels, classes)
    read.problems += conflicts
    patients = _patients(read, apart=catalog.asked.separate_sources)
    known = chain(held.store.group[held.rows]) if held else np.empty((0, 2), np.int64)
    group = duplicates.join_groups(len(labels), np.concatenate([found.pairs, known]), patients)[keep]
    kept = [entry for entry, is_kept in zip(read.entries, keep, strict=True) if is_kept]
    before = np.full(len(labels), "", "U10")
    if held and not resplit:
        before[: len(held.rows)] = held.store.split[held.rows]
    labels = labels[keep]
    if catalog.task == "findings" and not only_test:
        classes, labels = _enough(read, classes, labels, split.with_enough(labels, group), _RARE)
    parts, leakage = _parts(
        read, kept, catalog.asked, before[keep], labels, group, classes, seed=seed, resplit=resplit, only_test=only_test
    )
    if catalog.task == "findings" and not only_test:
        classes, labels = _enough(read, classes, labels, split.filled(labels, parts), _LACKING)
    told = sorted_out(_cut(read.provenance, keep), labels=labels, group=group, keep=catalog.asked.keep)
    columns = store.Columns(
        classes=tuple(_held_names(classes, catalog.findings)),
        labels=_held_labels(labels),
        split=np.where(split.labelled(labels), parts, ""),
        patient=texts.as_array(patients)[keep],
        source=texts.as_array([entry.source for entry in kept]),
        file=texts.as_array([entry.file for entry in kept]),
        sha256=texts.as_array(read.sha256)[keep],
        group=group,
        provenance=told.columns,
        findings=_findings(kept, catalog.findings),
    )
    return _Found(keep=keep, columns=columns, targets=labels, duplicates=found, provenance=told, leakage=leakage)


def _told_of(out: Path, catalog: Catalog, read: _Read, found: _Found, key: Key | None, held: Held | None) -> Ingested:
    return Ingested(
        path=out,
        images=int(found.keep.sum()),
        classes=found.columns.classes,
        counts=store.count_by_split(found.targets, found.columns.split, found.columns.classes),
        problems=_told_problems((*catalog.problems, *read.problems), key),
        exact=int(found.duplicates.exact.sum()),
        near=int((~found.duplicates.exact).sum()),
        conflicts=int((~found.keep).sum()),
        leakage=found.leakage,
        sources=tuple(np.unique(found.columns.source).tolist()),
        levels=catalog.levels,
        left_out_columns=found.provenance.left_out,
        kept_columns=found.provenance.kept,
        looked_for_text=read.looked,
        key=key,
        added=len(read.entries) - len(held.rows) if held else None,
        gone=held.gone if held else 0,
        task=catalog.task,
        unlabelled=int((found.columns.labels < 0).sum()),
    )


def _looked_every(files: int) -> int:
    """Draw the films that are looked at for text: all of up to 127, then fewer of more; looking takes half as long as decoding a small JPEG."""
    return max(1, min(files // 64, 32), -(-files // _MOST_LOOKED))


@contextlib.contextmanager
def place(out: Path) -> Iterator[tuple[Path, ...]]:
    """Keep a store's name from other commands from the start; its corrections, key, problems, shards and itself take their places together."""
    store_writer.check_place(out)
    try:
        with reserved(
            corrections_path(out), key_path(out), problems_path(out), store_images.shards_folder(out), out
        ) as partials:
            yield partials
            written = [partials[at].exists() for at in (0, -2)]
        hdf5.remember(out, store.FORMAT)
        for path, is_new in zip((corrections_path(out), store_images.shards_folder(out)), written, strict=True):
            if not is_new:
                claims.remove(path)  # of a store that lay there before
    except OSError as error:
        raise store_writer.cannot_write(out, error) from error


def _told_problems(problems: tuple[Problem, ...], key: Key | None) -> tuple[Problem, ...]:
    return problems if key is None else tuple(map(key.problem, problems))


def _shuffled(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """Give entries in random order; those of a compressed archive, among the others, in the archive's order."""
    shuffled = [entries[index] for index in np.random.default_rng(seed).permutation(len(entries))]
    in_order = iter([entry for entry in entries if entry.place.in_order])
    return [next(in_order) if entry.place.in_order else entry for entry in shuffled]


def _repeat(out: Path, asked: Asked, *, size: int, fit: str, seed: int, resplit: bool, on_bad: str) -> str:
    """Write the command that makes such a store: without paths, names of sources or dates, for reports show it."""
    told = {
        "--size": size, "--fit": fit, "--seed": seed, "--labels": asked.labels and "TABLE", "--preset": asked.preset and asked.preset.name,
        "--map": ",".join(f"{quoted(label)}={quoted(name)}" for label, name in asked.mapping.items()), "--classes": asked.classes and ",".join(map(quoted, asked.classes)), "--label-of": asked.label_of, "--task": asked.task,
        "--label-pattern": asked.label_pattern and asked.label_pattern.pattern, "--layout": asked.layout, "--classes-from": asked.classes_from,
        "--test-from": asked.test_from and "DATE", "--date-column": asked.date_column, "--on-bad": None if on_bad == "skip" else on_bad,
        **{FLAGS[ours]: column for ours, column in asked.columns.items()},
    }  # fmt: skip
    switches = {
        "--separate-sources": asked.separate_sources,
        "--pseudonyms": asked.pseudonyms,
        "--keep-non-radiographs": asked.keep_others,
        "--resplit": resplit,
    }
    words = [word for flag, value in told.items() if value not in {None, ""} for word in (flag, str(value))]
    kept = [word for column in asked.keep or () for word in ("--keep", column)]
    return shell.command(
        "ingest", "FOLDER", "--out", out.name, *words, *kept, *(flag for flag, on in switches.items() if on)
    )


def _attributes(done: Ingested, asked: Asked) -> dict[str, str | int]:
    """What the report will say of the ingest, kept in the store."""
    return {
        "tool": "plainfilm",
        "patients": "apart by source" if asked.separate_sources else "over all sources",
        "split": "by date" if asked.test_from else "made" if done.leakage is None else "given",
        **({"task": done.task} if done.task == "findings" else {}),
        "left_out": sum(how_many(problem.sentence) for problem in done.problems if problem.fatal),
        "exact_duplicates": done.exact,
        "near_duplicates": done.near,
        "label_conflicts": done.conflicts,
        "leaking_images": done.leakage.images if done.leakage else 0,
        "looked_for_text": done.looked_for_text,
        "problems": json.dumps(_problem_summary(done.problems)),
        "left_out_columns": msgspec.json.encode(done.left_out_columns).decode(),
        "kept_columns": json.dumps(done.kept_columns),
    }


def _read_all(read: _Read, entries: Sequence[Entry], shards: Iterable[Shard], on_bad: str) -> None:
    rest = iter(entries)
    for shard in shards:
        films = itertools.count()
        for outcome, entry in zip(shard.outcomes, rest, strict=False):
            if isinstance(outcome, Film) and not is_mask(outcome):
                _note(read, entry, outcome, partial(shard.pixels, [next(films)]))
            else:
                _note_bad(read, entry, outcome, on_bad)
        read.hashes.append(shard.known["hash"])
        read.thumbs.append(shard.known["thumb"])
        read.copies.add(**{name: shard.known[name] for name in ("means", "sketch", "box")})
    if not read.entries:
        first = f" First: {read.problems[0].sentence}" if read.problems else ""
        raise CatalogError(
            f"Expected radiographs that can be read; received {len(entries)} files and none could be.{first}"
        )


def _note_bad(read: _Read, entry: Entry, outcome: Outcome, on_bad: str) -> None:
    if isinstance(outcome, Film):
        read.problems.append(Problem(entry.file, "mask", dict(outcome.remarks)["mask"]))
        return
    if on_bad == "fail":
        name = entry.file if entry.file.endswith(entry.name) else entry.name
        raise CatalogError(f"{name} ({outcome.code}): {outcome} Use --on-bad skip to leave such files out.")
    read.problems.append(Problem(entry.file, outcome.code, str(outcome)))


def _check_radiographs(read: _Read) -> None:
    """Stop where most files that were read are no chest radiographs by their own word or their colours."""
    found = [problem for problem in read.problems if problem.code in _NOT_RADIOGRAPHS]
    flagged = {problem.file for problem in found}
    if 2 * len(flagged) <= len(read.entries):
        return
    code = Counter(problem.code for problem in found).most_common(1)[0][0]
    first = next(problem.sentence for problem in found if problem.code == code)
    raise CatalogError(
        f"Expected chest radiographs; received {len(flagged):,} files of {len(read.entries):,} that are not ({code}: {first}) "
        "Name the folder of radiographs, or go on with --keep-non-radiographs."
    )


def _duplicates(read: _Read, advance: Advance) -> duplicates.Duplicates:
    """Find images that are the same, nearly the same, or changed copies of one another."""

    def step(part: int, done: int, every: int) -> None:
        if len(read.entries) >= _MANY_COMPARED:
            advance(int(_STEPS * (part + done / max(1, every)) / 2), _STEPS)

    hashes = np.concatenate(read.hashes)
    found = duplicates.find_duplicates(read.sha256, hashes, read.thumbs, advance=partial(step, 0))
    group = duplicates.join_groups(len(read.entries), found.pairs, [""] * len(read.entries))
    changed = read.copies.find(group, advance=partial(step, 1)).pairs
    pairs = np.concatenate([found.pairs, changed])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    exact = np.concatenate([found.exact, np.zeros(len(changed), bool)])
    return duplicates.Duplicates(pairs=pairs[order], exact=exact[order])


def _note(read: _Read, entry: Entry, outcome: Film, pixels: Callable[[], NDArray[np.uint8]]) -> None:
    for name, value in {**outcome.provenance, **_told(entry.details)}.items():
        column = read.provenance.setdefault(name, [])
        column += [None] * (len(read.entries) - len(column))
        column.append(value if isinstance(value, float) else read.values.setdefault(value, value))  # 1 == 1.0
    if len(read.entries) % read.looked_every == 0:
        read.looked += 1
        if burned_text.is_seen(pixels()[0]):
            read.problems.append(Problem(entry.file, "text", _TEXT, fatal=False))
    read.entries.append(entry)
    read.sha256.append(outcome.sha256)
    remarks = dict(outcome.remarks)
    view = entry.details.get("view", "").upper()
    if view in LATERAL_VIEWS:
        remarks.setdefault("lateral", lateral_sentence(view))
    read.problems += [Problem(entry.file, code, sentence, fatal=False) for code, sentence in remarks.items()]


def _told(details: Mapping[str, str]) -> dict[str, str]:
    """What a table says, under names that HDF5 can hold; not what the file tells better."""
    return {held_name(key): value for key, value in details.items() if value != "" and key not in MEASURED}


def _labels(read: _Read, *, one_will_do: bool) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    classes = tuple(sorted({entry.label for entry in read.entries if entry.label is not None}))
    if len(classes) < 2 and not one_will_do:
        raise CatalogError(
            f"Expected at least two classes with radiographs that can be read; received {len(classes)}: {listed(classes) or 'none'}. "
            "See the reasons with --on-bad fail, or add another class."
        )
    number = {name: index for index, name in enumerate(classes)}
    return classes, np.array([store.UNLABELLED if e.label is None else number[e.label] for e in read.entries], np.int64)


def _targets(read: _Read, catalog: Catalog, *, one_will_do: bool) -> tuple[tuple[str, ...], split.Labels]:
    """Names and labels of classes, int64 (n); or of findings to tell, with the state of each, int8 (n, k)."""
    if catalog.task == "classes":
        return _labels(read, one_will_do=one_will_do)
    return catalog.told, catalog.states_of(read.entries)


def _without_conflicts(
    read: _Read, found: duplicates.Duplicates, labels: split.Labels, classes: tuple[str, ...]
) -> tuple[NDArray[np.bool_], list[Problem]]:
    """Tell the rows of which no copy says otherwise, bool (n), and what there is to say of the others; of findings each by itself."""
    each = [(labels, classes)]
    if labels.ndim == 2:
        each = [(own.astype(np.int64), (f"no {name}", name)) for name, own in zip(classes, labels.T, strict=True)]
    keep, problems = np.ones(len(labels), bool), dict[str, Problem]()
    for own, names in each:
        conflict = duplicates.label_conflicts(found, own)
        keep &= ~conflict
        for problem in _conflict_problems(read, found, conflict, own, names):
            problems.setdefault(problem.file, problem)
    return keep, list(problems.values())


def _enough(
    read: _Read, classes: tuple[str, ...], states: NDArray[np.int8], enough: NDArray[np.bool_], why: str
) -> tuple[tuple[str, ...], NDArray[np.int8]]:
    """Leave out findings that cannot be trained and tested on, and say so.

    Raises
    ------
    SplitError
        Fewer than two are left.
    """
    kept = tuple(name for name, is_enough in zip(classes, enough, strict=True) if is_enough)
    if len(kept) < _FEWEST_FINDINGS:
        raise SplitError(
            f"Expected two findings or more that can be told; received {len(kept)} of {len(classes)}. {why.format(listed(sorted({*classes} - {*kept})))} "
            "Add images, or ask for one by itself with --label-of."
        )
    if len(kept) < len(classes):
        told = why.format(listed(sorted({*classes} - {*kept})))
        read.problems.append(Problem(read.entries[0].file, "rare-finding", told, fatal=False))
    return kept, states[:, enough]


def _conflict_problems(
    read: _Read,
    found: duplicates.Duplicates,
    conflict: NDArray[np.bool_],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> list[Problem]:
    image = duplicates.join_groups(len(labels), found.pairs, [""] * len(labels))
    rows, first, second = np.flatnonzero(conflict).tolist(), dict[int, int](), dict[int, int]()
    for row in rows:
        if labels[row] != labels[first.setdefault(image[row], row)]:
            second.setdefault(image[row], row)  # the first under another label
    problems = []
    for row in rows:
        other = first[image[row]] if labels[first[image[row]]] != labels[row] else second[image[row]]
        sentence = (
            f"Expected one label for one image; the same image stands under {classes[labels[row]]} here and under "
            f"{classes[labels[other]]} as {read.entries[other].file}. Both were left out: remove the wrong one."
        )
        problems.append(Problem(read.entries[row].file, "two-labels", sentence))
    return problems


def _parts(
    read: _Read,
    kept: Sequence[Entry],
    asked: Asked,
    before: NDArray[np.str_],
    labels: split.Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int,
    resplit: bool,
    only_test: bool,
) -> tuple[NDArray[np.str_], split.Leakage | None]:
    """Give the part of each row: as it is given, else as it was `before`, else made; and the leaks of a given split."""
    if only_test:
        return np.where(split.labelled(labels), "test", ""), None
    if asked.test_from is not None:
        later = np.array([-1 if entry.is_later is None else int(entry.is_later) for entry in kept], np.int64)
        leaves_out = asked.leaves_out_straddling
        parts, rows = split.by_date(later, labels, group, classes, seed=seed, leaves_out=leaves_out)
        read.problems += [
            Problem(kept[row].file, "on-both-sides", _ON_BOTH_SIDES[leaves_out], fatal=False) for row in rows
        ]
        return parts, None
    given = np.array(["" if resplit else entry.split or "" for entry in kept])
    if (given != "").any():
        leaks = split.leaking_rows(given, group)
        read.problems += [Problem(kept[row].file, "leak", _LEAK, fatal=False) for row in leaks]
        parts = split.complete(given, labels, group, classes, seed=seed)
        read.problems += _made_parts(kept, given, parts, labels)
        return parts, split.leakage(given, group)
    if (before == "").all():
        return split.make(labels, group, classes, seed=seed), None
    parts, rows = split.extend(before, labels, group, classes, seed=seed)
    read.problems += [Problem(kept[row].file, "leak", _JOINED_PARTS, fatal=False) for row in rows]
    return parts, None


def _made_parts(
    kept: Sequence[Entry], given: NDArray[np.str_], parts: NDArray[np.str_], labels: split.Labels
) -> list[Problem]:
    """Say which parts a given split lacked."""
    made = [
        name for name in split.NAMES if (parts == name).any() and not ((given == name) & split.labelled(labels)).any()
    ]
    return [
        Problem(
            kept[int(np.flatnonzero(parts == name)[0])].file,
            "part-made",
            f"The given split has no {name} set; {(parts == name).sum():,} images of its training set were taken for one.",
            fatal=False,
        )
        for name in made
    ]


def _held_labels(labels: split.Labels) -> NDArray[np.int64]:
    """Give what a store holds as labels: of findings 0 where one is known, else -1."""
    return labels if labels.ndim == 1 else split.labelled(labels).astype(np.int64) - 1


def _held_names(classes: Sequence[str], findings: Sequence[str]) -> Iterator[str]:
    """Give the names under which a store holds the findings that are to be told; those of classes as they are."""
    held = dict(zip(findings, _names_held(findings), strict=True))
    return (held.get(name, name) for name in classes)


def _names_held(names: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        own = held_name(name)
        while own in found:
            own += "_"
        found[own] = None
    return list(found)


def _findings(kept: Sequence[Entry], names: Sequence[str]) -> dict[str, NDArray[np.int8]]:
    if not names:
        return {}
    nothing = bytes([NOT_STATED & 0xFF]) * len(names)
    states = np.frombuffer(b"".join(entry.findings or nothing for entry in kept), np.int8).reshape(
        len(kept), len(names)
    )
    return {own: states[:, place].copy() for place, own in enumerate(_names_held(names))}


def _patients(read: _Read, *, apart: bool) -> list[str]:
    """Salted hashes of patients, "" for unknown; the salt is forgotten, so that no list of names can undo them."""
    salt = secrets.token_bytes(16)
    of_files = [str(value or "") for value in read.provenance.pop("patient", [])]
    of_files += [""] * (len(read.entries) - len(of_files))
    named = [named_by(entry, of_file) for entry, of_file in zip(read.entries, of_files, strict=True)]
    keys, is_nobody = patient_keys(named, apart=apart)
    if not apart and (shared := _ids_of_several_sources(named)):
        read.problems.append(Problem(read.entries[0].file, "joined-patients", _JOINED.format(shared), fatal=False))
    if is_nobody:
        read.problems.append(Problem(read.entries[0].file, "one-patient-id", _ONE_ID, fatal=False))
    return [key and hashlib.sha256(salt + key.encode(errors="surrogatepass")).hexdigest()[:24] for key in keys]


def _ids_of_several_sources(named: Sequence[Named]) -> int:
    sources: dict[str, set[str]] = defaultdict(set)
    for image in named:
        sources[plain_id(image.id)].add(image.source)
    return sum(len(where) > 1 for name, where in sources.items() if name)


def _cut(columns: Mapping[str, Sequence[Any]], keep: NDArray[np.bool_]) -> dict[str, list[Any]]:
    """Give the values of each column in the rows kept; no column where none of them has a value."""
    kept = {
        name: [value for value, is_kept in zip_longest(values, keep) if is_kept]
        for name, values in sorted(columns.items())
    }
    return {name: values for name, values in kept.items() if any(value is not None for value in values)}


def _problem_summary(problems: Sequence[Problem]) -> dict[str, dict[str, Any]]:
    """Count files by code, with a sentence and three names each."""
    groups: dict[str, dict[str, Any]] = {}
    for problem in problems:
        group = groups.setdefault(problem.code, {"count": 0, "sentence": problem.sentence, "files": []})
        group["count"] += how_many(problem.sentence)
        group["files"] = [*group["files"], problem.file][:3]
    return groups


def corrections_path(out: Path) -> Path:
    """Give the path of the table of corrections beside a store whose labels were corrected: `NAME.corrections.csv`."""
    return out.with_suffix(".corrections.csv")


def problems_path(out: Path) -> Path:
    """Give the path of the table of problems beside a store: `NAME.problems.csv`."""
    return out.with_suffix(".problems.csv")


def _write_problems(path: Path, name: Path, problems: Sequence[Problem]) -> OSError | None:
    """Write the table of problems, to be named so: path, reason code, sentence, and whether the file was left out."""
    rows = [(p.file, p.code, p.sentence, "yes" if p.fatal else "no") for p in problems]
    if name.is_dir():
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            write_csv(file, [("file", "reason", "sentence", "left_out"), *rows])
    except OSError as error:
        claims.remove(path)
        return error
    return None
