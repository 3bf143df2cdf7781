"""How recipes travel: trained on one pair of sources, tested on another pair that they have never seen.

    python benchmarks/travel.py --recipes paper-mobilenet,robust --out travel.json

`mixed` (COVID-CXNet against Guangzhou's children) and `darkcovidnet` (ieee8023 against ChestX-ray14's adults), both ways;
films that stand in both are left out of the test. Recipes are chosen by darkcovidnet to mixed; mixed to darkcovidnet is
reported. AUROC with DeLong's interval, patients together, and the paired difference to the first recipe. Needs ../shared.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plainfilm
from measuring import SHARED, finish
from plainfilm.data.store import Store
from plainfilm.evidence.external.training_fingerprints import ImageHashes, TrainingFingerprints
from plainfilm.evidence.statistics.discrimination import delong, delong_difference
from plainfilm.model import recipes
from plainfilm.results.documents import plain
from plainfilm.workflows import fit

WAYS = {"darkcovidnet to mixed": ("darkcovidnet", "mixed"), "mixed to darkcovidnet": ("mixed", "darkcovidnet")}


def strangers(test: Store, train: Store) -> NDArray[np.int64]:
    """Rows of a store whose films the other one has not, patients and duplicates of these left out too."""
    rows = np.flatnonzero(test.labels >= 0)
    seen = TrainingFingerprints.of(train).find(test.sha256[rows], ImageHashes.of(test, rows)).any
    return rows[~np.isin(test.group[rows], test.group[rows[seen]])]


def log_odds(train: Store, test: Store, rows: NDArray[np.int64], recipe: str, seed: int) -> NDArray[np.float64]:
    trained = fit.fit(train, recipes.load(recipe, {"seed": seed}), positive="COVID")
    network = trained.classifier()
    parts = [network.logits(test.images(rows[at : at + 256])) for at in range(0, len(rows), 256)]
    return network.decision.log_odds(np.concatenate(parts))


def one_way(train: Store, test: Store, names: list[str], seeds: int) -> dict[str, Any]:
    rows = strangers(test, train)
    truth, group = test.labels[rows] == test.classes.index("COVID"), test.group[rows]
    found: dict[str, Any] = {"films": len(rows), "left_out": int((test.labels >= 0).sum()) - len(rows), "runs": []}
    for seed in range(seeds):
        scores = {name: log_odds(train, test, rows, name, seed) for name in names}
        for name, own in scores.items():
            run = {"recipe": name, "seed": seed, "auroc": plain(delong(truth, own, group=group))}
            if name != names[0]:
                run["more_than_" + names[0]] = plain(delong_difference(truth, own, scores[names[0]], group=group))
            found["runs"].append(run)
            print(name, seed, run, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", default="paper-mobilenet,robust")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.h5" for name in ("mixed", "darkcovidnet")}
        for name, path in paths.items():
            plainfilm.ingest(SHARED / "data" / name, path, classes=["COVID", "NORMAL"])
        with Store(paths["mixed"]) as mixed, Store(paths["darkcovidnet"]) as dark:
            stores = {"mixed": mixed, "darkcovidnet": dark}
            results = {
                way: one_way(*(stores[name] for name in WAYS[way]), args.recipes.split(","), args.seeds)
                for way in args.ways.split(",")
            }
    finish(results, args.out)


if __name__ == "__main__":
    main()
