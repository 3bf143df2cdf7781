"""Trains a head on cached features, in Keras; the same seed gives the same weights."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import RecipeError
from plainfilm.model import group_dro, heads, keras_backend, passes
from plainfilm.model.callbacks import Callback, Following
from plainfilm.model.encoder import Features
from plainfilm.model.group_dro import FindingsDro, GroupDro, GroupWeights
from plainfilm.model.keyboard_interrupt import held
from plainfilm.model.memory import trim
from plainfilm.model.passes import Stretch
from plainfilm.model.recipe_schema import Recipe
from plainfilm.results.metrics import KerasBackend

_STRETCH_BYTES = 8_000_000  # of inputs read at once: a file is opened once for many batches
READ_AHEAD = 8  # stretches of features: in the order on disk they take half the time of 8 times one
_KEPT_BYTES = 32_000_000  # of features that are read once: hundreds of epochs of one step would do little but read them
_STEPS, _FEWEST, _MOST = 1000, 20, 200  # steps, and epochs, where `training.epochs` is 0
EpochCallback = Callable[[int, Mapping[str, float]], None]
Feed = Callable[[Iterator[Stretch]], Iterator[Any]]  # hands them over, perhaps reading ahead


@dataclass(frozen=True, slots=True)
class Part:
    """Rows to train or validate on, with their inputs read batch by batch.

    `read` maps row numbers int64 (b) to inputs (b, …); `labels` int64 (rows), index into classes, `positive` the class
    that a sigmoid's one output means; or of findings int8 (rows, k): 1 present, 0 absent, -1 not known. `views` int64 (rows, k) are the numbers by which `read` knows the altered views of
    each row: an epoch sees one of its k + 1 views, drawn anew. `strata` int64 (rows) numbers the source of each row. So many
    stretches `ahead` are read at once: for inputs that are read the faster, the more of them are.
    """

    rows: NDArray[np.int64]
    labels: NDArray[Any]
    read: Callable[[NDArray[np.int64]], NDArray[Any]]
    views: NDArray[np.int64] | None = None
    strata: NDArray[np.int64] | None = None
    ahead: int = 1

    @property
    def is_of_findings(self) -> bool:
        """Whether each row has findings, rather than one class."""
        return self.labels.ndim == 2

    def of_finding(self, number: int) -> "Part":
        """Give the rows of which a finding is known, with that as their class: 1 present, 0 absent."""
        known = self.labels[:, number] >= 0
        strata = None if self.strata is None else self.strata[known]
        return Part(self.rows[known], self.labels[known, number].astype(np.int64), self.read, strata=strata)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Number one view of each row for an epoch, int64 (rows)."""
        if self.views is None:
            return self.rows
        every = np.column_stack([self.rows, self.views])
        return np.asarray(every[np.arange(len(every)), rng.integers(every.shape[1], size=len(every))])


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained Keras model, the metrics of each epoch, the epoch kept (from 1), the seconds it took, and what Keras ran on.

    `weights` are those that group DRO ended with, and the epoch kept is then the last of those that the model is the mean
    of; None for other class weights, and where no class has two sources: there it is class balance.
    """

    model: Any
    history: list[dict[str, float]]
    epoch: int
    seconds: float
    backend: KerasBackend
    weights: GroupWeights | None = None


def view_numbers(rows: NDArray[np.int64], images: int, views: int) -> NDArray[np.int64] | None:
    """Number the altered views of some rows of `images`: view v of row r is r + v × images. int64 (rows, views), None for none."""
    return rows[:, None] + images * np.arange(1, views + 1) if views else None


def views_reader(views: Sequence[Features]) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Read features by the numbers of `view_numbers`; the first of `views` are those of the images themselves."""
    if len(views) == 1:
        return views[0].read

    def read(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        view, row = np.divmod(numbers, views[0].rows)
        out = np.empty((len(numbers), views[0].width), np.float32)
        for each in np.unique(view):
            out[view == each] = views[each].read(row[view == each])
        return out

    return read


def kept_reader(
    views: Sequence[Features], rows: NDArray[np.int64] | None = None
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Read as `views_reader`, small features all at once, the rest when asked for.

    Only `rows` int64 (n) may be asked for, by default all, and no other one is read.
    """
    rows = np.arange(views[0].rows) if rows is None else rows
    if sum(len(rows) * each.width * 4 for each in views) > _KEPT_BYTES:
        return views_reader(views)
    kept = np.concatenate([each.read(rows) for each in views])
    place = np.full((len(views), views[0].rows), -1)
    place[:, rows] = np.arange(len(kept)).reshape(len(views), -1)
    return lambda numbers: kept[place.ravel()[numbers]]


def targets(labels: NDArray[np.int64], classes: int, *, output: str, positive: int) -> NDArray[np.float32]:
    """Labels int64 (n) as a loss wants them: (n, 1), 1 for `positive`, for a sigmoid; one-hot (n, classes) for a softmax."""
    if output == "sigmoid":
        return np.asarray(labels == positive, np.float32)[:, None]
    return np.asarray(np.eye(classes, dtype=np.float32)[labels])


def finding_targets(part: Part, class_weight: str, ended: GroupWeights | None = None) -> NDArray[np.float32]:
    """Give the findings of a part as a loss wants them, float32 (rows, 2k): the truth, and behind it the weight of each.

    What is not known weighs nothing; the known ones of a finding are weighed as `row_weights` does, by what they `ended` with, and so much that the sum
    over rows is the number of rows for each: a finding that is seldom known counts as much as another.
    """
    truth, weights = (part.labels == 1).astype(np.float32), np.zeros(part.labels.shape, np.float32)
    for number in range(part.labels.shape[1]):
        known, own = part.labels[:, number] >= 0, part.of_finding(number)
        each = row_weights(own, 2, class_weight, ended.of(number) if ended else None)
        weights[known, number] = each * len(part.rows) / max(1, len(own.rows))
    return np.asarray(np.concatenate([truth, weights], axis=1), np.float32)


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Weights (classes) under which each class counts the same, with mean 1 over the rows."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(len(labels) / np.maximum(counts, 1) / classes, np.float32)


def row_weights(part: Part, classes: int, class_weight: str, ended: GroupWeights | None = None) -> NDArray[np.float32]:
    """Weights of a part's rows, float32 (rows), with mean 1, as `training.class_weight` says.

    With "by source" each class counts the same, and within a class each source that it came from. With "group-dro" they
    are what it `ended` with; without that each class counts the same.
    """
    if class_weight == "none" or part.is_of_findings:  # which have weights of their own
        return np.ones(len(part.labels), np.float32)
    if ended and part.strata is not None:
        return np.asarray(ended.of_rows(part.labels, part.strata), np.float32)
    weights = np.asarray(class_weights(part.labels, classes)[part.labels])
    if class_weight != "by source" or part.strata is None:
        return weights
    (label_of_cell, _), cell_of_row, counts = group_dro.groups_of(part.labels, part.strata)
    sources = np.bincount(label_of_cell, minlength=classes)[part.labels]
    share = np.bincount(part.labels, minlength=classes)[part.labels] / sources
    return np.asarray(weights * share / counts[cell_of_row], np.float32)


def epochs(recipe: Recipe, images: int) -> int:
    """Count the passes over a training set of some images: `training.epochs`, or, where that is 0, as many as it needs."""
    settings = recipe.training
    wanted = math.ceil(_STEPS / math.ceil(images / settings.batch_size))
    return settings.epochs or min(max(wanted, _FEWEST), _MOST)


def fit_head(
    width: int,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    on_epoch: EpochCallback = lambda _n, _m: None,
    callbacks: Sequence[Callback] = (),
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
    callbacks
        Callbacks of Keras that passed `callbacks.check`.

    Raises
    ------
    RecipeError
        The training diverged: no epoch that could be kept has weights that are numbers.
    """
    with keras_backend.on_cpu():
        model = new_head(width, classes, train, recipe)
        standardise(model, train)
        return fit(model, classes, positive, train, validation, recipe, on_epoch=on_epoch, callbacks=callbacks)


def new_head(width: int, classes: int, train: Part, recipe: Recipe) -> Any:
    """Build the head that a recipe trains on a part; of findings the penalty is a share of the mean loss over them."""
    findings = train.is_of_findings
    l2 = recipe.training.l2 / (classes if findings else 1)
    return heads.build_head(width, classes, recipe.head, seed=recipe.seed, l2=l2, findings=findings)


def standardise(head: Any, train: Part) -> None:
    """Give a head that begins with "standardise" the mean and variance of the training features."""
    if heads.STANDARDISE not in (layer.name for layer in head.layers):
        return
    stretch = max(1, _STRETCH_BYTES // train.read(train.rows[:1]).nbytes)
    total, squares = 0.0, 0.0
    for at in range(0, len(train.rows), stretch):
        features = train.read(train.rows[at : at + stretch]).astype(np.float64)
        total, squares = total + features.sum(axis=0), squares + np.square(features).sum(axis=0)
    mean = total / len(train.rows)
    variance = np.maximum(squares / len(train.rows) - np.square(mean), 0)
    head.get_layer(heads.STANDARDISE).set_weights([np.asarray(mean), np.asarray(variance)])


def fit(
    model: Any,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    on_epoch: EpochCallback = lambda _n, _m: None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train any Keras model that ends like a head of `heads.build_head`, as the recipe says."""
    settings, rng = recipe.training, np.random.default_rng(recipe.seed)
    compile_as_told(model, recipe, classes, settings.learning_rate, findings=train.is_of_findings)
    every = epochs(recipe, len(train.rows))
    course = _course(model, classes, positive, train, validation, recipe, every)
    start = time.perf_counter()
    following = Following(callbacks, model, every)
    while len(course.history) < every and not (course.is_over or following.is_stopped):
        row = following.epoch(len(course.history), partial(course.advance, rng))
        on_epoch(len(course.history), row)
    following.end()
    kept = course.settle("training.learning_rate")
    trim()
    seconds, backend = time.perf_counter() - start, keras_backend.used("cpu")
    return Fitted(model, course.history, kept, seconds, backend, course.group_weights)


def _course(
    model: Any, classes: int, positive: int, train: Part, validation: Part, recipe: Recipe, epochs: int
) -> "Course":
    settings = recipe.training
    prepare = partial(
        prepared_passes, model, classes, positive, train, validation, recipe, batch_size=settings.batch_size
    )
    groups = group_dro.opened(train.labels, train.strata) if settings.class_weight == "group-dro" else None
    if groups:
        return _MeanCourse(model, *prepare(groups=groups), groups, epochs=epochs, patience=settings.patience)
    return Course(model, *prepare(), keeps_best=settings.keep == "best", patience=settings.patience)


def compile_as_told(model: Any, recipe: Recipe, classes: int, learning_rate: Any, *, findings: bool = False) -> None:
    """Compile a Keras model with the recipe's optimizer and loss; `learning_rate` is a number or a schedule of Keras'."""
    keras = keras_backend.load()
    optimizer = type(keras.optimizers.get(recipe.training.optimizer))(learning_rate=learning_rate)
    is_sigmoid = heads.output_kind(recipe.head, classes, findings=findings) == "sigmoid"
    crossentropy = "binary_crossentropy" if is_sigmoid else "categorical_crossentropy"
    loss = crossentropy if recipe.training.loss == "crossentropy" else recipe.training.loss
    kind = keras.metrics.BinaryAccuracy if is_sigmoid else keras.metrics.CategoricalAccuracy
    accuracy = passes.findings_accuracy() if findings else kind("accuracy")
    # TensorFlow's XLA would spend seconds compiling what runs for milliseconds
    model.compile(
        optimizer,
        passes.findings_loss(loss) if findings else loss,
        weighted_metrics=[accuracy],
        jit_compile=False,
    )


def prepared_passes(
    model: Any,
    classes: int,
    positive: int,
    train: Part,
    validation: Part,
    recipe: Recipe,
    *,
    batch_size: int,
    validation_batch: int = passes.VALIDATION_BATCH,
    feed: Feed = iter,
    groups: GroupDro | FindingsDro | None = None,
    ended: GroupWeights | None = None,
) -> tuple["_Pass", "_Pass"]:
    """Prepare the passes of a compiled model over both parts, with the recipe's class weights on the first.

    `groups` weigh its rows anew each step; `ended` are the weights that such a training ended with.
    """
    weights = groups.numbers if groups else row_weights(train, classes, recipe.training.class_weight, ended)
    alike = np.ones(len(validation.labels), np.float32)
    wanted = [
        finding_targets(part, weighed, held)
        if part.is_of_findings
        else targets(part.labels, classes, output=heads.output_kind(recipe.head, classes), positive=positive)
        for part, weighed, held in ((train, recipe.training.class_weight, ended), (validation, "none", None))
    ]
    return (
        _Pass(model, "train", train, wanted[0], weights, batch_size, feed, groups),
        _Pass(model, "test", validation, wanted[1], alike, validation_batch, feed),
    )


class Course:
    """The epochs of a training: what each gave, and the weights of the best by validation loss.

    Attributes
    ----------
    history : list of dict
        Metrics of each epoch so far.
    best_loss, best_epoch, best_weights
        Least validation loss, its epoch (0 before any) and the model's weights then, None where the last is kept.
    group_weights
        What group DRO ended with, once it has.
    """

    group_weights: GroupWeights | None = None

    def __init__(
        self, model: Any, train_pass: "_Pass", test_pass: "_Pass", *, keeps_best: bool = True, patience: int = 0
    ) -> None:
        self._model, self._train_pass, self._test_pass = model, train_pass, test_pass
        self._keeps_best, self._patience = keeps_best, patience
        self.history: list[dict[str, float]] = []
        self.best_loss, self.best_epoch = np.inf, 0
        self.best_weights: list[NDArray[Any]] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the last `patience` epochs brought nothing better."""
        return bool(self._patience) and len(self.history) - self.best_epoch >= self._patience

    def advance(self, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch in an order drawn by `rng`, validate, and give its metrics."""
        logs = self._train_pass.run(rng.permutation(len(self._train_pass)), rng)
        checks = {f"val_{name}": value for name, value in self.validate().items()}
        self.history.append({"epoch": len(self.history) + 1, **logs, **checks})
        self.note(checks["val_loss"])
        return self.history[-1]

    def validate(self) -> dict[str, float]:
        """Metrics of the validation set with the weights of now."""
        return self._test_pass.run(np.arange(len(self._test_pass)), np.random.default_rng())

    def note(self, loss: float) -> None:
        """Keep the weights of now if this validation loss is the least so far."""
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, len(self.history)
            with held():
                self.best_weights = self._model.get_weights() if self._keeps_best else None

    def settle(self, setting: str) -> int:
        """Leave the model as the epoch to keep, and give that epoch; `setting` is what to lower where there is none.

        Raises
        ------
        RecipeError
            The training diverged: no epoch that could be kept has weights that are numbers.
        """
        if self.best_weights is not None:
            self._model.set_weights(self.best_weights)
        if not all(np.isfinite(weight).all() for weight in self._model.get_weights()):
            raise RecipeError(
                f"Expected a training that settles; received NaN after {len(self.history)} epochs or fewer. Lower {setting}."
            )
        return self.best_epoch if self._keeps_best else len(self.history)


class _MeanCourse(Course):
    """The epochs of a training by group DRO: what is kept is the mean of the weights over the second half of them.

    Sagawa et al. show that the mean converges; one epoch swings with the weights of the groups. Patience waits for the
    second half, and a training that a callback ends before it keeps its last epoch.
    """

    def __init__(
        self,
        model: Any,
        train_pass: "_Pass",
        test_pass: "_Pass",
        groups: GroupDro | FindingsDro,
        *,
        epochs: int,
        patience: int,
    ) -> None:
        super().__init__(model, train_pass, test_pass, keeps_best=False, patience=patience)
        self._groups, self._first = groups, epochs // 2 + 1
        self._totals: list[NDArray[Any]] = []

    @property
    def is_over(self) -> bool:
        """Whether the last `patience` epochs brought nothing better, in the second half."""
        return len(self.history) >= self._first and super().is_over

    def advance(self, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch, and add its weights to the mean."""
        row = super().advance(rng)
        with held():
            now = [np.asarray(each, np.float64) for each in (*self._model.get_weights(), self._groups.weights)]
        is_in_mean = len(self.history) > self._first
        self._totals = [total + own for total, own in zip(self._totals, now, strict=True)] if is_in_mean else now
        return row

    def settle(self, setting: str) -> int:
        """Leave the model as the mean, and give the last epoch; errors are those of `Course`."""
        *weights, groups = [total / max(1, len(self.history) - self._first + 1) for total in self._totals]
        self._model.set_weights(weights)
        self.group_weights = self._groups.ended(groups)
        return super().settle(setting)


class _Pass:
    """One pass after another of a compiled Keras model over a part; rows are read a stretch at a time."""

    def __init__(
        self,
        model: Any,
        kind: str,
        part: Part,
        wanted: NDArray[np.float32],
        weights: NDArray[Any],
        batch_size: int,
        feed: Feed,
        groups: GroupDro | FindingsDro | None = None,
    ) -> None:
        self._part, self._wanted, self._weights, self._feed = part, wanted, weights, feed
        first = part.read(part.rows[:1])
        self._stretch = batch_size * max(1, _STRETCH_BYTES // (first.nbytes * batch_size))
        self._whole: Stretch | None = None
        if groups and len(part.rows) <= batch_size and part.views is None:
            self._whole = part.read(part.rows), wanted, weights
        self._runner = passes.runner(model, kind, batch_size, (first, wanted[:1], weights[:1]), groups)

    def __len__(self) -> int:
        return len(self._part.rows)

    def run(self, order: NDArray[np.int64], rng: np.random.Generator) -> dict[str, float]:
        """Go over the part's rows in an order, each in a view drawn by `rng`, and give the metrics of the pass."""
        return self._runner.run(self._feed(self._stretches(order, self._part.draw(rng))))

    def _stretches(self, order: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[Stretch]:
        if self._whole:  # a step over all rows, whose order is nothing to it; to draw one anew took most of the time
            yield self._whole
            return
        window = self._stretch * self._part.ahead
        for start in range(0, len(order), window):
            read = self._part.read(rows[order[start : start + window]])
            for at in range(0, len(read), self._stretch):
                some = order[start + at : start + at + self._stretch]
                yield read[at : at + self._stretch], self._wanted[some], self._weights[some]
