"""How often 95 % intervals hold the truth where a few patients have most of the films; 3 to 5 minutes on one core.

150 patients, of whom 5 % (each by chance) hold 50 films and the others one; or 2 to 50 and one; or 5 to 50 and 1 to 4. All films
of a patient are of one class (40 % ill); their scores correlate by 0.5. The truth is that of `benchmarks/coverage.py`.
Beside it AUROC with 10 ill of 100 or 300 films that stand alone.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from coverage import BAND, PREVALENCE, Ints, Sample, binormal_truth, noise, probability
from honest.row import Row
from plainfilm.evidence.statistics.metrics import evaluate

TRIALS = 1000
PATIENTS, HEAVY, MOST = 150, 0.05, 50
MU = 1.8
JUDGED = "accuracy", "sensitivity", "specificity", "ppv", "npv"
SHOWN = "f1", "auroc", "auprc", "brier"
DESIGNS = {"50 or 1": ((50, 50), (1, 1)), "2 to 50 or 1": ((2, 50), (1, 1)), "5 to 50 or 1 to 4": ((5, 50), (1, 4))}


def measure(work: Path) -> list[Row]:
    rows = []
    for name in DESIGNS:
        held = _kept(work / f"{name}.json", lambda name=name: _covered(lambda random: _films(random, name), MU))
        rows += [
            Row(f"{PATIENTS} patients, films {name}: coverage of {metric}", held[metric], "0.93 to 0.97", BAND[0] <= held[metric] <= BAND[1])
            for metric in JUDGED
        ]  # fmt: skip
        rows += [
            Row(f"{PATIENTS} patients, films {name}: coverage of {metric}", held[metric], "shown", True)
            for metric in SHOWN
        ]
    for area in (0.75, 0.9, 0.97):
        for n in (100, 300):
            mu = float(np.sqrt(2) * ndtri(area))
            held = _kept(work / f"{area} {n}.json", lambda n=n, mu=mu: _covered(lambda random: _ten(random, n, mu), mu))
            reached = BAND[0] <= held["auroc"]
            rows.append(Row(f"AUROC {area}, 10 ill of {n}: coverage", held["auroc"], "at least 0.93", reached))
    return rows


def _kept(path: Path, compute) -> dict[str, float]:  # type: ignore[no-untyped-def]
    if not path.is_file():
        path.write_text(json.dumps(compute()))
    return dict(json.loads(path.read_text()))


def _covered(draw, mu: float) -> dict[str, float]:  # type: ignore[no-untyped-def]
    random, truth = np.random.default_rng(1), binormal_truth(mu, PREVALENCE, 1.0)
    held = dict.fromkeys((*JUDGED, *SHOWN), 0)
    for trial in range(TRIALS):
        labels, chances, group = draw(random)
        found = evaluate(labels, chances, classes=["well", "ill"], positive=None, threshold=0.5, group=group, seed=trial, repeats=1)  # fmt: skip
        for name in held:
            own = found.estimates[name]
            held[name] += own.low <= truth[name] <= own.high
    return {name: count / TRIALS for name, count in held.items()}


def _films(random: np.random.Generator, design: str) -> Sample:
    many, few = DESIGNS[design]
    heavy = random.random(PATIENTS) < HEAVY
    size = np.where(
        heavy, random.integers(many[0], many[1] + 1, PATIENTS), random.integers(few[0], few[1] + 1, PATIENTS)
    )
    group = np.repeat(np.arange(PATIENTS), size)
    ill = (random.random(PATIENTS) < PREVALENCE).astype(np.int64)[group]
    return _scored(random, ill, group, 0.5, MU)


def _ten(random: np.random.Generator, n: int, mu: float) -> Sample:
    return _scored(random, (np.arange(n) < 10).astype(np.int64), np.arange(n), 0.0, mu)


def _scored(random: np.random.Generator, ill: Ints, group: Ints, correlation: float, mu: float) -> Sample:
    chance: NDArray[np.float64] = probability(noise(random, group, correlation) + mu * ill, mu, PREVALENCE, 1.0)
    return ill, np.stack([1 - chance, chance], axis=1), group
