"""What López and Salazar (2023) report, beside a run of the recipe that repeats it. docs/paper.md has it row by row."""

from dataclasses import dataclass

from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.reporting.formatting import count, with_interval
from plainfilm.results.metrics import Metrics

MATRIX = ((168, 11), (0, 96))  # of MobileNet, on the paper's test set; which class is which is not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the paper says of one network."""

    accuracy: str
    remark: str
    has_matrix: bool


REPORTED = {
    "paper-mobilenet": Reported(
        accuracy="97.33 %", remark="on which part of the data is not said", has_matrix=True
    ),
    "paper-resnet50": Reported(
        accuracy="55 % at best", remark="written as 0.55 percent; another result at every try", has_matrix=False
    ),
}  # fmt: skip


def beside(recipe: str, test: Metrics) -> list[tuple[str, str]]:
    """Set the paper's results beside those of a run, as lines of name and value; none for a recipe that is not the paper's."""
    said = REPORTED.get(recipe)
    if said is None or not test.confusion_matrix:
        return []
    lines = [("Accuracy, this run", _with_interval(test)), ("Accuracy, the paper", f"{said.accuracy} ({said.remark})")]
    if said.has_matrix:
        right, n = MATRIX[0][0] + MATRIX[1][1], sum(map(sum, MATRIX))
        from_matrix = wilson([True] * right + [False] * (n - right))
        lines.append(("Accuracy, the paper's matrix", f"{with_interval(from_matrix)}: {right} of {n}"))
        lines.append(("Confusion matrix, the paper", _matrix(MATRIX)))
    return [*lines, ("Confusion matrix, this run", _matrix(test.confusion_matrix))]


def _with_interval(test: Metrics) -> str:
    return f"{with_interval(test.accuracy)}, n = {count(test.n)}"


def _matrix(rows: tuple[tuple[int, ...], ...]) -> str:
    return " / ".join(", ".join(count(n) for n in row) for row in rows)
