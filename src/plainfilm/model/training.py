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
from plainfilm.model.recipes import Recipe, TrainingSettings

_STRETCH_BYTES = 8_000_000  # of inputs read at once: a file is opened once for many batches
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
    settings, output = recipe.training, heads.output_kind(recipe.head, classes)
    _compile(model, settings, output)
    balanced = settings.class_weight == "balanced"
    weights = class_weights(train.labels, classes) if balanced else np.ones(classes, np.float32)
    wanted = partial(targets, classes=classes, output=output, positive=positive)
    train_pass = _Pass(model, "train", train, wanted(train.labels), weights[train.labels], settings.batch_size)
    alike = np.ones(len(validation.labels), np.float32)
    test_pass = _Pass(model, "test", validation, wanted(validation.labels), alike, _VALIDATION_BATCH)
    start = time.perf_counter()
    history, kept = _epochs(model, train_pass, test_pass, recipe, on_epoch)
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise RecipeError(
            f"Expected a training that settles; received NaN after {len(history)} epochs or fewer. Lower training.learning_rate."
        )
    return Fitted(model, history, kept, time.perf_counter() - start)


def _compile(model: Any, settings: TrainingSettings, output: str) -> None:
    import keras

    optimizer = keras.optimizers.get(
        {"class_name": settings.optimizer, "config": {"learning_rate": settings.learning_rate}}
    )
    is_sigmoid = output == "sigmoid"
    crossentropy = "binary_crossentropy" if is_sigmoid else "categorical_crossentropy"
    loss = crossentropy if settings.loss == "crossentropy" else settings.loss
    accuracy = keras.metrics.BinaryAccuracy if is_sigmoid else keras.metrics.CategoricalAccuracy
    # XLA would spend seconds compiling what runs for milliseconds
    model.compile(optimizer, loss, weighted_metrics=[accuracy("accuracy")], jit_compile=False)


def _epochs(
    model: Any, train_pass: "_Pass", test_pass: "_Pass", recipe: Recipe, on_epoch: EpochCallback
) -> tuple[list[dict[str, float]], int]:
    """Pass over the parts until the last epoch, and leave the model as the epoch to keep; history and that epoch."""
    settings, rng = recipe.training, np.random.default_rng(recipe.seed)
    keeps_best = settings.keep == "best"
    history: list[dict[str, float]] = []
    best, best_epoch, best_weights = np.inf, 0, None
    for epoch in range(1, settings.epochs + 1):
        logs = train_pass.run(rng.permutation(len(train_pass)))
        checks = {f"val_{name}": value for name, value in test_pass.run(np.arange(len(test_pass))).items()}
        history.append({"epoch": epoch, **logs, **checks})
        on_epoch(epoch, history[-1])
        if history[-1]["val_loss"] < best:
            best, best_epoch = history[-1]["val_loss"], epoch
            best_weights = model.get_weights() if keeps_best else None
        if settings.patience and epoch - best_epoch >= settings.patience:
            break
    if best_weights is not None:
        model.set_weights(best_weights)
    return history, best_epoch if keeps_best else len(history)


class _Pass:
    """One pass after another of a compiled Keras model over a part, by its own `train_step` or `test_step`.

    `model.fit` spends more on handing over each batch than a head's step takes (measured: 5 ms a step, of which 1.5
    compute). Rows are read a stretch at a time; with TensorFlow a stretch is cut into batches inside one graph.
    """

    def __init__(
        self,
        model: Any,
        kind: str,
        part: Part,
        wanted: NDArray[np.float32],
        weights: NDArray[np.float32],
        batch_size: int,
    ) -> None:
        import keras

        self._model, self._part, self._wanted, self._weights = model, part, wanted, weights
        first = part.read(part.rows[:1])
        self._stretch = batch_size * max(1, _STRETCH_BYTES // (first.nbytes * batch_size))
        model.test_on_batch(first, wanted[:1], weights[:1])  # builds the metrics
        model.optimizer.build(model.trainable_variables)
        like = (first, wanted, weights)
        in_graph = keras.backend.backend() == "tensorflow"
        self._run = (_graph if in_graph else _loop)(model, kind, batch_size, like)

    def __len__(self) -> int:
        return len(self._part.rows)

    def run(self, order: NDArray[np.int64]) -> dict[str, float]:
        """Go over the part's rows in an order, and give the metrics of the pass."""
        self._model.reset_metrics()
        for at in range(0, len(order), self._stretch):
            some = order[at : at + self._stretch]
            self._run(self._part.read(self._part.rows[some]), self._wanted[some], self._weights[some])
        return {name: float(value) for name, value in self._model.get_metrics_result().items()}


def _graph(model: Any, kind: str, batch_size: int, like: tuple[NDArray[Any], ...]) -> Callable[..., None]:
    import tensorflow as tf

    step = getattr(model, f"{kind}_step")

    def batches(*columns: Any) -> None:
        for at in tf.range(0, tf.shape(columns[0])[0], batch_size):
            step(tuple(column[at : at + batch_size] for column in columns))

    signature = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in like]
    run: Callable[..., None] = tf.function(batches, input_signature=signature)
    return run


def _loop(model: Any, kind: str, batch_size: int, _like: tuple[NDArray[Any], ...]) -> Callable[..., None]:
    step = getattr(model, f"{kind}_on_batch")

    def batches(*columns: NDArray[Any]) -> None:
        for at in range(0, len(columns[0]), batch_size):
            step(*(column[at : at + batch_size] for column in columns))

    return batches
