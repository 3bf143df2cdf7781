"""Tables for a paper: each as CSV and as LaTeX (booktabs), in `tables/` beside a report."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from plainfilm.data.files import written_whole
from plainfilm.harmless import harmless, write_table
from plainfilm.reporting.formatting import LABELS, NARROW_SPACE, PERCENT, with_interval
from plainfilm.results.audit import Audit, Probe
from plainfilm.results.comparison import Comparison
from plainfilm.results.estimate import Estimate
from plainfilm.results.external import ExternalMetrics
from plainfilm.results.metrics import Estimates, Metrics, Subgroups
from plainfilm.results.search import Search, TrialResult

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
    with written_whole(place / f"{name}.csv") as partial:
        write_table(partial, _plain(header, kept))
    with written_whole(place / f"{name}.tex") as partial:
        partial.write_text(latex(caption, name, header, kept), encoding="utf-8", errors="replace")


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


def of_metrics(folder: Path, parts: Sequence[tuple[str, Estimates]]) -> None:
    """Write every metric of each set, and of each class against the rest in the first."""
    names = list(parts[0][1].estimates)
    rows = [[name, *(own.estimates.get(name, "") for _, own in parts)] for name in names]
    write(folder, "metrics", "Performance with 95 % intervals over patients", ["Metric", *(name for name, _ in parts)],
          [[LABELS.get(str(row[0]), row[0]), *row[1:]] for row in rows])  # fmt: skip
    tested = parts[0][1]
    if isinstance(tested, Metrics) and tested.per_class:
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
    of_classes = any(each.of_class for found in each_of.values() for each in found.interactions)
    write(folder, "interactions", "Whether a metric is the same in all subgroups; p corrected after Holm",
          [*first, "Kind", "Metric", *(["Class"] if of_classes else []), "Subgroups", "Chi square", "p", "p corrected"],
          [[*filter(None, [of]), each.kind, LABELS[each.metric], *filter(None, [each.of_class]), each.subgroups, _number(each.statistic), _p(each.p), _p(each.p_corrected)]
           for of, found in each_of.items() for each in found.interactions])  # fmt: skip


def of_external(folder: Path, found: ExternalMetrics) -> None:
    """Write every metric here and on the model's own test set, how much lower it is here, and the metrics of each subgroup."""
    parts: list[tuple[str, Estimates]] = [("Here", found.external)]
    if not found.data.own_test_part:
        parts += [("Own test set", found.internal), ("Lower here by", found.drop)]
    of_metrics(folder, parts)
    each = {name: own.subgroups for name, own in (found.findings or {}).items()}
    of_subgroups(folder, each or {"": found.subgroups})


def of_audit(folder: Path, found: Audit) -> None:
    """Write the AUROC of each probe, of several findings for each, and that of each source left out."""
    each: dict[str, Mapping[str, Probe]] = {name: own.probes for name, own in found.findings.items()} or {
        "": found.probes
    }
    first = ["Finding"] if found.findings else []
    write(folder, "probes", "Cross-validated AUROC of classifiers that are kept from a part of each image, with 95 % intervals over patients",
          [*first, "Probe", "Sees", "Most told class", "Radiographs", "AUROC"],
          [[*filter(None, [of]), probe.title, probe.sees, *_of_worst(probe.worst, probe.n)] for of, probes in each.items() for probe in probes.values()])  # fmt: skip
    write(folder, "sources", "AUROC on sources that were left out of training, with 95 % intervals over patients",
          ["Sources", "Lowest class", "Radiographs", "AUROC"],
          [[", ".join(left.sources), *_of_worst(left.worst, left.n)] for left in found.sources.left_out])  # fmt: skip


def _of_worst(worst: tuple[str, Estimate], n: int) -> list[object]:
    return [worst[0], n, worst[1]]


def of_search(folder: Path, found: Search, trials: Sequence[TrialResult]) -> None:
    """Write the trials, the best first, and how much each setting mattered."""
    scored = sorted((each for each in trials if each.log_loss is not None), key=lambda each: each.log_loss or 0.0)
    write(folder, "trials", f"Trials, the best first: {found.measure}",
          ["Trial", "State", "Recipe", "Log loss", "Standard error", "Accuracy", "AUROC"],
          [[each.number, each.state, each.recipe, *(_known(own) for own in (each.log_loss, each.standard_error, each.accuracy, each.auroc))]
           for each in scored])  # fmt: skip
    write(folder, "importances", "How much each setting mattered for being among the best trials (PED-ANOVA)",
          ["Setting", "Importance", "By chance"],
          [[each.title, _number(each.share), _number(each.by_chance)] for each in found.importances])  # fmt: skip


def of_comparison(folder: Path, found: Comparison) -> None:
    """Write every metric of each recipe or run, and what sets each two apart."""
    names = list(found.recipes[0].metrics)
    over = ", over all pairs of a radiograph and a finding" if found.findings else ""
    write(folder, "recipes", f"Performance with 95 % intervals over patients{over}", ["Recipe", *(LABELS.get(name, name) for name in names)],
          [[each.recipe, *(each.metrics[name] for name in names)] for each in found.recipes if each.metrics])  # fmt: skip
    write(folder, "differences", f"Differences, the first less the second, on the same patients{over}; p corrected after Holm",
          ["First", "Second", "Metric", "Difference", "Test", "p corrected", "p with seeds", "It is"],
          [[*pair.recipes, LABELS[metric], pair.differences[metric], test.test, _p(test.p_corrected), _p(test.p_seeds_corrected), test.means]
           for pair in found.pairs for metric, test in (("auroc", pair.auroc), ("accuracy", pair.accuracy))])  # fmt: skip


def of_compared_findings(folder: Path, found: Comparison) -> None:
    """Write what sets each two apart on each finding."""
    write(folder, "differences-by-finding", "Differences on each finding, the first less the second, on the same patients; p corrected after Holm over the findings",
          ["First", "Second", "Finding", "Radiographs", "Metric", "Difference", "Test", "p corrected", "It is"],
          [[*pair.recipes, name, own.n, LABELS[metric], pair.differences[metric], test.test, _p(test.p_corrected), test.means]
           for name, own in found.findings.items() for pair in own.pairs for metric, test in (("auroc", pair.auroc), ("accuracy", pair.accuracy))])  # fmt: skip
    write(folder, "differences-of-means", "Differences of the means over the findings, the first less the second, on the same patients",
          ["First", "Second", "Metric", "Difference"],
          [[*pair.recipes, LABELS.get(metric, metric), own] for pair in found.means for metric, own in pair.differences.items()])  # fmt: skip


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


def _known(value: float | None) -> str:
    return "" if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _p(value: float) -> str:
    """Write a p value as a number, never as 0; nothing where there is none."""
    return "" if not math.isfinite(value) else f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def _cell(cell: object, column: str) -> str:
    if not isinstance(cell, Estimate):
        return escaped(cell)
    if not cell.is_known:
        return "--"
    shown = with_interval(cell, "percent" if column in {LABELS[name] for name in PERCENT} else "decimal")
    return escaped(shown).replace(NARROW_SPACE, r"\,").replace("\N{MINUS SIGN}", "$-$")
