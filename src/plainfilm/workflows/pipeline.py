"""The whole way, from files to a report; the only place that knows the order."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm.data import ingest as filling
from plainfilm.data import phantom, split
from plainfilm.data.catalog import read_catalog
from plainfilm.data.files import written_whole
from plainfilm.data.ingest import Ingested
from plainfilm.data.store import Store, is_store
from plainfilm.errors import UsageError
from plainfilm.evidence.audit import audit as auditing
from plainfilm.evidence.audit.results import Audit
from plainfilm.evidence.evaluation.evaluate import Fold, Judged, judge, judge_folds
from plainfilm.evidence.explanation.summary import Explanation, look
from plainfilm.evidence.external import cohort
from plainfilm.evidence.external import evaluate as elsewhere
from plainfilm.evidence.statistics.intervals import estimate
from plainfilm.model import backbones, encoder, recipes, signing
from plainfilm.model import bundle as bundles
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Classifier, Trained
from plainfilm.model.cpus import processors
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import audit as audit_folder
from plainfilm.reporting import compare as compared
from plainfilm.reporting import evaluate as elsewhere_folder
from plainfilm.reporting import train as run_folder
from plainfilm.workflows import audited_model
from plainfilm.workflows.fit import check_recipe, cross_validate, fit, positive_class
from plainfilm.workflows.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training: its folder and its `metrics.json`."""

    folder: Path
    metrics: Mapping[str, Any]


def ingest(
    sources: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    classes: Sequence[str] | None = None,
    size: int = 256,
    fit: str = "stretch",
    on_bad: str = "skip",
    workers: int = 0,
    seed: int = 0,
    resplit: bool = False,
    progress: Progress = silent,
) -> Ingested:
    """Read folders of radiographs into a store.

    Parameters
    ----------
    sources
        One folder or several, in any layout that `docs/data.md` names.
    out
        Path of the store to write; an old one is replaced when the new one is whole.
    labels
        A table with `file_name` and `label` that overrides the folders' names.
    classes
        Keep these classes only.
    size
        Height and width of the stored images in pixels, 32 to 2048.
    fit
        "stretch", "crop" (the middle square) or "pad" (black bars).
    on_bad
        "skip" notes files that cannot be read in `NAME.problems.csv`; "fail" stops at the first.
    workers
        Processes that decode; 0 for one a processor.
    seed
        Of the order of the rows and of the split.
    resplit
        Make a new split even where one is given.
    progress
        Called with stage, done, all and a note.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    if on_bad not in {"skip", "fail"}:
        raise UsageError(f"Expected on_bad to be skip or fail; received {on_bad}.")
    if not 32 <= size <= 2048:
        raise UsageError(f"Expected a size from 32 to 2048 px; received {size}.")
    _check_seed(seed)
    if not Path(out).is_dir() and Path(out).suffix not in {".h5", ".hdf5"}:
        raise UsageError(
            f"Expected a store's name that ends in .h5; received {out}. Write for example {Path(out).stem}.h5"
        )
    folders = [Path(source) for source in ([sources] if isinstance(sources, str | Path) else sources)]
    catalog = read_catalog(folders, labels=Path(labels) if labels else None, classes=classes)
    return filling.fill_store(
        catalog,
        Path(out),
        size=size,
        fit=fit,
        on_bad=on_bad,
        workers=workers or processors(),
        seed=seed,
        resplit=resplit,
        advance=lambda done, every: progress("Reading radiographs", done, every, ""),
    )


def train(
    store: str | Path,
    out: str | Path,
    *,
    recipe: str = "default",
    settings: Mapping[str, Any] | None = None,
    positive: str | None = None,
    folds: int = 0,
    resume: bool = False,
    audit: bool = True,
    sign: Path | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = silent,
) -> Run:
    """Train a classifier on a store, test it, and write a run folder with its report.

    Parameters
    ----------
    store
        A store of `ingest`.
    out
        The run folder to make.
    recipe
        Name of a recipe, or a TOML file.
    settings
        Dotted keys of the recipe to set: `{"training.epochs": 5, "seed": 1}`.
    positive
        The class that sensitivity is about; by default the one that is not called normal. Two classes only.
    folds
        Cross-validate: train once a fold, 2 to 100 of them, and test each radiograph by the classifier that has not seen
        it. `model.plainfilm` joins the classifiers of all folds, which lie in `folds/`. 0 for one training.
    resume
        Go on with a fine-tuning that was interrupted, from its last epoch; it ends as if it had not been.
    audit
        Run the probes and put their verdict beside the accuracy.
    sign
        A private key (PEM, Ed25519) to sign the bundle with.
    overwrite
        Replace a run folder that is there.
    command
        What the user typed, for the report.
    progress
        Called with stage, done, all and a note.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    started, folder = time.perf_counter(), Path(out)
    check(store, folder, [recipe], settings or {}, positive=positive, folds=folds, resume=resume, overwrite=overwrite)
    if sign is not None:
        signing.sign(b"", sign)  # a wrong key is said before the minutes of a training
    chosen, epochs = recipes.load(recipe, settings), _interrupted(folder)
    if not resume:
        shutil.rmtree(epochs, ignore_errors=True)
    with Store(store) as opened:
        what = f"train {folder.name}, recipe {chosen.name}"
        trained, judged, openings, parts = _trained_and_judged(opened, chosen, folds, positive, epochs, what, progress)
        audited = _audit_trained(opened, trained, judged, progress) if audit else None
        joined = trained.classifier()
        explained = _look(opened, joined, judged, chosen.seed, progress) if audit else None
        progress("Writing the report", 0, 1, "")
        with _new_folder(folder, overwrite=overwrite) as partial:
            finished = run_folder.Finished(
                store=opened,
                trained=trained,
                classifier=joined,
                judged=judged,
                openings=openings,
                name=folder.name,
                command=command,
                folds=parts,
                audit=audited,
                explanation=explained,
                sign=sign,
            )
            metrics = run_folder.write(partial, finished, started=started)
    shutil.rmtree(epochs, ignore_errors=True)
    progress("Writing the report", 1, 1, "")
    return Run(folder, metrics)


def _trained_and_judged(
    store: Store,
    recipe: Recipe,
    folds: int,
    positive: str | None,
    epochs: Path,
    what: str,
    progress: Progress,
) -> tuple[Trained, Judged, int, Sequence[Fold]]:
    """Train and test, once or once a fold; the test part is opened in between, and that is noted."""
    if folds:
        openings = store.log_test_opening(f"{what}, {folds} folds")
        found = cross_validate(store, recipe, folds, positive=positive, checkpoints=epochs, progress=progress)
        progress("Testing", 0, 1, "")
        judged = judge_folds(store, found.trained, found.folds)
        progress("Testing", 1, 1, "")
        return found.trained, judged, openings, found.folds
    trained = fit(store, recipe, positive=positive, checkpoints=epochs, progress=progress)
    progress("Testing", 0, 1, "")
    openings = store.log_test_opening(what)
    judged = judge(store, trained)
    progress("Testing", 1, 1, "")
    return trained, judged, openings, ()


def _interrupted(folder: Path) -> Path:
    """Where a training keeps the epochs of its fine-tuning until its folder is whole."""
    return folder.with_name(f".{folder.name}.epochs")


def _audit_trained(store: Store, trained: Trained, judged: Judged, progress: Progress) -> Audit:
    return auditing.audit(
        store,
        trained.encoder,
        features=trained.features,
        model=estimate(judged.metrics[judged.tested]["auroc"]),
        seed=trained.recipe.seed,
        advance=lambda done, every: progress("Auditing", done, every, ""),
    )


def _look(store: Store, joined: Classifier, judged: Judged, seed: int, progress: Progress) -> Explanation | None:
    progress("Explaining", 0, 1, "")
    test = judged.scores[judged.tested]
    found = look(store, joined, test.rows, test.probabilities, seed=seed)
    progress("Explaining", 1, 1, "")
    return found


def audit(
    store: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = silent,
) -> Run:
    """Audit a store, and a classifier trained on it, and write `audit.html` and `audit.json`.

    Parameters
    ----------
    store
        A store of `ingest`.
    out
        The folder to make.
    model
        A bundle whose encoder and accuracy are audited; without it the default backbone looks at the data alone.
    seed
        Of the sample and the cross-validation.
    overwrite, command, progress
        As for `train`.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    folder = Path(out)
    _check_seed(seed)
    _check_folder(folder, overwrite=overwrite)
    with Store(store) as opened:
        asked = audited_model.comparison(opened, Path(model) if model else None)
        encoder_used = asked.encoder or _default_encoder(opened)
        found = auditing.audit(
            opened,
            encoder_used,
            model=asked.auroc,
            seed=seed,
            advance=lambda done, every: progress("Auditing", done, every, ""),
        )
        found = dataclasses.replace(found, not_run=(*found.not_run, *asked.not_run))
        with _new_folder(folder, overwrite=overwrite) as partial:
            results = audit_folder.write(partial, opened, found, name=folder.name, command=command)
    return Run(folder, results)


def evaluate(
    bundle: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    labels: str | Path | None = None,
    recalibrate: bool = False,
    workers: int = 0,
    overwrite: bool = False,
    require_signature: Path | None = None,
    command: str = "",
    progress: Progress = silent,
) -> Run:
    """Test a classifier on another hospital's data, at its own threshold, and write a folder with a report.

    Parameters
    ----------
    bundle
        A `model.plainfilm` of `train`.
    source
        A folder of radiographs, in any layout that `docs/data.md` names, or a store of the same size and fit. Of the store
        that the model was trained on only the test part is used. Images that the model was made from are left out.
    out
        The folder to make.
    mapping
        Labels of the data and the classes that they stand for, where they are called otherwise. A label that stands for
        no class is left out, and counted.
    labels
        A table with `file_name` and `label` that overrides the folders' names.
    recalibrate
        Also write `recalibrated.plainfilm`: one number is added to the log odds, so that probabilities fit these data.
    workers
        Processes that decode; 0 for one a processor.
    require_signature
        A public key (PEM): go on only if the bundle bears its signature.
    overwrite, command, progress
        As for `train`.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    started, folder, path = time.perf_counter(), Path(out), Path(source)
    _check_folder(folder, overwrite=overwrite)
    opened = bundles.load(bundle, require_signature=require_signature)
    with (
        _new_folder(folder, overwrite=overwrite) as partial,
        _others(path, partial, opened, mapping or {}, labels, workers, progress) as (store, known),
    ):
        progress("Looking for overlap", 0, 1, "")
        asked = cohort.choose(store, opened, known)
        progress("Looking for overlap", 1, 1, "")
        answers = elsewhere.answer(opened, asked, advance=lambda done, every: progress("Answering", done, every, ""))
        progress("Writing the report", 0, 1, "")
        tested = elsewhere_folder.Tested(
            bundle=opened,
            found=elsewhere.examine(opened, asked, answers),
            model=Path(bundle).name,
            data=path.resolve().name,
            name=folder.name,
            command=command,
            recalibrate=recalibrate,
        )
        metrics = elsewhere_folder.write(partial, tested, started=started)
    progress("Writing the report", 1, 1, "")
    return Run(folder, metrics)


@contextlib.contextmanager
def _others(
    source: Path,
    partial: Path,
    opened: Bundle,
    mapping: Mapping[str, str],
    labels: str | Path | None,
    workers: int,
    progress: Progress,
) -> Iterator[tuple[Store, cohort.Labels]]:
    """Open a store, or read a folder into one that is removed afterwards; with what its labels stand for."""
    if is_store(source):
        if labels is not None:
            raise UsageError("Expected --labels with a folder; received a store, which has its labels. Leave it out.")
        with Store(source) as store:
            known = cohort.labels_of(store, opened, mapping)
            store.log_test_opening(f"evaluate, network {opened.classifier.key}")
            yield store, known
        return
    catalog = read_catalog([source], labels=Path(labels) if labels else None, one_class_will_do=True)
    entries, known = cohort.entries(catalog, opened, mapping)
    temporary = partial / "others.h5"
    filling.fill_store(
        dataclasses.replace(catalog, entries=entries),
        temporary,
        size=opened.classifier.image_size,
        fit=cohort.fit_of(opened),
        workers=workers or processors(),
        only_test=True,
        advance=lambda done, every: progress("Reading radiographs", done, every, ""),
    )
    with Store(temporary) as store:
        yield store, known
    temporary.unlink()
    filling.problems_path(temporary).replace(partial / "problems.csv")


def _default_encoder(store: Store) -> encoder.Encoder:
    backbone = backbones.find(recipes.load("default").backbone.name)
    return encoder.open_encoder(backbone, encoder.preprocessing(backbone, image_size=store.size))


def check(
    store: str | Path,
    out: str | Path,
    recipe_names: Sequence[str],
    settings: Mapping[str, Any],
    *,
    positive: str | None = None,
    folds: int = 0,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Find what is wrong with a store, an output folder or recipes before seconds go into loading Keras.

    Raises
    ------
    PlainfilmError
        As `train` and `compare` would.
    """
    _check_folder(Path(out), overwrite=overwrite)
    if _interrupted(Path(out)).is_dir() and not (resume or overwrite):
        raise UsageError(
            f"Expected --resume to go on with the interrupted training of {out}, or --overwrite to start it anew; received neither."
        )
    if folds != 0 and not 2 <= folds <= 100:
        raise UsageError(f"Expected from 2 to 100 folds, or none; received {folds}.")
    for name in recipe_names:
        for member in recipes.members(recipes.load(name, settings)):
            check_recipe(member)
    with Store(store) as opened:
        positive_class(opened.classes, positive)
        if folds:
            split.folds(opened.labels, opened.group, opened.classes, count=folds)


def check_seeds(seeds: int, settings: Mapping[str, Any]) -> None:
    """Find what is wrong with the seeds of `compare`.

    Raises
    ------
    UsageError
        Not 1 to 100 of them, or a seed among the settings, which would be every training's.
    """
    if not 1 <= seeds <= 100:
        raise UsageError(f"Expected from 1 to 100 seeds; received {seeds}.")
    if "seed" in settings:
        raise UsageError(
            "Expected no seed among the settings; compare uses the seeds 0, 1, … itself. Give their number with --seeds."
        )


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise UsageError(f"Expected a seed of 0 or more; received {seed}.")


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if folder.is_file():
        raise UsageError(f"Expected --out to be a folder to make; received the file {folder}. Name another.")
    if folder.resolve() == Path.cwd():
        raise UsageError(f"Expected --out to be a folder to make; received {folder}, the one you are in. Name another.")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        received = "may not be written" if above.is_dir() else "is a file"
        raise UsageError(
            f"Expected --out where it can be made; received {folder}, but {above} {received}. Name another."
        )
    if folder.is_dir() and any(folder.iterdir()):
        is_ours = any((folder / name).is_file() for name in ("metrics.json", "comparison.json", "audit.json"))
        if not (overwrite and is_ours):
            hint = "Name another, or pass --overwrite to replace it." if is_ours else "Name another."
            raise UsageError(
                f"Expected --out to be a new or an empty folder; received {folder}, which has files in it. {hint}"
            )


@contextlib.contextmanager
def _new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to fill that becomes `folder` when it is whole; an old one is put aside first and removed last."""
    aside = folder.with_name(f".{folder.name}.old")
    with written_whole(folder) as partial:
        partial.mkdir()
        yield partial
        if overwrite and folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
            folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)


def compare(
    store: str | Path,
    out: str | Path,
    *,
    recipe_names: Sequence[str],
    seeds: int = 5,
    settings: Mapping[str, Any] | None = None,
    positive: str | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = silent,
) -> Run:
    """Train several recipes with several seeds each on one store, and write a page that sets them side by side.

    Parameters
    ----------
    store, out, settings, positive, overwrite, command, progress
        As for `train`.
    recipe_names
        Names of recipes or TOML files.
    seeds
        Trainings a recipe, 1 to 100; the seeds are 0, 1, ….
    """
    folder = Path(out)
    _check_folder(folder, overwrite=overwrite)
    check_seeds(seeds, settings or {})
    chosen = [
        [recipes.load(name, {**(settings or {}), "seed": seed}) for seed in range(seeds)] for name in recipe_names
    ]
    with Store(store) as opened:
        trained = [_fit_seeds(opened, own, positive, progress) for own in chosen]
        openings = opened.log_test_opening(
            f"compare {folder.name}, recipes {', '.join(recipe_names)}, {seeds} seeds each"
        )
        with _new_folder(folder, overwrite=overwrite) as partial:
            results = compared.write(partial, opened, trained, name=folder.name, command=command, openings=openings)
    return Run(folder, results)


def _fit_seeds(store: Store, own: Sequence[Recipe], positive: str | None, progress: Progress) -> list[compared.Attempt]:
    attempts = []
    for number, recipe in enumerate(own):
        progress(f"Recipe {recipe.name}", number, len(own), f"seed {recipe.seed}")
        start = time.perf_counter()
        trained = fit(store, recipe, positive=positive)
        attempts.append(compared.Attempt(trained, time.perf_counter() - start))
    progress(f"Recipe {own[0].name}", len(own), len(own), "")
    return attempts


def demo(
    out: str | Path,
    *,
    images: int = 360,
    seed: int = 0,
    shortcut: str | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = silent,
) -> Run:
    """Go the whole way on made radiographs of three made hospitals: `out` gets `radiographs/`, `demo.h5` and `run/`.

    Parameters
    ----------
    out
        Folder to make.
    images
        How many radiographs to make, at least 60.
    seed
        Of the radiographs, the split and the training.
    shortcut
        One of `phantom.SHORTCUTS` to plant, always with the sick: what a misleading data set looks like.
    overwrite, command, progress
        As for `train`.
    """
    folder = Path(out)
    _check_seed(seed)
    _check_folder(folder / "run", overwrite=overwrite)
    if overwrite and _is_made(folder / "radiographs"):
        shutil.rmtree(folder / "radiographs")
    progress("Making radiographs", 0, 1, "")
    phantom.write_phantoms(folder / "radiographs", n=images, seed=seed, shortcut=shortcut)
    progress("Making radiographs", 1, 1, "")
    ingest(folder / "radiographs", folder / "demo.h5", seed=seed, progress=progress)
    return train(
        folder / "demo.h5",
        folder / "run",
        settings={"seed": seed},
        overwrite=overwrite,
        command=command,
        progress=progress,
    )


def _is_made(radiographs: Path) -> bool:
    """Whether an earlier demo wrote this folder: nobody else's radiographs are ever removed."""
    table = radiographs / "metadata.csv"
    return table.is_file() and table.read_bytes().startswith(",".join(phantom.COLUMNS).encode())
