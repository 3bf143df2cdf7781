"""One answer a patient: how several films become one probability, chosen on the validation set and measured by patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from plainfilm.data.store import Store
from plainfilm.evidence import attributes
from plainfilm.evidence.evaluation import three_answers
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.model import combining
from plainfilm.model.classifier import Decision
from plainfilm.model.recipe_schema import EvaluationSettings
from plainfilm.results.manifest import RULES, Combining
from plainfilm.results.metrics import ByPatient, Promise, ThreeAnswers

_FEWEST = 10  # patients with several films, of whom a rule is chosen or calibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Patients, n of them: labels 0 or 1, 1 where any film is positive; probability of the positive class; thresholds, one each."""

    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    threshold: NDArray[np.float64]
    lower: NDArray[np.float64] | None
    films: int
    several: int


@dataclass(frozen=True, slots=True)
class Films:
    """Films of patients: rows that are `used`, bool (n), one a patient or more, and `whose` int64 (n), the patient of each as 0, 1, 2 …."""

    used: NDArray[np.bool_]
    whose: NDArray[np.int64]

    @property
    def codes(self) -> NDArray[np.int64]:
        """The patient of each film that is used, int64 (used)."""
        return self.whose[self.used]

    @classmethod
    def of(cls, store: Store, rows: NDArray[np.int64]) -> "Films":
        """Take the frontal films of each patient of some rows; those of a patient who has no other kind, too."""
        view, group = attributes.traits(store, rows)["view"], store.group[rows]
        names, place = np.unique(np.full(len(rows), "") if view is None else view, return_inverse=True)
        lateral = np.array([attributes.is_lateral(name) for name in names.tolist()], bool)[place]
        used = ~lateral | ~np.isin(group, group[~lateral])
        return cls(used, np.unique(group, return_inverse=True)[1].astype(np.int64))

    def labels(self, positive: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Say whether a patient has any positive film, used or not, 0 or 1; `positive` bool (n)."""
        return np.bincount(self.whose, positive).astype(bool).astype(np.int64)


def choose(
    log_odds: NDArray[np.float64], positive: NDArray[np.bool_], films: Films, asked: EvaluationSettings
) -> tuple[Combining, Promise | None]:
    """Choose on films that were not trained on how those of a patient become one probability, its calibration and thresholds.

    Parameters
    ----------
    log_odds, positive
        float64 (n) and bool (n): calibrated log odds of the positive class, and whether a film is of it.
    films
        Whose they are.
    asked
        `films`: mean, worst, or auto, which takes the one that fits the patients better (log loss) after calibration. With too few
        patients of several films, or of one class alone, it is the mean, as it stands; the threshold of one class is that of films.

    Returns
    -------
    Combining, and what two thresholds promise, None with one
    """
    truth, count = films.labels(positive), np.bincount(films.codes)
    can_fit = bool(np.count_nonzero(count > 1) >= _FEWEST and 0 < truth.sum() < len(truth))
    rules = [rule for rule in RULES if asked.films in {"auto", rule}]
    tried = []
    for rule in rules if can_fit else rules[:1]:
        joined = combining.combined(log_odds[films.used], films.codes, rule)
        slope, intercept = 1.0, 0.0
        if can_fit and asked.calibrate:
            scaling = fit_scaling(joined[:, None], truth, positive=1)
            slope, intercept = float(scaling.slopes[0]), float(scaling.intercepts[0])
        scaled = slope * joined + intercept
        loss = -float(log_expit(np.where(truth == 1, scaled, -scaled)).mean())
        tried.append((loss, rule, slope, intercept, expit(scaled)))
    _, rule, slope, intercept, chance = min(tried, key=lambda each: each[0])
    share = float(truth.mean())
    of_films = not asked.sensitivity and not 0 < truth.sum() < len(truth)  # patients of one class tell no threshold
    of, at = (positive, expit(log_odds)) if of_films else (truth, chance)
    threshold, lower, said = three_answers.choose(of, at, asked)
    made = Combining(rule=rule, slope=slope, intercept=intercept, threshold=threshold, lower_threshold=lower,
                     prevalence=share, decided=can_fit)  # fmt: skip
    return made, said


def units_of(
    store: Store,
    decision: Decision,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
) -> Units | None:
    """Join the answers to some rows to one of each patient; None where the classifier does not know how."""
    if decision.positive is None or decision.combining is None or not len(rows):
        return None
    how, column, films = decision.combining, decision.classes.index(decision.positive), Films.of(store, rows)
    chance = combining.probabilities(how, probabilities[films.used, column], films.codes)
    many = len(chance)
    return Units(
        labels=films.labels(labels == column),
        probability=chance,
        threshold=np.full(many, how.threshold),
        lower=None if how.lower_threshold is None else np.full(many, how.lower_threshold),
        films=int(films.used.sum()),
        several=int(np.count_nonzero(np.bincount(films.codes) > 1)),
    )


def together(parts: Sequence[Units]) -> Units:
    """Put the patients of several folds one after the other; each keeps the thresholds of its fold."""
    return Units(
        **columns(parts, "labels", "probability", "threshold", "lower"),
        films=sum(own.films for own in parts),
        several=sum(own.several for own in parts),
    )


def columns(parts: Sequence[Any], *names: str) -> dict[str, Any]:
    """Put arrays of several folds one after the other, by their names; None where the folds have none."""
    each = {name: [getattr(part, name) for part in parts] for name in names}
    return {name: None if own[0] is None else np.concatenate(own) for name, own in each.items()}


def measure(
    decision: Decision, units: Mapping[str, Units], tested: str, promise: Promise | None, *, seed: int
) -> ByPatient | None:
    """Measure the answers by patient; None where the classifier does not know how several films become one."""
    how, positive = decision.combining, decision.positive
    if how is None or positive is None or tested not in units:
        return None
    column = decision.classes.index(positive)
    splits = {}
    for part, own in units.items():
        chance = np.stack([own.probability, 1 - own.probability], axis=1)[:, :: 1 if column == 0 else -1]
        truth = np.where(own.labels == 1, column, 1 - column)
        splits[part] = evaluate(
            truth, chance, classes=decision.classes, positive=positive, threshold=own.threshold, seed=seed
        )
    three = None
    if promise is not None:
        measured = {
            part: three_answers.measure(own.labels, own.probability, lower=own.lower, upper=own.threshold,
                                        sensitivity=promise.sensitivity, npv=promise.npv)
            for part, own in units.items() if own.lower is not None
        }  # fmt: skip
        three = ThreeAnswers.measured(promise, measured)
    return ByPatient(
        rule=how.rule,
        decided=how.decided,
        threshold=how.threshold,
        lower_threshold=how.lower_threshold,
        films=units[tested].films,
        several=units[tested].several,
        splits=splits,
        three_answers=three,
        sentence=_sentence(how, units[tested]),
    )


def _sentence(how: Combining, tested: Units) -> str:
    """Say how several films become one answer, and how many patients have some."""
    joined = {
        "mean": "The mean of the log odds of a patient's frontal films",
        "worst": "The highest of a patient's frontal films",
    }
    calibrated = "calibration and threshold" if (how.slope, how.intercept) != (1, 0) else "threshold"
    chosen = (
        f"with a {calibrated} of its own from the patients of the validation set"
        if how.decided
        else "as it stands: too few patients of the validation set have several films, or none are of one class, to choose or calibrate by"
    )
    several = f"{('none', 'one')[tested.several]} has" if tested.several < 2 else f"{tested.several:,} have"
    return f"{joined[how.rule]} is the answer by patient, {chosen}. Of {len(tested.labels):,} patients tested {several} several."
