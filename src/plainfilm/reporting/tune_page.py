"""The page of a search: what its best trial is worth, which settings mattered, and how it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plainfilm
from plainfilm.evidence.tuning.summary import SearchSummary
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.search_space import (
    ACTIVATIONS,
    BATCH_SIZES,
    CLASS_WEIGHTS,
    DEEPEST,
    FEATURES,
    L2,
    LOSSES,
    OPTIMIZERS,
    SearchSpace,
)
from plainfilm.model.study import FEWEST_FOR_IMPORTANCE
from plainfilm.reporting import environment, page
from plainfilm.reporting.figures import tuning
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.figures.tuning import Point, Slice
from plainfilm.reporting.formatting import seconds
from plainfilm.results.comparison import LeftOutChoice
from plainfilm.results.search import Choice, Search, TrialCounts, TrialResult

SHOWN = 10  # trials in the table
CLOSELY = 6  # settings whose scores are drawn
_RATE_MARKS, _WIDTH_MARKS = [10.0**power for power in range(-5, 0)], [2.0**power for power in range(5, 10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A trial in the page's table, with the recipe that it comes to."""

    trial: TrialResult
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPage:
    """All that `tuning.html` shows beside its drawings; `too_few` stands where importance was not measured."""

    title: str
    created: str
    version: str
    folder: str
    score: str
    best: TrialResult
    choice: LeftOutChoice | None
    starts: Sequence[TrialResult]
    rows: Sequence[TrialRow]
    worth: str
    alike: str
    states: str
    too_few: str
    chosen: Sequence[tuple[str, str]]
    asked: Sequence[tuple[str, str]]
    repeat: Sequence[str]
    then: Sequence[str]


def write(folder: Path, summary: SearchSummary, *, command: str, formats: Sequence[str] = ()) -> None:
    """Write tuning.html and figures/*.png, and these in other `formats`, each whole or not at all."""
    drawings = _draw(summary)
    importances = summary.result.importances
    values = {
        "report": _page(folder.name, summary, command),
        "drawings": {name: each.svg for name, each in drawings.items()},
        "slices": [(_figure(each.name), each.title) for each in importances if _figure(each.name) in drawings],
    }
    page.write(folder, "tuning.html", page.render("tuning.html", values), drawings, formats)


def _figure(name: str) -> str:
    return f"by-{name.replace('_', '-')}"


def _page(folder: str, summary: SearchSummary, command: str) -> TuningPage:
    result = summary.result
    finished = sorted((each for each in summary.trials if each.state == "done"), key=lambda each: each.log_loss or 0.0)
    shown = [*finished[:SHOWN], *(each for each in finished[SHOWN:] if each.recipe)]
    return TuningPage(
        title=f"Search on {result.data.store}",
        created=environment.now(),
        version=plainfilm.__version__,
        folder=folder,
        score=summary.score,
        best=result.best,
        choice=result.choice,
        starts=result.starts,
        rows=[TrialRow(trial=each, recipe=summary.recipe(each)) for each in shown],
        worth=summary.worth,
        alike=summary.alike,
        states=_states(result.trials),
        too_few=_too_few(result),
        chosen=_chosen(summary),
        asked=_asked(summary),
        repeat=[command] if command else [],
        then=[result.next_command],
    )


def _states(counts: TrialCounts) -> str:
    done = counts.in_all - counts.stopped_early - counts.diverged
    parts = [f"{done:,} ran to the end", f"{counts.stopped_early:,} stopped early"]
    parts += [f"{counts.diverged:,} diverged"] if counts.diverged else []
    said = f"{counts.in_all:,} trials: {', '.join(parts)}."
    left = counts.asked - counts.in_all
    return f"{said} {left:,} of those asked for are left: the same command goes on." if left > 0 else said


def _too_few(result: Search) -> str:
    if result.importances:
        return ""
    return f"Not measured: {result.trials.in_all:,} trials are too few to tell. It needs {FEWEST_FOR_IMPORTANCE}, and is steadier from 100 on."


def _chosen(summary: SearchSummary) -> list[tuple[str, str]]:
    best, recipe = summary.result.best, summary.recipe(summary.result.best)
    own = recipe.training
    pairs = [
        ("Backbone", recipe.backbone.name + (f" to block {recipe.backbone.depth}" if recipe.backbone.depth else "")),
        ("Input size", f"{recipe.backbone.input_size} px" if recipe.backbone.input_size else "the backbone's own"),
        ("Head", ", ".join(recipe.head.layers) or "the last Dense alone"),
        ("Activation", recipe.head.activation if best.chosen["hidden_layers"] else "–"),
        ("Loss", own.loss.replace("_", " ")),
        ("Optimizer", own.optimizer),
        ("Learning rate", f"{own.learning_rate:g}"),
        ("Batch size", str(own.batch_size)),
        ("Class weight", own.class_weight),
        ("L2 penalty", f"{own.l2:g}"),
        ("Epoch kept", f"{best.kept_epoch.replace(' ', ', ')} of {own.epochs}"),
    ]
    return pairs + ([("Augmented views", str(recipe.augmentation.views))] if summary.space.views else [])


def _asked(summary: SearchSummary) -> list[tuple[str, str]]:
    result, space = summary.result, summary.space
    names, together = result.scored.sources, result.scored.together
    left_out = [("Left out in turn", ", ".join(names))] if names else []
    left_out += [("Left out together", "; ".join(map(", ".join, together)))] if together else []
    return [
        ("Store", result.data.store),
        ("Trials", f"{result.trials.asked:,}"),
        ("Epochs per trial", str(space.epochs)),
        ("Scored on", summary.scored_on),
        *left_out,
        ("Backbones", ", ".join(space.backbones)),
        ("Input sizes", ", ".join(f"{size} px" if size else "the backbone's own" for size in space.input_sizes)),
        ("Random seed", str(space.seed)),
        ("Time of the trials", seconds(result.seconds)),
        ("Test set", "not opened"),
    ]


def _draw(summary: SearchSummary) -> dict[str, Drawing]:
    result = summary.result
    points = [
        Point(each.number, each.log_loss, each.state == "done", each.chosen)
        for each in summary.trials
        if each.log_loss is not None
    ]
    best = next(point for point in points if point.number == result.best.number)
    found = result.importances
    drawn = {
        "course": tuning.course(points, best, [each.log_loss for each in result.starts if each.log_loss is not None]),
        "importance": tuning.importance(found),
        **{_figure(each.name): tuning.by_setting(points, best, _slice(each.name, summary.space)) for each in found[:CLOSELY]},
    }  # fmt: skip
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}


def _slice(name: str, space: SearchSpace) -> Slice:
    lists: dict[str, tuple[Choice, ...]] = {
        "backbone": space.backbones,
        "input_size": space.input_sizes,
        "views": (0, space.views),
        "loss": LOSSES,
        "optimizer": OPTIMIZERS,
        "batch_size": BATCH_SIZES,
        "class_weight": CLASS_WEIGHTS,
        "features": FEATURES,
        "l2": L2,
        "activation": ACTIVATIONS,
        "hidden_layers": tuple(range(DEEPEST + 1)),
    }
    marks = _RATE_MARKS if name == "learning_rate" else _WIDTH_MARKS if name.startswith("width_") else ()
    return Slice(name, lists.get(name, ()), marks)
