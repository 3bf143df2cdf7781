"""`plainfilm evaluate`: external validation of a classifier on another hospital's radiographs."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from plainfilm.data import claims, files
from plainfilm.data.catalog import Catalog, read_catalog
from plainfilm.data.files import followed
from plainfilm.data.ingest import fill_store, problems_path
from plainfilm.data.pseudonyms import Key, key_path, write_key
from plainfilm.data.shards import kept, reading_folder
from plainfilm.data.spelling import listed
from plainfilm.data.store import Store, is_store
from plainfilm.errors import CatalogError, EngineError, PlainfilmError, UsageError
from plainfilm.evidence import attributes
from plainfilm.evidence.external import cohort, unlabelled
from plainfilm.evidence.external import evaluate as external
from plainfilm.evidence.external.cohort import Cohort
from plainfilm.evidence.external.evaluate import ExternalPredictions
from plainfilm.evidence.external.recalibrated_bundle import FittedTo, recalibrate
from plainfilm.model import bundle as bundles
from plainfilm.model import sites
from plainfilm.model.bundle import Bundle
from plainfilm.model.cpus import processors
from plainfilm.model.shared_bundle import SharedBundle
from plainfilm.reporting import environment
from plainfilm.reporting import evaluate as reporting
from plainfilm.reporting.evaluate_page import About, ExternalReport, UnlabelledReport
from plainfilm.results.external import ExternalMetrics, UnlabelledMetrics
from plainfilm.workflows.checks import check_figures, check_out
from plainfilm.workflows.clustering import check_cluster, on_cluster, on_device
from plainfilm.workflows.options import EvaluateOptions
from plainfilm.workflows.parsing import mapping_of
from plainfilm.workflows.reading import asked_of, given_of, without_paths
from plainfilm.workflows.verb import Run, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An evaluation that can begin: the bundle, and the store or the listed files that it is tested on."""

    options: EvaluateOptions
    bundle: Bundle
    store: Store | None  # None: `catalog` is read into one that is removed afterwards
    catalog: Catalog | None
    labels: cohort.LabelMapping
    folder: Path

    @property
    def is_labelled(self) -> bool:
        """Whether a label stands for a class; if none does, a known prevalence is all there is to fit to."""
        return bool(self.labels.stands_for)

    @property
    def site(self) -> str | None:
        """The site whose calibration is tested; None for the bundle's own."""
        return None if self.options.recalibrate else self.options.site


def plan(options: EvaluateOptions) -> Plan:
    """Check the options; open the bundle, and the store or the listing of the other data.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    check_cluster(options)
    folder, source, mapping = followed(options.out), Path(options.source), mapping_of(options.mapping)
    check_out(folder, overwrite=options.overwrite)
    check_figures(options.figures)
    if options.prevalence is not None and not options.recalibrate:
        raise UsageError("Expected --recalibrate with --prevalence; received none. Add it, or leave --prevalence out.")
    files.settle(source)
    opened = _bundle(options)
    classes = opened.classifier.classes_
    if opened.classifier.decision.task == "findings":
        return _plan_of_findings(options, opened, folder)
    if not is_store(source):
        asked = replace(asked_of(options), keep_others=True)  # the outlier detector judges each radiograph
        no_label_will_do = options.prevalence is not None
        catalog = read_catalog([source], asked, one_class_will_do=True, no_label_will_do=no_label_will_do)
        if catalog.task == "findings":
            raise UsageError(
                f"Expected one label an image for a classifier of {listed(classes)}; received several findings. Name the one that is the label with --label-of."
            )
        labels = {entry.label for entry in catalog.entries if entry.label is not None}
        if no_label_will_do and cohort.without_labels(labels, classes, mapping):
            entries, known = cohort.unlabelled(catalog)
        else:
            entries, known = cohort.map_catalog(catalog, opened, mapping)
        if options.recalibrate:
            try:
                external.check_recalibration(opened.classifier.decision, [entry.label for entry in entries])
            except CatalogError:
                if not no_label_will_do:
                    raise
                entries, known = cohort.unlabelled(catalog)  # too few of a class to tell what it does
                external.check_recalibration(opened.classifier.decision, [entry.label for entry in entries])
        catalog = replace(catalog, entries=entries)
        return Plan(options=options, bundle=opened, store=None, catalog=catalog, labels=known, folder=folder)
    store = _store(options, opened)
    no_label_will_do = options.prevalence is not None and cohort.without_labels(store.classes, classes, mapping)
    known = cohort.map_store(store, opened, mapping, no_label_will_do=no_label_will_do)
    return Plan(options=options, bundle=opened, store=store, catalog=None, labels=known, folder=folder)


def _plan_of_findings(options: EvaluateOptions, opened: Bundle, folder: Path) -> Plan:
    source, mapping, names = Path(options.source), mapping_of(options.mapping), opened.classifier.classes_
    if options.label_of or options.task == "classes":
        given = "--label-of" if options.label_of else "--task classes"
        raise UsageError(
            f"Expected no {given} with a classifier of findings ({listed(names)}), which are tested all at once. Leave it out."
        )
    if is_store(source):
        store = _store(options, opened)
        no_label_will_do = options.prevalence is not None and cohort.without_labels(_named_in(store), names, mapping)
        known = cohort.map_store(store, opened, mapping, no_label_will_do=no_label_will_do)
        return Plan(options=options, bundle=opened, store=store, catalog=None, labels=known, folder=folder)
    catalog, known = _catalog_of_findings(options, opened)
    return Plan(options=options, bundle=opened, store=None, catalog=catalog, labels=known, folder=folder)


def _named_in(store: Store) -> Sequence[str]:
    return [*store.findings] if store.task == "findings" else store.classes


def _catalog_of_findings(options: EvaluateOptions, opened: Bundle) -> tuple[Catalog, cohort.LabelMapping]:
    """List a folder with the findings that it states; without, where a prevalence is stated and the labels are of none, or of too few."""
    source, mapping, names = [Path(options.source)], mapping_of(options.mapping), opened.classifier.classes_
    asked, stated = replace(asked_of(options), keep_others=True), _stated(options)
    if stated is not None:
        catalog = read_catalog(source, asked, one_class_will_do=True, no_label_will_do=True)
        labels = catalog.told or {entry.label for entry in catalog.entries if entry.label is not None}
        if cohort.without_labels(labels, names, mapping):
            return _unlabelled(catalog)
    listing = read_catalog(source, replace(asked, task="findings"), one_class_will_do=True)
    catalog, known = cohort.map_findings(listing, opened, mapping)
    if options.recalibrate:
        states = dict(zip(catalog.told, catalog.states_of(catalog.entries).T, strict=True))
        try:
            external.check_findings_recalibration(states, np.arange(len(catalog.entries)), stated)
        except CatalogError:
            if stated is None:
                raise
            return _unlabelled(listing)
    return catalog, known


def _unlabelled(catalog: Catalog) -> tuple[Catalog, cohort.LabelMapping]:
    entries, known = cohort.unlabelled(catalog)
    return replace(catalog, entries=entries, findings=(), told=()), known


def _stated(options: EvaluateOptions) -> Mapping[str, float] | None:
    """Give the prevalences of findings that are stated."""
    return options.prevalence if isinstance(options.prevalence, Mapping) else None


def _store(options: EvaluateOptions, opened: Bundle) -> Store:
    """Open the store of the other data, whose labels are of the kind that the classifier tells."""
    if given := given_of(options):
        raise UsageError(f"Expected {given} with a folder; received a store, which has its labels. Leave it out.")
    store, told = Store(Path(options.source)), opened.classifier.decision
    if store.task != told.task and not (told.task == "findings" and options.prevalence is not None):
        store.close()
        asked = "--label-of" if told.task == "classes" else "--task findings"
        raise UsageError(
            f"Expected a store of {told.task} for a classifier of {listed(told.classes)}; received one of {store.task}. Ingest it again with {asked}."
        )
    attributes.check_columns(store, options.subgroups)
    store.subgroups = tuple(options.subgroups)
    return store


def _bundle(options: EvaluateOptions) -> Bundle:
    """Open the bundle, as it answers at a site where one is named and not to be recalibrated for."""
    with on_device(options):
        opened, site = bundles.load(options.bundle, require_signature=options.require_signature), options.site
    if options.recalibrate:
        decision = opened.classifier.decision
        external.check_recalibration(decision)
        if options.prevalence is not None:
            decision.check_prevalence(options.prevalence, "--prevalence")
        if site is not None:
            findings = len(decision.classes) if decision.task == "findings" else 1
            sites.check_name(site, opened.manifest.known_sites, findings)
        return opened
    return opened if site is None else sites.at(opened, sites.find(opened, site))


@on_cluster
def run(plan: Plan) -> Run[ExternalMetrics] | Run[UnlabelledMetrics]:
    """Leave out what the model was made from, let it answer, and write the folder."""
    started, options, progress = time.perf_counter(), plan.options, plan.options.progress
    with _places(plan) as (key_partial, partial), _opened(plan, partial) as (store, key):
        progress("Looking for overlap", 0, 1, "")
        selected = cohort.select(store, plan.bundle, plan.labels)
        if options.recalibrate:
            _check_selected(plan, selected)
        progress("Looking for overlap", 1, 1, "")
        predictions = external.predict(
            plan.bundle,
            selected,
            shared=SharedBundle.of(plan.bundle, bundles.place_of(options.bundle), plan.site),
            advance=lambda done, every: progress("Answering", done, every, ""),
        )
        progress("Writing the report", 0, 1, "")
        about = About(
            model=bundles.place_of(options.bundle).name,
            data=_named(Path(options.source).resolve().name, key),
            folder=plan.folder.name,
            command=_command(options, key),
            kept_for=options.site if options.recalibrate else None,
        )
        result: Run[ExternalMetrics] | Run[UnlabelledMetrics]
        if plan.is_labelled:
            report = _judged(plan, selected, predictions, about)
            result = Run(plan.folder, reporting.write(partial, report, started=started))
        else:
            fitted = _fitted(plan, selected, predictions, about)
            result = Run(plan.folder, reporting.write_unlabelled(partial, fitted, started=started))
        if key is not None:
            write_key(key_partial, key)
    progress("Writing the report", 1, 1, "")
    return result


def _check_selected(plan: Plan, selected: Cohort) -> None:
    """Refuse a recalibration that cannot be fitted to the radiographs that are left."""
    decision, group = plan.bundle.classifier.decision, selected.store.group[selected.rows]
    if decision.task == "findings":
        states = dict(zip(selected.store.classes, selected.classes.T, strict=True)) if plan.is_labelled else {}
        external.check_findings_recalibration(states, group, _stated(plan.options))
        return
    names = [decision.classes[number] if number >= 0 else None for number in selected.classes]
    external.check_recalibration(decision, names, group)


def _judged(plan: Plan, selected: Cohort, predictions: ExternalPredictions, about: About) -> ExternalReport:
    options, made = plan.options, None
    found = external.evaluate(plan.bundle, selected, predictions, prevalence=options.prevalence, site=plan.site)
    fitted = {name: _fitted_to(own) for name, own in found.findings.items() if own.recalibration}
    if options.recalibrate and (found.recalibration or fitted):
        made = _recalibrated(plan, selected, fitted or _fitted_to(found))
    return ExternalReport(about=about, evaluation=found, recalibrated=made, formats=options.figures)


def _fitted(plan: Plan, selected: Cohort, predictions: ExternalPredictions, about: About) -> UnlabelledReport:
    """Fit to the prevalence that is stated, without labels."""
    found = unlabelled.evaluate(plan.bundle, selected, predictions, prevalence=plan.options.prevalence or 0.0)
    each = {
        name: FittedTo(fit=own.fit, radiographs=len(selected.rows), prevalence=own.prevalence)
        for name, own in found.fitted.items()
    }
    fitted = each if found.decision.task == "findings" else next(iter(each.values()))
    return UnlabelledReport(about=about, evaluation=found, recalibrated=_recalibrated(plan, selected, fitted))


def _fitted_to(found: external.ExternalEvaluation) -> FittedTo:
    """Give what was fitted to labelled radiographs of two classes, or of one finding."""
    if found.recalibration is None:
        raise ValueError("Expected a recalibration; none was fitted.")
    return FittedTo.labelled(found.recalibration, radiographs=len(found.cohort.rows))


def _recalibrated(plan: Plan, selected: Cohort, fitted: FittedTo | Mapping[str, FittedTo]) -> Bundle:
    return recalibrate(
        plan.bundle,
        fitted,
        store=selected.store,
        created=environment.now(),
        site=plan.options.site,
    )


@contextlib.contextmanager
def _places(plan: Plan) -> Iterator[tuple[Path, Path]]:
    """Give names for the key of pseudonyms, if there will be one, and for the folder: they take their places together."""
    with files.reserved(key_path(plan.folder), plan.folder, overwrite=plan.options.overwrite) as (key, folder):
        folder.mkdir()
        yield key, folder


@contextlib.contextmanager
def _opened(plan: Plan, partial: Path) -> Iterator[tuple[Store, Key | None]]:
    """Give the store, noting that its test set is opened; or read the files into one that is removed at the end, with its key."""
    if plan.store is not None:
        with plan.store as store:
            store.log_test_opening(f"evaluate, network {plan.bundle.classifier.key}")
            yield store, None
    elif plan.catalog is not None:
        options = plan.options
        folder = reading_folder(plan.folder)  # where others, and the same command the next time, find what is read
        with kept(folder), _gone_with_a_mistake(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            done = fill_store(
                plan.catalog,
                folder / "others.h5",
                size=plan.bundle.classifier.image_size,
                fit=plan.bundle.manifest.preprocessing.fit,
                workers=options.workers or processors(),
                only_test=True,
                read_into=folder,
                progress=lambda stage, done, every: options.progress(stage, done, every, ""),
            )
            with Store(done.path) as store:
                attributes.check_columns(store, plan.options.subgroups)
                store.subgroups = tuple(plan.options.subgroups)
                yield store, done.key
            problems_path(done.path).replace(partial / "problems.csv")


@contextlib.contextmanager
def _gone_with_a_mistake(folder: Path) -> Iterator[None]:
    """Remove a folder where the same command would come to the same end."""
    try:
        yield
    except PlainfilmError as error:
        if not isinstance(error, EngineError):
            claims.remove(folder)
        raise


def _named(data: str, key: Key | None) -> str:
    return data if key is None else key.source(data)


def _command(options: EvaluateOptions, key: Key | None) -> str:
    """Give what was typed, without the paths of the data where they have numbers."""
    if key is None:
        return options.command
    return without_paths(options.command, filter(None, (options.source, options.labels)))


evaluate = verb(EvaluateOptions, plan, run)
