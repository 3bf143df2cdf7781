"""The search: every candidate at every left-out source and pair, and what would have been chosen without them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plainfilm.model import encoder
from travelling import heads
from travelling.candidates import CANDIDATES, Candidate
from travelling.films import Encoding
from travelling.folds import FOLDS, Films, Fold, choosing
from travelling.heads import Array, Rows

Scores = Mapping[str, Array]  # log odds of all films by the names of folds, float32 (n)
_VERSION = 1  # of heads, means and folds: what was scored by others is scored anew


class Search:
    """Candidates on the same films and folds; what each gave is kept in the cache, so that a search goes on where it stopped."""

    def __init__(self, films: Films, folds: Sequence[Fold] = FOLDS) -> None:
        self._films, self._folds, self._found = films, folds, dict[str, Array]()
        _, self._source = np.unique(films.source, return_inverse=True)
        self._rows = Rows(
            positive=np.stack([films.positive(fold.task) for fold in folds], axis=1),
            train=np.stack([films.train(fold) for fold in folds], axis=1),
            cell=np.unique([self._source, films.label != "NORMAL"], axis=1, return_inverse=True)[1].ravel(),
        )

    def scores(self, name: str) -> Scores:
        """Log odds by a candidate of the table, trained for each fold."""
        if name not in self._found:
            of = f"{self._films.store.fingerprint} {[fold.name for fold in self._folds]} {_VERSION}"
            about = f"{name} {replace(CANDIDATES[name], mean=None)} {of}"
            kept, _ = encoder.remembered("travelling", about, lambda: {"scores": self._scored(CANDIDATES[name])})
            self._found[name] = kept["scores"]
        return {fold.name: self._found[name][:, at] for at, fold in enumerate(self._folds)}

    def _scored(self, candidate: Candidate) -> Array:
        if candidate.mix:
            return np.mean([list(self.scores(name).values()) for name in candidate.mix], axis=0).T
        x = self._features(candidate)
        if candidate.mean is None:
            return self._trained(x, self._rows, candidate)
        columns = []
        for at in range(len(self._folds)):
            rows = self._rows.only(at)
            train = rows.train[:, 0]
            standard = (x - x[train].mean(axis=0)) / (x[train].std(axis=0) + 1e-3)
            changed = candidate.mean(standard, train, rows.positive[:, 0], self._source)
            columns.append(self._trained(changed, rows, candidate))
        return np.concatenate(columns, axis=1)

    def _features(self, candidate: Candidate) -> Array:
        found = [encoding.features(self._films.store) for encoding in candidate.films]
        return np.concatenate(found, axis=1) if candidate.beside else np.mean(found, axis=0)

    def _trained(self, x: Array, rows: Rows, candidate: Candidate) -> Array:
        if candidate.loss != "pairs":
            return heads.log_odds(x, rows, candidate.l2, candidate.loss)
        return np.stack([self._of_pairs(x, rows.only(at), candidate.l2) for at in range(rows.train.shape[1])], axis=1)

    def _of_pairs(self, x: Array, rows: Rows, l2: float) -> Array:
        """The mean of a head a pair of sources, one for the sick and one for the well."""
        train, ill = rows.train[:, 0], rows.positive[:, 0]
        pairs = [
            train & ((ill & (self._source == one)) | (~ill & (self._source == other)))
            for one in np.unique(self._source[train & ill])
            for other in np.unique(self._source[train & ~ill])
        ]
        positive = np.repeat(rows.positive, len(pairs), axis=1)
        return heads.log_odds(x, Rows(positive, np.stack(pairs, axis=1), rows.cell), l2, "balanced").mean(axis=1)


def chosen(areas: Mapping[str, Mapping[str, NDArray[np.float64]]], reported: Fold) -> str:
    """Name the candidate with the best mean of worst and mean AUROC over the folds that choose for a reported one."""

    def merit(name: str) -> float:
        found = [areas[name][fold.name][0] for fold in choosing(reported)]
        return float(np.mean(found) + np.min(found))

    return max(areas, key=merit)


def encodings(names: Iterable[str]) -> list[Encoding]:
    """What is to be encoded for some candidates, each once."""
    every = [CANDIDATES[part] for name in names for part in (name, *CANDIDATES[name].mix)]
    return list(dict.fromkeys(encoding for candidate in every for encoding in candidate.films))
