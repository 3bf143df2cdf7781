"""From one pair of sources to another, `mixed` and `darkcovidnet`: what the recipe `robust` of 0.2 and before was chosen by."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.external.training_fingerprints import ImageHashes, TrainingFingerprints
from plainfilm.evidence.statistics.discrimination import delong, delong_difference
from plainfilm.model import recipes
from plainfilm.results.documents import plain
from plainfilm.workflows import fit


def one_way(train: Store, test: Store, names: list[str], seeds: int) -> dict[str, Any]:
    """AUROC of each recipe and seed with DeLong's interval, patients together, and the paired difference to the first recipe."""
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


def strangers(test: Store, train: Store) -> NDArray[np.int64]:
    """Rows of a store whose films the other one has not, patients and duplicates of these left out too."""
    rows = np.flatnonzero(test.labels >= 0)
    seen = TrainingFingerprints.of(train).find(test.sha256[rows], ImageHashes.of(test, rows)).any
    return rows[~np.isin(test.group[rows], test.group[rows[seen]])]


def log_odds(train: Store, test: Store, rows: NDArray[np.int64], recipe: str, seed: int) -> NDArray[np.float64]:
    """Log odds of COVID of some rows of a store, by a recipe trained on another."""
    trained = fit.fit(train, recipes.load(recipe, {"seed": seed}), positive="COVID")
    network = trained.classifier()
    parts = [network.logits(test.images(rows[at : at + 256])) for at in range(0, len(rows), 256)]
    return network.decision.log_odds(np.concatenate(parts))
