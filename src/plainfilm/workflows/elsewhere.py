"""Trainings on a cluster's workers: each head is fitted where there is room, and left in the cache, where the command that wants it finds it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from plainfilm.data import cache, claims, files, shared_store
from plainfilm.data.store import SPLITS, Store
from plainfilm.engines import current
from plainfilm.engines.engine import Engine
from plainfilm.engines.left_files import LeftFile
from plainfilm.engines.local import Local
from plainfilm.engines.terms import check_versions, host
from plainfilm.errors import EngineError
from plainfilm.model import devices, kept_fits, kernels, recipes, training
from plainfilm.model.encoder import Encoder, Features
from plainfilm.model.kept_fits import Computes
from plainfilm.model.recipe_schema import BackboneSettings, Recipe
from plainfilm.model.training import Fitted
from plainfilm.workflows import member
from plainfilm.workflows.member import Base
from plainfilm.workflows.progress import Progress, silent

FEWEST_PASSES = 2_000_000  # films through heads, 10 s: to start Keras in two processes takes 7 s of a processor
_EPOCHS = "epochs"  # the cache's folder of fine-tunings that have begun
_PARTS = ("", *SPLITS)  # by their codes in a file of a split


@dataclass(frozen=True, slots=True)
class Kept:
    """Features in the cache: where, and their shape."""

    path: str
    rows: int
    width: int


@dataclass(frozen=True, slots=True)
class FitJob:
    """A training for another process: store, split, recipe of one classifier, features, how to compute, and where the fit goes."""

    number: int
    path: str
    store: str
    fingerprint: str
    split: str
    recipe: Recipe
    positive: str
    features: tuple[Kept, ...]
    computes: Computes
    host: str
    cache: str


def train(trainings: Sequence[tuple[Store, Recipe]], positive: str | None, progress: Progress) -> None:
    """Let the engine of the command do trainings, where there are several that nobody has done and that are long; whoever wants one then finds it.

    Parameters
    ----------
    trainings
        Store, under the split that counts, and recipe of each.
    """
    if (engine := current.elsewhere()) is None:
        return
    every = [(view, each) for view, recipe in trainings for each in recipes.members(recipe)]
    if len(every) < 2 or sum(_passes(*each) for each in every) < FEWEST_PASSES:
        return
    opened = _Opened(progress)
    jobs = list(_jobs(every, positive, engine, opened))
    if len(jobs) < 2:
        return
    progress("Training elsewhere", 0, len(jobs), "")
    for done, _ in enumerate(engine.map(fit_job, jobs, check=kernels.kernel_class), 1):
        progress("Training elsewhere", done, len(jobs), "")


def _passes(store: Store, recipe: Recipe) -> float:
    """Count the films that a training sees, once an epoch; a fine-tuning is always long."""
    films = len(store.rows("train"))
    return math.inf if member.finetunes(recipe) else films * training.epochs(recipe, films)


class _Opened:
    """Features of several trainings, encoded once for all that have them in common."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._encoders: dict[BackboneSettings, Encoder] = {}
        self._features: dict[Any, list[Features]] = {}

    def features(self, store: Store, recipe: Recipe) -> list[Features]:
        """Encode a store for a recipe, or give what was encoded before."""
        asked, settings = recipe.backbone, recipe.augmentation
        key = (asked, *((settings, recipe.seed) if settings.views else ()))
        if key not in self._features:
            if asked not in self._encoders:
                self._encoders[asked] = Base.of(store, recipe).open(self._progress)
            self._features[key] = member.encode(self._encoders[asked], store, recipe, self._progress)
        return self._features[key]


def _jobs(
    every: Sequence[tuple[Store, Recipe]], positive: str | None, engine: Engine, opened: _Opened
) -> Iterator[FitJob]:
    """Give a job for each training whose fit is not there."""
    computes, numbers, paths = kept_fits.computes_here(mixed=engine.mixed), count(), set[Path]()
    for view, recipe in every:
        features = opened.features(view, recipe)
        path = member.head_path(view, recipe, member.index_of(view, positive), features, computes)
        if member.finetunes(recipe):
            path = member.tuned_path(view, recipe, Base.of(view, recipe), path)
        if path in paths or cache.has(path):
            continue
        paths.add(path)
        yield FitJob(
            number=next(numbers),
            path=str(path.absolute()),
            store=str(view.path.absolute()),
            fingerprint=view.fingerprint,
            split=str(_kept_split(view).absolute()),
            recipe=recipe,
            positive=positive or "",
            features=tuple(Kept(str(each.path.absolute()), each.rows, each.width) for each in features),
            computes=computes,
            host=host(),
            cache=str(files.cache_folder().absolute()),
        )


def _kept_split(store: Store) -> Path:
    """Keep a split in the cache, a byte a row, under the hash of what it is."""
    codes = np.zeros(len(store), np.uint8)
    for code, name in enumerate(_PARTS):
        codes[store.split == name] = code
    path = kept_fits.split_path(codes)
    if not cache.has(path):
        cache.write_arrays(path, {"codes": codes})
    return path


def fit_job(job: FitJob) -> LeftFile:
    """Fit a head and leave it in the cache, in a process that computes as the job says.

    Raises
    ------
    EngineError
        Store or cache cannot be seen here, or this machine computes otherwise.
    """
    environment = job.computes.environment | {"PLAINFILM_CACHE": job.cache}
    (left,) = _trainer(tuple(environment.items())).map(fit_here, [job])
    return left


@lru_cache(maxsize=1)
def _trainer(environment: tuple[tuple[str, str], ...]) -> Local:
    """Start a process for trainings: backend and threads of Keras are chosen once in a process' life."""
    return Local(1, environment=dict(environment))


def fit_here(job: FitJob) -> LeftFile:
    """As `fit_job`, in the process that was made for it."""
    _check(job)
    codes = cache.read_arrays(Path(job.split))
    features = [Features(Path(each.path), each.rows, each.width, 0.0, cached=True) for each in job.features]
    if codes is None or not all(cache.has(each.path) for each in features):
        raise EngineError(
            f"Expected the cache at the same path on every machine; received none with {job.split} on {host()}. Share it: PLAINFILM_CACHE."
        )
    view = shared_store.opened(job.store, job.fingerprint).with_split(np.array(_PARTS)[codes["codes"]])
    index = member.index_of(view, job.positive or None)
    fitted = member.fit_head(view, job.recipe, index, features, job.computes, (), silent)
    if member.finetunes(job.recipe):
        _finetune(job, view, index, features, fitted)
    return LeftFile.of(job.number, Path(job.path))


def _finetune(job: FitJob, view: Store, positive: int, features: Sequence[Features], head: Fitted) -> None:
    """Train the backbone on, epoch by epoch as the cache keeps them until the end: another worker goes on from there."""
    base = Base.of(view, job.recipe)
    path = member.tuned_path(
        view, job.recipe, base, member.head_path(view, job.recipe, positive, features, job.computes)
    )
    if path.name != Path(job.path).name:
        raise EngineError(
            f"Expected machines that all have a GPU to fine-tune on, or none; received others on {host()} than on {job.host}. Leave that machine out."
        )
    epochs = files.cache_folder() / _EPOCHS / path.stem
    with devices.using(devices.CPU):
        member.finetune(view, job.recipe, positive, head, base, path, epochs, (), silent)
    claims.remove(epochs)


def _check(job: FitJob) -> None:
    """Hold how this process computes against how the job wants it."""
    check_versions(job.computes.versions, kept_fits.versions(), planner=job.host, other=host())
    own = kept_fits.computes_here(mixed=not job.computes.answer)
    if own != job.computes:
        differ = [name for name, value in asdict(own).items() if value != getattr(job.computes, name)]
        raise EngineError(
            f"Expected trainings that compute alike; received other {' and '.join(differ)} on {host()} than on {job.host}. "
            "Leave that machine out, or pass --mixed: trainings then differ in their last bits by the machine that ran them."
        )
