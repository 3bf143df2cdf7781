"""One trial of a search: a head trained on cached features and scored without the test set.

Knows nothing of the library that searches; see `search_space`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import split
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.split import Labels
from plainfilm.errors import RecipeError
from plainfilm.model import keras_backend, passes, training
from plainfilm.model.encoder import Features
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.search_space import Encoding, SearchSpace, Trial
from plainfilm.results.search import Choice

_ROWS = 1024  # features a step through the head
Score = Callable[[NDArray[np.float32], NDArray[Any]], NDArray[np.float64]]


class StoppedEarly(Exception):  # noqa: N818 - says what happened, as StopIteration does; it is no error
    """A trial behind the others is given up."""


class Diverged(Exception):  # noqa: N818 - as above
    """A trial whose numbers are no numbers any more."""


@dataclass(frozen=True, slots=True)
class InnerFold:
    """Rows of the store, int64, to train on, and to choose the epoch on.

    `left_out` has those of each source that is left out, by its name: a trial is scored there. Without any it is scored
    on what the epoch was chosen on.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    left_out: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def scored(self) -> list[NDArray[np.int64]]:
        """Rows that are scored, apart from one another."""
        return list(self.left_out.values()) or [self.validation]


def inner_folds(
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    folds: int,
    seed: int,
) -> list[InnerFold]:
    """Choose what a trial is scored on, without the test set.

    Parameters
    ----------
    train, validation
        Rows of these sets in the store, int64.
    labels, group
        int64, of all rows of the store; only those of `train` and `validation` are looked at.
    folds
        1 for the validation set; K for as many folds of both sets together, stratified by class, groups kept whole.

    Raises
    ------
    SplitError
        A class has fewer groups than there are folds.
    """
    if folds == 1:
        return [InnerFold(train, validation)]
    rows = np.sort(np.concatenate([train, validation]))
    why = f"one for each of --folds {folds} in training and validation set together"
    split.check_enough(labels[rows], group[rows], classes, parts=folds, why=why)
    fold = split.assign(labels[rows], group[rows], shares=[1.0] * folds, seed=seed)
    return [InnerFold(rows[fold != number], rows[fold == number]) for number in range(folds)]


def source_folds(folds: SourceFolds, pairs: Mapping[tuple[int, int], NDArray[np.str_]]) -> list[InnerFold]:
    """Leave out each source in turn, and then each two of `pairs` (`source_split.leave_two_out`).

    The epoch is chosen on films of the sources that are learnt from: on those of the source that is left out it would
    flatter the trial.
    """
    tested = [(own.name, np.flatnonzero(own.split == "test")) for own in folds.folds]
    splits: list[tuple[tuple[int, ...], NDArray[np.str_]]] = [((at,), own.split) for at, own in enumerate(folds.folds)]
    return [
        InnerFold(
            np.flatnonzero(own == "train"), np.flatnonzero(own == "validation"), dict(tested[at] for at in numbers)
        )
        for numbers, own in [*splits, *pairs.items()]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What all trials share.

    `features` holds, for each backbone and input size, the features of the images themselves and of each augmented view;
    `labels` and `strata`, the number of the source, int64 of all rows of the store, or of findings their states int8 (n, k);
    `positive` is the class that a sigmoid's one output means; `score` maps logits (n, 1) or (n, classes) and labels to a loss a
    row, float64 (n), less is better.
    """

    features: Mapping[Encoding, Sequence[Features]]
    labels: NDArray[Any]
    strata: NDArray[np.int64]
    folds: Sequence[InnerFold]
    classes: int
    positive: int
    score: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished trial: loss and logits of every row that was scored, those rows fold by fold, and the epoch kept in each."""

    losses: NDArray[np.float64]
    logits: NDArray[np.float32]
    rows: NDArray[np.int64]
    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSources:
    """Mean log loss and AUROC at sources that were left out at once. Studies keep these names."""

    sources: tuple[str, ...]
    losses: tuple[float, ...]
    areas: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a finished trial is worth on the rows it was scored on.

    Mean log loss and its standard error, accuracy of the most probable class, AUROC (with more classes their mean), and
    the epoch kept in each fold; where sources are left out those of the worst source or the mean, and `at` has each.
    Studies keep these names.
    """

    score: float
    error: float
    accuracy: float
    auroc: float
    kept: tuple[int, ...]
    at: tuple[AtSources, ...] = ()


def attempt(trial: Trial, space: SearchSpace, chosen: Mapping[str, Choice], material: Material) -> Outcome:
    """Train and score what a trial chose, fold by fold; the course over the epochs of the first is reported to the trial.

    Reported is the score, not the loss that is trained: heads of different losses are then compared by one measure. Where
    sources are left out no trial is given up: the first source says little of the worst one.

    Raises
    ------
    StoppedEarly
        The trial says that it should be given up.
    Diverged
        The features led to weights or logits that are no numbers.
    """
    recipe = space.recipe(chosen)
    views = material.features[recipe.backbone.name, recipe.backbone.input_size][: recipe.augmentation.views + 1]
    with keras_backend.on_cpu():
        ended = [_fold(trial if not number else None, recipe, views, fold, material) for number, fold in enumerate(material.folds)]  # fmt: skip
    logits = [own for found, _ in ended for own in found]
    rows = [own for fold in material.folds for own in fold.scored]
    losses = [material.score(own, material.labels[part]) for own, part in zip(logits, rows, strict=True)]
    return Outcome(
        losses=np.concatenate(losses),
        logits=np.concatenate(logits),
        rows=np.concatenate(rows),
        epochs=tuple(epoch for _, epoch in ended),
    )


def _fold(
    trial: Trial | None, recipe: Recipe, views: Sequence[Features], fold: InnerFold, material: Material
) -> tuple[list[NDArray[np.float32]], int]:
    labels, width = material.labels, views[0].width
    numbers = training.view_numbers(fold.train, views[0].rows, len(views) - 1)
    read = training.kept_reader(views, fold.train)
    train = training.Part(fold.train, labels[fold.train], read, numbers, material.strata[fold.train])
    validation = training.Part(fold.validation, labels[fold.validation], views[0].read)
    model = training.new_head(width, material.classes, train, recipe)
    training.standardise(model, train)
    watch = _Watch(trial, model, validation, None if fold.left_out else material.score)
    try:
        with _graphs_let_go():
            fitted = training.fit(
                model, material.classes, material.positive, train, validation, recipe, on_epoch=watch.on_epoch
            )
    except RecipeError as error:
        raise Diverged from error
    return [watch.logits(rows) for rows in fold.scored], fitted.epoch


@contextlib.contextmanager
def _graphs_let_go() -> Iterator[None]:
    """Take back what TensorFlow registers for ever, a gradient for each graph with an optimizer: measured 8 MB a trial."""
    if keras_backend.choose() != "tensorflow":
        yield
        return
    from tensorflow.python.framework import ops

    registered = getattr(ops.gradient_registry, "_registry", {})  # there is no public way
    before = set(registered)
    try:
        yield
    finally:
        for name in set(registered) - before:
            del registered[name]


class _Watch:
    """Scores a head in training after each epoch, and gives it up when the trial says so; without a score it only looks on."""

    def __init__(self, trial: Trial | None, model: Any, validation: training.Part, score: Score | None) -> None:
        self._trial, self._logits_of, self._validation, self._score = trial, passes.logits_of(model), validation, score

    def logits(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        read = self._validation.read
        found = np.concatenate([self._logits_of(read(rows[at : at + _ROWS])) for at in range(0, len(rows), _ROWS)])
        if not np.isfinite(found).all():
            raise Diverged
        return found

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        if self._trial is None:
            return
        if self._score is None:
            self._trial.report(metrics["val_loss"], epoch)
            return
        logits = self.logits(self._validation.rows)
        self._trial.report(float(self._score(logits, self._validation.labels).mean()), epoch)
        if self._trial.should_prune():
            raise StoppedEarly
