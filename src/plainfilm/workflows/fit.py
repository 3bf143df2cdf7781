"""From a store and a recipe to a trained classifier: one, an ensemble, or those of a cross-validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import split
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation import by_patient as by_patients
from plainfilm.evidence.evaluation import three_answers
from plainfilm.evidence.evaluation.by_patient import Films
from plainfilm.evidence.evaluation.evaluate import Fold
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.model import classifier, ensembling, recipes, training
from plainfilm.model.callbacks import Callback
from plainfilm.model.classifier import Decision, Trained
from plainfilm.model.ensembling import EncoderHead
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.scaling import Scaling
from plainfilm.model.training import Fitted
from plainfilm.workflows import elsewhere
from plainfilm.workflows.member import Member, fit_member, index_of, part_of
from plainfilm.workflows.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """The classifiers of all folds, and `trained`, which joins them to one."""

    trained: Trained
    folds: Sequence[Fold]


def fit(
    store: Store,
    recipe: Recipe,
    *,
    positive: str | None,
    checkpoints: Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = silent,
    is_one_of_several: bool = False,
) -> Trained:
    """Train what a recipe describes on the training set; choose calibration and threshold on the validation set.

    No test image is scored.

    Parameters
    ----------
    positive
        The positive class; None with more than two classes.
    checkpoints
        A folder where fine-tuning keeps each epoch, and goes on from what it finds there.
    callbacks
        Callbacks of Keras, told of each training in turn: of every member, its head first, then its fine-tuning.
    is_one_of_several
        Whether the command has other trainings: then it is kept in the cache, where a command that was killed finds it.
    """
    wanted = recipes.members(recipe)
    is_one_of_several = is_one_of_several or len(wanted) > 1
    if not callbacks:
        elsewhere.train([(store, recipe)], positive, progress)
    members = []
    for number, each in enumerate(wanted, 1):
        own = progress if len(wanted) == 1 else _under(progress, f"Member {number} of {len(wanted)}")
        folder = checkpoints / f"member{number}" if checkpoints else None
        members.append(fit_member(store, each, positive, folder, callbacks, own, is_one_of_several=is_one_of_several))
    part = _joined(store, recipe, members, positive)
    rows, joined = store.rows("validation"), len(members) > 1
    scaling = _scaling(_logits(part, rows), store, rows, positive, None if joined else members[0])
    decided = _decide(_logits(part, rows), scaling, store, rows, positive, recipe)
    return Trained(
        recipe=recipe,
        encoder=part.encoder,
        features=part.features,
        fitted=_all_fitted([member.fitted for member in members], "member"),
        head=part.head,
        **decided,
    )


def cross_validate(
    store: Store,
    recipe: Recipe,
    folds: int,
    *,
    positive: str | None,
    checkpoints: Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = silent,
) -> CrossValidated:
    """Train a recipe once a fold, each time on the other folds, and join the classifiers to one by the mean of their log odds.

    Patients and duplicates stay in one fold; what is not the test fold is split again into train and validation. The
    joined classifier's calibration and threshold come from the answers to all radiographs, each by the classifier that
    had not seen it; those that the folds are tested with come from their own validation sets.

    Raises
    ------
    SplitError
        A class has fewer patients than folds.
    """
    splits = split.folds(store.targets, store.group, store.classes, count=folds, seed=recipe.seed)
    named = {f"fold{number}": (f"Fold {number} of {folds}", own) for number, own in enumerate(splits, 1)}
    made = _fit_views(store, recipe, named, positive, checkpoints, callbacks, progress)
    return CrossValidated(_join_folds(store, recipe, made, positive), made)


def fit_without_sources(
    store: Store,
    recipe: Recipe,
    folds: SourceFolds,
    *,
    positive: str | None,
    checkpoints: Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = silent,
) -> list[Fold]:
    """Train a recipe once a source that is left out, on the others; what is left out is each view's test set."""
    named = {f"without{number}": (f"Without {own.name}", own.split) for number, own in enumerate(folds.folds, 1)}
    return _fit_views(store, recipe, named, positive, checkpoints, callbacks, progress)


def _fit_views(
    store: Store,
    recipe: Recipe,
    splits: Mapping[str, tuple[str, NDArray[np.str_]]],
    positive: str | None,
    checkpoints: Path | None,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> list[Fold]:
    """Train once a split; `splits` has each, with its title for people, by the name of its folder of checkpoints."""
    views = {name: store.with_split(own) for name, (_, own) in splits.items()}
    if not callbacks:
        elsewhere.train([(view, recipe) for view in views.values()], positive, progress)
    made = []
    for name, view in views.items():
        trained = fit(
            view,
            recipe,
            positive=positive,
            checkpoints=checkpoints / name if checkpoints else None,
            callbacks=callbacks,
            progress=_under(progress, splits[name][0]),
            is_one_of_several=True,
        )
        made.append(Fold(view, trained))
    return made


def _join_folds(store: Store, recipe: Recipe, folds: Sequence[Fold], positive: str | None) -> Trained:
    parts = [_part_of(fold.trained) for fold in folds]
    rows = np.concatenate([fold.store.rows("test") for fold in folds])
    raw = [_logits(part, fold.store.rows("test")) for part, fold in zip(parts, folds, strict=True)]
    scalings = [fold.trained.decision.scaling(raw[0].shape[1]) for fold in folds]
    logits = np.concatenate([scaling.of(own) for scaling, own in zip(scalings, raw, strict=True)])
    whole = ensembling.combine(parts, *ensembling.mean_of(scalings))
    scaling = _scaling(logits, store, rows, positive)
    decided = _decide(logits, scaling, store, rows, positive, recipe)
    return Trained(
        recipe=recipe,
        encoder=whole.encoder,
        features=whole.features,
        fitted=_all_fitted([fold.trained.fitted for fold in folds], "fold"),
        head=whole.head,
        **decided,
    )


def _part_of(trained: Trained) -> EncoderHead:
    return EncoderHead(encoder=trained.encoder, head=trained.head, features=trained.features)


def _logits(part: EncoderHead, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return classifier.head_logits(part.head, part.features.read, rows)


def _under(progress: Progress, name: str) -> Progress:
    """Report the stages of one of several trainings under its name, but those of one step."""

    def tell(stage: str, done: int, every: int, note: str = "", /) -> None:
        if every > 1:
            progress(name, done, every, note or stage.lower())

    return tell


def _all_fitted(fitted: Sequence[Fitted], kind: str) -> Fitted:
    """Put the histories of several trainings one after the other, each with its number in a column `kind`."""
    if len(fitted) == 1:
        return fitted[0]
    history = [{kind: float(number), **row} for number, each in enumerate(fitted, 1) for row in each.history]
    backend = max((each.backend for each in fitted), key=lambda each: each.device)
    return Fitted(None, history, 0, sum(each.seconds for each in fitted), backend)


def _joined(store: Store, recipe: Recipe, members: Sequence[Member], positive: str | None) -> EncoderHead:
    """Join an ensemble's members by the mean of their log odds, or by a logistic regression on the validation set."""
    parts = [member.part for member in members]
    if len(parts) == 1:
        return parts[0]
    rows = store.rows("validation")
    logits = [_logits(part, rows) for part in parts]
    if recipe.ensemble.combine == "stacking":
        return ensembling.combine(parts, *_stacked(np.stack(logits, axis=1), store, rows, positive))
    scalings = [_scaling(own, store, rows, positive, member) for own, member in zip(logits, members, strict=True)]
    return ensembling.combine(parts, *ensembling.mean_of(scalings))


@dataclass(frozen=True, slots=True)
class _Finding:
    """One finding by itself: the store as one of two classes, the rows of which it is known, and their logits (n, 1) or (n, parts, 1)."""

    name: str
    store: Store
    rows: NDArray[np.int64]
    logits: NDArray[Any]


def _findings(logits: NDArray[Any], store: Store, rows: NDArray[np.int64]) -> Iterator[_Finding]:
    """Give each finding by itself; `logits` (n, …, k) are of `rows`."""
    for number, name in enumerate(store.classes):
        own = store.of(name)
        known = own.labels[rows] >= 0
        yield _Finding(name, own, rows[known], logits[known][..., [number]])


def _of_finding(member: Member, number: int) -> Member:
    """Give a member whose weights by group are those of one finding."""
    weights = member.fitted.weights
    fitted = dataclasses.replace(member.fitted, weights=weights.of(number) if weights else None)
    return dataclasses.replace(member, fitted=fitted)


def _stacked(
    logits: NDArray[Any], store: Store, rows: NDArray[np.int64], positive: str | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias of `ensembling.stacked` for logits (n, parts, outputs); of findings each has its own."""
    if store.task == "classes":
        joint = logits.reshape(len(logits), -1)
        labels = store.labels[rows]
        return ensembling.stacked(joint, labels, classes=len(store.classes), positive=index_of(store, positive))
    outputs = logits.shape[2]
    weights, bias = np.zeros((logits.shape[1] * outputs, outputs), np.float32), np.zeros(outputs, np.float32)
    for number, own in enumerate(_findings(logits, store, rows)):
        weight, offset = _stacked(own.logits, own.store, own.rows, own.name)
        weights[number::outputs, number], bias[number] = weight[:, 0], offset[0]
    return weights, bias


def _scaling(
    logits: NDArray[Any], store: Store, rows: NDArray[np.int64], positive: str | None, member: Member | None = None
) -> Scaling:
    """Calibrate the logits of some rows that were not trained on; `member` None where its class weights are out already."""
    if store.task == "findings":
        each = [
            _scaling(own.logits, own.store, own.rows, own.name, member and _of_finding(member, number))
            for number, own in enumerate(_findings(logits, store, rows))
        ]
        return Scaling(*(np.concatenate(values) for values in zip(*each, strict=True)))
    weighed, shares = _shares(store, member) if member else (None, None)
    return fit_scaling(
        logits, store.labels[rows], positive=index_of(store, positive), trained_at=weighed, shares=shares
    )


def _shares(store: Store, member: Member) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of the classes in the training set, as the loss weighs them and as they are."""
    part, classes = part_of(store, "train", store.images), len(store.classes)
    weights = training.row_weights(part, classes, member.recipe.training.class_weight, member.fitted.weights)
    counted = [np.maximum(np.bincount(part.labels, each, classes), 0.5) for each in (weights, None)]
    weighed, plain = (each / each.sum() for each in counted)
    return weighed, plain


def _decide(
    logits: NDArray[Any],
    scaling: Scaling,
    store: Store,
    rows: NDArray[np.int64],
    positive: str | None,
    recipe: Recipe,
) -> dict[str, Any]:
    """Choose thresholds on the logits of some rows that were not trained on, calibrated where the recipe says so, by film and by patient.

    Give the decision and what its thresholds promise, by their names in `Trained`.
    """
    if store.task == "findings":
        parts = zip(_findings(logits, store, rows), *scaling, strict=True)
        each = [
            _decide(own.logits, Scaling(slope[None], intercept[None]), own.store, own.rows, own.name, recipe)
            for own, slope, intercept in parts
        ]
        promises = [(own["promise"], own["promise_by_patient"]) for own in each]
        return {"decision": Decision.joined([own["decision"] for own in each]), "promises": promises}
    labels, classes, asked = store.labels[rows], store.classes, recipe.evaluation
    decision = Decision(classes=classes, positive=positive)
    if asked.calibrate:
        decision = Decision.scaled(classes, positive, scaling)
    if positive is None:
        return {"decision": decision}
    is_positive, chance = labels == classes.index(positive), decision.probabilities(logits)[:, classes.index(positive)]
    how, by_patient = by_patients.choose(decision.log_odds(logits), is_positive, Films.of(store, rows), asked)
    threshold, lower, promise = three_answers.choose(is_positive.astype(int), chance, asked, group=store.group[rows])
    return {
        "decision": dataclasses.replace(decision, threshold=threshold, lower_threshold=lower, combining=how),
        "promise": promise,
        "promise_by_patient": by_patient,
    }
