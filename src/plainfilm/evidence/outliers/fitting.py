"""Fits the outlier detector of a run on its training set, and measures how much of the test set it refuses."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.evaluation.evaluate import Scores
from plainfilm.evidence.outliers import detector as outliers
from plainfilm.evidence.outliers.detector import Detector, Turned
from plainfilm.evidence.outliers.judging import judge
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.classifier import Trained
from plainfilm.model.encoder import remembered
from plainfilm.model.view import Views, find_views
from plainfilm.results.metrics import Outliers

FEWEST_USUAL = 5  # unrelated training images
_ROWS_AT_ONCE = 4096


def usual(store: Store, trained: Trained) -> Detector | None:
    """Learn from the training set what radiographs of these data look like; None with too few of them."""
    rows = store.rows("train")
    group = store.group[rows]
    if len(np.unique(group)) < FEWEST_USUAL:
        return None
    kept = rows[outliers.sample(group, outliers.ROWS)]
    chosen = {name: rows[own] for name, own in outliers.dealt(group).items()}
    groups = {name: store.group[own] for name, own in chosen.items()}
    turned = Turned(features=_turned_features(store, trained, chosen), group=groups)
    return outliers.fit(trained.features.read(kept), store.group[kept], turned=turned, seed=trained.recipe.seed)


def _turned_features(
    store: Store, trained: Trained, chosen: Mapping[str, NDArray[np.int64]]
) -> Mapping[str, NDArray[np.float32]]:
    encoder = trained.encoder
    about = f"turned 2 {encoder.key} {store.fingerprint} {[rows.tolist() for rows in chosen.values()]}"
    found, _ = remembered(
        "turned",
        about,
        lambda: {name: encoder.encode(outliers.turned(store.images(rows), name)) for name, rows in chosen.items()},
    )
    encoder.rest()
    return found


def refusals(detector: Detector, store: Store, trained: Trained, test: Scores) -> Outliers:
    """Measure how many radiographs of the test set are refused and flagged, with what the detector promises."""
    level = levels(detector, store, trained, test.rows)
    refused, flagged = (wilson(level == name, group=test.group) for name in ("refused", "flagged"))
    return Outliers(refused=refused, flagged=flagged, promise=detector.promise)


def levels(detector: Detector, store: Store, trained: Trained, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Say what is made of some rows of a store, by features and views: "ok", "flagged" or "refused" (n)."""
    views = find_views(store, rows)
    parts = (slice(at, at + _ROWS_AT_ONCE) for at in range(0, len(rows), _ROWS_AT_ONCE))
    return np.concatenate(
        [
            judge(
                detector, trained.features.read(rows[part]), views=Views(views.lateral[part], views.frontal[part])
            ).level
            for part in parts
        ]
    )
