"""Answers against outcomes that were learnt later, joined by the image or by an id."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.spelling import plain_id
from plainfilm.data.tables.files import read_grid
from plainfilm.data.tables.findings import ABSENT, UNCERTAIN, finding_state
from plainfilm.data.tables.grid import Grid
from plainfilm.errors import CatalogError, UsageError
from plainfilm.evidence.drift.findings import BundleAnswers, called
from plainfilm.evidence.statistics.findings import evaluate_findings
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.harmless import as_named
from plainfilm.reasons import reason_of
from plainfilm.results.drift import LoggedAnswer, LogStart
from plainfilm.results.metrics import Metrics
from plainfilm.results.predictions import UNSURE
from plainfilm.results.task import BETWEEN, NO_FINDING, Task
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
    """What was found of a radiograph: the class, or its findings, `A|B`, and the patient, "" for unknown or a placeholder; `line` in the table.

    `states` has what columns of findings say, 1 or 0, by their names.
    """

    name: str
    patient: str
    line: int
    states: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes by SHA-256 of the image, or by the id that the log has."""

    by: str
    found: Mapping[str, Outcome]
    table: Path

    def of(self, answer: LoggedAnswer) -> Outcome | None:
        """Give the outcome of what was answered for, None where it is not known."""
        return self.found.get(self.key(answer))

    def key(self, answer: LoggedAnswer) -> str:
        """Give what an answer's outcome is found by."""
        return (answer.id or "") if self.by == "id" else answer.image


def read(table: Path) -> Outcomes:
    """Read a table with `image` (or `sha256`) or `id`, and `outcome` (or `label`), or a column a finding; `patient`, if there is one, widens intervals.

    Raises
    ------
    CatalogError
        No table, or one without these columns.
    UsageError
        Two outcomes of one radiograph.
    """
    try:
        grid = read_grid(table)
        at = {ours: grid.place(*theirs) for ours, theirs in _KEYS.items()}
        others = _of_findings_in(grid)
    except ValueError as error:
        raise CatalogError(f"Expected a table of outcomes; received {table}: {reason_of(error)}.") from error
    by = "image" if at["image"] is not None else "id"
    if at[by] is None or (at["outcome"] is None and not others):
        raise CatalogError(
            f"Expected a table of outcomes with the columns image (SHA-256 of the file) or id, and outcome, or of findings one each; received {table}, which has {', '.join(filter(None, grid.headers))}."
        )
    columns = {ours: grid.columns[place] for ours, place in at.items() if place is not None}
    found: dict[str, Outcome] = {}
    for row, line in enumerate(grid.lines):
        key, name = as_named(columns[by][row]), as_named(columns["outcome"][row]) if "outcome" in columns else ""
        states = {finding: state for finding, cells in others.items() if (state := finding_state(cells[row])) >= ABSENT}
        if not key or not (name or states):
            continue
        made = Outcome(name, plain_id(columns["patient"][row]) if "patient" in columns else "", line, states)
        first = found.setdefault(key.casefold() if by == "image" else key, made)
        if (first.name, first.states) != (name, states):
            raise UsageError(
                f"Expected one outcome a radiograph; received another for {key} in line {line} of {table}. Leave one of the two."
            )
    return Outcomes(by, found, table)


def _of_findings_in(grid: Grid) -> dict[str, list[str]]:
    """Give the columns that may state a finding each, by their names."""
    taken = {"", *(name for theirs in _KEYS.values() for name in theirs)}
    headers = [header.strip() for header, cells in zip(grid.headers, grid.columns, strict=True) if any(finding_state(cell) >= ABSENT for cell in cells)]  # fmt: skip
    places = {name: grid.place(name) for name in headers if name.casefold() not in taken}
    return {name: grid.columns[place] for name, place in places.items() if place is not None}


def measured(own: BundleAnswers, outcomes: Outcomes) -> OutcomeMetrics | None:
    """Hold the answers of a bundle against outcomes; None where none is of them.

    Raises
    ------
    UsageError
        An outcome that is no class, or no finding, of the bundle.
    """
    classes, every = list(own.start.classes), list(own.answered.values())
    pairs = [(answer, known) for answer in every if answer.scores and (known := outcomes.of(answer))]
    if not pairs or not classes:
        return None
    answered = [(answer, known) for answer, known in pairs if answer.level != "refused"]
    whose = [known.patient or outcomes.key(answer) for answer, known in answered]
    group = np.unique(whose, return_inverse=True)[1]
    scores = np.array([answer.scores for answer, _ in answered]).reshape(-1, len(classes))
    if own.start.task == "findings":
        states = np.array([_states(known, classes, outcomes.table) for _, known in pairs], np.int8)
        kept = np.array([answer.level != "refused" for answer, _ in pairs], bool)
        each, metrics = _of_findings(states[kept].reshape(-1, len(classes)), scores, group, own.start)
    else:
        for _, known in pairs:
            _check_named(known, [known.name], classes, outcomes.table)
        each, metrics = {}, _of_classes([known for _, known in answered], scores, group, own.start)
    shares = _known(every, [answer for answer, _ in answered], own.start.task)
    warnings = _warning(shares), _warning_of_unsure(sum(answer.level == UNSURE for answer, _ in answered))
    return OutcomeMetrics(
        refused=len(pairs) - len(answered),
        known=shares,
        warning=" ".join(filter(None, warnings)),
        metrics=metrics,
        findings=each,
    )


def _of_classes(known: Sequence[Outcome], scores: FloatArray, group: IntArray, start: LogStart) -> Metrics:
    return evaluate(
        np.array([start.classes.index(own.name) for own in known], np.int64),
        scores,
        classes=start.classes,
        positive=start.positive,
        threshold=0.5 if start.threshold is None else start.threshold,
        group=group,
    )


def _check_named(known: Outcome, names: Iterable[str], among: Sequence[str], table: Path) -> None:
    for name in names:
        if name not in among:
            raise UsageError(
                f"Expected an outcome among {', '.join(among)}; received {name or 'none'} in line {known.line} of {table}. Write it so."
            )


def _states(known: Outcome, findings: Sequence[str], table: Path) -> list[int]:
    """Give the state of each finding: 1, 0, or -1 where the outcome says nothing of it."""
    if not known.name:
        if not set(known.states) & set(findings):
            _check_named(known, [""], findings, table)
        return [known.states.get(name, UNCERTAIN) for name in findings]
    told = known.name.split(BETWEEN)
    _check_named(known, told, [*findings, NO_FINDING], table)
    return [int(name in told) for name in findings]


def _of_findings(
    states: NDArray[np.int8], scores: FloatArray, group: IntArray, start: LogStart
) -> tuple[dict[str, Metrics], Metrics]:
    """Measure each finding on the radiographs whose outcome of it is known, and put them together; those of none are left out."""
    every = range(len(start.classes))
    at = [place for place in every if (states[:, place] >= 0).any()] or [*every]
    threshold = np.array(start.thresholds or [0.5] * len(start.classes))
    each = {}
    for place in at:
        name, known = start.classes[place], states[:, place] >= 0
        chance = scores[known, place]
        each[name] = evaluate(
            states[known, place].astype(np.int64),
            np.stack([1 - chance, chance], axis=1),
            classes=(f"no {name}", name),
            positive=name,
            threshold=float(threshold[place]),
            group=group[known],
        )
    return each, evaluate_findings(states[:, at], scores[:, at], each, threshold=threshold[at], group=group)


def unmatched(every: Iterable[BundleAnswers], outcomes: Outcomes) -> int:
    """Count outcomes of radiographs that nobody answered for."""
    seen = {outcomes.key(answer) for own in every for answer in own.answered.values()}
    return len(outcomes.found.keys() - seen)


def _known(every: Sequence[LoggedAnswer], answered: Sequence[LoggedAnswer], task: Task) -> dict[str, float]:
    given, known = called(every, task), called(answered, task)
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
    told = ", ".join(f"{100 * share:.0f} % of those answered {name}" for name, share in shares.items())
    return (
        f"Outcomes are known of {told}: sensitivity and specificity are biased where outcomes are sought by the answer "
        "(verification bias; Begg & Greenes 1983). Predictive values are not."
    )
