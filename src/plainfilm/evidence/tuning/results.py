"""What a search came to: its trials, the best of them, and what that is worth in words."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plainfilm.data.store import Store
from plainfilm.errors import RecipeError
from plainfilm.model import study
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.search_space import Space
from plainfilm.model.study import Importance
from plainfilm.model.trials import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A search as it stands: its trials, what they chose from, and on how many rows of the store each was scored.

    `asked` is how many trials were asked for; `interrupted` whether it was stopped by Ctrl-C.
    """

    store: Store
    space: Space
    folds: int
    asked: int
    tried: Sequence[Tried]
    importances: Sequence[Importance]
    scored: int
    interrupted: bool
    folder: Path
    command: str

    @property
    def best(self) -> Tried:
        """The trial of the least score.

        Raises
        ------
        RecipeError
            No trial ran to its end.
        """
        found = study.best(self.tried)
        if found is None:
            raise RecipeError(
                f"Expected a trial that settles; received {len(self.tried)} that did not. Look for damaged images, or try more."
            )
        return found

    @property
    def known(self) -> list[Tried]:
        """The recipes that come with plainfilm, of the first trials."""
        return [each for each in self.tried if each.name and each.state == "done"]

    @property
    def states(self) -> Mapping[str, int]:
        """How many trials ended in which way."""
        ends = ("done", "stopped early", "diverged")
        return {end: sum(each.state == end for each in self.tried) for end in ends}

    @property
    def alike(self) -> int:
        """How many other trials are behind the best by no more than the standard error of the difference.

        As Breiman's rule of one standard error (CART, 1984, section 3.4.3), with the errors of both: that of the best
        alone is small by the luck that made it the best.
        """
        best = self.best
        behind = [
            _number(each.score) - _number(best.score) <= math.hypot(_number(each.error), _number(best.error))
            for each in self.tried
            if each.state == "done"
        ]
        return sum(behind) - 1

    @property
    def seconds(self) -> float:
        """Time of all trials together."""
        return sum(each.seconds for each in self.tried)

    @property
    def where(self) -> str:
        """What each trial was scored on, in words."""
        rows = f"{self.scored:,} radiographs"
        return f"{rows} of the validation part" if self.folds == 1 else f"{rows} in {self.folds} folds"

    @property
    def worth(self) -> str:
        """What the best score is worth, in a sentence."""
        return f"It is the best of {len(self.tried):,} trials on the same {self.where}, so it flatters."

    @property
    def alike_sentence(self) -> str:
        """How sure it is that the best is the best."""
        if not self.alike:
            return "No other trial is within one standard error of it."
        others = "One other trial is" if self.alike == 1 else f"{self.alike:,} other trials are"
        return f"{others} within one standard error of it: which of them comes first is partly chance."

    @property
    def then(self) -> str:
        """The command that comes next."""
        recipe, out = self.folder / "best.toml", self.folder.with_name(f"{self.folder.name}-best")
        return shlex.join(["plainfilm", "train", str(self.store.path), "--recipe", str(recipe), "--out", str(out)])

    def recipe(self, tried: Tried) -> Recipe:
        """Give the whole recipe that a trial comes to."""
        told = f"Trial {tried.number} of {len(self.tried)} of plainfilm tune."
        return self.space.recipe(tried.chosen, description=told)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
