"""DarkCovidNet's benchmark, COVID against NORMAL, five folds that keep patients together.

    python benchmarks/darkcovidnet.py --recipes default,paper-mobilenet --out darkcovidnet.json

Of what is not the test fold, 15 % are the validation part (threshold, temperature, epoch). Published (Ozturk et al. 2020):
98.08 % mean of five folds, whose patients were not kept apart. Needs ../shared.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from measuring import SHARED, finish
from plainfilm import pipeline
from plainfilm.data import split
from plainfilm.data.store import Store
from plainfilm.evidence.intervals import wilson
from plainfilm.evidence.judge import score
from plainfilm.evidence.ranking import delong
from plainfilm.model import recipes

FOLDS = 5


def cross_validate(store: Store, recipe: str, seed: int) -> dict[str, Any]:
    chosen = recipes.load(recipe, {"seed": seed})
    fold = split.assign(store.labels, store.group, shares=[1] * FOLDS, seed=seed)
    right = np.zeros(len(store), bool)
    positive = np.zeros(len(store))
    accuracies = []
    for number in range(FOLDS):
        rest = np.flatnonzero(fold != number)
        part = split.assign(store.labels[rest], store.group[rest], shares=[0.85, 0.15], seed=seed)
        store.split = np.full(len(store), "test", dtype="U10")
        store.split[rest] = np.array(["train", "validation"])[part]
        trained = pipeline.fit(store, chosen)
        scores = score(store, trained, "test")
        right[scores.rows] = trained.decision.predict(scores.probabilities) == scores.labels
        positive[scores.rows] = scores.probabilities[:, store.classes.index("COVID")]
        accuracies.append(float(right[scores.rows].mean()))
    return {
        "recipe": recipe,
        "seed": seed,
        "accuracy_by_fold": accuracies,
        "mean_accuracy": float(np.mean(accuracies)),
        "accuracy_over_all": wilson(right, group=store.group).as_dict(),
        "auroc_over_all": delong(store.labels == store.classes.index("COVID"), positive, group=store.group).as_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", default="default,paper-mobilenet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "darkcovidnet.h5"
        pipeline.ingest(SHARED / "data" / "darkcovidnet", path, classes=["COVID", "NORMAL"])
        with Store(path) as store:
            rows = [
                cross_validate(store, recipe, seed) for recipe in args.recipes.split(",") for seed in range(args.seeds)
            ]
            size = {"images": len(store), "groups": len(np.unique(store.group))}
    finish({**size, "published_mean_accuracy": 0.9808, "runs": rows}, args.out)


if __name__ == "__main__":
    main()
