"""Calibration at 3, 9, 30 and 50 % ill by the recipes default and robust: intercept on 5,000 films, and the test set's interval.

1,000 films with features of known truth in the place of a backbone's (1,280 numbers that 20 factors move, which tell the class
at an AUC of 0.94 at best), split 70 : 15 : 15 as `ingest` splits, go through the real training, calibration and scoring of `plainfilm
train`; 20 seeds each. The intercept is measured on 5,000 further films, where it hardly rests on chance. About 25 minutes on one quiet core.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from honest.row import Row
from plainfilm.data.split import assign
from plainfilm.data.store import SPLITS
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.model import recipes
from plainfilm.model.classifier import head_logits
from plainfilm.model.encoder import Features
from plainfilm.workflows import fit

CLASSES = ("COVID", "NORMAL")
RECIPES = "default", "robust"
PREVALENCES = 0.03, 0.09, 0.3, 0.5
FILMS, FRESH, SEEDS = 1000, 5000, 20
WIDTH, FACTORS, APART = 1280, 20, 2.2


@dataclass(frozen=True)
class Films:
    """What training asks of a store."""

    labels: NDArray[np.int64]
    split: NDArray[np.str_]
    fingerprint: str
    classes: tuple[str, ...] = CLASSES
    size: int = 224

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def source(self) -> NDArray[np.str_]:
        """Two hospitals that tell nothing."""
        return np.where(np.arange(len(self)) % 3 == 0, "a", "b")

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a part."""
        return np.flatnonzero(self.split == split)

    def images(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """None are needed."""
        raise NotImplementedError("features are given")


def measure(work: Path) -> list[Row]:
    os.environ.setdefault("PLAINFILM_CACHE", str(work / "cache"))
    rows = []
    for recipe in RECIPES:
        for ill in PREVALENCES:
            runs = [_kept(work, recipe, ill, seed) for seed in range(SEEDS)]
            mean = float(np.mean([run["intercept"] for run in runs]))
            held = float(np.mean([run["low"] <= 0 <= run["high"] for run in runs]))
            name = f"{recipe}, {100 * ill:.0f} % ill, {SEEDS} seeds"
            rows.append(
                Row(f"{name}: mean calibration intercept", round(mean, 3), "within 0.15 of 0", abs(mean) <= 0.15)
            )
            rows.append(Row(f"{name}: the test set's interval holds 0", held, "at least 0.9", held >= 0.9))
            means = {key: float(np.mean([run[key] for run in runs])) for key in ("slope", "ratio", "auroc")}
            rows += [Row(f"{name}: mean {key}", round(each, 3), "shown", True) for key, each in means.items()]
    return rows


def _kept(work: Path, recipe: str, ill: float, seed: int) -> dict[str, float]:
    path = work / f"{recipe} {ill} {seed}.json"
    if not path.is_file():
        path.write_text(json.dumps(_run(work, recipe, ill, seed)))
        print(path.stem, path.read_text(), file=sys.stderr, flush=True)
    return dict(json.loads(path.read_text()))


def _run(work: Path, recipe: str, ill: float, seed: int) -> dict[str, float]:
    random = np.random.default_rng([seed, round(100 * ill)])
    loadings = random.normal(size=(FACTORS, WIDTH)) / np.sqrt(FACTORS)
    films, features = _films(random, FILMS, ill, loadings)
    split = np.array(SPLITS)[assign(films, np.arange(FILMS), shares=[0.7, 0.15, 0.15], seed=seed)]
    path = work / "features.npy"
    np.save(path, features)
    given = Features(path, FILMS, WIDTH, 0.0, cached=False)
    fit._encode = lambda *_args: given  # type: ignore[assignment]
    store: Any = Films(films, split, str(seed))
    trained = fit.fit(store, recipes.load(recipe, {"seed": seed}), positive="COVID")
    test = store.rows("test")
    own = _judged(films[test], trained.probabilities(test))
    truth, more = _films(random, FRESH, ill, loadings)
    fresh = _judged(
        truth, trained.decision.probabilities(head_logits(trained.head, lambda rows: more[rows], np.arange(FRESH)))
    )
    line, whole = own.calibration, fresh.calibration
    return {
        "intercept": whole.intercept.value,
        "slope": whole.slope.value,
        "ratio": whole.mean_probability.value / whole.share.value,
        "auroc": fresh.auroc.value,
        "value": line.intercept.value,
        "low": line.intercept.low,
        "high": line.intercept.high,
    }


def _films(
    random: np.random.Generator, n: int, ill: float, loadings: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and features as a network's after averaging: correlated, and positive."""
    labels = random.permutation(np.where(np.arange(n) < round(ill * n), 0, 1))
    factors = random.normal(size=(n, FACTORS)) + (labels == 0)[:, None] * APART / np.sqrt(FACTORS)
    features = factors @ loadings + random.normal(size=(n, WIDTH)) / 2
    return labels, np.log1p(np.exp(features)).astype(np.float32)


def _judged(labels: NDArray[np.int64], chance: NDArray[np.float64]) -> Any:
    return evaluate(labels, chance, classes=CLASSES, positive="COVID", threshold=0.5, repeats=1)
