"""Answers against outcomes that were learnt later, joined by the image or by an id."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plainfilm.data.tables.files import read_grid
from plainfilm.errors import CatalogError, UsageError
from plainfilm.evidence.drift.findings import BundleAnswers
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.harmless import as_named
from plainfilm.reasons import reason_of
from plainfilm.results.drift import LoggedAnswer
from plainfilm.results.predictions import UNSURE
from plainfilm.results.watched import OutcomeMetrics

_KEYS = {
    "image": ("image", "sha256"),
    "id": ("id",),
    "outcome": ("outcome", "label"),
    "patient": ("patient", "patient_id"),
}
_UNEVEN = 0.1  # difference of the shares that are known from which a warning stands


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found of a radiograph: the class, and the patient, "" for unknown; `line` in the table."""

    name: str
    patient: str
    line: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes by SHA-256 of the image, or by the id that the log has."""

    by: str
    found: Mapping[str, Outcome]
    table: Path

    def of(self, answer: LoggedAnswer) -> Outcome | None:
        """Give the outcome of what was answered for, None where it is not known."""
        return self.found.get((answer.id or "") if self.by == "id" else answer.image)


def read(table: Path) -> Outcomes:
    """Read a table with `image` (or `sha256`) or `id`, and `outcome` (or `label`); `patient`, if there is one, widens intervals.

    Raises
    ------
    CatalogError
        No table, or one without these columns.
    UsageError
        Two outcomes of one radiograph.
    """
    try:
        grid = read_grid(table)
    except ValueError as error:
        raise CatalogError(f"Expected a table of outcomes; received {table}: {reason_of(error)}.") from error
    names = [header.strip().casefold() for header in grid.headers]
    at = {ours: next((names.index(each) for each in theirs if each in names), None) for ours, theirs in _KEYS.items()}
    by = "image" if at["image"] is not None else "id"
    if at[by] is None or at["outcome"] is None:
        raise CatalogError(
            f"Expected a table of outcomes with the columns image (SHA-256 of the file) or id, and outcome; received {table}, which has {', '.join(filter(None, names))}."
        )
    columns = {ours: grid.columns[place] for ours, place in at.items() if place is not None}
    found: dict[str, Outcome] = {}
    for row, line in enumerate(grid.lines):
        key, name = as_named(columns[by][row]), as_named(columns["outcome"][row])
        if not key or not name:
            continue
        made = Outcome(name, columns["patient"][row] if "patient" in columns else "", line)
        if found.setdefault(key.casefold() if by == "image" else key, made).name != name:
            raise UsageError(
                f"Expected one outcome a radiograph; received another for {key} in line {line} of {table}. Leave one of the two."
            )
    return Outcomes(by, found, table)


def measured(own: BundleAnswers, outcomes: Outcomes) -> OutcomeMetrics | None:
    """Hold the answers of a bundle against outcomes; None where none is of them.

    Raises
    ------
    UsageError
        An outcome that is no class of the bundle, or a bundle of several findings.
    """
    classes, every = list(own.start.classes), list(own.answered.values())
    pairs = [(answer, known) for answer in every if answer.scores and (known := outcomes.of(answer))]
    if not pairs or not classes:
        return None
    if own.start.task == "findings":
        raise UsageError(
            f"Expected outcomes of a classifier of classes; received {outcomes.table} for one that tells several findings, which are not measured "
            "by outcomes yet. Leave --outcomes out."
        )
    for _, known in pairs:
        if known.name not in classes:
            raise UsageError(
                f"Expected an outcome among {', '.join(classes)}; received {known.name} in line {known.line} of {outcomes.table}. Write it so."
            )
    answered = [(answer, known) for answer, known in pairs if answer.level != "refused"]
    group = [known.patient or answer.id or answer.image for answer, known in answered]
    metrics = evaluate(
        np.array([classes.index(known.name) for _, known in answered], np.int64),
        np.array([answer.scores for answer, _ in answered]).reshape(-1, len(classes)),
        classes=classes,
        positive=own.start.positive,
        threshold=0.5 if own.start.threshold is None else own.start.threshold,
        group=np.unique(group, return_inverse=True)[1],
    )
    shares = _known(every, [answer for answer, _ in answered])
    warnings = _warning(shares), _warning_of_unsure(sum(answer.level == UNSURE for answer, _ in answered))
    return OutcomeMetrics(
        refused=len(pairs) - len(answered), known=shares, warning=" ".join(filter(None, warnings)), metrics=metrics
    )


def unmatched(every: Iterable[BundleAnswers], outcomes: Outcomes) -> int:
    """Count outcomes of radiographs that nobody answered for."""
    seen = {(answer.id if outcomes.by == "id" else answer.image) for own in every for answer in own.answered.values()}
    return len(outcomes.found.keys() - seen)


def _known(every: Sequence[LoggedAnswer], answered: Sequence[LoggedAnswer]) -> dict[str, float]:
    given = Counter(answer.answer for answer in every if answer.answer is not None)
    known = Counter(answer.answer for answer in answered)
    return {name: known[name] / count for name, count in sorted(given.items())}


def _warning_of_unsure(unsure: int) -> str:
    return (
        f"{unsure:,} answers are unsure, which counts as not positive: the NPV is not that of the negative ones alone."
        if unsure
        else ""
    )


def _warning(shares: Mapping[str, float]) -> str:
    if not shares or max(shares.values()) - min(shares.values()) < _UNEVEN:
        return ""
    told = ", ".join(f"{share:.0%} of those answered {name}" for name, share in shares.items())
    return (
        f"Outcomes are known of {told}: sensitivity and specificity are biased where outcomes are sought by the answer "
        "(verification bias; Begg & Greenes 1983). Predictive values are not."
    )
