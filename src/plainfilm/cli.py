"""The command line: parse, call, print. Turns an error into one line and an exit code."""

import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from plainfilm import __version__
from plainfilm.errors import PlainfilmError, UsageError

app = cyclopts.App(
    name="plainfilm",
    version=__version__,
    help="From a folder of chest X-rays to a classifier, and plain words about what its accuracy is worth.\n\n"
    "Research use only; not a medical device.",
    suppress_keyboard_interrupt=False,
    help_epilogue="First steps: `plainfilm demo`, then `plainfilm ingest FOLDER --out my.h5` and `plainfilm train my.h5 --out run`.",
)
weights_app = cyclopts.App(
    name="weights", help="ImageNet weights of the backbones: what is here, where it came from, its licence."
)
app.command(weights_app)

Quiet = Annotated[bool, Parameter(help="No progress.", negative="")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.", negative="")]
Overwrite = Annotated[bool, Parameter(help="Replace a folder that an earlier run wrote.", negative="")]
Signed = Annotated[
    Path | None, Parameter(help="A public key (PEM): go on only if the bundle is signed for it.", negative="")
]
Positive = Annotated[
    str | None, Parameter(help="The class that sensitivity is about; by default the one not called normal.")
]
Settings = Annotated[
    list[str],
    Parameter(
        name="--set",
        help="Any value of the recipe, as KEY=VALUE: --set head.layers='dense 64, dropout 0.5'.",
        negative="",
    ),
]

Map = Annotated[
    list[str],
    Parameter(
        name="--map",
        help="A label of the data and the class that it stands for, LABEL=CLASS; again, or with commas, for more. Labels that stand for no class are left out.",
        negative="",
    ),
]


def _value(text: str, key: str) -> Any:
    return Parameter(help=f"{text} Short for --set {key}=….")


@app.command
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
    from plainfilm import pipeline, terminal

    with terminal.Shown(quiet=quiet) as progress:
        _load_keras(progress)
        run = pipeline.demo(
            out, images=images, seed=seed, shortcut=shortcut, overwrite=overwrite, command=_typed(), progress=progress
        )
    _show_run(run, as_json=as_json)
    if not as_json:
        terminal.say(
            "",
            "A program made these radiographs; their accuracy says nothing about patients.",
            "Now your own: a folder with one folder a class, or with a metadata.csv.",
            "",
            "  plainfilm ingest YOUR_FOLDER --out my.h5",
            "  plainfilm train my.h5 --out my-run          then open my-run/report.html",
        )


@app.command
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
    from plainfilm import pipeline, terminal

    if not sources:
        raise UsageError(
            "Expected a folder of radiographs; received none. Write: plainfilm ingest FOLDER --out NAME.h5"
        )
    wanted = [name.strip() for name in classes.split(",")] if classes else None
    with terminal.Shown(quiet=quiet) as progress:
        done = pipeline.ingest(sources, out, labels=labels, classes=wanted, size=size, fit=fit, on_bad=on_bad, workers=workers, seed=seed, resplit=resplit, progress=progress)  # fmt: skip
    _show_ingested(done, as_json=as_json)


@app.command
def train(
    store: Path,
    *,
    out: Path,
    recipe: str = "default",
    backbone: Annotated[
        str | None, _value("A row of `plainfilm weights list`, or an ONNX file.", "backbone.name")
    ] = None,
    weights: Annotated[str | None, _value("A file of weights.", "backbone.weights")] = None,
    seed: Annotated[str | None, _value("Of everything random in training.", "seed")] = None,
    epochs: Annotated[str | None, _value("Passes over the training part.", "training.epochs")] = None,
    batch_size: Annotated[str | None, _value("Images a step.", "training.batch_size")] = None,
    learning_rate: Annotated[str | None, _value("Of the optimizer.", "training.learning_rate")] = None,
    loss: Annotated[str | None, _value("crossentropy or mean_squared_error.", "training.loss")] = None,
    optimizer: Annotated[str | None, _value("adam, adamw, sgd, rmsprop or nadam.", "training.optimizer")] = None,
    input_size: Annotated[str | None, _value("Pixels the backbone sees.", "backbone.input_size")] = None,
    threshold: Annotated[
        str | None, _value("A number, youden, accuracy or sensitivity:0.95.", "evaluation.threshold")
    ] = None,
    settings: Settings = [],  # noqa: B006 - cyclopts reads the default and never changes it
    positive: Positive = None,
    folds: int = 0,
    resume: Annotated[bool, Parameter(negative="")] = False,
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
        Cross-validate with so many folds: every radiograph is tested by a classifier that has not seen its patient, and
        model.plainfilm joins the classifiers of all folds. 0: one training, tested on the test part.
    resume
        Go on with a fine-tuning that was interrupted.
    """
    from plainfilm import pipeline, terminal

    named = {"backbone.name": backbone, "backbone.weights": weights, "seed": seed, "training.epochs": epochs, "training.batch_size": batch_size,
             "training.learning_rate": learning_rate, "training.loss": loss, "training.optimizer": optimizer, "backbone.input_size": input_size,
             "evaluation.threshold": threshold}  # fmt: skip
    chosen = _settings(settings) | {key: value for key, value in named.items() if value is not None}
    pipeline.check(store, out, [recipe], chosen, positive=positive, folds=folds, resume=resume, overwrite=overwrite)
    with terminal.Shown(quiet=quiet) as progress:
        _load_keras(progress)
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
            command=_typed(),
            progress=progress,
        )
    _show_run(run, as_json=as_json)


@app.command
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
    from plainfilm import pipeline, terminal

    worst = _fail_on(fail_on)
    with terminal.Shown(quiet=quiet) as progress:
        run = pipeline.audit(
            store, out, model=model, seed=seed, overwrite=overwrite, command=_typed(), progress=progress
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


@app.command
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
    from plainfilm import pipeline, terminal

    names, chosen = [name.strip() for name in recipes.split(",")], _settings(settings)
    pipeline.check_seeds(seeds, chosen)
    pipeline.check(store, out, names, chosen, positive=positive, overwrite=overwrite)
    with terminal.Shown(quiet=quiet) as progress:
        _load_keras(progress)
        run = pipeline.compare(store, out, recipe_names=names, seeds=seeds, settings=chosen, positive=positive, overwrite=overwrite, command=_typed(), progress=progress)  # fmt: skip
    if as_json:
        print(json.dumps(run.metrics))
        return
    terminal.say(
        terminal.compared(run.metrics["recipes"]),
        "",
        run.metrics["worth"]["sentence"],
        f"Open {run.folder / 'comparison.html'}",
    )


@app.command
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
    from plainfilm import terminal, tuning

    sizes, names = (
        _numbers(input_sizes, "--input-sizes"),
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
        _load_keras(progress)
        run = tuning.tune(store, out, **asked, command=_typed(), progress=progress)
    if as_json:
        print(json.dumps(run.metrics))
    else:
        terminal.say(
            "", *terminal.tuned(run.metrics), "", f"Open {run.folder / 'tuning.html'}", f"Next: {run.metrics['next']}"
        )
    if run.metrics["interrupted"]:
        _fail("Stopped. What was tried is kept; run the same command to go on.", "", 130)


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"Expected {option} of whole numbers with commas between; received {text}. Write for example {option} 224,320"
        ) from None


@app.command
def predict(
    bundle: Path,
    *files: Path,
    prevalence: float | None = None,
    explain: Path | None = None,
    explain_by: str = "gradcam",
    require_signature: Signed = None,
    workers: int = 0,
    quiet: Quiet = False,
    as_csv: Annotated[bool, Parameter(name="--csv", help="Print one row a file as CSV.", negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer for radiographs: class, calibrated probability, and what stands against believing it.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    files
        Images, DICOM files, or folders of them.
    prevalence
        Share of those examined who have the positive class, 0 to 1: what a probability means there.
    explain
        A folder for one picture a file of where the model looked.
    explain_by
        gradcam, or occlusion, which is slower.
    workers
        Processes that decode; 0 for one a processor where there are many files.
    """
    from plainfilm import answering, terminal
    from plainfilm.evidence import prediction
    from plainfilm.evidence.standing import About

    if not files:
        raise UsageError("Expected an image or a folder; received none. Write: plainfilm predict BUNDLE FILE")
    if as_csv and as_json:
        raise UsageError("Expected --csv or --json; received both. Leave one out.")
    predictor = prediction.load(bundle, require_signature=require_signature)
    about, tally = About.of(predictor, prevalence), answering.Tally()
    is_watched = sys.stdout.isatty() and not (as_csv or as_json)  # then the lines themselves show how far it is
    with terminal.Shown(quiet=quiet or is_watched) as progress:
        paths = prediction.paths(files)
        answers = tally.watch(
            predictor.stream(
                paths, prevalence=prevalence, workers=workers, explain=_overlays(predictor, explain, explain_by)
            )
        )
        write = answering.as_json if as_json else answering.as_csv if as_csv else answering.as_lines
        write(terminal.counted(answers, progress, "Predicting", len(paths)), about)
    if not (as_csv or as_json):
        answering.say_summary(tally, about)
    if tally.all_unreadable:
        sys.exit(1)


def _overlays(predictor: Any, folder: Path | None, method: str) -> Any:
    if folder is None:
        return None
    from plainfilm.evidence.overlays import Overlays

    return Overlays(folder, predictor, method=method)


@app.command
def serve(
    bundle: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_host: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006 - read only
    token_file: Annotated[Path | None, Parameter(negative="")] = None,
    certificate: Annotated[Path | None, Parameter(negative="")] = None,
    key: Annotated[Path | None, Parameter(negative="")] = None,
    require_signature: Signed = None,
    dicom_port: int | None = None,
    ae_title: str = "PLAINFILM",
    spool: Path | None = None,
    peer: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006 - read only
    answer_to: str | None = None,
    poll: str | None = None,
    quiet: Annotated[bool, Parameter(help="Log warnings and errors alone.", negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a bundle: a page for people, an API for programs and, with --dicom-port, a node for the PACS.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    host
        Address to bind to. Any but this machine's own needs a token: PLAINFILM_TOKEN, or --token-file.
    port
        Port of the page and the API; 0 for any that is free.
    allow_host
        A further name by which the server may be called, such as a proxy's; again for more.
    token_file
        A file with the token that the API asks for.
    certificate
        PEM file, to serve HTTPS.
    key
        PEM file with the certificate's key.
    dicom_port
        Port of the DICOM node; without it there is none.
    ae_title
        Application entity title of the node.
    spool
        Folder of what the node has received and not yet answered; by default ~/.local/state/plainfilm/spool.
    peer
        Who may send and is answered: NAME=HOST:PORT (DICOM) or NAME=URL (DICOMweb); again for more.
    answer_to
        The peer that gets all answers; by default whoever sent.
    poll
        A peer with a URL that is asked for new radiographs.
    """
    from plainfilm import terminal
    from plainfilm.errors import MissingExtraError

    try:
        from plainfilm.serve import running
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Expected the extra `serve`; {error.name} is missing. Install it with: pip install 'plainfilm[serve]'"
        ) from error

    def started(address: str, examiner: Any) -> None:
        if as_json:
            print(json.dumps({"address": address, "name": examiner.identity.name, "version": examiner.identity.version}), flush=True)  # fmt: skip
            return
        terminal.say(
            f"Serving {examiner.identity.name} at {address}",
            *terminal.worth(examiner.about.metrics, "Worth  "),
            terminal.styled("Research use only; not a medical device. Ctrl-C stops.", "dim"),
        )

    settings = running.Settings(
        bundle=bundle,
        require_signature=require_signature,
        host=host,
        port=port,
        allow_hosts=allow_host,
        token_file=token_file,
        certificate=certificate,
        key=key,
        node=_node(host, dicom_port, ae_title, spool=spool, peers=peer, answer_to=answer_to, poll=poll),
    )
    running.serve(settings, quiet=quiet, started=started)


def _node(host: str, port: int | None, ae_title: str, *, spool: Path | None, **named: Any) -> Any:
    """What makes the DICOM node once the bundle is open, or nothing."""
    if port is None:
        if spool or any(named.values()):
            raise UsageError(
                "Expected --dicom-port with --spool, --peer, --answer-to or --poll; received none. Add it."
            )
        return None
    from plainfilm.serve.dicom.node import Node

    kept = spool or Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "plainfilm" / "spool"
    return partial(Node, host=host, port=port, ae_title=ae_title, spool=kept, **named)


@app.command
def export(
    bundle: Path,
    *,
    to: str,
    out: Path,
    overwrite: Annotated[bool, Parameter(help="Replace a file that is there.", negative="")] = False,
    require_signature: Signed = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a bundle in another runtime's format, and keep the file only if it answers as the bundle does.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    to
        onnx, openvino, keras or tflite.
    out
        The file to write: .onnx, .xml (its .bin comes beside it), .keras or .tflite.
    """
    from plainfilm import terminal
    from plainfilm.model import bundle as bundles
    from plainfilm.model import export as exporting

    exporting.check(to, out, overwrite=overwrite)
    opened = bundles.load(bundle, require_signature=require_signature)
    with terminal.Shown(quiet=quiet) as progress:
        progress("Exporting", 0, 1, "")
        with terminal.muted_native_logs():
            done = exporting.export(opened, to, out, overwrite=overwrite)
        progress("Exporting", 1, 1, "")
    if as_json:
        print(json.dumps({"path": str(done.path), "to": done.to, "images": done.images, "largest_difference": done.largest_difference,
                          "largest_log_difference": done.largest_log_difference, "bytes": done.bytes}))  # fmt: skip
        return
    terminal.say(
        f"{done.path}: {done.bytes / 1e6:.1f} MB",
        f"Largest difference from the bundle over {done.images} images: {done.largest_difference:.1e} of a probability, "
        f"{done.largest_log_difference:.1e} of its logarithm.",
        terminal.styled("Unlike `plainfilm predict`, it refuses no image and knows no prevalence.", "yellow"),
        terminal.styled("Research use only; not a medical device.", "dim"),
    )


@app.command
def evaluate(
    bundle: Path,
    source: Path,
    *,
    out: Path,
    mapping: Map = [],  # noqa: B006 - cyclopts reads the default and never changes it
    labels: Path | None = None,
    recalibrate: Annotated[bool, Parameter(negative="")] = False,
    workers: int = 0,
    require_signature: Signed = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Test a classifier on another hospital's data, at its own threshold.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    source
        A folder of radiographs as for `plainfilm ingest`, or a store.
    out
        The folder to make: report.html, metrics.json, predictions.csv, overlap.csv, figures/.
    labels
        A CSV with file_name and label that overrides the folders' names.
    recalibrate
        Also write recalibrated.plainfilm, whose probabilities fit these data; no answer changes.
    workers
        Processes that decode; 0 for one a processor.
    """
    from plainfilm import pipeline, terminal

    stands_for = _mapping(mapping)
    with terminal.Shown(quiet=quiet) as progress:
        run = pipeline.evaluate(
            bundle,
            source,
            out,
            mapping=stands_for,
            labels=labels,
            recalibrate=recalibrate,
            workers=workers,
            overwrite=overwrite,
            require_signature=require_signature,
            command=_typed(),
            progress=progress,
        )
    if as_json:
        print(json.dumps(run.metrics))
        return
    terminal.say("", *terminal.evaluated(run.metrics), "", f"Open {run.folder / 'report.html'}")
    terminal.say(terminal.styled("Research use only; not a medical device.", "dim"))


def _mapping(given: Sequence[str]) -> dict[str, str]:
    chosen = {}
    for text in (part for words in given for part in words.split(",")):
        label, sign, name = (word.strip() for word in text.partition("="))
        if not (label and sign and name):
            raise UsageError(f"Expected --map LABEL=CLASS; received {text}. Write for example --map COVID-19=COVID")
        chosen[label] = name
    return chosen


@app.command
def info(path: Path, *, require_signature: Signed = None, as_json: AsJson = False) -> None:
    """Show what a store, a bundle or a run holds.

    Parameters
    ----------
    path
        NAME.h5, model.plainfilm, or a run folder.
    """
    from plainfilm import contents, terminal

    found = contents.describe(path, require_signature=require_signature)
    if as_json:
        print(json.dumps(found))
    else:
        terminal.say(*terminal.outline(found))


@app.command
def doctor(*, as_json: AsJson = False) -> None:
    """Look over this machine: what is needed, what is here, what to do."""
    import dataclasses

    from plainfilm import terminal
    from plainfilm.doctor import examine

    with terminal.muted_native_logs():
        findings = list(examine())
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            terminal.say(
                terminal.finding(
                    finding.name, finding.found if finding.ok else f"{finding.found}. {finding.advice}", ok=finding.ok
                )
            )
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@weights_app.command(name="list")
def weights_list(*, as_json: AsJson = False) -> None:
    """Show each backbone's weights: here or not, hash, source, licence."""
    from plainfilm import terminal
    from plainfilm.model import weights

    listed = list(weights.listing())
    if as_json:
        print(json.dumps(listed))
    else:
        terminal.say(*terminal.weights_table(listed))


@weights_app.command(name="fetch")
def weights_fetch(name: str, *, as_json: AsJson = False) -> None:
    """Bring a backbone's weights to this machine.

    Parameters
    ----------
    name
        A backbone.
    """
    from plainfilm import terminal
    from plainfilm.model import weights

    with terminal.muted_native_logs():
        found = weights.fetch(name)
    _say_weights(name, found, as_json=as_json)


@weights_app.command(name="import")
def weights_import(name: str, file: Path, *, as_json: AsJson = False) -> None:
    """Keep a file of weights for a backbone, after loading it once.

    Parameters
    ----------
    name
        A backbone.
    file
        .h5 of Keras; for efficientnet_lite0 also .pth or .safetensors.
    """
    from plainfilm import terminal
    from plainfilm.model import weights

    with terminal.muted_native_logs():
        found = weights.import_file(name, file)
    _say_weights(name, found, as_json=as_json)


def _say_weights(name: str, found: Any, *, as_json: bool) -> None:
    from plainfilm import terminal

    if as_json:
        print(json.dumps({"name": name, "path": str(found.path), "origin": found.origin, "sha256": found.sha256}))
        return
    terminal.say(f"{name}: {found.path} ({found.origin})", f"SHA-256 {found.sha256}")


def _settings(given: Sequence[str]) -> dict[str, Any]:
    chosen = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"Expected --set KEY=VALUE; received {text}. Write for example --set training.epochs=5")
        chosen[key.strip()] = value.strip()
    return chosen


def _load_keras(progress: Any) -> None:
    from plainfilm import terminal

    progress("Loading Keras", 0, 1, "")
    with terminal.muted_native_logs():
        import keras  # noqa: F401
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each head is a graph of its own, which it warns of
    progress("Loading Keras", 1, 1, "")


def _typed() -> str:
    return shlex.join(["plainfilm", *sys.argv[1:]])


def _show_ingested(done: Any, *, as_json: bool) -> None:
    from plainfilm import terminal
    from plainfilm.data.ingest import problems_path

    left_out = sum(problem.fatal for problem in done.problems)
    if as_json:
        print(json.dumps({"store": str(done.path), "images": done.images, "classes": done.classes, "counts": done.counts, "problems": len(done.problems),
                          "left_out": left_out, "exact_duplicates": done.exact, "near_duplicates": done.near, "label_conflicts": done.conflicts,
                          "leaking_images": done.leakage.images if done.leakage else 0}))  # fmt: skip
        return
    unlabelled = done.images - sum(sum(parts.values()) for parts in done.counts.values())
    terminal.say(
        terminal.class_table(done.counts, unlabelled=unlabelled), "", f"{done.images:,} radiographs in {done.path}"
    )
    if done.exact or done.near:
        kept = "" if done.leakage else " Each group stays in one part of the split."
        terminal.say(f"Pairs of duplicates: {done.exact:,} the same, {done.near:,} nearly the same.{kept}")
    if done.leakage and done.leakage.images:
        terminal.say(terminal.styled(f"Leak: the given split has {done.leakage.images:,} images of {done.leakage.groups:,} patients or duplicates in more than one part. Make a new one with --resplit.", "bold red"))  # fmt: skip
    if len(done.sources) == 1:
        terminal.say(terminal.styled(f"Only one source is known ({done.sources[0]}), so nobody can tell the disease from the hospital. Name the sources: a column `source` in a metadata.csv, or one folder a hospital.", "yellow"))  # fmt: skip
    if done.problems:
        flagged = len(done.problems) - left_out
        terminal.say(
            f"{left_out:,} reasons why files were left out, {flagged:,} remarks on files kept: see {problems_path(done.path)}"
        )
    terminal.say("", f"Next: plainfilm train {done.path} --out run")


def _show_run(run: Any, *, as_json: bool) -> None:
    from plainfilm import terminal
    from plainfilm.evidence.drawing.wording import WHERE
    from plainfilm.evidence.parts import tested

    metrics = run.metrics
    if as_json:
        print(json.dumps(metrics))
        return
    (part, test), validation = tested(metrics["splits"]), metrics["splits"]["validation"]
    terminal.say(
        "",
        terminal.metric_table(test, validation, WHERE[part]),
        "",
        terminal.confusion(test["confusion_matrix"], metrics["classes"]),
        "",
    )
    terminal.say(terminal.decision(metrics), *terminal.verdict(test["accuracy"], test["n"], metrics, WHERE[part]))
    if metrics["test_openings"] > 1:
        terminal.say(terminal.styled(f"The test part of this store has been opened {metrics['test_openings']} times. The more often one looks, the more one's choices fit it by chance.", "yellow"))  # fmt: skip
    terminal.say(
        "",
        f"Open {run.folder / 'report.html'}",
        terminal.styled("Research use only; not a medical device.", "dim"),
    )


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _fail(_usage(error), f"See {shlex.join(['plainfilm', *(error.command_chain or ())])} --help.", 2)
    except PlainfilmError as error:
        _fail(str(error), "", error.exit_code)
    except ModuleNotFoundError as error:  # an installation for serving alone, asked to train
        _fail(
            f"Expected the package {error.name}; it is not installed.",
            "Install all of plainfilm with: pip install plainfilm",
            1,
        )
    except BrokenPipeError:  # `plainfilm info … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"Expected to read and write files; received: {error}.", "Check the disk and its permissions.", 1)
    except KeyboardInterrupt:
        _fail("Stopped. Nothing was half-written; run the same command to start again.", "", 130)


def _usage(error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.MissingArgumentError) and error.argument is not None and not error.tokens_so_far:
        return f"Expected {error.argument.name}; received none."
    return " ".join(str(error).split())


def _fail(message: str, hint: str, code: int) -> None:
    print(f"plainfilm: {message} {hint}".strip(), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
