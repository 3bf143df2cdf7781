"""Tables for a paper: each as CSV and as LaTeX (booktabs), in `tables/` beside a report."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from plainfilm.harmless import harmless, write_table
from plainfilm.reporting.formatting import LABELS, PERCENT, decimal, percent
from plainfilm.results.comparison import Comparison
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Metrics, Subgroups

FOLDER = "tables"
Row = Sequence[object]
_ESCAPED = (
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {c: f"\\{c}" for c in "&%$#_{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "*": "{*}"}
)  # a row may begin with the last two


def write(folder: Path, name: str, caption: str, header: Sequence[str], rows: Iterable[Row]) -> None:
    """Write `tables/NAME.csv` and `tables/NAME.tex`; an `Estimate` is a cell with its interval, in CSV three columns."""
    place, kept = folder / FOLDER, [list(row) for row in rows]
    if not kept:
        return
    place.mkdir(exist_ok=True)
    write_table(place / f"{name}.csv", _plain(header, kept))
    (place / f"{name}.tex").write_text(latex(caption, name, header, kept), encoding="utf-8", errors="replace")


def latex(caption: str, label: str, header: Sequence[str], rows: Sequence[Row]) -> str:
    """Write a table for the package booktabs; texts of users are escaped."""
    columns = "l" + "r" * (len(header) - 1)
    lines = [" & ".join(_cell(cell, header[at]) for at, cell in enumerate(row)) + r" \\" for row in rows]
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{escaped(caption)}}}", rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(map(escaped, header)) + r" \\", r"\midrule", *lines,
        r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def escaped(text: object) -> str:
    """Write a text so that LaTeX prints it as it is."""
    return re.sub(r"[\\~^&%$#_{}<>|\[*]", lambda found: _ESCAPED[found[0]], harmless(str(text)))


def of_metrics(folder: Path, parts: Sequence[tuple[str, Metrics]]) -> None:
    """Write every metric of each set, and of each class against the rest."""
    names = list(parts[0][1].estimates)
    rows = [[name, *(own.estimates.get(name, "") for _, own in parts)] for name in names]
    write(folder, "metrics", "Performance with 95 % intervals over patients", ["Metric", *(name for name, _ in parts)],
          [[LABELS.get(str(row[0]), row[0]), *row[1:]] for row in rows])  # fmt: skip
    tested = parts[0][1]
    if tested.per_class:
        kinds = list(next(iter(tested.per_class.values())).estimates)
        write(folder, "classes", "Each class against the rest", ["Class", *(LABELS.get(name, name) for name in kinds)],
              [[name, *own.estimates.values()] for name, own in tested.per_class.items()])  # fmt: skip


def of_subgroups(folder: Path, each_of: Mapping[str, Subgroups]) -> None:
    """Write the metrics of each subgroup, and the tests over all subgroups of a kind; of findings, by their names, for each."""
    first = ["Finding"] if all(each_of) else []
    metrics = ("accuracy", "sensitivity", "specificity", "auroc")
    write(folder, "subgroups", "Performance by subgroup with 95 % intervals over patients",
          [*first, "Kind", "Subgroup", "Radiographs", "Groups", *(LABELS[name] for name in metrics)],
          [[*filter(None, [of]), kind, name, part.n, part.groups, *(part.estimates[metric] for metric in metrics)]
           for of, found in each_of.items() for kind, parts in found.kinds.items() for name, part in (parts or {}).items()])  # fmt: skip
    write(folder, "interactions", "Whether a metric is the same in all subgroups; p corrected after Holm",
          [*first, "Kind", "Metric", "Subgroups", "Chi square", "p", "p corrected"],
          [[*filter(None, [of]), each.kind, LABELS[each.metric], each.subgroups, _number(each.statistic), _p(each.p), _p(each.p_corrected)]
           for of, found in each_of.items() for each in found.interactions])  # fmt: skip


def of_comparison(folder: Path, found: Comparison) -> None:
    """Write every metric of each recipe or run, and what sets each two apart."""
    names = list(found.recipes[0].metrics)
    write(folder, "recipes", "Performance with 95 % intervals over patients", ["Recipe", *(LABELS.get(name, name) for name in names)],
          [[each.recipe, *(each.metrics[name] for name in names)] for each in found.recipes if each.metrics])  # fmt: skip
    write(folder, "differences", "Differences, the first less the second, on the same patients; p corrected after Holm",
          ["First", "Second", "Metric", "Difference", "Test", "p corrected", "p with seeds", "It is"],
          [[*pair.recipes, LABELS[metric], pair.differences[metric], test.test, _p(test.p_corrected), _p(test.p_seeds_corrected), test.means]
           for pair in found.pairs for metric, test in (("auroc", pair.auroc), ("accuracy", pair.accuracy))])  # fmt: skip


def _plain(header: Sequence[str], rows: Sequence[Row]) -> Iterable[Row]:
    wide = {at for row in rows for at, cell in enumerate(row) if isinstance(cell, Estimate)}
    yield [
        name for at, own in enumerate(header) for name in ([own, f"{own} low", f"{own} high"] if at in wide else [own])
    ]
    for row in rows:
        yield [part for at, cell in enumerate(row) for part in (_ends(cell) if at in wide else [cell])]


def _ends(cell: object) -> list[object]:
    if not isinstance(cell, Estimate):
        return [cell, "", ""]
    return [cell.value, cell.low, cell.high] if cell.is_known else ["", "", ""]


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _p(value: float) -> str:
    """Write a p value as a number, never as 0; nothing where there is none."""
    return "" if not math.isfinite(value) else f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def _cell(cell: object, column: str) -> str:
    if not isinstance(cell, Estimate):
        return escaped(cell)
    write_ = percent if column in {LABELS[name] for name in PERCENT} else decimal
    if not cell.is_known:
        return "--"
    return escaped(f"{write_(cell)} ({write_(cell.low, unit=False)} to {write_(cell.high, unit=False)})").replace(
        "\N{NARROW NO-BREAK SPACE}", r"\,"
    )
