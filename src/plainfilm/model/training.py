"""Trains a head on cached features, in Keras; the same seed gives the same weights."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import RecipeError
from plainfilm.model import heads
from plainfilm.model.recipes import Recipe

_STRETCH_BYTES = 8_000_000  # of inputs read at once: a file is opened once for many batches
_STEPS_AT_ONCE = 16  # inside TensorFlow, before it returns to Python
_VALIDATION_BATCH = 512
EpochCallback = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows to train or validate on, with their inputs read batch by batch.

    `read` maps row numbers int64 (b) to inputs (b, …); `labels` int64 (rows), index into classes, `positive` the class
    that a sigmoid's one output means.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    read: Callable[[NDArray[np.int64]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained Keras model, the metrics of each epoch, the epoch kept (from 1), and the seconds it took."""

    model: Any
    history: list[dict[str, float]]
    epoch: int
    seconds: float


def targets(labels: NDArray[np.int64], classes: int, *, output: str, positive: int) -> NDArray[np.float32]:
    """Labels int64 (n) as a loss wants them: (n, 1), 1 for `positive`, for a sigmoid; one-hot (n, classes) for a softmax."""
    if output == "sigmoid":
        return np.asarray(labels == positive, np.float32)[:, None]
    return np.asarray(np.eye(classes, dtype=np.float32)[labels])


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Weights (classes) under which each class counts the same, with mean 1 over the rows."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(len(labels) / np.maximum(counts, 1) / classes, np.float32)


def fit_head(
    width: int,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    on_epoch: EpochCallback = lambda _n, _m: None,
) -> Fitted:
    """Train a new head of the recipe.

    Parameters
    ----------
    width
        Number of features.
    classes, positive
        Number of classes; index of the positive one.
    train, validation
        Parts whose inputs are float32 features (b, width).
    on_epoch
        Called after each epoch with its number (from 1) and its metrics.

    Raises
    ------
    RecipeError
        The training diverged: no epoch that could be kept has weights that are numbers.
    """
    model = heads.build_head(width, classes, recipe.head, seed=recipe.seed)
    return fit(model, classes, positive, train, validation, recipe, on_epoch=on_epoch)


def fit(
    model: Any,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    on_epoch: EpochCallback = lambda _n, _m: None,
) -> Fitted:
    """Train any Keras model that ends like a head of `heads.build_head`, as the recipe says."""
    import keras

    settings, output = recipe.training, heads.output_kind(recipe.head, classes)
    weights = (
        class_weights(train.labels, classes) if settings.class_weight == "balanced" else np.ones(classes, np.float32)
    )
    wanted = partial(targets, classes=classes, output=output, positive=positive)
    batches = _batches(train, wanted(train.labels), weights[train.labels], settings.batch_size, seed=recipe.seed)
    alike = np.ones(len(validation.labels), np.float32)
    checks = _batches(
        validation, wanted(validation.labels), alike, max(settings.batch_size, _VALIDATION_BATCH), seed=None
    )
    optimizer = keras.optimizers.get(
        {"class_name": settings.optimizer, "config": {"learning_rate": settings.learning_rate}}
    )
    loss = {"crossentropy": "binary_crossentropy" if output == "sigmoid" else "categorical_crossentropy"}.get(
        settings.loss, settings.loss
    )
    accuracy = (
        keras.metrics.BinaryAccuracy("accuracy")
        if output == "sigmoid"
        else keras.metrics.CategoricalAccuracy("accuracy")
    )
    # XLA would spend seconds compiling what runs for milliseconds
    model.compile(optimizer, loss, weighted_metrics=[accuracy], jit_compile=False, steps_per_execution=_STEPS_AT_ONCE)
    history: list[dict[str, float]] = []

    def note(epoch: int, logs: dict[str, float]) -> None:
        history.append({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}})
        on_epoch(epoch + 1, history[-1])

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=note)]
    if settings.keep == "best" or settings.patience:
        patience = settings.patience or settings.epochs
        callbacks.append(
            keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=settings.keep == "best")
        )
    start = time.perf_counter()
    model.fit(batches, validation_data=checks, epochs=settings.epochs, verbose=0, callbacks=callbacks, shuffle=False)
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise RecipeError(
            f"Expected a training that settles; received NaN after {len(history)} epochs or fewer. Lower training.learning_rate."
        )
    kept = int(np.nanargmin([row["val_loss"] for row in history])) if settings.keep == "best" else len(history) - 1
    return Fitted(model, history, kept + 1, time.perf_counter() - start)


def _batches(
    part: Part, wanted: NDArray[np.float32], weights: NDArray[np.float32], batch_size: int, *, seed: int | None
) -> Any:
    """Batches of (inputs, targets, weights) for Keras; in a new order each epoch where there is a seed."""
    import keras

    rng = None if seed is None else np.random.default_rng(seed)
    stretch = batch_size * max(1, _STRETCH_BYTES // (part.read(part.rows[:1]).nbytes * batch_size))

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self.on_epoch_begin()

        def on_epoch_begin(self) -> None:
            self._order = np.arange(len(part.rows)) if rng is None else rng.permutation(len(part.rows))
            self._from, self._inputs = -1, np.empty(0)

        def __len__(self) -> int:
            return -(-len(part.rows) // batch_size)

        def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
            at = index * batch_size
            start = at - at % stretch
            if self._from != start:
                self._from, self._inputs = start, part.read(part.rows[self._order[start : start + stretch]])
            some = self._order[at : at + batch_size]
            return self._inputs[at - start : at - start + len(some)], wanted[some], weights[some]

    return Batches()
