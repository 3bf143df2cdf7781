"""What a search for a recipe came to: `tuning.json`, and the sentences on what its best trial is worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from plainfilm import shell
from plainfilm.data.store import Store
from plainfilm.errors import RecipeError
from plainfilm.model import study
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.search_space import SearchSpace
from plainfilm.results.comparison import LeftOutChoice, Rank
from plainfilm.results.search import BestTrial, Importance, ScoredRows, Search, TrialCounts, TrialResult
from plainfilm.results.store import StoreIdentity

_MEASURES: Mapping[Rank, str] = {
    "worst": "log loss of calibrated probabilities at the worst source left out, classes weighted alike",
    "mean": "log loss of calibrated probabilities, mean of the sources left out, classes weighted alike",
}
_SCORES: Mapping[Rank, str] = {
    "worst": "Log loss at the worst source left out",
    "mean": "Mean log loss of sources left out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """A search as its page shows it: `result` is tuning.json, `trials` are all that ended.

    In words: `score` is what trials are compared by, `scored_on` what each was scored on, `worth` what the best log loss is
    worth, `alike` how sure it is that the best is the best.
    """

    result: Search
    trials: Sequence[TrialResult]
    space: SearchSpace
    score: str
    scored_on: str
    worth: str
    alike: str

    def recipe(self, trial: TrialResult) -> Recipe:
        """Give the whole recipe that a trial comes to."""
        described = f"Trial {trial.number} of {len(self.trials)} of plainfilm tune."
        return self.space.recipe(trial.chosen, description=described)


def summarise(
    trials: Sequence[TrialResult],
    importances: Sequence[Importance],
    space: SearchSpace,
    *,
    store: Store,
    folder: Path,
    asked: int,
    scored: ScoredRows,
    interrupted: bool,
    choice: LeftOutChoice | None = None,
) -> SearchSummary:
    """Find the best trial and what its log loss is worth.

    Parameters
    ----------
    asked
        How many trials were asked for.
    folder
        Where the best recipe will be, for the command that comes next.
    choice
        What the choice is worth, where sources were left out.

    Raises
    ------
    RecipeError
        No trial ran to its end.
    """
    best = _best(trials)
    alike, scored_on = _alike(trials, best), _scored_on(scored)
    worth = f"It is the best of {len(trials):,} trials on the same {scored_on}, so it flatters."
    alike_sentence = _alike_sentence(alike)
    result = Search(
        best=BestTrial(**msgspec.structs.asdict(best), settings=space.settings(best.chosen)),
        starts=tuple(each for each in trials if each.recipe and each.state == "done"),
        trials=_counts(trials, asked),
        within_one_standard_error=alike,
        importances=tuple(importances),
        measure=_MEASURES[choice.rank] if choice else "log loss of calibrated probabilities",
        scored=scored,
        worth=f"{worth} {alike_sentence}",
        choice=choice,
        interrupted=interrupted,
        seconds=sum(each.seconds for each in trials),
        data=StoreIdentity(store=store.path.name, fingerprint=store.fingerprint, kept_at=store.kept_at),
        next_command=_next_command(store, folder),
    )
    return SearchSummary(
        result=result,
        trials=trials,
        space=space,
        score=_SCORES[choice.rank] if choice else "Validation log loss",
        scored_on=scored_on,
        worth=worth,
        alike=alike_sentence,
    )


def _best(trials: Sequence[TrialResult]) -> TrialResult:
    best = study.best(trials)
    if best is None:
        which = "The only trial" if len(trials) == 1 else f"All {len(trials):,} trials"
        raise RecipeError(
            f"{which} diverged (the loss was not finite). Look for damaged images, or try more with --trials."
        )
    return best


def _counts(trials: Sequence[TrialResult], asked: int) -> TrialCounts:
    states = [each.state for each in trials]
    return TrialCounts(
        asked=asked,
        in_all=len(trials),
        stopped_early=states.count("stopped early"),
        diverged=states.count("diverged"),
    )


def _alike(trials: Sequence[TrialResult], best: TrialResult) -> int:
    """Count the other trials behind the best by no more than the standard error of the difference.

    As Breiman's rule of one standard error (CART, 1984, section 3.4.3), with the errors of both: that of the best alone is
    small by the luck that made it the best.
    """
    behind = [
        _number(each.log_loss) - _number(best.log_loss)
        <= math.hypot(_number(each.standard_error), _number(best.standard_error))
        for each in trials
        if each.state == "done"
    ]
    return sum(behind) - 1


def _alike_sentence(alike: int) -> str:
    if not alike:
        return "No other trial is within one standard error of it."
    others = "One other trial is" if alike == 1 else f"{alike:,} other trials are"
    return f"{others} within one standard error of it: which of them comes first is partly chance."


def _scored_on(scored: ScoredRows) -> str:
    rows = f"{scored.radiographs:,} radiographs"
    if scored.sources:
        return f"{rows} of {len(scored.sources)} sources left out in turn"
    return f"{rows} of the validation set" if scored.folds == 1 else f"{rows} in {scored.folds} folds"


def _next_command(store: Store, folder: Path) -> str:
    out = folder.with_name(f"{folder.name}-best")
    return shell.command("train", store.path, "--recipe", folder / "best.toml", "--out", out)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
