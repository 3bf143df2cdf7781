"""How often the 95 % intervals of `plainfilm.evidence.statistics.metrics` hold the truth, by simulation; exit 1 if out of band.

    python benchmarks/coverage.py --out coverage.json          # 1,000 trials a setting, 2.5 to 4 minutes on one core

Scores of the sick are N(mu, 1), of the well N(0, 1); every truth is exact up to integration (three classes: a million
draws). Designs: "rows" stand alone; "patients" have 1 to 4 radiographs of one class whose scores correlate by 0.5;
"mixed patients" likewise, with a fifth of their radiographs of the other class. Patients come at random. "fixed" has
the number of each class fixed instead: as the intervals allow for its chance, they may only be too wide there. ECE is
biased and its error has no known law: shown, not judged.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, softmax
from scipy.stats import norm

from plainfilm.evidence.statistics.metrics import evaluate

BAND = 0.93, 0.97
CORRELATION = 0.5
PREVALENCE = 0.4
AREAS = 0.75, 0.9, 0.97
DESIGNS = "rows", "patients", "mixed patients"
SIZES = 200, 1000
OVERCONFIDENCE = 1.3  # of the probabilities in the main table
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Sample = tuple[Ints, Floats, Ints]  # truth, probabilities, group


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    started = time.perf_counter()
    cells = [
        *two_classes(chosen.trials, chosen.seed),
        *three_classes(chosen.trials, chosen.seed),
        *calibration(chosen.trials, chosen.seed),
    ]
    seconds = time.perf_counter() - started
    missed = [cell for cell in cells if cell["judged"] and not cell["within"]]
    print(f"{sum(bool(c['judged']) for c in cells)} cells judged, {len(missed)} out of band, {seconds:.0f} s")
    if chosen.out:
        head = {"trials": chosen.trials, "seed": chosen.seed, "band": BAND, "seconds": round(seconds, 1)}
        chosen.out.write_text(json.dumps({**head, "cells": cells}, indent=1) + "\n", encoding="utf-8")
    return 1 if missed else 0


def two_classes(trials: int, seed: int) -> list[dict[str, object]]:
    cells = []
    settings = [(design, n) for design in DESIGNS for n in SIZES] + [("fixed", 200)]
    for design, n in settings:
        for area in AREAS:
            mu = float(np.sqrt(2) * ndtri(area))
            truth = binormal_truth(mu, PREVALENCE, OVERCONFIDENCE)
            del truth["ece"]

            def draw(random: np.random.Generator, design: str = design, n: int = n, mu: float = mu) -> Sample:
                group, ill = patients(random, design, n)
                score = noise(random, group, 0.0 if design in ("rows", "fixed") else CORRELATION) + mu * ill
                chance = probability(score, mu, PREVALENCE, OVERCONFIDENCE)
                return ill, np.stack([1 - chance, chance], axis=1), group

            name = f"{design}, n={n}, AUROC {area}"
            cells += coverage(
                name, draw, truth, classes=["well", "ill"], trials=trials, seed=seed, upper=design != "fixed"
            )
    return cells


def three_classes(trials: int, seed: int) -> list[dict[str, object]]:
    cells = []
    classes = ["a", "b", "c"]
    share = np.array([0.5, 0.3, 0.2])
    for design in ("rows", "patients"):

        def draw(random: np.random.Generator, n: int = 400, design: str = design) -> Sample:
            clustered = design == "patients"
            group = np.repeat(np.arange(n), random.integers(1, 5, n) if clustered else 1)[:n]
            truth = random.choice(3, n, p=share)[group]
            scores = np.stack([noise(random, group, CORRELATION * clustered) for _ in classes], axis=1)
            scores[np.arange(n), truth] += 1.8
            return truth, softmax(1.5 * scores, axis=1), group

        found = evaluate(
            *draw(np.random.default_rng(99), 1_000_000, "rows")[:2],
            classes=classes,
            positive=None,
            threshold=0,
            repeats=1,
        )
        names = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc", "brier")
        truth = {name: found.estimates[name].value for name in names}
        cells += coverage(
            f"macro of 3 classes, {design}, n=400", draw, truth, classes=classes, trials=trials, seed=seed
        )
    return cells


def calibration(trials: int, seed: int) -> list[dict[str, object]]:
    cells = []
    mu = 1.8
    for design, n in [("rows", 200), ("rows", 1000), ("patients", 1000)]:
        for overconfidence in (1.0, 1.3, 2.0, 4.0):
            truth = {"ece": binormal_truth(mu, PREVALENCE, overconfidence)["ece"]}

            def draw(
                random: np.random.Generator, design: str = design, n: int = n, overconfidence: float = overconfidence
            ) -> Sample:
                group, ill = patients(random, design, n)
                score = noise(random, group, CORRELATION * (design != "rows")) + mu * ill
                chance = probability(score, mu, PREVALENCE, overconfidence)
                return ill, np.stack([1 - chance, chance], axis=1), group

            name = f"{design}, n={n}, logits x {overconfidence}"
            cells += coverage(
                name, draw, truth, classes=["well", "ill"], trials=trials, seed=seed, repeats=400, judged=False
            )
    return cells


def coverage(
    name: str,
    draw: Callable[[np.random.Generator], Sample],
    truth: dict[str, float],
    *,
    classes: list[str],
    trials: int,
    seed: int,
    repeats: int = 1,
    judged: bool = True,
    upper: bool = True,
) -> list[dict[str, object]]:
    random = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float]]] = {metric: [] for metric in truth}
    for trial in range(trials):
        labels, chances, group = draw(random)
        result = evaluate(
            labels, chances, classes=classes, positive=None, threshold=0.5, group=group, seed=trial, repeats=repeats
        )
        for metric, estimates in found.items():
            own = result.estimates[metric]
            estimates.append((own.value, own.low, own.high))
    cells: list[dict[str, object]] = []
    for metric, estimates in found.items():
        value, low, high = np.array(estimates, dtype=np.float64).T
        below, above = float((truth[metric] < low).mean()), float((truth[metric] > high).mean())
        covered = 1 - below - above
        cells.append(
            {
                "setting": name,
                "metric": metric,
                "truth": round(truth[metric], 5),
                "mean": round(float(value.mean()), 5),
                "coverage": round(covered, 4),
                "truth_below": round(below, 4),
                "truth_above": round(above, 4),
                "mean_width": round(float((high - low).mean()), 4),
                "judged": judged,
                "within": BAND[0] <= round(covered, 4) <= (BAND[1] if upper else 1.0),
            }
        )
    shown = "  ".join(f"{c['metric']} {c['coverage']:.3f}{'' if c['within'] or not judged else ' OUT'}" for c in cells)
    print(f"{name:38} {shown}", flush=True)
    return cells


def patients(random: np.random.Generator, design: str, n: int) -> tuple[Ints, Ints]:
    """Group and class (1 ill) of `n` rows."""
    if design == "fixed":
        return np.arange(n), (np.arange(n) < round(PREVALENCE * n)).astype(np.int64)
    size = 1 if design == "rows" else random.integers(1, 5, n)
    group = np.repeat(np.arange(n), size)[:n]
    flipped = 0.2 if design == "mixed patients" else 0.0
    ill = random.random(n) < (PREVALENCE - flipped) / (1 - 2 * flipped)
    return group, (ill[group] ^ (random.random(n) < flipped)).astype(np.int64)


def noise(random: np.random.Generator, group: Ints, correlation: float) -> Floats:
    shared = random.normal(size=len(group))[group] if correlation else 0.0
    return np.asarray(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * random.normal(size=len(group)))


def probability(score: Floats, mu: float, prevalence: float, overconfidence: float) -> Floats:
    return np.asarray(expit(overconfidence * (mu * (score - mu / 2) + logit(prevalence))))


def binormal_truth(mu: float, prevalence: float, overconfidence: float) -> dict[str, float]:
    """Every metric of the population, at threshold 0.5."""
    cut = mu / 2 - logit(prevalence) / mu
    sensitivity, specificity = norm.sf(cut - mu), norm.cdf(cut)
    hit, false, miss, right = (
        prevalence * sensitivity,
        (1 - prevalence) * (1 - specificity),
        prevalence * (1 - sensitivity),
        (1 - prevalence) * specificity,
    )
    score = np.linspace(-9, 9 + mu, 400_001)
    step = score[1] - score[0]
    ill, well = prevalence * norm.pdf(score - mu) * step, (1 - prevalence) * norm.pdf(score) * step
    above_ill, above_well = prevalence * norm.sf(score - mu), (1 - prevalence) * norm.sf(score)
    chance = probability(score, mu, prevalence, overconfidence)
    place = np.minimum((chance * 10).astype(int), 9)
    return {
        "accuracy": hit + right,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": hit / (hit + false),
        "npv": right / (right + miss),
        "f1": 2 * hit / (2 * hit + false + miss),
        "auroc": float(norm.cdf(mu / np.sqrt(2))),
        "auprc": float((ill * above_ill / (above_ill + above_well)).sum() / prevalence),
        "brier": float((ill * (1 - chance) ** 2 + well * chance**2).sum()),
        "ece": float(np.abs(np.bincount(place, ill - (ill + well) * chance)).sum()),
    }


if __name__ == "__main__":
    sys.exit(main())
