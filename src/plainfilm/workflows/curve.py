"""The learning curve of `train --folds source --curve`: many short trainings, each on a part of what is there."""

from collections.abc import Sequence
from pathlib import Path

from plainfilm.data import source_curve
from plainfilm.data.source_curve import Drawn
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.errors import UsageError
from plainfilm.evidence.evaluation.learning_curve import learning_curve, try_out
from plainfilm.model.callbacks import Callback
from plainfilm.model.recipe_schema import Recipe
from plainfilm.results.metrics import LearningCurve
from plainfilm.workflows import elsewhere
from plainfilm.workflows.fit import fit
from plainfilm.workflows.folding import Sourced
from plainfilm.workflows.parsing import BY_SOURCE
from plainfilm.workflows.progress import Progress, stage


def check(*, curve: bool, folds: int | str) -> None:
    """Find what is wrong with the options.

    Raises
    ------
    UsageError
        A curve without folds by source.
    """
    if curve and folds != BY_SOURCE:
        raise UsageError(
            f"Expected --curve with --folds {BY_SOURCE}; received it without. Add that, or leave out --curve."
        )


def draw(of: Sourced, sources: SourceFolds | None, *, curve: bool, seed: int) -> Sequence[Drawn]:
    """Choose what the trainings of the curve learn from, none where there is to be none.

    Raises
    ------
    SplitError
        Fewer than two sources hold every class.
    UsageError
        Of findings, which are not each in every source.
    """
    if not curve or sources is None:
        return ()
    if of.task == "findings":
        raise UsageError(
            "Expected --curve with classes; received several findings, which are not all in each hospital, so that the curve would compare "
            "hospitals by other findings each. Name one finding with --label-of where the radiographs are read."
        )
    return source_curve.draw(of.labels, of.source, of.group, of.classes, sources, seed=seed)


def learn(
    store: Store,
    recipe: Recipe,
    drawn: Sequence[Drawn],
    *,
    positive: str | None,
    checkpoints: Path,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> LearningCurve:
    """Train on each choice of sources and films, test each at the source that was left out, and average."""
    views, tried = [store.with_split(own.split) for own in drawn], []
    if not callbacks:
        elsewhere.train([(view, recipe) for view in views], positive, progress)
    with stage(progress, "Learning curve") as advance:
        for number, (view, own) in enumerate(zip(views, drawn, strict=True), 1):
            trained = fit(
                view,
                recipe,
                positive=positive,
                checkpoints=checkpoints / f"curve{number}",
                callbacks=callbacks,
                is_one_of_several=True,
            )
            tried.append(try_out(view, own, trained))
            advance(number, len(drawn))
    return learning_curve(tried)
