"""What a run answers about its evaluation and results; a verdict of the audit stands beside every accuracy."""

from plainfilm.reporting.checklists.item import ItemAnswer
from plainfilm.reporting.formatting import LABELS, isolated
from plainfilm.reporting.run_facts import Known, count_of, estimate, has_interval
from plainfilm.reporting.tables.metrics import wrong_answers

OPEN = ItemAnswer("open")
_SHOWN = 6  # sources
_CORE = ("accuracy", "sensitivity", "specificity", "auroc")


def measures(known: Known) -> ItemAnswer:
    """Which metrics were computed."""
    found = _names(known)
    return ItemAnswer("answered", f"{', '.join(found)}.", "result") if found else OPEN


def evaluation(known: Known) -> ItemAnswer:
    """Which measures and plots: ranking, calibration, utility."""
    test = known.test
    kinds = {
        "discrimination": test.auroc.is_known,
        "calibration": test.brier.is_known,
        "utility": known.metrics.utility is not None,
    }
    lacking = [name for name, there in kinds.items() if not there]
    if {"discrimination", "calibration"} <= set(lacking):
        return OPEN
    text = f"{', '.join(_names(known))}; curves and reliability{'' if lacking else ', and a decision curve'}."
    if lacking:
        return ItemAnswer("partly", text, "curves", f"Why there is nothing on {' and '.join(lacking)}.")
    return ItemAnswer("answered", text, "curves")


def uncertainty(known: Known) -> ItemAnswer:
    """How uncertainty is given: intervals by group; the tests between subgroups, where there are any."""
    held = [has_interval(known.test.estimates[name]) for name in _CORE]
    if not any(held):
        return OPEN
    text = "95 % intervals, rows of one patient or copy counted as one draw: Wilson for shares, DeLong for AUROC."
    if not all(held):
        lacking = ", ".join(LABELS[name] for name, there in zip(_CORE, held, strict=True) if not there)
        return ItemAnswer("partly", text, "result", f"Why there is no interval of {lacking}.")
    return ItemAnswer("answered", f"{text} {_tests(known)}", "result")


def _tests(known: Known) -> str:
    """Say which significance tests were made; of several findings each has its own."""
    made = sum(len(own.interactions) for own in known.metrics.by_subgroup.values())
    if not made:
        return "No significance test was made."
    holm = "corrected for their number (Holm)" + (", those of all findings together" if known.metrics.findings else "")
    return f"{count_of(made, 'test')} whether a metric is the same in all subgroups, {holm}."


def robustness(known: Known) -> ItemAnswer:
    """Probes kept from the lungs, and sources left out. A check that could not run leaves the item open in part."""
    audit = known.metrics.audit
    if audit is None or not audit.probes:
        return OPEN
    text = f"{count_of(len(audit.probes), 'probe')} that see only parts of the image. Verdict: {audit.verdict}."
    if audit.not_run:
        names = ", ".join(each.check for each in audit.not_run)
        return ItemAnswer(
            "partly", f"{text} Could not run: {names}.", "why", "What follows from the checks that could not run."
        )
    return ItemAnswer("answered", text, "why")


def internal(known: Known) -> ItemAnswer:
    """The test set of the same data."""
    accuracy = estimate("accuracy", known.test.accuracy)
    if not accuracy:
        return OPEN
    text = f"{count_of(known.test.n, 'image')} of the {known.where}: accuracy {accuracy}."
    if known.card.duplicates.leaks:
        return ItemAnswer(
            "partly", f"{text} The split leaks.", "result", "A test on images that the model has not seen."
        )
    return ItemAnswer("answered", text, "result")


def performance(known: Known) -> ItemAnswer:
    """The numbers with their intervals, and the verdict."""
    if not known.test.accuracy.is_known:
        return OPEN
    complete = has_interval(known.test.accuracy) and has_interval(known.test.auroc)
    return ItemAnswer(
        "answered" if complete else "partly", f"{_numbers(known, ('accuracy', 'auroc'))} {_verdict(known)}", "result"
    )


def diagnostic(known: Known) -> ItemAnswer:
    """Sensitivity and specificity with their intervals."""
    names = ("sensitivity", "specificity", "ppv", "npv")
    if not any(known.test.estimates[name].is_known for name in names):
        return OPEN
    complete = all(has_interval(known.test.estimates[name]) for name in names)
    return ItemAnswer("answered" if complete else "partly", f"{_numbers(known, names)} {_verdict(known)}", "result")


def sample_size(known: Known) -> ItemAnswer:
    """How many were tested and what twice as many would give; what was aimed at is not known."""
    found = known.metrics.sample_size
    if found is None:
        return OPEN
    return ItemAnswer(
        "partly",
        f"{count_of(found.groups, 'patient or unrelated image', 'patients and unrelated images')} tested. {found.sentence}",
        "sample-size",
    )


def by_subgroup(known: Known) -> ItemAnswer:
    """Performance with intervals, of subgroups too."""
    whole = performance(known)
    if whole.status == "open":
        return OPEN
    if not known.subgroups:
        return ItemAnswer(
            "partly",
            whole.evidence,
            "result",
            "Performance of subgroups, such as women and men, children and adults: this run did not measure it.",
        )
    return ItemAnswer(whole.status, f"{whole.evidence} Subgroups stand in the report.", "subgroups")


def fairness(known: Known) -> ItemAnswer:
    """Subgroups were measured; nothing was done to make them equal."""
    if not known.subgroups:
        return OPEN
    return ItemAnswer("partly", "Performance of subgroups was measured; nothing was done to even it out.", "subgroups")


def clusters(known: Known) -> ItemAnswer:
    """Performance on each source when it is left out of training; the audit's is that of a classifier of its own."""
    audit, own = known.metrics.audit, known.metrics.left_out
    if own is not None:
        tested = [
            f"{isolated(one.name)} {text}" for one in own.sources if (text := estimate("auroc", one.metrics.auroc))
        ]
        more = f"; and {len(tested) - _SHOWN} more" if len(tested) > _SHOWN else ""
        told = f"AUROC of this recipe at each source, trained without it: {'; '.join(tested[:_SHOWN])}{more}."
        return ItemAnswer("answered", told, "left-out") if tested else OPEN
    found = [each for each in audit.sources.left_out if each.auroc.is_known] if audit else []
    if not found:
        return OPEN
    each = "; ".join(
        f"{' and '.join(map(isolated, one.sources))} {estimate('auroc', one.auroc)}" for one in found[:_SHOWN]
    )
    text = f"AUROC of a classifier of the audit's own, not of the model, with one source left out of training: {each}."
    return ItemAnswer(
        "partly", text, "sources", "The performance of the model itself at each hospital: train it with --folds source."
    )


def failures(known: Known) -> ItemAnswer:
    """How many answers were wrong, and which; why is for someone who can read a radiograph."""
    matrix = known.test.confusion_matrix
    wrong = wrong_answers(matrix)
    if not matrix:
        return OPEN
    text = f"{count_of(wrong, 'wrong answer')} of {count_of(sum(map(sum, matrix)), 'image')}; the surest are shown."
    return ItemAnswer("partly", text if wrong else f"No image of the {known.where} was answered wrongly.", "mistakes")


def limitations(known: Known) -> ItemAnswer:
    """What the audit found against the accuracy."""
    audit = known.metrics.audit
    if audit is None:
        return OPEN
    text = f"Verdict: {audit.verdict}; {count_of(len(audit.reasons), 'reason')} and {count_of(len(audit.not_run), 'check')} that could not run."
    return ItemAnswer("partly", text, "limits")


def _names(known: Known) -> list[str]:
    return [label for name, label in LABELS.items() if known.test.estimates[name].is_known]


def _numbers(known: Known, names: tuple[str, ...]) -> str:
    found = {name: estimate(name, known.test.estimates[name]) for name in names}
    written = [f"{LABELS[name]} {text}" for name, text in found.items() if text]
    return f"{', '.join(written)}."


def _verdict(known: Known) -> str:
    return f"Verdict of the audit: {known.verdict}." if known.verdict else "The audit did not run."
