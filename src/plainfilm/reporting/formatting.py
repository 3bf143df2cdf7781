"""Numbers, times and names as a report prints them; "–" stands for what is not known."""

import math
from collections.abc import Sequence
from datetime import datetime

from plainfilm.harmless import harmless
from plainfilm.results.estimate import Estimate, written
from plainfilm.results.task import Task

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
MISSING = "–"
FEW = 3  # names in a title
LABELS = {
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "ECE",
}
WHERE = {"test": "test set", "out_of_fold": "held-out folds"}  # the part that was tested, in the middle of a sentence
PERCENT = frozenset({"accuracy", "sensitivity", "specificity", "ppv", "npv"})  # the others are decimals


def number(value: float | None) -> float | None:
    """Take a number that is known and finite, else None."""
    return float(value) if value is not None and math.isfinite(value) else None


def percent(of: Estimate | float | None, *, unit: bool = True) -> str:
    """Write a share, or the value of a metric, in per cent with one decimal."""
    share = number(of.value if isinstance(of, Estimate) else of)
    return MISSING if share is None else written(100 * share, ".1f") + (f"{NARROW_SPACE}%" if unit else "")


def decimal(of: Estimate | float | None, *, unit: bool = True) -> str:  # noqa: ARG001 - same call as `percent`
    """Write a number, or the value of a metric, with three decimals."""
    known = number(of.value if isinstance(of, Estimate) else of)
    return MISSING if known is None else written(known, ".3f")


def interval(metric: Estimate, kind: str = "percent") -> str:
    """Write the interval of a metric in words, or nothing."""
    low, high = number(metric.low), number(metric.high)
    if low is None or high is None:
        return ""
    text = percent if kind == "percent" else decimal
    return f"{text(low, unit=False)} to {text(high)}"


def with_interval(metric: Estimate, kind: str = "percent") -> str:
    """Write a metric with its interval, "97.2 % (95.0 to 98.4)"; alone where that is not known."""
    write = percent if kind == "percent" else decimal
    low, high = number(metric.low), number(metric.high)
    bounds = "" if low is None or high is None else f" ({write(low, unit=False)} to {write(high, unit=False)})"
    return write(metric) + bounds


def p_value(value: float | None) -> str:
    """Write a p value with three decimals, or that it is below 0.001."""
    known = number(value)
    return MISSING if known is None else f"{known:.3f}" if known >= 0.001 else f"<{NARROW_SPACE}0.001"


def threshold(value: float | None) -> str:
    """Write a threshold of a probability with three decimals; a small one with three digits."""
    return f"{value:.3g}" if value is not None and 0 < value < 0.01 else decimal(value)


def points(value: float | None) -> str:
    """Write a difference of shares in percentage points."""
    return percent(value, unit=False)


def count(value: int | None) -> str:
    """Write a whole number in groups of three."""
    return MISSING if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """Write a duration in the unit that suits it."""
    known = number(value)
    if known is None:
        return MISSING
    if known < 60:
        return f"{known:.1f}{NARROW_SPACE}s"
    minutes, rest = divmod(round(known), 60)
    if minutes < 60:
        return f"{minutes}{NARROW_SPACE}min {rest:02d}{NARROW_SPACE}s"
    return f"{minutes // 60}{NARROW_SPACE}h {minutes % 60:02d}{NARROW_SPACE}min"


def date(iso: str) -> str:
    """Write a time to the minute; left as it is where it is no ISO 8601."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = "" if time.tzinfo is None else " UTC" if not time.utcoffset() else f" {time:%z}"
    return f"{time:%Y-%m-%d %H:%M}{zone}"


def question(names: Sequence[str], task: Task) -> str:
    """Ask what a classifier of these classes or findings answers: the title of its pages."""
    if len(names) > FEW:
        return f"{len(names)} {task} of chest radiographs"
    if task == "findings" and len(names) > 1:
        return f"{', '.join(names)}: which of them?"
    return f"{' or '.join(names)}?"


def isolated(name: str) -> str:
    """Put a user's name into a sentence: short, and its writing direction kept to itself."""
    shown = harmless(name)
    short = shown if len(shown) <= 40 else f"{shown[:39]}…"
    return f"\N{FIRST STRONG ISOLATE}{short}\N{POP DIRECTIONAL ISOLATE}"
