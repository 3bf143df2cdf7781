"""How often the better way to join several films is chosen, and whether probabilities by patient hold on new patients.

    python benchmarks/by_patient.py --out by_patient.json      # 100 draws a setting, minutes on one core

Films have calibrated log odds. "diffuse": each film of an ill patient shows the disease, and films of a patient are alike
(correlation 0.5 within a class); "focal": one of an ill patient's films shows it, the others look well. Patients have 1 to 4 films, 30 %
of them are ill; new ones are 20,000. Better is the rule with the lower log loss on them. Intercept and slope are those of a logistic
regression of the truth on the log odds by patient: 0 and 1 are best.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from plainfilm.evidence.evaluation.by_patient import Films, choose
from plainfilm.evidence.statistics.calibration_line import calibration
from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.model.combining import combined
from plainfilm.model.recipe_schema import EvaluationSettings
from plainfilm.results.manifest import RULES

NEW, ILL, APART = 20_000, 0.3, 2.5
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    started = time.perf_counter()
    cells = [cell(kind, patients, chosen.draws) for kind in ("diffuse", "focal") for patients in (50, 200, 1000)]
    print(f"{time.perf_counter() - started:.0f} s")
    if chosen.out:
        chosen.out.write_text(json.dumps({"draws": chosen.draws, "cells": cells}, indent=1) + "\n", encoding="utf-8")


def drawn(rng: np.random.Generator, kind: str, patients: int) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Draw scores of films, whether their patients are ill, and whose they are."""
    films = rng.integers(1, 5, patients)
    group, ill = np.repeat(np.arange(patients), films), rng.random(patients) < ILL
    score = rng.normal(size=len(group))
    if kind == "diffuse":
        score = np.sqrt(0.5) * (score + rng.normal(size=patients)[group])
        return score + APART * ill[group], ill[group], group
    first = np.concatenate([[True], group[1:] != group[:-1]])
    return score + (APART + 1) * (ill[group] & first), ill[group], group


def films_of(group: NDArray[np.int64]) -> Films:
    return Films(np.ones(len(group), bool), group)


def cell(kind: str, patients: int, draws: int) -> dict[str, object]:
    rng = np.random.default_rng(1)
    score, ill, group = drawn(rng, kind, NEW)
    scaling = fit_scaling(score[:, None], ill.astype(int), positive=1)
    new, truth = scaling.of(score[:, None])[:, 0], films_of(group).labels(ill) == 1
    losses = {rule: loss_of(new, group, truth, rule) for rule in RULES}
    better, areas = (
        min(losses, key=lambda rule: losses[rule]),
        {rule: area(combined(new, group, rule), truth) for rule in RULES},
    )
    taken, lines, plain = [], [], []
    for _ in range(draws):
        own, is_ill, whose = drawn(rng, kind, patients)
        how, _ = choose(scaling.of(own[:, None])[:, 0], is_ill, films_of(whose), EvaluationSettings())
        joined = combined(new, group, how.rule)
        taken.append(how.rule)
        lines.append(line(how.slope * joined + how.intercept, truth))
        plain.append(line(joined, truth))
    found = {
        "kind": kind,
        "validation patients": patients,
        "AUROC by film": area(new, ill),
        **{f"AUROC by patient, {rule}": value for rule, value in areas.items()},
        "better": better,
        "better chosen": float(np.mean([rule == better for rule in taken])),
        "intercept, slope": np.mean(lines, axis=0).round(2).tolist(),
        "as they stand": np.mean(plain, axis=0).round(2).tolist(),
    }
    print(
        "  ".join(f"{name} {round(value, 3) if isinstance(value, float) else value}" for name, value in found.items()),
        flush=True,
    )
    return found


def loss_of(odds: Floats, group: NDArray[np.int64], truth: NDArray[np.bool_], rule: str) -> float:
    joined = combined(odds, group, rule)
    scaled = fit_scaling(joined[:, None], truth.astype(int), positive=1).of(joined[:, None])[:, 0]
    return -float(log_expit(np.where(truth, scaled, -scaled)).mean())


def area(odds: Floats, truth: NDArray[np.bool_]) -> float:
    return area_under_roc(truth, odds, np.arange(len(odds)), 0.95).estimate.value


def line(odds: Floats, truth: NDArray[np.bool_]) -> tuple[float, float]:
    found = calibration(truth, expit(odds), np.arange(len(odds)))
    return found.intercept.value, found.slope.value


if __name__ == "__main__":
    main()
