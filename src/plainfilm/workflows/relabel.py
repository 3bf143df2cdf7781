"""`plainfilm relabel`: labels that are doubtful, and a new store where they are put right."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import structs

from plainfilm.data import corrections, relabelled, split
from plainfilm.data.corrections import Corrections
from plainfilm.data.files import followed
from plainfilm.data.store import Store, count_by_split
from plainfilm.errors import SplitError, StoreError, UsageError
from plainfilm.evidence.audit.ridge import FOLDS
from plainfilm.evidence.relabelling import listing, twins
from plainfilm.evidence.relabelling.listing import Listing, Listings
from plainfilm.model import encoder
from plainfilm.model.encoder import Encoder
from plainfilm.reporting import relabel as report
from plainfilm.results.relabelling import Relabelled, RelabelledFinding, Relabelling
from plainfilm.results.store import StoreIdentity
from plainfilm.workflows.audited_model import default_encoder
from plainfilm.workflows.checks import check_out, check_range, check_seed
from plainfilm.workflows.clustering import on_cluster
from plainfilm.workflows.folders import new_folder
from plainfilm.workflows.ingest import check_name, check_new
from plainfilm.workflows.options import RelabelOptions
from plainfilm.workflows.progress import stage
from plainfilm.workflows.stored import Reading, command_of, open_store
from plainfilm.workflows.verb import Run, verb

_MOST_SHOWN = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A search for doubtful labels that can begin, or `made`, the corrections that can be written."""

    options: RelabelOptions
    store: Store
    read: Reading | None
    out: Path
    made: Corrections | None
    judged: Mapping[str, Store]
    not_judged: Mapping[str, str]


def plan(options: RelabelOptions) -> Plan:
    """Check the options; open the store, and hold the table of corrections against it.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    out = followed(options.out)
    _check(options, out)
    store, read = open_store(options.store, options, options.progress, show_text=options.show_text)
    if options.apply is not None:
        if out.exists() and out.samefile(store.path):
            raise UsageError(
                f"Expected --out to be a new store; received {out}, the old one, which stays. Name another."
            )
        made = corrections.read(Path(options.apply), store, by=options.by)
        return Plan(options=options, store=store, read=read, out=out, made=made, judged={}, not_judged={})
    if len(store.classes) < 2:
        raise StoreError(f"Expected a store with two classes or more; received {store.path} with {len(store.classes)}.")
    judged, not_judged = _judged(store)
    return Plan(options=options, store=store, read=read, out=out, made=None, judged=judged, not_judged=not_judged)


def _judged(store: Store) -> tuple[dict[str, Store], dict[str, str]]:
    """Give what can be judged, as `Store.each` does, and the findings that cannot, with the reason.

    Raises
    ------
    SplitError
        Nothing can: there are too few patients for the folds.
    """
    judged, too_few = {}, {}
    for name, own in store.each.items():
        known = own.labels >= 0
        try:
            split.check_enough(own.labels[known], own.group[known], own.classes, parts=FOLDS, why="one a fold")
            judged[name] = own
        except SplitError as error:
            too_few[name] = error
    if not judged:
        raise next(iter(too_few.values()))
    return judged, {name: str(error) for name, error in too_few.items()}


def _check(options: RelabelOptions, out: Path) -> None:
    check_seed(options.seed)
    check_range("--repeats", options.repeats, 1, 100)
    check_range("--show", options.show, 0, _MOST_SHOWN)
    if options.apply is None:
        if options.by is not None:
            raise UsageError("Expected --by beside --apply, which corrects; received it alone. Leave it out.")
        check_out(out, overwrite=options.overwrite)
        return
    if str(options.out) == "relabel":
        raise UsageError("Expected --out with the new store's name beside --apply; received none. Write for example --out corrected.h5")  # fmt: skip
    check_name(out)
    check_new(out, overwrite=options.overwrite)


@on_cluster
def run(plan: Plan) -> Run[Relabelling] | Run[Relabelled]:
    """Write the table and the page of doubtful labels; or, with corrections, the new store."""
    with plan.store:
        return _list(plan) if plan.made is None else _apply(plan, plan.made)


def _list(plan: Plan) -> Run[Relabelling]:
    options, store, started = plan.options, plan.store, time.perf_counter()
    progress = options.progress
    with new_folder(plan.out, overwrite=options.overwrite) as partial:
        own = default_encoder(store)
        with stage(progress, f"Encoding, {own.name}") as advance:
            features = encoder.encode_store(own, store, progress=advance)
        found = listing.listed(
            plan.judged,
            features,
            repeats=options.repeats,
            seed=options.seed,
            advance=lambda what, done, every: progress(what, done, every, ""),
        )
        shown = min(options.show, found.doubtful)
        beside = listing.beside(found, features, shown)
        result = _result(plan, own, found, beside, time.perf_counter() - started)
        command = command_of(options.command, options.store, options)
        report.write(partial, store, found, beside, result, name=plan.out.name, command=command)
    return Run(plan.out, result, store.path)


def _result(plan: Plan, own: Encoder, found: Listings, beside: Sequence[Sequence[int]], seconds: float) -> Relabelling:
    store = plan.store
    counted = {name: _counted(found.stores[name], each) for name, each in found.each.items()}
    whole = counted.pop("", None)
    return Relabelling(
        task=store.task,
        data=StoreIdentity(store=store.path.name, fingerprint=store.fingerprint, kept_at=store.kept_at),
        classes=store.classes,
        images=len(np.unique(np.concatenate([each.rows for each in found.each.values()]))),
        doubtful=found.doubtful,
        copies=sum(int((each.copy >= 0).sum()) for each in found.each.values()),
        counted=whole.counted if whole else (),
        findings=counted,
        not_judged=plan.not_judged,
        left_out=int(store.attributes.get("label_conflicts", 0)),
        shown=len(beside),
        beside=report.films_beside(found, beside),
        repeats=plan.options.repeats,
        folds=FOLDS,
        encoder=own.name,
        seconds=seconds,
    )


def _counted(store: Store, found: Listing) -> RelabelledFinding:
    counted = np.zeros((len(store.classes),) * 2, np.int64)
    labels = store.labels[found.rows]
    np.add.at(counted, (labels, np.where(found.doubtful, found.suggested, labels)), 1)
    return RelabelledFinding(
        images=len(found.rows),
        doubtful=int(found.doubtful.sum()),
        copies=int((found.copy >= 0).sum()),
        counted=tuple(map(tuple, counted.tolist())),
    )


def _apply(plan: Plan, made: Corrections) -> Run[Relabelled]:
    plan.options.progress("Writing the store", 0, 1, "")
    record = relabelled.write(plan.store, plan.out, made)
    with Store(plan.out) as new:
        result = Relabelled(
            **structs.asdict(record),
            store=str(plan.out),
            classes=new.classes,
            counts=count_by_split(new.targets, new.split, new.classes),
            copies=_copies_apart(new, made),
        )
    plan.options.progress("Writing the store", 1, 1, "")
    return Run(plan.out, result, plan.out)


def _copies_apart(store: Store, made: Corrections) -> int:
    """Count the films near those that were corrected which bear another label than a copy of theirs."""
    rows = np.flatnonzero(np.isin(store.group, store.group[made.rows]) & (store.labels >= 0))
    image, apart = twins.images(store, rows), np.zeros(len(rows), bool)
    for own in store.each.values():
        known = own.labels[rows] >= 0
        apart[known] |= twins.under_another_label(own, rows[known], image[known]) >= 0
    return int(apart.sum())


relabel = verb(RelabelOptions, plan, run)
