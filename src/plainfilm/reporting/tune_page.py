"""The page of a search: what its best trial is worth, which settings mattered, and how it went."""

from collections.abc import Sequence
from dataclasses import dataclass

import plainfilm
from plainfilm.evidence.tuning.results import Searched
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.search_space import ACTIVATIONS, BATCH_SIZES, CLASS_WEIGHTS, DEEPEST, LOSSES, OPTIMIZERS, Space
from plainfilm.model.study import FEWEST_FOR_IMPORTANCE
from plainfilm.model.trials import Tried
from plainfilm.reporting import environment, page
from plainfilm.reporting.figures import tuning
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.figures.tuning import Point, Slice
from plainfilm.reporting.formatting import seconds

SHOWN = 10  # trials in the table
CLOSELY = 6  # settings whose scores are drawn
_RATE_MARKS, _WIDTH_MARKS = [10.0**power for power in range(-5, 0)], [2.0**power for power in range(5, 10)]
_WORDS = {
    "dropout_on_features": "Dropout on the features",
    **{f"dropout_after_{number}": f"Dropout after layer {number}" for number in range(1, DEEPEST + 1)},
    **{f"width_{number}": f"width of layer {number}" for number in range(1, DEEPEST + 1)},
    "views": "altered views",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A trial in the page's table, with the recipe that it comes to."""

    tried: Tried
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPage:
    """All that `tuning.html` shows beside its drawings; `too_few` stands where importance was not measured."""

    title: str
    created: str
    version: str
    folder: str
    best: Tried
    known: Sequence[Tried]
    rows: Sequence[Row]
    worth: str
    alike: str
    states: str
    too_few: str
    chosen: Sequence[tuple[str, str]]
    asked: Sequence[tuple[str, str]]
    repeat: Sequence[str]
    then: Sequence[str]


def write(searched: Searched) -> None:
    """Write tuning.html and figures/*.png, each whole or not at all."""
    drawings = _draw(searched)
    values = {
        "report": _page(searched),
        "drawings": {name: each.svg for name, each in drawings.items()},
        "slices": [(_figure(each.name), word(each.name)) for each in searched.importances if _figure(each.name) in drawings],
    }  # fmt: skip
    pngs = {name: each.png for name, each in drawings.items()}
    page.write(searched.folder, "tuning.html", page.render("tuning.html", values), pngs)


def word(name: str) -> str:
    """Name a setting for people."""
    return _WORDS.get(name, name.replace("_", " "))


def _figure(name: str) -> str:
    return f"by-{name.replace('_', '-')}"


def _page(searched: Searched) -> TuningPage:
    finished = sorted((each for each in searched.tried if each.state == "done"), key=lambda each: each.score or 0.0)
    shown = [*finished[:SHOWN], *(each for each in finished[SHOWN:] if each.name)]
    return TuningPage(
        title=f"Search on {searched.store.path.name}",
        created=environment.now(),
        version=plainfilm.__version__,
        folder=searched.folder.name,
        best=searched.best,
        known=searched.known,
        rows=[Row(tried=each, recipe=searched.recipe(each)) for each in shown],
        worth=searched.worth,
        alike=searched.alike_sentence,
        states=_states(searched),
        too_few=_too_few(searched),
        chosen=_chosen(searched),
        asked=_asked(searched),
        repeat=[searched.command] if searched.command else [],
        then=[searched.then],
    )


def _states(searched: Searched) -> str:
    ends = searched.states
    parts = [f"{ends['done']:,} ran to the end", f"{ends['stopped early']:,} stopped early"]
    parts += [f"{ends['diverged']:,} diverged"] if ends["diverged"] else []
    said = f"{len(searched.tried):,} trials: {', '.join(parts)}."
    left = searched.asked - len(searched.tried)
    return f"{said} {left:,} of those asked for are left: the same command goes on." if left > 0 else said


def _too_few(searched: Searched) -> str:
    if searched.importances:
        return ""
    return f"Not measured: {len(searched.tried):,} trials are too few to tell. It needs {FEWEST_FOR_IMPORTANCE}, and is steadier from 100 on."


def _chosen(searched: Searched) -> list[tuple[str, str]]:
    best, recipe = searched.best, searched.recipe(searched.best)
    own = recipe.training
    pairs = [
        ("Backbone", recipe.backbone.name),
        ("Input size", f"{recipe.backbone.input_size} px" if recipe.backbone.input_size else "the backbone's own"),
        ("Head", ", ".join(recipe.head.layers) or "the last Dense alone"),
        ("Activation", recipe.head.activation if best.chosen["hidden_layers"] else "–"),
        ("Loss", own.loss.replace("_", " ")),
        ("Optimizer", own.optimizer),
        ("Learning rate", f"{own.learning_rate:g}"),
        ("Batch size", str(own.batch_size)),
        ("Class weight", own.class_weight),
        ("Epoch kept", f"{', '.join(map(str, best.kept))} of {own.epochs}"),
    ]
    return pairs + ([("Altered views", str(recipe.augmentation.views))] if searched.space.views else [])


def _asked(searched: Searched) -> list[tuple[str, str]]:
    space = searched.space
    return [
        ("Store", searched.store.path.name),
        ("Trials", f"{searched.asked:,}"),
        ("Epochs a trial", str(space.epochs)),
        ("Scored on", searched.where),
        ("Backbones", ", ".join(space.backbones)),
        ("Input sizes", ", ".join(f"{size} px" if size else "the backbone's own" for size in space.input_sizes)),
        ("Seed", str(space.seed)),
        ("Time of the trials", seconds(searched.seconds)),
        ("Test part", "not opened"),
    ]


def _draw(searched: Searched) -> dict[str, Drawing]:
    points = [
        Point(each.number, each.score, each.state == "done", each.chosen)
        for each in searched.tried
        if each.score is not None
    ]
    best = next(point for point in points if point.number == searched.best.number)
    found = searched.importances
    drawn = {
        "course": tuning.course(points, best, [each.score for each in searched.known if each.score is not None]),
        "importance": tuning.importance(
            [word(each.name) for each in found], [each.share for each in found], [each.by_chance for each in found]
        ),
        **{
            _figure(each.name): tuning.by_setting(points, best, _slice(each.name, searched.space))
            for each in found[:CLOSELY]
        },
    }
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}


def _slice(name: str, space: Space) -> Slice:
    lists = {
        "backbone": space.backbones,
        "input_size": space.input_sizes,
        "views": (0, space.views),
        "loss": LOSSES,
        "optimizer": OPTIMIZERS,
        "batch_size": BATCH_SIZES,
        "class_weight": CLASS_WEIGHTS,
        "activation": ACTIVATIONS,
        "hidden_layers": tuple(range(DEEPEST + 1)),
    }
    marks = _RATE_MARKS if name == "learning_rate" else _WIDTH_MARKS if name.startswith("width_") else ()
    return Slice(name, lists.get(name, ()), marks)
