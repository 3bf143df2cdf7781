"""The results of a model card in Markdown: the verdict before the numbers, the reasons behind them, and subgroups."""

from plainfilm.reporting.formatting import LABELS, count
from plainfilm.reporting.model_card.markdown import bullets, name, table, text
from plainfilm.reporting.run_facts import Known, estimate
from plainfilm.reporting.tables.audit import worst_first
from plainfilm.results.audit import Audit, FindingVerdict, Probe, Reason
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import Metrics

NOT_RECORDED = "Not recorded."
NO_AUDIT = "The audit did not run on this model, so nothing here says what its accuracy is worth."
_SHOWN = ("accuracy", "sensitivity", "specificity", "auroc")
_SEEN = {
    "everything": "everything",
    "lungs": "only the lungs",
    "no lungs": "no lungs",
    "objects": "only foreign objects inside the lungs",
    "framing": "only where the lungs lie",
    "coarse": "too little for a radiologist",
    "no image": "no image at all",
}


def performance(known: Known) -> str:
    """The verdict first, then the numbers with their intervals, then what speaks against them."""
    test, validation, audit = known.test, known.metrics.splits["validation"], known.metrics.audit
    heads = ("Metric", f"{known.where.capitalize()}, n = {count(test.n)}", f"Validation, n = {count(validation.n)}")
    rows = [(label, *(_written(each, part) for part in (test, validation))) for each, label in LABELS.items()]
    parts = [
        worth(known),
        table(heads, rows, numbers=True),
        "In brackets: 95 % intervals; images of one patient, and copies, count as one draw. "
        "Threshold and calibration were chosen on validation."
        + (" An unsure answer counts here as one that is not positive." if known.metrics.may_be_unsure else ""),
        _findings(known) if known.metrics.findings else _per_class(test),
        _confusion(known),
        _openings(known.metrics.test_openings),
        *([_reasons(audit), _probes(audit)] if audit else []),
    ]
    return "\n\n".join(filter(None, parts))


def worth(known: Known) -> str:
    """Say what the accuracy is worth: the verdict of the audit with its sentence, or that there is none."""
    audit = known.metrics.audit
    if audit:
        return f"> **Verdict of the audit: {text(audit.verdict)}.** {text(audit.sentence)}".rstrip()
    return f"> **{NO_AUDIT}** {text(known.metrics.worth.sentence)}"


def subgroups(known: Known) -> str:
    """Performance of each subgroup, of findings for each finding, or that none is recorded."""
    rows = [
        (*map(name, filter(None, (of, kind, group))), count(found.n), *(_written(each, found) for each in _SHOWN))
        for of, measured in known.metrics.by_subgroup.items()
        for kind, groups in measured.kinds.items()
        for group, found in (groups or {}).items()
    ]
    if rows:
        of = ("Finding",) if all(known.metrics.by_subgroup) else ()
        return table((*of, "By", "Group", "n", *(LABELS[each] for each in _SHOWN)), rows)
    return f"{NOT_RECORDED} Whether it does as well for women and men, children and adults, is not known."


def _written(metric: str, of: object) -> str:
    found: Estimate = getattr(of, metric)
    return estimate(metric, found) or "not defined"


def _per_class(test: Metrics) -> str:
    rows = [
        (name(each), *(_written(metric, found) for metric in _SHOWN[1:]))
        for each, found in (test.per_class or {}).items()
    ]
    return table(("Class against the others", *(LABELS[each] for each in _SHOWN[1:])), rows) if rows else ""


def _findings(known: Known) -> str:
    """Each finding by itself, with what speaks against it."""
    rows = []
    for each, own in (known.metrics.findings or {}).items():
        found = own.splits[known.metrics.tested]
        at = "each fold's" if own.threshold is None else f"{own.threshold:.3f}"
        verdict = text(own.audit.verdict) if own.audit else "not audited"
        rows.append((name(each), count(found.n), at, *(_written(metric, found) for metric in _SHOWN[1:]), verdict))
    heads = ("Finding", "n", "Threshold", *(LABELS[each] for each in _SHOWN[1:]), "Verdict")
    note = "The metrics above are means over the findings, each on the radiographs of which it is known."
    return f"{note}\n\n{table(heads, rows)}"


def _confusion(known: Known) -> str:
    if not known.test.confusion_matrix:
        return ""
    classes = known.metrics.classes
    called = (f"called {name(each)}" for each in classes)
    rows = [
        (name(truth), *(f"{n:,}" for n in row)) for truth, row in zip(classes, known.test.confusion_matrix, strict=True)
    ]
    return table((f"{known.where.capitalize()}, truth", *called), rows, numbers=True)


def _openings(openings: int | None) -> str:
    if not openings:
        return "How often the test set was opened is not recorded."
    return "The test set was opened once." if openings == 1 else f"The test set has been opened {openings} times."


def _reasons(audit: Audit) -> str:
    return f"Reasons of the audit:\n\n{bullets(map(_reason, audit.reasons))}" if audit.reasons else ""


def _reason(each: Reason) -> str:
    return f"**{text(each.verdict)}**: {' '.join(filter(None, map(text, (each.sentence, each.advice))))}"


def _probes(audit: Audit) -> str:
    if audit.findings:
        return _probes_of_findings(audit)
    if not audit.probes:
        return ""
    rows = [_probe(each) for each in sorted(audit.probes.values(), key=_area, reverse=True)]
    yours = (f"**{text(audit.compared_with.is_)}**", "everything", _written("auroc", audit.compared_with))
    return table(("What classifies", "Sees", "AUROC"), [yours, *rows])


def _probes_of_findings(audit: Audit) -> str:
    """Tabulate the AUROC of each probe for each finding, the one with the worst verdict first."""
    each = worst_first(audit)
    titles = {key: (probe.title, probe.sees) for _, own in each for key, probe in own.probes.items()}

    def written(own: FindingVerdict, key: str) -> str:
        return estimate("auroc", own.probes[key].auroc) if key in own.probes else ""

    rows = [
        (text(title), _SEEN[sees], *(written(own, key) for _, own in each)) for key, (title, sees) in titles.items()
    ]
    yours = (
        f"**{text(audit.compared_with.is_)}**",
        "everything",
        *(estimate("auroc", own.auroc or UNDEFINED) for _, own in each),
    )
    return table(("What classifies", "Sees", *(f"AUROC, {name(own)}" for own, _ in each)), [yours, *rows])


def _area(probe: Probe) -> float:
    _, auroc = probe.worst
    return auroc.value if auroc.is_known else -1.0


def _probe(each: Probe) -> tuple[str, str, str]:
    name, auroc = each.worst
    return (
        text(each.title),
        _SEEN[each.sees],
        (estimate("auroc", auroc) or "not defined") + (f" for {text(name)}" if name else ""),
    )
