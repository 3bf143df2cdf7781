"""What a run answers about its evaluation and results; a verdict of the audit stands beside every accuracy."""

from typing import Any

from plainfilm.reporting.checklists.item import Answer
from plainfilm.reporting.formatting import LABELS, isolated, number, triple
from plainfilm.reporting.run_facts import Known, count_of, estimate, has_interval, inside

OPEN = Answer("open")
_CORE = ("accuracy", "sensitivity", "specificity", "auroc")


def measures(known: Known) -> Answer:
    """Which metrics were computed."""
    found = _names(known)
    return Answer("answered", f"{', '.join(found)}.", "result") if found else OPEN


def evaluation(known: Known) -> Answer:
    """Which measures and plots: ranking, calibration, utility."""
    test = known.tested
    kinds = {
        "discrimination": _value(test.get("auroc")),
        "calibration": _value(test.get("brier")),
        "utility": bool(inside(known.metrics, "utility")),
    }
    lacking = [name for name, there in kinds.items() if not there]
    if {"discrimination", "calibration"} <= set(lacking):
        return OPEN
    text = f"{', '.join(_names(known))}; curves and reliability{'' if lacking else ', and a decision curve'}."
    if lacking:
        return Answer("partly", text, "curves", f"Why there is nothing on {' and '.join(lacking)}.")
    return Answer("answered", text, "curves")


def uncertainty(known: Known) -> Answer:
    """How uncertainty is given: intervals by group, no tests."""
    test = known.tested
    held = [has_interval(test.get(name)) for name in _CORE]
    if not any(held):
        return OPEN
    text = "95 % intervals, rows of one patient or copy counted as one draw: Wilson for shares, DeLong for AUROC."
    if not all(held):
        lacking = ", ".join(LABELS[name] for name, there in zip(_CORE, held, strict=True) if not there)
        return Answer("partly", text, "result", f"Why there is no interval of {lacking}.")
    return Answer("answered", f"{text} No significance test was made.", "result")


def robustness(known: Known) -> Answer:
    """Probes kept from the lungs, and sources left out. A check that could not run leaves the item open in part."""
    probes = inside(known.audit, "probes")
    if not probes or not known.verdict:
        return OPEN
    text = f"{count_of(len(probes), 'probe')} that see only parts of the image. Verdict: {known.verdict}."
    if known.not_run:
        names = ", ".join(str(each.get("check", "")) for each in known.not_run)
        return Answer(
            "partly", f"{text} Could not run: {names}.", "why", "What follows from the checks that could not run."
        )
    return Answer("answered", text, "why")


def internal(known: Known) -> Answer:
    """The test part of the same data."""
    test = known.tested
    accuracy = estimate("accuracy", test.get("accuracy"))
    if not accuracy:
        return OPEN
    text = f"{count_of(int(test['n']), 'image')} of the {known.where}: accuracy {accuracy}."
    if known.leaks:
        return Answer("partly", f"{text} The split leaks.", "result", "A test on images that the model has not seen.")
    return Answer("answered", text, "result")


def external(known: Known) -> Answer:
    """Data from elsewhere; sources left out of training within the audit are not that."""
    if found := known.external():
        return Answer("answered", f"Scored: {', '.join(map(isolated, found))}.", "result")
    return OPEN


def performance(known: Known) -> Answer:
    """The numbers with their intervals, and the verdict."""
    test = known.tested
    if not _value(test.get("accuracy")):
        return OPEN
    complete = has_interval(test.get("accuracy")) and has_interval(test.get("auroc"))
    return Answer(
        "answered" if complete else "partly", f"{_numbers(known, ('accuracy', 'auroc'))} {_verdict(known)}", "result"
    )


def diagnostic(known: Known) -> Answer:
    """Sensitivity and specificity with their intervals."""
    test = known.tested
    names = ("sensitivity", "specificity", "ppv", "npv")
    if not any(_value(test.get(name)) for name in names):
        return OPEN
    complete = all(has_interval(test.get(name)) for name in names)
    return Answer("answered" if complete else "partly", f"{_numbers(known, names)} {_verdict(known)}", "result")


def by_subgroup(known: Known) -> Answer:
    """Performance with intervals, of subgroups too."""
    whole = performance(known)
    if whole.status == "open":
        return OPEN
    if not inside(known.metrics, "subgroups"):
        return Answer(
            "partly",
            whole.evidence,
            "result",
            "Performance of subgroups, such as women and men, children and adults: this run did not measure it.",
        )
    return Answer(whole.status, f"{whole.evidence} Subgroups stand in the report.", "subgroups")


def fairness(known: Known) -> Answer:
    """Subgroups were measured; nothing was done to make them equal."""
    if not inside(known.metrics, "subgroups"):
        return OPEN
    return Answer("partly", "Performance of subgroups was measured; nothing was done to even it out.", "subgroups")


def clusters(known: Known) -> Answer:
    """Performance on each source when it is left out of training."""
    found = known.left_out_sources()
    if not found:
        return OPEN
    each = "; ".join(
        f"{' and '.join(isolated(str(name)) for name in one.get('sources') or ('?',))} {estimate('auroc', one.get('auroc'))}"
        for one in found[:6]
    )
    return Answer("answered", f"AUROC with one source left out of training: {each}.", "sources")


def failures(known: Known) -> Answer:
    """How many answers were wrong, and which; why is for someone who can read a radiograph."""
    matrix = known.tested.get("confusion_matrix") or []
    wrong = sum(n for truth, row in enumerate(matrix) for called, n in enumerate(row) if truth != called)
    if not matrix:
        return OPEN
    text = f"{count_of(wrong, 'wrong answer')} of {count_of(sum(map(sum, matrix)), 'image')}; the surest are shown."
    return Answer("partly", text if wrong else f"No image of the {known.where} was answered wrongly.", "mistakes")


def limitations(known: Known) -> Answer:
    """What the audit found against the accuracy."""
    reasons = [each for each in known.audit.get("reasons") or () if isinstance(each, dict)]
    if not known.verdict:
        return OPEN
    text = f"Verdict: {known.verdict}; {count_of(len(reasons), 'reason')} and {count_of(len(known.not_run), 'check')} that could not run."
    return Answer("partly", text, "limits")


def _value(metric: Any) -> bool:
    return number(triple(metric)[0]) is not None


def _names(known: Known) -> list[str]:
    test = known.tested
    return [label for name, label in LABELS.items() if _value(test.get(name))]


def _numbers(known: Known, names: tuple[str, ...]) -> str:
    test = known.tested
    written = [f"{LABELS[name]} {estimate(name, test.get(name))}" for name in names if _value(test.get(name))]
    return f"{', '.join(written)}."


def _verdict(known: Known) -> str:
    return f"Verdict of the audit: {known.verdict}." if known.verdict else "The audit did not run."
