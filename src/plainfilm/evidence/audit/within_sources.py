"""How well a few numbers tell the classes within each source, where its name cannot help."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.audit import judging, ridge
from plainfilm.evidence.audit.sample import FEWEST, Sample
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray
from plainfilm.results.audit import ProbedImages


def judge(sample: Sample, numbers: FloatArray, source: NDArray[np.str_], seed: int) -> dict[str, ProbedImages]:
    """Judge by heads that learnt from one source each; none where there is but one, which the sample as a whole shows.

    Parameters
    ----------
    sample
        Images of all sources.
    numbers
        What a probe sees of them, float64 (n, k).
    source
        Text (n).
    seed
        Of the cross-validation.
    """
    names = np.unique(source)
    if len(names) < 2:
        return {}
    parts = {str(name): _part(sample, np.flatnonzero(source == name), seed) for name in names}
    held = {name: (own, places) for name, (own, places) in parts.items() if len(own.classes) > 1}
    found = {}
    for name, (own, places) in held.items():
        scores = ridge.out_of_fold(numbers[places], own.labels, own.part, len(own.classes))
        auroc, by_class = judging.tell(own, scores, among=len(held))
        found[name] = ProbedImages(auroc=auroc, n=len(places), by_class=by_class)
    return found


def _part(sample: Sample, places: IntArray, seed: int) -> tuple[Sample, IntArray]:
    """Take the places of the classes that have enough patients or unrelated images there."""
    labels, group = sample.labels[places], sample.group[places]
    kept = [at for at in range(len(sample.classes)) if len(np.unique(group[labels == at])) >= FEWEST]
    places = places[np.isin(labels, kept)]
    labels, group = np.searchsorted(kept, sample.labels[places]), sample.group[places]
    own = Sample(
        rows=sample.rows[places],
        labels=labels,
        group=group,
        part=ridge.folds(labels, group, seed),
        classes=tuple(sample.classes[at] for at in kept),
    )
    return own, places
