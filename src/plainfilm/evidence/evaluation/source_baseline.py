"""The plain sentence beside an accuracy: how much of it the source of an image gives away without the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.split import Leakage
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.results.estimate import Estimate
from plainfilm.results.severity import Worth

NO_LEAK = Leakage(groups=0, images=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """How often one is right who sees no image and only knows the source (names its commonest class in train).

    `table` int64 (classes, sources): images. `guess` the commonest class of the test set and how often naming it is right.
    """

    sources: tuple[str, ...]
    table: NDArray[np.int64]
    accuracy: Estimate
    guess: tuple[str, float]


def source_rule(
    labels: NDArray[np.int64],
    source: NDArray[np.str_],
    group: NDArray[np.int64],
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    classes: Sequence[str],
) -> SourceRule:
    """Measure on a test set the rule learnt on its training set that names the commonest class of each source.

    Parameters
    ----------
    labels, source, group
        int64 (n), class index, -1 for none; text (n); int64 (n), rows that are one draw.
    parts
        Rows of train and test, int64: one pair, or one a fold, whose answers are counted together.
    classes
        Class names.
    """
    names, index = np.unique(source, return_inverse=True)
    table = np.zeros((len(classes), len(names)), np.int64)
    labelled = labels >= 0
    np.add.at(table, (labels[labelled], index[labelled]), 1)
    answer, test = np.empty(len(labels), np.int64), np.concatenate([test for _, test in parts])
    for train, rows in parts:
        learnt = np.zeros_like(table)
        np.add.at(learnt, (labels[train], index[train]), 1)
        commonest = int(np.bincount(labels[train], minlength=len(classes)).argmax())
        answer[rows] = np.where(learnt.sum(0) > 0, learnt.argmax(0), commonest)[index[rows]]
    right = answer[test] == labels[test]
    share = np.bincount(labels[test], minlength=len(classes)) / len(test)
    guess = (classes[int(share.argmax())], float(share.max()))
    return SourceRule(
        sources=tuple(map(str, names)), table=table, accuracy=wilson(right, group=group[test]), guess=guess
    )


def worth(rule: SourceRule, accuracy: Estimate, leak: Leakage = NO_LEAK) -> Worth:
    """Say what an accuracy is worth beside two rules that see no image: the source's, and always naming one class.

    Compares intervals with these rules, not values with values. A split that leaks comes before all else.
    """
    name, share = rule.guess
    known = f"{100 * rule.accuracy.value:.1f} %"
    tells = rule.accuracy.low > share
    if leak.images:
        return Worth(
            level="warning",
            sentence=f"The given split leaks: {leak.images:,} images of {leak.groups:,} patients or duplicates stand in more than one part. "
            "This accuracy is partly memory. Ingest again with --resplit.",
        )
    if tells and rule.accuracy.value >= accuracy.low:
        return Worth(
            level="warning",
            sentence=f"Without looking at any image, knowing only which source it came from gives {known}. This accuracy does not show "
            "that the model sees disease: it may only tell the sources apart.",
        )
    if accuracy.low <= share:
        return Worth(
            level="caution",
            sentence=f"Always answering {name} would be right in {100 * share:.1f} %, and the interval reaches down to that: "
            "the model has learnt nothing, or too few images were tested to show it.",
        )
    if tells:
        return Worth(
            level="caution",
            sentence=f"Knowing only which source an image came from already gives {known}. Part of this accuracy may be the source.",
        )
    if len(rule.sources) == 1:
        return Worth(
            level="caution",
            sentence="Only one source is known for these images, so nothing here can tell the disease from the hospital, or say how the model "
            "does anywhere else. Name the sources: a column `source` in a metadata.csv, or one folder a hospital.",
        )
    return Worth(
        level="none",
        sentence=f"Knowing only which source an image came from gives {known}, no better than always answering {name}. "
        "The source does not explain this accuracy.",
    )
