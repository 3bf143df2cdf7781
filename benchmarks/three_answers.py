"""How often the two thresholds of `train --sensitivity 0.95 --npv 0.99` keep both on new patients; exit 1 if less often than promised.

    python benchmarks/three_answers.py --out three.json        # 200 draws a setting, 5 minutes on one core

"scores": those of the sick are N(mu, 1), of the well N(0, 1), and the truth is exact. "rows" stand alone; "patients" have 1
to 4 radiographs of one class whose scores correlate by 0.5; of the "heavy" one patient in ten has 10 to 19. "trained": each
draw makes new patients of 32 features, trains the default recipe's head on 800, its epoch and calibration chosen on
validation like the thresholds, and asks it about 40,000 others. A draw keeps its promise where neither target that was promised
is missed; what validation is too small to promise is counted apart.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import norm

from plainfilm.evidence.statistics.promised_thresholds import CONFIDENCE, PromisedThresholds, choose_two_thresholds
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.model import recipes, training
from plainfilm.model.classifier import Decision
from plainfilm.model.training import Part

SENSITIVITY, NPV = 0.95, 0.99
FEATURES, TRAIN, NEW = 32, 800, 40_000
DESIGNS = "rows", "patients", "heavy"
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Seen = tuple[PromisedThresholds, float, float, float]  # with the truth: sensitivity, NPV, share that is unsure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    started, cells = time.perf_counter(), []
    for rows in (300, 1000, 3000):
        for design in DESIGNS:
            for prevalence in (0.5, 0.1):
                for area in (0.9, 0.97, 0.99):
                    named = {"of": "scores", "design": design, "rows": rows, "prevalence": prevalence, "auroc": area}
                    cells.append(cell(named, chosen.draws, lambda rng, n=named: of_scores(rng, n)))
    for design, rows, prevalence, area in (
        ("rows", 1000, 0.1, 0.97),
        ("patients", 2500, 0.1, 0.99),
        ("rows", 2500, 0.5, 0.99),
    ):
        named = {"of": "trained", "design": design, "rows": rows, "prevalence": prevalence, "auroc": area}
        cells.append(cell(named, chosen.draws, lambda rng, n=named: of_trained(rng, n)))
    worst = min(each["kept"] for each in cells)
    print(
        f"worst of {len(cells)}: kept in {worst:.3f} of the draws, promised {CONFIDENCE}; {time.perf_counter() - started:.0f} s"
    )
    if chosen.out:
        chosen.out.write_text(json.dumps({"draws": chosen.draws, "cells": cells}, indent=1) + "\n", encoding="utf-8")
    return 1 if worst < CONFIDENCE else 0


def cell(named: dict[str, object], draws: int, draw: Callable[[np.random.Generator], Seen]) -> dict[str, object]:
    """Draw a setting many times, and count."""
    rng = np.random.default_rng(1)
    seen = [draw(rng) for _ in range(draws)]
    missed = [(t.sensitivity_promised and s < SENSITIVITY, t.npv_promised and n < NPV) for t, s, n, _ in seen]
    found = {
        **named,
        "sensitivity_promised": np.mean([t.sensitivity_promised for t, *_ in seen]),
        "npv_promised": np.mean([t.npv_promised for t, *_ in seen]),
        "sensitivity_holds": np.mean([s >= SENSITIVITY for _, s, _, _ in seen]),
        "npv_holds": np.mean([n >= NPV for _, _, n, _ in seen]),
        "kept": 1 - np.mean([any(each) for each in missed]),
        "unsure": np.mean([unsure for *_, unsure in seen]),
    }
    print(
        "  ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{value}" for name, value in found.items()),
        flush=True,
    )
    return found


def patients(rng: np.random.Generator, rows: int, design: str) -> Ints:
    """Number the patient of each of so many rows."""
    if design == "rows":
        return np.arange(rows)
    films = (
        rng.integers(1, 5, rows)
        if design == "patients"
        else np.where(rng.random(rows) < 0.1, rng.integers(10, 20, rows), 1)
    )
    return np.repeat(np.arange(rows), films)[:rows]


def drawn(rng: np.random.Generator, rows: int, design: str, prevalence: float) -> tuple[Ints, Floats, Ints]:
    """Draw truth, a score N(0, 1) that correlates by 0.5 within a patient, and patients."""
    group = patients(rng, rows, design)
    every = int(group.max()) + 1
    ill, own = (rng.random(every) < prevalence).astype(np.int64), rng.normal(size=every)
    alone = rng.normal(size=rows)
    return ill[group], alone if design == "rows" else np.sqrt(0.5) * (own[group] + alone), group


def of_scores(rng: np.random.Generator, named: dict[str, object]) -> Seen:
    prevalence, apart = named["prevalence"], np.sqrt(2) * ndtri(named["auroc"])
    truth, score, group = drawn(rng, named["rows"], named["design"], prevalence)
    found = choose_two_thresholds(truth, expit(score + apart * truth), sensitivity=SENSITIVITY, npv=NPV, group=group)
    lower, upper = (logit(min(each, 1.0)) for each in (found.lower, found.upper))
    missed, cleared = prevalence * norm.cdf(lower - apart), (1 - prevalence) * norm.cdf(lower)
    below = missed + cleared
    beneath = prevalence * norm.cdf(upper - apart) + (1 - prevalence) * norm.cdf(upper)
    return found, 1 - norm.cdf(upper - apart), cleared / below if below else 1.0, beneath - below


def of_trained(rng: np.random.Generator, named: dict[str, object]) -> Seen:
    """Train a head, choose epoch, calibration and thresholds on validation, and ask it about new patients."""
    rows, apart = named["rows"], np.sqrt(2) * ndtri(named["auroc"])
    truth, score, group = drawn(rng, TRAIN + rows + NEW, named["design"], named["prevalence"])
    features = rng.normal(size=(len(truth), FEATURES)).astype(np.float32)
    features[:, 0] = score + apart * truth
    features = features @ np.linalg.qr(rng.normal(size=(FEATURES, FEATURES)))[0].astype(np.float32)
    recipe = recipes.load("default", {"seed": int(rng.integers(2**31))})
    parts = [np.arange(TRAIN), np.arange(TRAIN, TRAIN + rows)]
    train, validation = (Part(rows=own, labels=truth[own], read=lambda numbers: features[numbers]) for own in parts)
    head = training.fit_head(FEATURES, 2, 1, train, validation, recipe).model
    logits = np.asarray(head.predict_on_batch(features))
    shares = np.bincount(truth[parts[0]], minlength=2) / TRAIN
    scaling = fit_scaling(logits[parts[1]], truth[parts[1]], positive=1, trained_at=np.full(2, 0.5), shares=shares)
    chance = Decision.scaled(("well", "ill"), "ill", scaling).probabilities(logits)[:, 1]
    found = choose_two_thresholds(
        truth[parts[1]], chance[parts[1]], sensitivity=SENSITIVITY, npv=NPV, group=group[parts[1]]
    )
    new, ill = chance[TRAIN + rows :], truth[TRAIN + rows :] == 1
    below = new < found.lower
    unsure = np.mean((new >= found.lower) & (new < found.upper))
    return found, np.mean(new[ill] >= found.upper), np.mean(~ill[below]) if below.any() else 1.0, unsure


if __name__ == "__main__":
    sys.exit(main())
