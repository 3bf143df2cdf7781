"""What a search may choose: heads, how they are trained and on what features; from choices to a recipe and back.

Knows nothing of the library that searches: a trial is whatever can be asked for a number or a name (`Trial`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeVar

from plainfilm.errors import RecipeError
from plainfilm.model import recipes
from plainfilm.model.recipe_schema import KEYS, Recipe, parse_layers
from plainfilm.results.search import Choice, Setting

DEEPEST = 3  # hidden Dense layers
WIDTHS = (32, 64, 128, 256, 512)  # few, so that shapes of heads recur, which are compiled once
# Of what is chosen from. Searches of form 1 chose any width from the least to the largest; those of form 2 knew neither
# standardised features nor the L2 penalty nor weights by source, and took each backbone whole
FORM = 3
RATES = (1e-5, 1e-1)
DROPOUT_MOST, DROPOUT_STEP = 0.7, 0.1
ACTIVATIONS, LOSSES, OPTIMIZERS, CLASS_WEIGHTS = (
    KEYS[key].choices for key in ("head.activation", "training.loss", "training.optimizer", "training.class_weight")
)
BATCH_SIZES = (16, 32, 64, 128, 256)
_OLD_CLASS_WEIGHTS = ("none", "balanced")  # of forms 1 and 2
FEATURES = ("as they are", "standardised")
L2 = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
_OLDER = {"default": "hidden-layer"}  # the default recipe of searches of forms 1 and 2
STARTS = ("default", "paper-mobilenet", "paper-resnet50")
Encoding = tuple[str, int]  # a backbone's name and its input size; 0 for its own
C = TypeVar("C", bound=Choice)
_TITLES = {
    "dropout_on_features": "Dropout on the features",
    **{f"dropout_after_{number}": f"Dropout after layer {number}" for number in range(1, DEEPEST + 1)},
    **{f"width_{number}": f"width of layer {number}" for number in range(1, DEEPEST + 1)},
    "views": "augmented views",
    "l2": "L2 penalty",
}


class Trial(Protocol):
    """What a search gives to choose by; Optuna's `Trial` is one."""

    def suggest_categorical(self, name: str, choices: Sequence[C]) -> C:
        """Choose one of some names or numbers."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Choose a whole number, both ends included."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Choose a number, both ends included."""

    def report(self, value: float, step: int) -> None:
        """Take the score after an epoch."""

    def should_prune(self) -> bool:
        """Say whether to give up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What is searched beside the head and its training, and what is the same in all trials.

    `backbones` are names; `input_sizes` in pixels, 0 for the backbone's own; `views` is the number of augmented views
    that a trial may train with or without, 0 for never; `epochs` and `seed` hold for every trial; `form` is that of the
    search which is gone on with.
    """

    backbones: tuple[str, ...]
    input_sizes: tuple[int, ...] = (0,)
    views: int = 0
    epochs: int = 20
    seed: int = 0
    form: int = FORM

    def choose(self, trial: Trial) -> dict[str, Choice]:
        """Let a trial choose. What stands alone (one backbone, say) is no choice and not among them."""
        chosen: dict[str, Choice] = {}
        for name, choices in self._lists().items():
            if len(choices) > 1:
                chosen[name] = trial.suggest_categorical(name, choices)
        chosen["hidden_layers"] = hidden = trial.suggest_int("hidden_layers", 0, DEEPEST)
        for name in _dropouts(hidden):
            chosen[name] = trial.suggest_float(name, 0.0, DROPOUT_MOST, step=DROPOUT_STEP)
        for number in range(1, hidden + 1):
            chosen[f"width_{number}"] = self._width(trial, f"width_{number}")
        if hidden:
            chosen["activation"] = trial.suggest_categorical("activation", ACTIVATIONS)
        chosen["learning_rate"] = trial.suggest_float("learning_rate", *RATES, log=True)
        return chosen

    def _width(self, trial: Trial, name: str) -> int:
        if self.form == 1:
            return trial.suggest_int(name, WIDTHS[0], WIDTHS[-1], log=True)
        return trial.suggest_categorical(name, WIDTHS)

    def settings(self, chosen: Mapping[str, Choice]) -> dict[str, Setting]:
        """Turn choices into dotted settings of a recipe (`recipes.load`)."""
        alone = {name: choices[0] for name, choices in self._lists().items() if len(choices) == 1}
        value = {**alone, **chosen}
        layers = ["standardise"] if value.get("features") == "standardised" else []
        for number, name in enumerate(_dropouts(int(value["hidden_layers"]))):
            layers += [f"dense {value[f'width_{number}']}"] if number else []
            layers += [f"dropout {value[name]:.1f}"] if float(value[name]) >= DROPOUT_STEP / 2 else []
        return {
            "seed": self.seed,
            **self._backbone(str(value["backbone"])),
            "backbone.input_size": value["input_size"],
            "head.layers": tuple(layers),
            "head.activation": value.get("activation", "relu"),
            "training.epochs": self.epochs,
            "training.batch_size": value["batch_size"],
            "training.optimizer": value["optimizer"],
            "training.learning_rate": float(f"{value['learning_rate']:.3g}"),
            "training.loss": value["loss"],
            "training.class_weight": value["class_weight"],
            "training.l2": value.get("l2", 0.0),
            "augmentation.views": value["views"],
        }

    def _backbone(self, name: str) -> dict[str, Setting]:
        """Take the default recipe's backbone as it is there, any other one whole and with the gray levels of the store."""
        if name == self._shipped("default").backbone.name:
            return {"backbone.name": name}
        return {"backbone.name": name, "backbone.depth": 0, "backbone.crop": "none", "backbone.intensities": "stored"}

    def _shipped(self, name: str, settings: Mapping[str, Setting] = MappingProxyType({})) -> Recipe:
        """Load a recipe that comes with plainfilm, as it was when the search began."""
        return recipes.load(name if self.form > 2 else _OLDER.get(name, name), settings)

    def recipe(self, chosen: Mapping[str, Choice], *, description: str = "") -> Recipe:
        """Give the whole recipe of a trial; what is not searched is the default recipe's."""
        return self._shipped("default", {**self.settings(chosen), "name": "tuned", "description": description})

    def choices_of(self, recipe: Recipe) -> dict[str, Choice]:
        """Find the choices that give a recipe's head and training; a backbone outside the space becomes the space's first.

        Raises
        ------
        RecipeError
            The head has layers that no choice gives.
        """
        training_part = recipe.training
        wanted: dict[str, Choice] = {
            "backbone": recipe.backbone.name,
            "input_size": recipe.backbone.input_size,
            "views": recipe.augmentation.views,
            "loss": training_part.loss,
            "optimizer": training_part.optimizer,
            "batch_size": training_part.batch_size,
            "class_weight": training_part.class_weight,
            "features": FEATURES["standardise" in recipe.head.layers],
            "l2": training_part.l2,
        }
        if training_part.class_weight not in self._lists()["class_weight"]:
            wanted["class_weight"] = "balanced"
        chosen = {
            name: wanted[name] if wanted[name] in choices else choices[0]
            for name, choices in self._lists().items()
            if len(choices) > 1
        }
        chosen |= _head_choices(recipe)
        return chosen | {"learning_rate": training_part.learning_rate}

    def starts(self) -> list[tuple[str, dict[str, Choice]]]:
        """Name the first trials and their choices: recipes that a search should never end worse than.

        A recipe's backbone that is not searched is replaced, and the name says so; the paper's second system, which
        differs from its first in little else, is then left out.
        """
        found = []
        for name in STARTS:
            recipe = self._shipped(name)
            own = recipe.backbone.name
            if own in self.backbones:
                found.append((name, self.choices_of(recipe)))
            elif name != "paper-resnet50":
                found.append((f"{name}, on {self.backbones[0]}", self.choices_of(recipe)))
        return found

    def encodings(self) -> dict[Encoding, Recipe]:
        """Every backbone at every input size, with a recipe of it: what has to be encoded before the trials."""
        return {
            (name, size): self._shipped("default", {**self._backbone(name), "backbone.input_size": size})
            for name in self.backbones
            for size in self.input_sizes
        }

    def names(self) -> list[str]:
        """Every name that a choice may have, in the order in which a trial chooses."""
        widths = [f"width_{number}" for number in range(1, DEEPEST + 1)]
        return [*self._lists(), "hidden_layers", *_dropouts(DEEPEST), *widths, "activation", "learning_rate"]

    def _lists(self) -> dict[str, tuple[Choice, ...]]:
        return {
            "backbone": self.backbones,
            "input_size": self.input_sizes,
            "views": (0, self.views) if self.views else (0,),
            "loss": LOSSES,
            "optimizer": OPTIMIZERS,
            "batch_size": BATCH_SIZES,
            "class_weight": CLASS_WEIGHTS if self.form > 2 else _OLD_CLASS_WEIGHTS,
            **({"features": FEATURES, "l2": L2} if self.form > 2 else {}),
        }


def title(name: str) -> str:
    """Name a choice for people."""
    return _TITLES.get(name, name.replace("_", " "))


def _dropouts(hidden: int) -> list[str]:
    """Every place for a Dropout: on the features, and after each hidden layer; so one stands before each Dense, or none."""
    return ["dropout_on_features", *(f"dropout_after_{number}" for number in range(1, hidden + 1))]


def _head_choices(recipe: Recipe) -> dict[str, Choice]:
    layers = [each for each in parse_layers(recipe.head.layers) if each[0] != "standardise"]
    kinds = "".join(kind[1] for kind, _ in layers)  # "e" for Dense, "r" for Dropout
    hidden = kinds.count("e")
    if hidden > DEEPEST or not re.fullmatch("r?(er?)*", kinds):
        raise RecipeError(
            f"Expected at most {DEEPEST} hidden Dense layers with at most one Dropout before each; received {list(recipe.head.layers)}."
        )
    chosen: dict[str, Choice] = {"hidden_layers": hidden, **dict.fromkeys(_dropouts(hidden), 0.0)}
    number = 0
    for kind, value in layers:
        if kind == "dense":
            number += 1
            chosen[f"width_{number}"] = int(value)
        else:
            chosen[_dropouts(hidden)[number]] = value
    return chosen | ({"activation": recipe.head.activation} if hidden else {})
