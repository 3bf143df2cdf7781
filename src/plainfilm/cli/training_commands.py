"""Commands that make something of radiographs: stores, runs, audits, searches."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from plainfilm.cli.options import AsJson, Overwrite, Positive, Quiet, Settings, numbers, settings_of
from plainfilm.cli.output import fail, load_keras, show_ingested, show_run, typed
from plainfilm.cli.recipe_flags import NO_FLAGS, RECIPE, RecipeFlags, recipe_settings
from plainfilm.errors import UsageError


def demo(
    *,
    out: Path = Path("demo"),
    images: int = 360,
    seed: int = 0,
    shortcut: str | None = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go the whole way on made radiographs, without a network.

    Parameters
    ----------
    out
        Folder to make; gets radiographs/, demo.h5 and run/.
    images
        How many radiographs to make.
    seed
        Of everything random.
    shortcut
        Plant one, such as hospital: the accuracy rises, and the sentence beside it says why that means nothing.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pipeline

    with terminal.Shown(quiet=quiet) as progress:
        load_keras(progress)
        run = pipeline.demo(
            out, images=images, seed=seed, shortcut=shortcut, overwrite=overwrite, command=typed(), progress=progress
        )
    show_run(run, as_json=as_json)
    if not as_json:
        terminal.say(
            "",
            f"On a page of its own, with the extra `serve`: plainfilm serve {run.folder / 'model.plainfilm'}",
            "",
            "A program made these radiographs; their accuracy says nothing about patients.",
            "Now your own: a folder with one folder a class, or with a metadata.csv.",
            "",
            "  plainfilm ingest YOUR_FOLDER --out my.h5",
            "  plainfilm train my.h5 --out my-run          then open my-run/report.html",
        )


def ingest(
    *sources: Path,
    out: Path,
    labels: Path | None = None,
    classes: str | None = None,
    size: int = 256,
    fit: str = "stretch",
    on_bad: str = "skip",
    workers: int = 0,
    seed: int = 0,
    resplit: Annotated[bool, Parameter(negative="")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Read folders of radiographs into one HDF5 store.

    Parameters
    ----------
    sources
        Folders: CLASS/*, train|val|test/CLASS/*, one with a metadata.csv, or DICOM files.
    out
        The store to write, NAME.h5; NAME.problems.csv is written beside it.
    labels
        A CSV with file_name and label that overrides the folders' names.
    classes
        Keep these classes only: COVID,NORMAL.
    size
        Height and width of the stored images in pixels.
    fit
        stretch, crop (the middle square) or pad (black bars).
    on_bad
        skip: note files that cannot be read and go on; fail: stop at the first.
    workers
        Processes that decode; 0 for one a processor.
    seed
        Of the order of rows and of the split.
    resplit
        Make a new split even where folders or a table give one.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pipeline

    if not sources:
        raise UsageError(
            "Expected a folder of radiographs; received none. Write: plainfilm ingest FOLDER --out NAME.h5"
        )
    wanted = [name.strip() for name in classes.split(",")] if classes else None
    with terminal.Shown(quiet=quiet) as progress:
        done = pipeline.ingest(sources, out, labels=labels, classes=wanted, size=size, fit=fit, on_bad=on_bad, workers=workers, seed=seed, resplit=resplit, progress=progress)  # fmt: skip
    show_ingested(done, as_json=as_json)


def train(
    store: Path,
    *,
    out: Path,
    recipe: Annotated[str, Parameter(group=RECIPE, show_default=False)] = "default",
    flags: Annotated[RecipeFlags, Parameter(name="*")] = NO_FLAGS,
    settings: Annotated[Settings, Parameter(group=RECIPE)] = [],  # noqa: B006 - cyclopts reads the default and never changes it
    positive: Positive = None,
    folds: int = 0,
    resume: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    audit: Annotated[
        bool, Parameter(negative="--no-audit", help="Run the probes and put their verdict beside the accuracy.")
    ] = True,
    sign: Annotated[
        Path | None, Parameter(help="A private key (PEM, Ed25519): sign model.plainfilm with it.", negative="")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a store, test it, and write a report.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`.
    out
        The folder to make: report.html, metrics.json, model.plainfilm, history.csv, predictions.csv, recipe.toml, figures/.
    recipe
        default, paper-mobilenet, paper-resnet50, darkcovidnet, robust, or a TOML file.
    folds
        Cross-validate with this many folds: every radiograph is tested by a classifier that has not seen its patient, and
        model.plainfilm combines the classifiers of all folds. 0: one training, tested on the test set.
    resume
        Go on with a fine-tuning that was interrupted.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pipeline

    chosen = recipe_settings(flags, settings)
    pipeline.check(store, out, [recipe], chosen, positive=positive, folds=folds, resume=resume, overwrite=overwrite)
    with terminal.Shown(quiet=quiet) as progress:
        load_keras(progress)
        run = pipeline.train(
            store,
            out,
            recipe=recipe,
            settings=chosen,
            positive=positive,
            folds=folds,
            resume=resume,
            audit=audit,
            sign=sign,
            overwrite=overwrite,
            command=typed(),
            progress=progress,
        )
    show_run(run, as_json=as_json)


def audit(
    store: Path,
    *,
    out: Path,
    model: Path | None = None,
    fail_on: str | None = None,
    seed: int = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what an accuracy on these data is worth: classifiers that never see the lungs, sources, leaks, a verdict.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`.
    out
        The folder to make: audit.html, audit.json, figures/.
    model
        A model.plainfilm to audit; without one the data alone.
    fail_on
        possible or not-to-be-believed: exit with 1 at that verdict or a worse one.
    seed
        Of the sample that the probes see.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pipeline

    worst = _fail_on(fail_on)
    with terminal.Shown(quiet=quiet) as progress:
        run = pipeline.audit(
            store, out, model=model, seed=seed, overwrite=overwrite, command=typed(), progress=progress
        )
    if as_json:
        print(json.dumps(run.metrics))
    else:
        terminal.say(*terminal.audited(run.metrics), "", f"Open {run.folder / 'audit.html'}")
    if run.metrics["verdict"] in worst:
        sys.exit(1)


def _fail_on(asked: str | None) -> tuple[str, ...]:
    verdicts = {
        None: (),
        "possible": ("shortcut possible", "not to be believed"),
        "not-to-be-believed": ("not to be believed",),
    }
    if asked not in verdicts:
        raise UsageError(f"Expected --fail-on to be possible or not-to-be-believed; received {asked}.")
    return verdicts[asked]


def compare(
    store: Path,
    *,
    out: Path,
    recipes: str,
    seeds: int = 5,
    settings: Settings = [],  # noqa: B006 - cyclopts reads the default and never changes it
    positive: Positive = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train several recipes with several seeds each and set them side by side.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`.
    out
        The folder to make: comparison.html, comparison.json, comparison.csv.
    recipes
        Names or TOML files, with commas between: paper-mobilenet,default.
    seeds
        Trainings a recipe.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pipeline

    names, chosen = [name.strip() for name in recipes.split(",")], settings_of(settings)
    pipeline.check_seeds(seeds, chosen)
    pipeline.check(store, out, names, chosen, positive=positive, overwrite=overwrite)
    with terminal.Shown(quiet=quiet) as progress:
        load_keras(progress)
        run = pipeline.compare(store, out, recipe_names=names, seeds=seeds, settings=chosen, positive=positive, overwrite=overwrite, command=typed(), progress=progress)  # fmt: skip
    if as_json:
        print(json.dumps(run.metrics))
        return
    terminal.say(
        terminal.compared(run.metrics["recipes"]),
        "",
        run.metrics["worth"]["sentence"],
        f"Open {run.folder / 'comparison.html'}",
    )


def tune(
    store: Path,
    *,
    out: Path,
    trials: int = 100,
    timeout: float | None = None,
    epochs: int = 20,
    folds: int = 1,
    backbones: str | None = None,
    input_sizes: str = "0",
    views: int = 0,
    seed: int = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Search for a recipe: try heads and trainings on cached features; the test part is never looked at.

    The same command on the same folder goes on with the search.

    Parameters
    ----------
    store
        A store of `plainfilm ingest`.
    out
        The folder to make, or to go on in: tuning.html, tuning.json, trials.csv, best.toml, trials.db, figures/.
    trials
        How many in all.
    timeout
        Seconds after which no further trial begins.
    epochs
        Of each trial.
    folds
        1: score trials on the validation part; 3, say: in three folds of train and validation together.
    backbones
        Names with commas between: mobilenet,resnet50; by default those whose weights are on this machine.
    input_sizes
        Pixels to choose among, with commas between; 0 is the backbone's own.
    views
        Altered views of each image that a trial may train with; 0 leaves augmentation out of the search.
    seed
        Of the search and of each training.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import tune as tuning

    sizes, names = (
        numbers(input_sizes, "--input-sizes"),
        [name.strip() for name in (backbones or "").split(",") if name.strip()],
    )
    asked: dict[str, Any] = {
        "trials": trials,
        "timeout": timeout,
        "epochs": epochs,
        "folds": folds,
        "backbones": names,
        "input_sizes": sizes,
        "views": views,
        "seed": seed,
    }
    tuning.check(store, out, **asked)
    with terminal.Shown(quiet=quiet) as progress:
        load_keras(progress)
        run = tuning.tune(store, out, **asked, command=typed(), progress=progress)
    if as_json:
        print(json.dumps(run.metrics))
    else:
        terminal.say(
            "", *terminal.tuned(run.metrics), "", f"Open {run.folder / 'tuning.html'}", f"Next: {run.metrics['next']}"
        )
    if run.metrics["interrupted"]:
        fail("Stopped. What was tried is kept; run the same command to go on.", "", 130)
