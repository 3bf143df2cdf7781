"""The way of a search, from a store to a folder with the best recipe; the test part is never looked at."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.errors import UsageError, WeightsError
from plainfilm.evidence.tuning import scoring
from plainfilm.evidence.tuning.results import Searched
from plainfilm.model import backbones as rows_of_backbones
from plainfilm.model import encoder, study, trials, weights
from plainfilm.model.augmentation import Altered
from plainfilm.model.recipe_schema import AugmentationSettings
from plainfilm.model.search_space import Key, Space, Trial
from plainfilm.reporting import tune as tuned_folder
from plainfilm.workflows import pipeline
from plainfilm.workflows.fit import positive_class
from plainfilm.workflows.pipeline import Run
from plainfilm.workflows.progress import Progress, silent

STUDY = "trials.db"
_FORM = 1  # of the search space; a search goes on only in the same
_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A search that can begin: what is searched, on how many folds, how many trials in all, and the weights' hashes."""

    space: Space
    folds: int
    trials: int
    hashes: Mapping[str, str]

    def about(self, store: Store) -> dict[str, Any]:
        """Everything that the scores depend on, by the names that people know; of the test part nothing but pixels."""
        return {
            "store": store.fingerprint,
            "labels and split": _seen(store),
            "backbones": list(self.space.backbones),
            "weights": [self.hashes[name] for name in self.space.backbones],
            "input sizes": list(self.space.input_sizes),
            "views": self.space.views,
            "epochs": self.space.epochs,
            "folds": self.folds,
            "seed": self.space.seed,
            "form of the search": _FORM,
        }


def tune(
    store: str | Path,
    out: str | Path,
    *,
    trials: int = 100,
    timeout: float | None = None,
    epochs: int = 20,
    folds: int = 1,
    backbones: Sequence[str] = (),
    input_sizes: Sequence[int] = (0,),
    views: int = 0,
    seed: int = 0,
    command: str = "",
    progress: Progress = silent,
) -> Run:
    """Search for a recipe: try heads and trainings on cached features, scored where the test part has no say.

    Parameters
    ----------
    store
        A store of `ingest`.
    out
        The folder to make; one of an earlier search is gone on with.
    trials
        How many in all.
    timeout
        Seconds after which no further trial begins.
    epochs
        Of each trial.
    folds
        1: a trial is scored on the validation part. K: K-fold cross-validation of train and validation together.
    backbones
        Names to choose among; by default those whose weights are on this machine.
    input_sizes
        Pixels to choose among; 0 is the backbone's own.
    views
        Altered views that a trial may train with; 0 leaves augmentation out of the search.
    seed
        Of the search and of each training.
    command, progress
        As for `train`.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    started, folder = time.monotonic(), Path(out)
    plan = check(store, out, trials=trials, timeout=timeout, epochs=epochs, folds=folds, backbones=backbones, input_sizes=input_sizes, views=views, seed=seed)  # fmt: skip
    until = float("inf") if timeout is None else started + timeout
    with Store(store) as opened:
        folder.mkdir(parents=True, exist_ok=True)
        begun = study.open_search(folder / STUDY, plan.space, plan.about(opened))
        material = _material(opened, plan, progress)
        interrupted = _search(begun, plan, material, opened.group, until, progress)
        progress("Writing the page", 0, 1, "")
        done = Searched(
            store=opened,
            space=plan.space,
            folds=plan.folds,
            asked=plan.trials,
            tried=begun.tried(),
            importances=begun.importances(),
            scored=sum(len(fold.validation) for fold in material.folds),
            interrupted=interrupted,
            folder=folder,
            command=command,
        )
        results = tuned_folder.write(done)
    progress("Writing the page", 1, 1, "")
    return Run(folder, results)


def check(
    store: str | Path,
    out: str | Path,
    *,
    trials: int = 100,
    timeout: float | None = None,
    epochs: int = 20,
    folds: int = 1,
    backbones: Sequence[str] = (),
    input_sizes: Sequence[int] = (0,),
    views: int = 0,
    seed: int = 0,
) -> Plan:
    """Find what is wrong before seconds go into loading Keras, and plan the search; see `tune`.

    Raises
    ------
    PlainfilmError
        As `tune` would.
    """
    study.check_installed()
    for name, value, least, most in (
        ("--trials", trials, 1, _MOST),
        ("--epochs", epochs, 1, 10_000),
        ("--folds", folds, 1, 20),
        ("--views", views, 0, 1000),
        ("--seed", seed, 0, 2**31 - 1),
        ("--timeout", timeout or 0, 0, float("inf")),
        *(("--input-sizes", size, 32 if size else 0, 2048) for size in input_sizes),
    ):
        if not least <= value <= most:
            raise UsageError(
                f"Expected {name} from {least:,} to {most:,}; received {value:,}. Set it within that range."
            )
    folder = Path(out)
    if not (folder / STUDY).is_file():
        _check_new(folder)
        pipeline.check(store, out, [], {})
    here = {row.name: row.sha256 for row in weights.listing() if row.present != "no"}
    names = _distinct([_named(name, here) for name in backbones] or list(here))
    space = Space(backbones=names, input_sizes=_distinct(input_sizes), views=views, epochs=epochs, seed=seed)
    plan = Plan(space=space, folds=folds, trials=trials, hashes=here)
    with Store(store) as opened:
        _inner_folds(opened, plan)
        if (folder / STUDY).is_file():
            study.open_search(folder / STUDY, space, plan.about(opened))
    return plan


def _check_new(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"Expected --out to be a new folder or one of an earlier search; received {folder}, which has other files in it. Name another."
        )


def _named(name: str, here: Mapping[str, str]) -> str:
    if name.endswith(".onnx"):
        raise UsageError(f"Expected backbones of `plainfilm weights list`; received the file {name}. Name others.")
    rows_of_backbones.find(name)
    if name not in here:
        raise WeightsError(
            f"Expected the weights of {name} on this machine; a search fetches nothing. Write: plainfilm weights fetch {name}"
        )
    return name


def _distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _seen(store: Store) -> str:
    """SHA-256 over classes, and over row, label and group of each image in train and validation."""
    digest = hashlib.sha256(repr(store.classes).encode())
    for part in ("train", "validation"):
        rows = store.rows(part)
        for column in (rows, store.labels[rows], store.group[rows]):
            digest.update(np.ascontiguousarray(column, np.int64).tobytes())
    return digest.hexdigest()


def _inner_folds(store: Store, plan: Plan) -> list[trials.Fold]:
    train, validation = store.rows("train"), store.rows("validation")
    return trials.inner_folds(train, validation, store.labels, store.group, store.classes, folds=plan.folds, seed=plan.space.seed)  # fmt: skip


def _material(store: Store, plan: Plan, progress: Progress) -> trials.Material:
    named = positive_class(store.classes)
    positive = store.classes.index(named) if named else 0
    return trials.Material(
        features={key: _encode(store, key, plan.space, progress) for key in plan.space.encodings()},
        labels=store.labels,
        folds=_inner_folds(store, plan),
        classes=len(store.classes),
        positive=positive,
        score=partial(scoring.log_losses, positive=positive),
    )


def _encode(store: Store, key: Key, space: Space, progress: Progress) -> list[encoder.Features]:
    """Encode a store by one backbone at one input size, and each altered view of it; or find that in the cache."""
    name, size = key
    backbone = rows_of_backbones.find(name)
    opened = encoder.open_encoder(backbone, encoder.preprocessing(backbone, image_size=store.size, input_size=size))
    settings = AugmentationSettings(views=space.views)
    sources: list[encoder.ImageSource] = [store]
    sources += [Altered(store, settings, seed=space.seed, view=view) for view in range(1, space.views + 1)]
    stage, every = f"Encoding, {name}{f' {size} px' if size else ''}", len(sources) * len(store)

    def encoded(number: int, source: encoder.ImageSource) -> encoder.Features:
        before = number * len(store)
        return encoder.encode_store(opened, source, progress=lambda done, _: progress(stage, before + done, every, ""))

    features = [encoded(number, source) for number, source in enumerate(sources)]
    progress(stage, every, every, "features found in the cache" if all(each.cached for each in features) else "")
    return features


def _search(
    begun: study.Search,
    plan: Plan,
    material: trials.Material,
    group: NDArray[np.int64],
    until: float,
    progress: Progress,
) -> bool:
    """Try until all is tried or the time is over; whether Ctrl-C came, which keeps what is done."""

    def on_trial(done: Sequence[trials.Tried]) -> None:
        best = study.best(done)
        note = f"best: trial {best.number}, validation log loss {best.score:.4f}" if best else ""
        progress("Searching", len(done), max(plan.trials, len(done)), note)

    try_one = partial(_try, space=plan.space, material=material, group=group)
    gc.freeze()  # collecting what a trial leaves need not go over all of TensorFlow: measured 0.4 s a trial
    try:
        begun.run(try_one, trials=plan.trials, until=until, on_trial=on_trial)
    except KeyboardInterrupt:
        if study.best(begun.tried()) is None:
            raise
        return True
    finally:
        gc.unfreeze()
    return False


def _try(
    trial: Trial, chosen: Mapping[str, Any], *, space: Space, material: trials.Material, group: NDArray[np.int64]
) -> dict[str, Any]:
    import keras

    try:
        ended = trials.attempt(trial, space, chosen, material)
    finally:
        keras.backend.clear_session()  # or each trial's graphs stay in memory
    labels = material.labels[ended.rows]
    found = scoring.score(ended.losses, ended.logits, labels, group[ended.rows], positive=material.positive)
    values = dataclasses.asdict(found)
    return {"score": values.pop("loss"), "kept": list(ended.epochs), **values}
