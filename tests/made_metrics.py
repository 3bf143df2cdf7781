"""Metrics and runs of which nothing is known but what a test names."""

from typing import Any

import numpy as np

from plainfilm.evidence.evaluation import subgroups
from plainfilm.results.estimate import UNDEFINED
from plainfilm.results.metrics import ClassMetrics, Metrics, RunData, RunMetrics, RunWorth
from plainfilm.results.severity import Level

OF_A_CLASS = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc")


def metrics(*, n: int = 0, groups: int = 0, **known: Any) -> Metrics:
    nothing = dict.fromkeys(("accuracy", *OF_A_CLASS, "brier", "ece"), UNDEFINED)
    return Metrics(n=n, groups=groups, **{"confusion_matrix": ((0, 0), (0, 0))} | nothing | known)


def of_a_class(**known: Any) -> ClassMetrics:
    return ClassMetrics(**dict.fromkeys(OF_A_CLASS, UNDEFINED) | known)


NO_SUBGROUPS = subgroups.measure({}, [], np.zeros((0, 2)), classes=("A", "B"), positive=None, threshold=0.5)


def worth(sentence: str = "Nobody knows.", level: Level = "none") -> RunWorth:
    return RunWorth(level=level, sentence=sentence, source_rule_accuracy=UNDEFINED)


def run(
    test: Metrics, *, classes: tuple[str, ...] = ("A", "B"), validation: Metrics | None = None, **known: Any
) -> RunMetrics:
    nothing: dict[str, Any] = {
        "positive": None,
        "threshold": None,
        "test_openings": 1,
        "worth": worth(),
        "outliers": None,
        "subgroups": NO_SUBGROUPS.result,
        "data": RunData(store="s.h5", fingerprint="", images=0),
        "versions": {},
    }
    splits = {"test": test} | ({"validation": validation} if validation else {})
    return RunMetrics(classes=classes, splits=splits, **nothing | known)
