"""DarkCovidNet's benchmark in five folds that keep patients together, as `plainfilm train --folds 5` does it.

    python benchmarks/darkcovidnet.py --recipes darkcovidnet --classes COVID,NORMAL,PNEUMONIA --size 384 --seeds 0,1,2

Published (Ozturk et al. 2020, patients not kept apart): 98.08 % for COVID and NORMAL, 87.02 % for all three. Needs ../shared.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import plainfilm
from measuring import SHARED, finish
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation.evaluate import judge_folds
from plainfilm.model import recipes
from plainfilm.results import documents
from plainfilm.workflows import fit

FOLDS = 5


def cross_validate(store: Store, recipe: str, seed: int) -> dict[str, Any]:
    start = time.perf_counter()
    found = fit.cross_validate(store, recipes.load(recipe, {"seed": seed}), FOLDS, positive=None)
    seconds = time.perf_counter() - start
    judged = judge_folds(store, found.trained, found.folds)
    each = [own.metrics["test"].accuracy.value for own in judged.folds]
    told = documents.plain(judged.metrics["out_of_fold"])
    run = {
        "recipe": recipe,
        "seed": seed,
        "mean_of_folds": float(np.mean(each)),
        **{name: told[name] for name in ("n", "groups", "accuracy", "auroc", "confusion_matrix")},
        "seconds": seconds,
    }
    print(run, flush=True)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", default="default,paper-mobilenet")
    parser.add_argument("--classes", default="COVID,NORMAL")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "darkcovidnet.h5"
        plainfilm.ingest(SHARED / "data" / "darkcovidnet", path, classes=args.classes.split(","), size=args.size)
        with Store(path) as store:
            runs = [
                cross_validate(store, recipe, int(seed))
                for recipe in args.recipes.split(",")
                for seed in args.seeds.split(",")
            ]
    finish({"classes": args.classes, "size": args.size, "runs": runs}, args.out)


if __name__ == "__main__":
    main()
