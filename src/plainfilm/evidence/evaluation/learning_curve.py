"""How many hospitals are enough: AUROC at sources that were left out, over the sources and the films learnt from."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import stdtrit

from plainfilm.data.source_curve import Drawn
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation.evaluate import score
from plainfilm.evidence.evaluation.left_out import areas_of, mean_of
from plainfilm.evidence.statistics.intervals import Measured, group_codes, variance, within_bounds
from plainfilm.model.classifier import Trained
from plainfilm.results.estimate import Estimate, written
from plainfilm.results.metrics import CurvePoint, LearningCurve

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MANY = 1e9  # degrees of freedom of a normal distribution
Key = tuple[int, int]  # sources, films


@dataclass(frozen=True, slots=True)
class Tried:
    """One training of the curve: what it learnt from, and its AUROC where it did not."""

    drawn: Drawn
    area: Measured


def try_out(store: Store, drawn: Drawn, trained: Trained) -> Tried:
    """Test a classifier on the source that was left out; `store` is under the split that it was trained with."""
    codes = group_codes(store.group, len(store))
    return Tried(drawn, mean_of(areas_of(score(store, trained, "test"), trained.decision, codes), int(codes.max()) + 1))


def learning_curve(tried: Sequence[Tried]) -> LearningCurve:
    """Average over the left-out sources, and say what another hospital is worth, and what more films are.

    A difference is told where its 95 % interval leaves out 0: over the patients of the left-out sources, who are the same on
    both sides, and over draws: of films of the same sources where these were repeated, else of the sources themselves. Student's t,
    with the degrees of freedom of Satterthwaite, Biometrics Bulletin 1946.
    """
    found: dict[Key, list[Tried]] = {}
    for own in tried:
        found.setdefault((own.drawn.hospitals, own.drawn.films), []).append(own)
    means = {key: _Mean.of(of) for key, of in found.items()}
    return LearningCurve(
        tested=tuple(dict.fromkeys(own.drawn.fold.name for own in tried)),
        points=tuple(_point(key, found[key], mean) for key, mean in means.items()),
        sentence=_sentence(means),
    )


@dataclass(frozen=True, slots=True)
class _Mean:
    """Mean AUROC of a point: each left-out source counts once, in `folds`, and there each choice of sources.

    `drawn` is the variance that draws bring, `freedom` its degrees of freedom, 0 where there was one draw a left-out source.
    """

    area: Measured
    folds: Mapping[str, float]
    drawn: float
    freedom: int

    @classmethod
    def of(cls, tried: Sequence[Tried]) -> Self:
        folds: dict[str, dict[frozenset[int], list[Measured]]] = {}
        for own in tried:
            folds.setdefault(own.drawn.fold.name, {}).setdefault(own.drawn.chosen, []).append(own.area)
        means = {name: mean_of([mean_of(own) for own in chosen.values()]) for name, chosen in folds.items()}
        spread = [
            _drawn([[area.estimate.value for area in own] for own in chosen.values()]) for chosen in folds.values()
        ]
        return cls(
            mean_of(list(means.values())),
            {name: area.estimate.value for name, area in means.items()},
            sum(each for each, _ in spread) / len(folds) ** 2,
            sum(freedom for _, freedom in spread),
        )

    def minus(self, other: Self) -> Estimate:
        """Give the difference with its interval."""
        value = self.area.estimate.value - other.area.estimate.value
        parts = [(own.drawn, own.freedom) for own in (self, other) if own.drawn > 0]
        whole = variance(self.area.influence - other.area.influence) + sum(drawn for drawn, _ in parts)
        freedom = whole**2 / sum(drawn**2 / number for drawn, number in parts) if parts else _MANY
        half = float(stdtrit(freedom, 0.975) * np.sqrt(whole))
        return within_bounds(value, value - half, value + half, -1.0, 1.0)

    def above(self, other: Self) -> int:
        """Count the left-out sources where it is higher."""
        return sum(value > other.folds[name] for name, value in self.folds.items())


def _drawn(choices: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Give the variance that draws bring to a mean of AUROCs, a sequence a choice of sources, and its degrees of freedom.

    Over the films of a choice where some were drawn anew; where each choice was drawn once, over choices and films at once.
    """
    repeated = [own for own in choices if len(own) > 1]
    if not repeated and len(choices) > 1:
        return float(np.var([own for (own,) in choices], ddof=1)) / len(choices), len(choices) - 1
    spread = sum(float(np.var(own, ddof=1)) / len(own) for own in repeated)
    return spread / len(choices) ** 2, sum(len(own) - 1 for own in repeated)


def _point(key: Key, tried: Sequence[Tried], mean: _Mean) -> CurvePoint:
    values = [own.area.estimate.value for own in tried]
    return CurvePoint(sources=key[0], films=key[1], auroc=mean.area.estimate,
                      lowest=min(values), highest=max(values), trainings=len(tried))  # fmt: skip


def _sentence(means: Mapping[Key, _Mean]) -> str:
    """Say what another hospital is worth, or where there is none, what more films are."""
    counts = sorted({sources for sources, _ in means})
    if counts == [1]:
        return (
            f"{_of_films(means, 1)} But one hospital with every class is left to learn from, so this says nothing of another one."
        ).lstrip()
    said = [_of_another(means), _of_films(means, counts[-1])]
    if len(counts) > 2:
        said.insert(1, _of_still_more(means, counts[-2], counts[-1]))
    return " ".join(part for part in said if part)


def _of_another(means: Mapping[Key, _Mean]) -> str:
    """Compare a second hospital with twice the films of the first."""
    shared = _shared(means, 1, 2)
    doubled = {less: more for more, less in _doublings(means, 1) if less in shared}
    if not shared:
        return ""
    films = max(doubled or shared)
    one, two = means[1, films], means[2, films]
    said = f"With {films:,} films of one hospital, AUROC at those left out is {_value(one)}, with as many of two {_value(two)}"
    gain = two.minus(one)
    gained = f"What another hospital brings cannot be told: {_change(gain)}"
    if gain.low > 0:
        gained = f"Another hospital brings {_change(gain)}"
    elif gain.high < 0:
        loss = Estimate(-gain.value, -gain.high, -gain.low)
        gained = f"Another hospital costs {loss.value:.3f} ({_reach(loss)})"
    if not doubled:
        return f"{said}. {gained}."
    twice = means[1, doubled[films]]
    more, at = two.minus(twice), f"of {len(two.folds)} left out"
    compared = f"{gained}; whether it is worth more than twice the films cannot be told: {_change(more)}"
    if more.low > 0:
        compared = f"Another hospital is worth more than twice the films: {_change(more)}, at {two.above(twice)} {at}"
    elif more.high < 0:
        compared = f"Twice the films are worth more than another hospital: {_change(more)}, at {twice.above(two)} {at}"
    return f"{said}, with twice as many of one {_value(twice)}. {compared}."


def _of_still_more(means: Mapping[Key, _Mean], fewer: int, more: int) -> str:
    shared = _shared(means, fewer, more)
    if not shared:
        return ""
    films = max(shared)
    change = means[more, films].minus(means[fewer, films])
    return f"From {_word(fewer)} to {_word(more)} hospitals, with {films:,} films, it changes by {_change(change)}."


def _of_films(means: Mapping[Key, _Mean], sources: int) -> str:
    """Say what the last doubling of the films brought."""
    doublings = _doublings(means, sources)
    if not doublings:
        return ""
    more, less = doublings[0]
    change = means[sources, more].minus(means[sources, less])
    whose = "one hospital" if sources == 1 else f"{_word(sources)} hospitals"
    return f"From {less:,} to {more:,} films of {whose}, it changes by {_change(change)}."


def _shared(means: Mapping[Key, _Mean], one: int, other: int) -> set[int]:
    return {films for sources, films in means if sources == one and (other, films) in means}


def _doublings(means: Mapping[Key, _Mean], sources: int) -> list[tuple[int, int]]:
    """Pair each number of films with about half of it, the most first."""
    films = sorted({films for own, films in means if own == sources}, reverse=True)
    return [(more, less) for more, less in itertools.pairwise(films) if abs(more - 2 * less) <= 2]


def _value(mean: _Mean) -> str:
    return f"{mean.area.estimate.value:.2f}"


def _change(change: Estimate) -> str:
    return f"{written(change.value, '+.3f')} ({_reach(change)})"


def _reach(change: Estimate) -> str:
    return f"{written(change.low, '.3f')} to {written(change.high, '.3f')}"


def _word(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)
