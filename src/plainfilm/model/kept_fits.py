"""Trained heads in the cache, each under a name that says all its last bits depend on.

Of several trainings those that are done are found, by a command that was killed and by one whose trainings ran elsewhere.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm import __version__
from plainfilm.data import cache
from plainfilm.data.files import cache_folder
from plainfilm.engines.terms import version_of
from plainfilm.model import cpus, keras_backend, training
from plainfilm.model.callbacks import Callback
from plainfilm.model.group_dro import GroupWeights
from plainfilm.model.recipe_schema import Recipe, TrainingSettings
from plainfilm.model.training import Fitted, Part
from plainfilm.results.metrics import KerasBackend

FOLDER = "fits"
_PACKAGES = ("numpy", "keras")
_FLAGS = (
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
)
_TRIED = (256, 128)  # rows and features of what is learnt to tell processors apart
_GROUP = ("label", "stratum", "share", "weight")


@dataclass(frozen=True, slots=True)
class Computes:
    """What a training's last bits depend on beside what it is given.

    Attributes
    ----------
    backend : str
        Keras' own.
    threads : int
        How many it computes with.
    flags : tuple of (str, str)
        Variables of the environment that change what backends compute, and their values.
    versions : tuple of (str, str)
        plainfilm's, and those of what trains for it.
    code : str
        Hash of plainfilm's modules about models: between two releases they change too.
    answer : str
        Hash of what a small head learns here; "" where processors of several kinds may take part.
    """

    backend: str
    threads: int
    flags: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    code: str
    answer: str

    @property
    def environment(self) -> dict[str, str]:
        """What a new process is told so that it computes so: XLA counts threads by NPROC, TensorFlow by its own two."""
        names = ("NPROC", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        return {"KERAS_BACKEND": self.backend, **dict(self.flags), **dict.fromkeys(names, str(self.threads))}


def computes_here(*, mixed: bool = False) -> Computes:
    """Say how trainings compute in this process; `mixed` where they may compute otherwise elsewhere."""
    flags = tuple((name, os.environ[name]) for name in _FLAGS if name in os.environ)
    return Computes(keras_backend.choose(), _threads(), flags, versions(), _code(), "" if mixed else _answer())


def _threads() -> int:
    name = "NPROC" if keras_backend.choose() == "jax" else "TF_NUM_INTRAOP_THREADS"
    told = os.environ.get(name, "")
    return int(told) if told.isdecimal() and int(told) else cpus.may_run_on()


def versions() -> tuple[tuple[str, str], ...]:
    """Give the versions of plainfilm and of what trains for it."""
    used = keras_backend.used("cpu")
    return (("plainfilm", __version__), *((name, version_of(name)) for name in _PACKAGES), (used.name, used.version))


@lru_cache(maxsize=1)
def _code() -> str:
    modules = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()[:16]


@lru_cache(maxsize=1)
def _answer() -> str:
    rng = np.random.default_rng(0)
    labels, features = rng.integers(0, 2, _TRIED[0]), rng.standard_normal(_TRIED, np.float32)
    part = Part(np.arange(_TRIED[0]), labels, features.__getitem__)
    fitted = training.fit_head(_TRIED[1], 2, 1, part, part, Recipe(training=TrainingSettings(epochs=2)))
    return hashlib.sha256(b"".join(map(np.ndarray.tobytes, fitted.model.get_weights()))).hexdigest()[:16]


def path_of(
    width: int,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    features: Sequence[str],
    computes: Computes,
) -> Path:
    """Name the entry of the cache for a head of `training.fit_head`.

    Parameters
    ----------
    features
        What the parts read, by names that say all they depend on; those of the images first, then of each altered view.
    """
    settings = [asdict(each) for each in (recipe.head, recipe.training)]
    told = [width, classes, positive, recipe.seed, settings, list(features), asdict(computes)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for part in (train, validation):
        for column in (part.rows, part.labels, part.views, part.strata):
            digest.update(b"none" if column is None else str(column.shape).encode() + column.tobytes())
    return cache_folder() / FOLDER / f"{digest.hexdigest()[:32]}.npz"


def tuned_path(head: Path, *about: object) -> Path:
    """Name the entry of the cache for what becomes of a head in a fine-tuning, by all that this depends on beside, as texts or dataclasses."""
    told = [head.stem, *(asdict(each) if is_dataclass(each) else each for each in about)]  # type: ignore[arg-type]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return cache_folder() / FOLDER / f"{digest[:32]}.npz"


def split_path(codes: NDArray[np.uint8]) -> Path:
    """Name the entry of the cache for a split, uint8 (n), that trainings are sent with."""
    return cache_folder() / FOLDER / f"split-{hashlib.sha256(codes.tobytes()).hexdigest()[:32]}.npz"


def fit_head(
    path: Path,
    width: int,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    on_epoch: training.EpochCallback = lambda _n, _m: None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Find what `training.fit_head` gave in the cache, under the name of `path_of`; or train, and keep it. Found, it tells of its last epoch alone."""
    with cache.missing(path) as is_missing:
        if not is_missing and (kept := cache.read_arrays(path)) is not None:
            with keras_backend.on_cpu():
                model = training.new_head(width, classes, train, recipe)
            fitted = from_arrays(kept, model)
            on_epoch(len(fitted.history), fitted.history[-1])
            return fitted
        fitted = training.fit_head(
            width, classes, positive, train, validation, recipe, on_epoch=on_epoch, callbacks=callbacks
        )
        cache.write_arrays(path, to_arrays(fitted))
    return fitted


def to_arrays(fitted: Fitted, **more: str) -> dict[str, NDArray[Any]]:
    """Give what there is of a training beside its network, and `more` texts: weights, history, and the rest."""
    about = {
        "history": fitted.history,
        "epoch": fitted.epoch,
        "seconds": fitted.seconds,
        "backend": msgspec.to_builtins(fitted.backend),
        **more,
    }
    arrays = {f"weight{number}": weight for number, weight in enumerate(fitted.model.get_weights())}
    if fitted.weights:
        arrays |= {f"group_{name}": getattr(fitted.weights, name) for name in _GROUP}
    return {"about": np.array(json.dumps(about)), **arrays}


def from_arrays(kept: dict[str, NDArray[Any]], model: Any) -> Fitted:
    """Give back what `to_arrays` took apart; `model` gets the weights."""
    about = json.loads(str(kept["about"]))
    model.set_weights([kept[f"weight{number}"] for number in range(len(model.get_weights()))])
    groups = GroupWeights(*(kept[f"group_{name}"] for name in _GROUP)) if "group_label" in kept else None
    backend = msgspec.convert(about["backend"], KerasBackend)
    return Fitted(model, about["history"], about["epoch"], about["seconds"], backend, groups)
