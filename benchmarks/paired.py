"""How often paired tests set apart what is alike: type I error of DeLong's and McNemar's, by simulation; exit 1 if out of band.

    python benchmarks/paired.py --out paired.json          # 2,000 pairs a setting, two minutes on one core

Each pair are two classifiers of the same true AUROC and accuracy on the same rows. Patients have one to four films that
share their illness by 0.85 and their scores by a half; "rows" stand alone. With "seeds" each has five trainings, whose
true AUROC scatters by a standard deviation of 0.015 about the same mean: p over patients is then too small, and shown,
and p with seeds is judged.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.statistics.paired import delong_test, mcnemar_test

BAND = 0.04, 0.06
LEVEL = 0.05
SIZES = 100, 200, 500
DESIGNS = "rows", "patients", "seeds"
GAP, SCATTER, SEEDS = 1.5, 0.09, 5  # distance of the classes' scores; its standard deviation between seeds
Floats = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    started = time.perf_counter()
    cells = [cell for design in DESIGNS for size in SIZES for cell in errors(design, size, chosen.pairs, chosen.seed)]
    missed = [cell for cell in cells if cell["judged"] and not BAND[0] <= float(str(cell["error"])) <= BAND[1]]
    print(
        f"{sum(bool(c['judged']) for c in cells)} cells judged, {len(missed)} out of band, {time.perf_counter() - started:.0f} s"
    )
    if chosen.out:
        chosen.out.write_text(json.dumps({"pairs": chosen.pairs, "band": BAND, "cells": cells}, indent=1) + "\n")
    return 1 if missed else 0


def errors(design: str, patients: int, pairs: int, seed: int) -> list[dict[str, object]]:
    random = np.random.default_rng([seed, patients, DESIGNS.index(design)])
    found: dict[str, list[float]] = {}
    for _ in range(pairs):
        labels, one, other, codes = draw(random, design, patients)
        right = [(scores >= GAP / 2) == labels for scores in (one, other)]
        for test, tested in (
            ("DeLong", delong_test(labels, one, other, group=codes)),
            ("McNemar", mcnemar_test(*right, group=codes)),
        ):
            found.setdefault(test, []).append(tested.p)
            if design == "seeds":
                found.setdefault(f"{test}, seeds", []).append(tested.p_seeds)
    cells: list[dict[str, object]] = []
    for test, p in found.items():
        error, judged = float((np.array(p) <= LEVEL).mean()), design != "seeds" or "seeds" in test
        print(f"{design:9}{patients:5} patients  {test:15}{error:.4f}{'' if judged else '  (not judged)'}", flush=True)
        cells.append({"design": design, "patients": patients, "test": test, "error": error, "judged": judged})
    return cells


def draw(
    random: np.random.Generator, design: str, patients: int
) -> tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.int64]]:
    films = np.ones(patients, int) if design == "rows" else random.integers(1, 5, patients)
    codes = np.repeat(np.arange(patients), films)
    ill, rows = random.random(patients) < 0.4, len(codes)
    labels = np.where(random.random(rows) < 0.85, ill[codes], random.random(rows) < 0.4)
    seeds = SEEDS if design == "seeds" else 1
    easy = random.normal(size=patients)[codes] * 0.5 + random.normal(size=rows) * 0.5  # for both classifiers
    scores = []
    for _ in range(2):
        own = np.sqrt(0.25) * (random.normal(size=patients)[codes] + random.normal(size=rows))
        gaps = GAP + SCATTER * random.normal(size=(seeds, 1)) * (seeds > 1)
        shift = (gaps - GAP) / 2  # the threshold stays in the middle
        each = random.normal(size=(seeds, rows)) * 0.3
        scores.append(easy + own + each + gaps * labels - shift)
    return labels, scores[0], scores[1], codes


if __name__ == "__main__":
    sys.exit(main())
