"""What people see in a terminal when a command is done: results, on stdout."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import RenderableType
from rich.text import Text

from plainfilm import shell
from plainfilm.cli import console, tables
from plainfilm.cli.progress import Shown as Shown
from plainfilm.cli.tables import Rows
from plainfilm.evidence.inference import context
from plainfilm.harmless import harmless
from plainfilm.reporting import formatting
from plainfilm.reporting.cell import percent
from plainfilm.reporting.formatting import LABELS, MISSING, PERCENT, WHERE, decimal
from plainfilm.reporting.tables import left_out as left_out_tables
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results import documents
from plainfilm.results.audit import Audit, ProbedImages
from plainfilm.results.comparison import Comparison, Rank
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.external import ExternalMetrics, Recalibration, UnlabelledMetrics
from plainfilm.results.inspection import BackboneWeights, Cache, Finding
from plainfilm.results.metrics import Metrics, Micro, RunMetrics
from plainfilm.results.search import Search, Setting, TrialResult
from plainfilm.results.severity import Level
from plainfilm.results.task import Task

Item = TypeVar("Item")
_OF_SOURCES = ("auroc", "sensitivity", "specificity")
_SCORED_ON: Mapping[Rank, str] = {"worst": "at the worst source left out", "mean": "mean of sources left out"}
_STYLES: dict[Level, str] = {"none": "green", "caution": "yellow", "warning": "bold red"}


def counted(items: Iterable[Item], progress: Shown, stage: str, every: int) -> Iterator[Item]:
    """Show how many items have passed."""
    for done, item in enumerate(items, 1):
        yield item
        progress(stage, done, every, "")


def say(*lines: object, stderr: bool = False) -> None:
    """Print to stdout, wrapped to a terminal, unbroken into a pipe; a path with brackets or colons stays as it is."""
    written = console.results(stderr=stderr)
    is_wrapped = console.is_terminal(sys.stderr if stderr else sys.stdout)
    for line in lines:
        written.print(line, soft_wrap=isinstance(line, Typed) or not (is_wrapped or isinstance(line, Rows)))


class Typed(Text):
    """A line with a command to copy: a terminal may break it, we do not."""


def following(*words: str | Path) -> Typed:
    """The line that names the command to type next."""
    return Typed(f"Next: {shell.command(*words, encoding=sys.stdout.encoding or 'utf-8')}")


def class_table(counts: Mapping[str, Mapping[str, int]], *, unlabelled: int, task: Task = "classes") -> Rows:
    """Images by class, or by finding, and by the parts of the split, if there are any; those without a label in a row of their own."""
    kind = "class" if task == "classes" else "finding"
    is_split = any(parts.keys() - {"not given"} for parts in counts.values())
    table: list[dict[str, Any]] = [
        {kind: name, **(parts if is_split else {}), "all": sum(parts.values())} for name, parts in counts.items()
    ]
    columns = list(table[0])
    if unlabelled:
        table.append({**dict.fromkeys(columns, ""), kind: "(no label)", "all": unlabelled})
    return tables.of(table, columns=columns)


def decision(run: RunMetrics) -> str:
    """What the metrics above are about: the positive class and its threshold, or means over classes."""
    if run.findings:
        lines = ["The metrics above are means over the findings, each on the radiographs of which it is known."]
        each = {name: own.three_answers for name, own in run.findings.items() if own.three_answers}
        lines += [f"{name}: {own.sentence} {own.splits[run.tested].sentence}" for name, own in each.items()]
        return "\n".join(lines) + "\n"
    if run.positive is None:
        return "Sensitivity to AUPRC are means over the classes; each class by itself stands in metrics.json.\n"
    said = f"Positive means {run.positive}, from a probability of {run.threshold:.3f} on.\n"
    three = run.three_answers
    return f"{said}{three.sentence} {three.splits[run.tested].sentence}\n" if three else said


def styled(text: str, style: str) -> Text:
    """A line in a style of rich's."""
    return Text(text, style=style)


def number(metric: Estimate) -> str:
    """A number with its interval: "0.973 (0.951 to 0.986)"."""
    value, low, high = map(formatting.number, (metric.value, metric.low, metric.high))
    return "not defined" if value is None else f"{value:.3f} ({low or 0:.3f} to {high or 0:.3f})"


def left_out(run: RunMetrics) -> Iterator[Rows | str]:
    """A row a source that was left out, and what they come to."""
    if run.left_out is None:
        return
    rows = [[own.name, *(_metric(name, own.metrics) for name in _OF_SOURCES)] for own in run.left_out.sources]
    rows += [[name, number(each), "", ""] for name, each in left_out_tables.sums_of(run.left_out)]
    yield Rows(["left out (95 % interval)", *(LABELS[name] for name in _OF_SOURCES)], rows)
    yield ""
    if own := left_out_tables.finding_rows(run.left_out):
        told = [
            [row.name, row.at, *(_in_one(each) for each in (row.worst, row.mean, row.new_hospital)), row.unmeasured]
            for row in own
        ]
        yield Rows(["finding", "worst at", "AUROC there", "mean", "new hospital", "no AUROC"], told)
        yield ""


def _in_one(cell: Cell) -> str:
    return f"{cell.value} ({cell.interval})" if cell.interval else cell.value


def _metric(name: str, of: Metrics) -> str:
    return (percent if name in PERCENT else number)(of.estimates[name])


def verdict(run: RunMetrics) -> list[Text]:
    """The worst source left out, the accuracy, and beside them what they are worth."""
    measured = f" on {run.test.n:,} images of the {WHERE[run.tested]}, 95 % interval"
    accuracy = Text.assemble(("Accuracy  ", "bold"), percent(run.test.accuracy), measured)
    if run.findings:
        accuracy = Text.assemble(("Mean AUROC", "bold"), f" {number(run.test.auroc)}", measured)
    return [*_worst(run), *_curve(run), accuracy, *worth(run, "Worth     ")]


def _worst(run: RunMetrics) -> Iterator[Text]:
    if run.left_out is not None:
        worst = run.left_out.worst
        area = number(Estimate(worst.value, worst.low, worst.high))
        yield Text.assemble(
            ("Mean AUROC" if run.left_out.findings else "AUROC     ", "bold"),
            f"{' ' if run.left_out.findings else ''}{area} at {harmless(worst.name)}, the worst {'pair' if run.left_out.paired else 'hospital'} left out",
        )


def _curve(run: RunMetrics) -> Iterator[Text]:
    if run.left_out is not None and run.left_out.curve is not None:
        yield Text.assemble(("Curve     ", "bold"), run.left_out.curve.sentence)


def worth(metrics: RunMetrics, heading: str) -> Iterator[Text]:
    """What an accuracy is worth, a line a sentence, the first behind `heading`."""
    for number, said in enumerate(context.worth(metrics)):
        style = _STYLES[said.level]
        yield Text.assemble((" " * len(heading) if number else heading, f"bold {style}"), (said.sentence, style))


def audited(found: Audit) -> Iterator[Text | Rows | str]:
    """The verdict of an audit, its reasons, its probes and what could not run."""
    yield Text.assemble(("Verdict   ", "bold"), (found.verdict, f"bold {_STYLES[found.level]}"))
    yield Text(found.sentence)
    for name, own in found.findings.items():
        yield f"  {name}: {own.verdict}"
    yield ""
    yield (
        tables.of(
            [
                {
                    "probe": each.title,
                    "sees": each.sees,
                    "AUROC (95 % interval)": number(each.worst[1]),
                    "class": each.worst[0],
                }
                for each in found.probes.values()
            ],
            columns=("probe", "sees", "AUROC (95 % interval)", *(("class",) if len(found.sources.classes) > 2 else ())),
        )
        if found.probes
        else "No probe could run."
    )
    if within := found.within:
        yield ""
        yield _within(within)
    if found.cues:
        yield f"What tells the classes apart: {', '.join(found.cues)}."
    for reason in found.reasons[:1]:
        yield f"What would change it: {reason.advice}"
    for each in found.not_run:
        yield Text(f"Could not run: {each.check}. {each.reason}", style="dim")


def _within(found: Mapping[str, Mapping[str, ProbedImages]]) -> Rows:
    """The AUROC of probes that learnt from one source alone; with more than two classes of the class that is told best."""
    names = next(iter(found.values()))
    rows = [
        [source or "not named", *(_narrow(each.worst[1]) for each in own.values())] for source, own in found.items()
    ]
    return Rows(["AUROC within", *(name.replace("_", " ") for name in names)], rows)


def _narrow(estimate: Estimate) -> str:
    if not estimate.is_known:
        return MISSING
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"


def evaluated(found: ExternalMetrics) -> Iterator[RenderableType]:
    """What an external validation came to: metrics beside the model's own, what was left out, and the sentence."""
    table = []
    for name, label in LABELS.items():
        shown = percent if name in PERCENT else number
        here, own = (shown(part.estimates[name]) for part in (found.external, found.internal))
        lower = _lower(found.drop.estimates.get(name, UNDEFINED), in_percent=name in PERCENT)
        table.append([label, here, own, lower])
    yield Rows(["", "here (95 % interval)", "own test set", "lower here by"], table)
    yield ""
    yield findings_elsewhere(found) if found.findings else confusion(found.external.confusion_matrix, found.classes)
    yield ""
    yield from _left_out(found)
    style = _STYLES[found.transportability.level]
    yield Text.assemble(("Verdict   ", f"bold {style}"), (found.transportability.sentence, style))
    if found.three_answers:
        yield Text.assemble(("Unsure    ", "bold"), found.three_answers.sentence)
    for finding, measured in (found.findings or {}).items():
        if measured.three_answers:
            yield Text.assemble((f"{finding}, unsure  ", "bold"), measured.three_answers.sentence)
    if found.sources.sentence:
        yield Text.assemble(" " * 10, (found.sources.sentence, "yellow"))
    if found.recalibration.helps:
        yield Text.assemble(("Fit       ", "bold"), found.recalibration.sentence or "")
    if found.recalibration.warning:
        yield Text.assemble(("Fit       ", "bold yellow"), (found.recalibration.warning, "yellow"))
    if found.model.site:
        yield Text(f"Tested with the calibration of the site {found.model.site}.")


def recalibrated(found: UnlabelledMetrics) -> Iterator[RenderableType]:
    """What a recalibration to radiographs without labels came to, and what it leaves open."""
    said = [f"{found.n:,} radiographs; no label was looked at"]
    said += [f"{found.overlap.found:,} left out, since the model was made from them"] if found.overlap.found else []
    yield f"{'; '.join(said)}."
    for name, own in found.fitted.items():
        yield f"{percent(own.called)} are called {name}, before and after."
    if found.outliers:
        yield f"{percent(found.outliers.refused)} would be refused as unlike the training set."
    yield Text.assemble(("Fit       ", "bold"), found.recalibration.sentence or "")
    yield Text.assemble(("Open      ", "bold yellow"), (found.recalibration.warning or "", "yellow"))


def kept(found: Recalibration, folder: Path) -> Iterator[RenderableType]:
    """Where a recalibrated bundle lies, and how it is used."""
    bundle = folder / "recalibrated.plainfilm"
    if found.helps is False:
        yield Text.assemble(("Fit       ", "bold"), found.sentence or "")
    if found.site is None:
        yield f"Recalibrated model: {bundle}"
    else:
        yield f"Kept for the site {found.site}; elsewhere the model answers as before."
        yield following("predict", bundle, "FILE", "--site", found.site)


def _lower(drop: Estimate, *, in_percent: bool) -> str:
    if not drop.is_known:
        return ""
    factor, form = (100, "+.1f") if in_percent else (1, "+.3f")
    value, low, high = (f"{factor * end:{form}}" for end in (drop.value, drop.low, drop.high))
    return f"{value} ({low} to {high})"


def _left_out(found: ExternalMetrics) -> Iterator[Text]:
    overlap, left_out = found.overlap, found.left_out
    labels = [f"{name} {n:,}" for name, n in left_out.labels.items()]
    labels += [f"no label {left_out.without_label:,}"] if left_out.without_label else []
    if labels:
        told = "Left out, since their labels stand for no class of the model"
        if found.findings:
            told = "Not tested, since they are no findings of the model, or nothing is known"
        yield Text(f"{told}: {', '.join(labels)}.")
    if overlap.found:
        yield Text(
            f"Left out, since the model was made from them: {overlap.found:,} radiographs; see overlap.csv.",
            style="yellow",
        )
    elif not overlap.searched and not found.data.own_test_part:
        yield Text(f"Not searched for radiographs that the model was made from. {overlap.not_searched}", style="yellow")
    if found.missing_classes:
        yield Text(
            f"{'Not stated' if found.findings else 'Missing'} here: {', '.join(found.missing_classes)}.", style="yellow"
        )


def metric_table(run: RunMetrics) -> Rows:
    """All metrics of what was kept for testing beside the validation set's."""
    parts = (run.test, run.splits["validation"])
    return Rows(
        ["", f"{WHERE[run.tested]} (95 % interval)", "validation"],
        [[LABELS[name], *(_metric(name, part) for part in parts)] for name in LABELS],
    )


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Rows:
    """The confusion matrix; rows are the truth."""
    counted = [[name, *(f"{count:,}" for count in row)] for name, row in zip(classes, matrix, strict=True)]
    return Rows(["truth \\ called", *classes], counted, right=True)


def findings(run: RunMetrics) -> Rows:
    """Each finding by itself: how many have it, its threshold, AUROC, sensitivity and specificity; and all together."""
    rows = [
        _finding(name, own.splits[run.tested], own.threshold, own.audit.verdict if own.audit else "")
        for name, own in (run.findings or {}).items()
    ]
    return _of_findings(rows, run.test.micro)


def findings_elsewhere(found: ExternalMetrics) -> Rows:
    """Give the same on external data, with the verdict there."""
    rows = [
        _finding(name, own.splits.external, own.threshold, own.transportability.verdict)
        for name, own in (found.findings or {}).items()
    ]
    return _of_findings(rows, found.external.micro)


def _finding(name: str, test: Metrics, threshold: float | None, verdict: str) -> list[str]:
    present = sum(test.confusion_matrix[1]) if test.confusion_matrix else 0
    cut = MISSING if threshold is None else f"{threshold:.3f}"
    calls = (_metric(each, test) for each in _OF_SOURCES[1:])
    return [name, f"{present:,} of {test.n:,}", _narrow(test.auroc), verdict, cut, *calls]


def _of_findings(rows: list[list[str]], micro: Micro | None) -> Rows:
    if micro:
        calls = [percent(micro.sensitivity), percent(micro.specificity)]
        rows.append(["all together", f"{micro.n:,} pairs", _narrow(micro.auroc), "", "", *calls])
    area, *others = (LABELS[name] for name in _OF_SOURCES)
    headings = ["finding", "have it", area, "verdict", "threshold", *others]
    told = [at for at, name in enumerate(headings) if name != "verdict" or any(row[at] for row in rows)]
    return Rows([headings[at] for at in told], [[row[at] for at in told] for row in rows])


def compared(found: Comparison) -> Rows:
    """Recipes side by side."""
    table = [
        {
            "recipe": each.recipe,
            "accuracy": _share(each.accuracy.mean),
            "spread": f"{_share(each.accuracy.low, unit='')} to {_share(each.accuracy.high)}",
            "AUROC": decimal(each.auroc.mean),
            "stability": decimal(each.stability),
            "seconds": f"{each.seconds:.1f}",
            **(
                {"worst left out": decimal(each.left_out.worst.mean), "mean": decimal(each.left_out.mean.mean)}
                if each.left_out
                else {}
            ),
        }
        for each in found.recipes
    ]
    return tables.of(table, columns=list(table[0]))


def tuned(found: Search) -> Iterator[Any]:
    """The best trial of a search beside the recipes that come with plainfilm, and what its number is worth."""
    best, where = found.best, _SCORED_ON[found.choice.rank] if found.choice else "on validation"
    shown: dict[str, TrialResult] = {f"best, trial {best.number}{best.recipe and ': '}{best.recipe}": best}
    shown |= {each.recipe: each for each in found.starts if each.number != best.number}
    yield tables.of(
        [
            {
                where: name,
                "log loss": f"{each.log_loss:.4f}",
                "standard error": f"{each.standard_error:.4f}",
                "accuracy": _share(each.accuracy),
                "AUROC": decimal(each.auroc),
            }
            for name, each in shown.items()
        ],
        columns=(where, "log loss", "standard error", "accuracy", "AUROC"),
    )
    yield ""
    if found.choice and found.choice.sources:
        yield Rows(
            ["chosen by the other sources", "trial", "AUROC there"],
            [[name, own.recipe, decimal(own.auroc)] for name, own in found.choice.sources.items()],
        )
        yield ""
    yield Text.assemble(("Best      ", "bold"), _recipe_line(best.settings))
    mattered = [each.title for each in found.importances if each.share > each.by_chance]
    if found.importances:
        yield Text.assemble(("Mattered  ", "bold"), ", ".join(mattered) or "nothing more than chance would have it")
    if found.choice:
        yield Text.assemble(("AUROC     ", "bold"), found.choice.sentence)
    yield Text.assemble(("Worth     ", "bold yellow"), (found.worth, "yellow"))


def _share(value: float | None, unit: str = " %") -> str:
    return MISSING if value is None else f"{100 * value:.1f}{unit}"


def _recipe_line(settings: Mapping[str, Setting]) -> str:
    layers, loss = settings["head.layers"], str(settings["training.loss"]).replace("_", " ")
    head = ", ".join(layers if isinstance(layers, tuple) else ()) or "the last Dense alone"
    rate, batch = settings["training.learning_rate"], settings["training.batch_size"]
    return f"{settings['backbone.name']}; {head}; {settings['training.optimizer']} {rate:g}, batches of {batch}, {loss}"


def outline(values: Mapping[str, Any], indent: int = 0) -> Iterator[Text]:
    """Nested values as indented lines; what is not known, or holds nothing, is left out."""
    for name, value in values.items():
        if value is None or value == {}:
            continue
        label = f"{' ' * indent}{name.replace('_', ' ') if not indent else name}"
        if isinstance(value, Mapping) and not {"value", "low", "high"} <= value.keys():
            yield Text(label, style="bold" if not indent else "")
            yield from outline(value, indent + 2)
        else:
            yield Text.assemble((f"{label:<24} ", "dim"), _in_a_line(value))


def _in_a_line(value: Any) -> str:
    """Write a value of JSON for people: an estimate with its interval, of an object its name, or its values."""
    match value:
        case {"value": _, "low": _, "high": _}:
            return number(Estimate(**value))
        case {"name": name}:
            return str(name)
        case Mapping():
            return "; ".join(map(_in_a_line, value.values()))
        case list():
            return ", ".join(map(_in_a_line, value))
        case float():
            return f"{value:.4g}"
    return str(value)


def finding(one: Finding) -> Text:
    """One line of the doctor's."""
    found = one.found if one.ok else f"{one.found}. {one.advice}"
    return Text.assemble(
        ("ok    " if one.ok else "WRONG ", "green" if one.ok else "bold red"),
        (f"{one.name:<28}", ""),
        (found, "dim" if one.ok else ""),
    )


def cached(found: Cache) -> Iterator[Rows | Text | str]:
    """What the cache holds in a table, and what was taken away with what is lost."""
    for own in found.pruned:
        yield f"Taken away: {_entries(own.entries)} of {own.name}, {size(own.bytes)}. Lost: {own.lost}."
    if found.in_use:
        yield f"Left, since a process uses them: {_entries(found.in_use)}."
    rows = [
        {
            "kind": own.name,
            "entries": f"{own.entries:,}",
            "size": size(own.bytes),
            "last used": f"{own.newest_use[:10]}",
            "oldest": f"{own.oldest_use[:10]}",
            "what": own.what,
        }
        for own in found.kinds
    ]
    if rows:
        yield tables.of(rows, columns=list(rows[0]))
    limit = "any size" if found.limit is None else f"{size(found.limit)} at most"
    yield Text(f"{found.path}: {size(found.bytes)}; may take {limit} (--limit)", style="dim")
    if kept := [own.name for own in found.kinds if own.only_by_name]:
        yield Text(f"Taken away only where they are named with --kind: {', '.join(kept)}", style="dim")


def _entries(count: int) -> str:
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"


def size(count: int) -> str:
    """Say bytes in a unit that fits."""
    value, units = float(count), iter(("B", "kB", "MB", "GB"))
    for unit in units:
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def weights_table(listed: Sequence[BackboneWeights]) -> Iterator[Rows | Text]:
    """Backbones in a table, then where the weights come from and their hashes."""
    yield tables.of(
        [documents.plain(row) for row in listed], columns=["name", "features", "scaling", "licence", "present"]
    )
    for row in listed:
        yield Text.assemble("\n", (row.name, "bold"))
        yield Text(f"  from     {row.source}")
        if row.digest:
            yield Text(f"  states   {row.digest}")
        if row.sha256:
            yield Text(f"  here     {row.path}\n           sha256:{row.sha256}")
