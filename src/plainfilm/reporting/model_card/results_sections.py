"""The results of a model card in Markdown: the verdict before the numbers, the reasons behind them, and subgroups."""

from collections.abc import Iterable, Mapping
from typing import Any

from plainfilm.reporting.formatting import LABELS, count, number, triple
from plainfilm.reporting.model_card.markdown import bullets, name, table, text
from plainfilm.reporting.run_facts import Known, estimate, inside

NOT_RECORDED = "Not recorded."
NO_AUDIT = "The audit did not run on this model, so nothing here says what its accuracy is worth."
_SHOWN = ("accuracy", "sensitivity", "specificity", "auroc")
_SEEN = {
    "everything": "everything",
    "lungs": "only the lungs",
    "no lungs": "no lungs",
    "coarse": "too little for a radiologist",
    "no image": "no image at all",
}


def performance(known: Known) -> str:
    """The verdict first, then the numbers with their intervals, then what speaks against them."""
    parts = [worth(known)]
    test, validation = known.tested, known.part("validation")
    rows = [
        (label, _or(estimate(each, test.get(each))), _or(estimate(each, validation.get(each))))
        for each, label in LABELS.items()
        if each in test or each in validation
    ]
    if not rows:
        return "\n\n".join([*parts, f"Metrics: {NOT_RECORDED.lower()}"])
    parts.append(table(("Metric", f"{known.where.capitalize()}, n = {count(test.get('n'))}", f"Validation, n = {count(validation.get('n'))}"), rows, numbers=True))  # fmt: skip
    parts.append("In brackets: 95 % intervals; images of one patient, and copies, count as one draw. "
                 "Threshold and calibration were chosen on validation.")  # fmt: skip
    parts += [
        line
        for line in (_per_class(test), _confusion(known), _openings(known), _reasons(known), _probes(known))
        if line
    ]
    return "\n\n".join(parts)


def worth(known: Known) -> str:
    """Say what the accuracy is worth: the verdict of the audit with its sentence, or that there is none."""
    sentence = text(known.audit.get("sentence") or "")
    if known.verdict:
        return f"> **Verdict of the audit: {text(known.verdict)}.** {sentence}".rstrip()
    ruled = text(inside(known.metrics, "worth").get("sentence") or "")
    return f"> **{NO_AUDIT}**{' ' + ruled if ruled else ''}"


def subgroups(known: Known) -> str:
    """Performance of each subgroup, or that none is recorded."""
    found = inside(known.metrics, "subgroups")
    rows = [
        (
            name(column),
            name(group),
            count(_whole(values.get("n"))),
            *(_or(estimate(each, values.get(each))) for each in _SHOWN),
        )
        for column, groups in found.items()
        if isinstance(groups, Mapping)
        for group, values in groups.items()
        if isinstance(values, Mapping)
    ]
    if rows:
        return table(("By", "Group", "n", *(LABELS[each] for each in _SHOWN)), rows)
    return "They stand in report.html." if found else f"{NOT_RECORDED} Whether it does as well for women and men, children and adults, is not known."  # fmt: skip


def _or(written: str) -> str:
    return written or "not defined"


def _whole(value: Any) -> int | None:
    known = number(value)
    return None if known is None else int(known)


def _per_class(test: Mapping[str, Any]) -> str:
    rows = [
        (name(each), *(_or(estimate(metric, values.get(metric))) for metric in _SHOWN[1:]))
        for each, values in inside(test, "per_class").items()
    ]
    return table(("Class against the others", *(LABELS[each] for each in _SHOWN[1:])), rows) if rows else ""


def _confusion(known: Known) -> str:
    matrix = known.tested.get("confusion_matrix") or []
    if len(matrix) != len(known.classes):
        return ""
    called = (f"called {name(each)}" for each in known.classes)
    rows = [(name(truth), *(f"{n:,}" for n in row)) for truth, row in zip(known.classes, matrix, strict=True)]
    return table(("Test part, truth", *called), rows, numbers=True)


def _openings(known: Known) -> str:
    openings = number(known.metrics.get("test_openings"))
    if not openings:
        return "How often the test part was opened is not recorded."
    return (
        "The test part was opened once." if openings == 1 else f"The test part has been opened {int(openings)} times."
    )


def _reasons(known: Known) -> str:
    lines = [_reason(each) for each in known.audit.get("reasons") or () if isinstance(each, Mapping)]
    return f"Reasons of the audit:\n\n{bullets(lines)}" if lines else ""


def _reason(each: Mapping[str, Any]) -> str:
    said = [text(each.get(part) or "") for part in ("sentence", "advice")]
    return f"**{text(each.get('verdict') or '')}**: {' '.join(part for part in said if part)}"


def _probes(known: Known) -> str:
    probes, yours = inside(known.audit, "probes"), inside(known.audit, "model")
    rows = [_probe(key, each) for key, each in _by_area(probes) if isinstance(each, Mapping)]
    if not rows:
        return ""
    if yours:
        rows.insert(
            0, (f"**{text(yours.get('is') or 'the model')}**", "everything", _or(estimate("auroc", yours.get("auroc"))))
        )
    return table(("What classifies", "Sees", "AUROC"), rows)


def _probe(key: str, each: Mapping[str, Any]) -> tuple[str, str, str]:
    sees = str(each.get("sees") or "")
    return text(each.get("title") or key), text(_SEEN.get(sees, sees)), _or(estimate("auroc", each.get("auroc")))


def _by_area(probes: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    def area(pair: tuple[str, Any]) -> float:
        found = number(triple(pair[1].get("auroc"))[0]) if isinstance(pair[1], Mapping) else None
        return -1.0 if found is None else found

    return sorted(probes.items(), key=area, reverse=True)
