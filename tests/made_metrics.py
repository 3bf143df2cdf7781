"""Metrics that are not known but for those that a test names."""

from typing import Any

from plainfilm.results.estimate import UNDEFINED
from plainfilm.results.metrics import ClassMetrics, Metrics

OF_A_CLASS = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc")


def metrics(*, n: int = 0, groups: int = 0, **known: Any) -> Metrics:
    return Metrics(n=n, groups=groups, **dict.fromkeys(("accuracy", *OF_A_CLASS, "brier", "ece"), UNDEFINED) | known)


def of_a_class(**known: Any) -> ClassMetrics:
    return ClassMetrics(**dict.fromkeys(OF_A_CLASS, UNDEFINED) | known)
