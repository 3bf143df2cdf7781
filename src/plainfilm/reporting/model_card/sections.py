"""The sections of a model card in Markdown, each from what is known; what was not recorded is said."""

from collections.abc import Mapping

from plainfilm.data.problem_words import meaning
from plainfilm.reporting.checklists import data_answers, model_answers
from plainfilm.reporting.formatting import LABELS, count, date, decimal, percent, seconds
from plainfilm.reporting.model_card.markdown import bullets, fenced, name, table, text
from plainfilm.reporting.model_card.results_sections import NOT_RECORDED
from plainfilm.reporting.run_facts import Known, class_weight, count_of, estimate, leaking
from plainfilm.reporting.tables.three_answers import PARTS
from plainfilm.reporting.view_model import Counts
from plainfilm.results.manifest import WeightsOrigin
from plainfilm.results.task import NO_FINDING

_COLUMNS_SHOWN = 20


def identity(known: Known) -> str:
    """What it is."""
    metrics, about = known.metrics, known.about
    classes, size = ", ".join(map(name, metrics.classes)), about.preprocessing.input_size
    stored, kind = about.preprocessing.image_size, "finding" if metrics.findings else "class"
    version = about.versions.get("plainfilm")
    facts = {
        "Task": f"chest radiograph to which of {len(metrics.classes)} findings it has, each told by itself: {classes}; {NO_FINDING} is the absence of all"
        if metrics.findings
        else f"chest radiograph to one of {len(metrics.classes)} classes: {classes}",
        "Positive class": name(metrics.positive) if metrics.positive is not None else "",
        "Backbone": f"{name(about.backbone.name)}, {model_answers.trained_part(known)}",
        "Input": f"one image, gray, {size} × {size} px, from images kept at {stored} × {stored} px",
        "Output": f"a calibrated probability of each {kind}"
        if metrics.is_calibrated
        else f"a score of each {kind}, from 0 to 1: not calibrated",
        "Made": text(date(about.created)),
        "Made with": f"plainfilm {text(version)}" if version else "",
    }
    return _facts(facts)


def use(known: Known) -> str:
    """What it is for."""
    stated = text(known.about.intended_use)
    ours = "To study what a classifier learns from these data, and whether its accuracy would hold elsewhere."
    return bullets(line for line in (stated, ours) if line)


def misuse(known: Known) -> str:
    """What it must not be used for."""
    lines = [
        "Diagnosis, triage, screening or treatment of any person, alone or as an aid.",
        "Images that are no chest radiographs, or that were taken or processed in another way than those below.",
        "Images of hospitals other than those below: it was not tested on any.",
    ]
    if known.verdict == "not to be believed":
        lines.append("Any claim that it sees disease: the audit says that its accuracy is not to be believed.")
    return bullets(lines)


_SPLITS = {
    "given": "given with the data",
    "made": "made at random, each class in its share",
    "by date": "by date: later studies are the test set, of patients without earlier ones; the rest at random",
}


def data(known: Known) -> str:
    """Counts by class, part and source; patients, split, files left out."""
    card = known.card
    tables = [_counts(each) for each in (card.by_split, card.by_source)]
    facts = {
        "Images": count(known.metrics.data.images),
        "Patients": _patients(known),
        "Patients or unrelated images": count(card.groups),
        "Split": (f"{known.metrics.folds} folds, " if known.metrics.folds else "") + _SPLITS.get(card.split or "", ""),
        "Earlier and later": text(known.metrics.in_time.sentence) if known.metrics.in_time else "",
        "Parts are disjoint": text(data_answers.disjoint(known).evidence),
        "Labels corrected": "; ".join(map(text, card.corrected)),
        "Files left out": "" if card.left_out is None else f"{card.left_out:,}",
        "Recorded of images": ", ".join(
            f"{name(each)} {n:,}" for each, n in list(card.recorded.items())[:_COLUMNS_SHOWN]
        ),
        "Columns kept as they are, as was asked": ", ".join(map(name, card.kept)),
        "Fingerprint": text(known.about.data_fingerprint),
    }
    reasons = [f"{text(group.code)} ({group.count:,}): {meaning(group.code)}" for group in card.problems or ()]
    twins = card.duplicates
    parts = [_facts(facts), *tables, f"Duplicates: {count_of(twins.exact, 'exact pair')}, {count_of(twins.near, 'near pair')}; {count_of(twins.conflicts, 'image')} left out for two labels on one image."]  # fmt: skip
    if reasons:
        parts.append("Left out or flagged when the files were read:\n\n" + bullets(reasons))
    return "\n\n".join(parts)


def training(known: Known) -> str:
    """Recipe, backbone, seed."""
    backbone, took, recipe = known.about.backbone, known.metrics.seconds, known.card.recipe
    written = [text(each) for each in model_answers.trained_with(known)]
    written += [f"class weight {text(class_weight(recipe, known.metrics))}", f"kept {model_answers.kept(known)}"]
    facts = {
        "Recipe": name(recipe.name),
        "Seed": text(recipe.seed),
        "Backbone": name(backbone.name),
        "Backbone's weights": f"SHA-256 {text(backbone.weights_sha256)}",
        **{f"Licence of {name(each.backbone)}": _licence(each) for each in backbone.origins},
        "Features computed in": str(known.metrics.encoded or ""),
        "Head": text(model_answers.layers(known)),
        "Head trained with": ", ".join(written),
        "Preprocessing": text(model_answers.preprocessing(known).evidence),
        "Time": seconds(took.training) if took else "",
    }
    return _facts(facts)


def _licence(origin: WeightsOrigin) -> str:
    """Name a licence with its text's place, where the weights came from, and what to cite."""
    revision = f" at {text(origin.revision)}" if origin.revision else ""
    parts = [text(str(origin)) + revision, f"cite {text(origin.cites)}" if origin.cites else ""]
    return f"{'; '.join(filter(None, parts))}. This file holds the weights: the licence goes with them"


def calibration(known: Known) -> str:
    """Calibration, threshold, and how far probabilities are from what is observed."""
    test, threshold = known.test, known.metrics.threshold
    rule = text(model_answers.threshold_rule(known))
    facts = {
        "Calibrated": _calibrated(known),
        "Threshold": f"{decimal(threshold)}, {rule}" if threshold is not None else "",
        **_three_answers(known),
        **_by_patient(known),
        **_of_findings(known),
        f"Brier score, {known.where}": estimate("brier", test.brier),
        f"ECE, {known.where}": estimate("ece", test.ece),
    }
    examined = "Predictive values over prevalence and the decision curve stand in report.html."
    unknown = "Predictive values at other prevalences, and clinical utility, were not examined."
    told = examined if known.metrics.utility else unknown
    lines = "\n\n".join(filter(None, (_calibration(known), text(test.heavy))))
    return (
        f"{_facts(facts)}\n\n{lines}\n\n{told} PPV and NPV hold for the share of the classes in the {known.where} only."
    )


def _of_findings(known: Known) -> dict[str, str]:
    """Say of each finding what two thresholds promise and came to, and how several films become one answer."""
    told, part = {}, known.metrics.tested
    for each, own in (known.metrics.findings or {}).items():
        if own.three_answers:
            held = own.three_answers.splits[part].sentence
            told[f"Three answers, {name(each)}"] = text(
                f"{own.three_answers.sentence} {known.where.capitalize()}: {held}"
            )
        if own.by_patient:
            told[f"By patient, {name(each)}"] = text(own.by_patient.sentence)
    return told


def _by_patient(known: Known) -> dict[str, str]:
    """Say how several films become one answer, and what that is worth; nothing where the model does not know how."""
    found = known.metrics.by_patient
    if found is None:
        return {}
    own = found.splits[known.metrics.tested]
    return {
        "By patient": text(found.sentence),
        **{f"{LABELS[name]} by patient, {known.where}": estimate(name, own.estimates[name]) for name in _BY_PATIENT},
    }


_BY_PATIENT = ("sensitivity", "specificity", "auroc")


def _three_answers(known: Known) -> dict[str, str]:
    """Say what two thresholds promise, and what they come to on the tested set; nothing where there is one."""
    three = known.metrics.three_answers
    if three is None:
        return {}
    measured = three.splits[known.metrics.tested]
    return {
        "Three answers": text(three.sentence),
        **{f"{label}, {known.where}": estimate("accuracy", measured.estimates[name]) for name, label in PARTS.items()},
        f"Held, {known.where}": text(measured.sentence),
    }


def _calibrated(known: Known) -> str:
    """Say whether probabilities hold, and where."""
    if not known.metrics.is_calibrated:
        return "not calibrated: the probabilities hold at no stated prevalence"
    positive, shares = known.metrics.positive, known.about.prevalence
    share = shares.get(positive) if positive is not None else None
    where = "" if share is None else f": the probabilities hold where {100 * share:.0f} % are {name(positive)}"
    return f"slope and intercept, fitted on validation{where}" if known.metrics.calibrated else f"yes{where}"


def _calibration(known: Known) -> str:
    """Tabulate mean probability, share, intercept and slope of each set and class."""
    sets = ((known.where.capitalize(), known.test), ("Validation", known.metrics.splits["validation"]))
    rows = [
        (
            label,
            name(each),
            *(estimate("accuracy", share) for share in (own.mean_probability, own.share)),
            *(estimate("auroc", line) or "not defined" for line in (own.intercept, own.slope)),
        )
        for label, metrics in sets
        for each, own in metrics.calibrations(known.metrics.positive).items()
    ]
    heads = ("Set", "Finding" if known.metrics.findings else "Class", "Mean probability", "Share", "Calibration intercept (0 is best)", "Calibration slope (1 is best)")  # fmt: skip
    return table(heads, rows, numbers=True) if rows else ""


def limits(known: Known) -> str:
    """What the numbers cannot say."""
    audit, openings, leaks = known.metrics.audit, known.metrics.test_openings or 0, known.card.duplicates.leaks
    told = {
        "It was not tested on data from elsewhere.": True,
        "Only one source is known, so nothing tells the disease from the hospital.": len(known.sources) == 1,
        "Patients are not known for all images, so one may stand in two parts.": not known.patients_known,
        f"The given split leaks: {leaking(leaks)}.": leaks > 0,
        f"The test set was opened {openings} times; choices may have come to fit it.": openings > 1,
        "Performance of subgroups is not known.": not known.subgroups,
        "The labels are taken as they came with the data; nobody read the images again.": not known.card.corrected,
        "The labels are taken as they came with the data, but for those that were corrected or confirmed; the others were not read again.": bool(
            known.card.corrected
        ),
        "The audit did not run.": not known.verdict,
    }
    lines = [line for line, holds in told.items() if holds]
    if alone := _sources_of_one_class(known):
        names = ", ".join(map(name, alone))
        lines.insert(0, f"Sources with one class only, where knowing the hospital is enough: {names}.")
    if audit and audit.lungs_found is not None and audit.lungs_found < 1:
        lines.append(f"Lungs were found in {percent(audit.lungs_found)} of the images that the audit looked at.")
    return bullets(lines)


def not_run(known: Known) -> str:
    """Checks that could not run; none of them counts as passed."""
    if known.metrics.audit is None:
        return "None of the audit's checks ran."
    lines = [f"{text(each.check)}: {text(each.reason)}" for each in known.metrics.audit.not_run]
    return bullets(lines) + "\n\nNone of these counts as passed." if lines else "Every check of the audit ran."


def versions(known: Known) -> str:
    """Software and versions."""
    backend = {"keras computes with": str(known.about.backend)} if known.about.backend else {}
    return _facts({name(each): text(version) for each, version in {**known.about.versions, **backend}.items()})


def repeat(known: Known) -> str:
    """Commands and recipe, as they are."""
    commands, recipe = fenced("\n".join(known.card.repeat), "sh"), fenced(known.card.recipe.to_toml(), "toml")
    return f"{commands}\n\nRecipe, every value resolved:\n\n{recipe}"


def _facts(values: Mapping[str, str]) -> str:
    rows = [(label, value) for label, value in values.items() if value]
    return table(("What", "Value"), rows) if rows else NOT_RECORDED


def _counts(counts: Counts) -> str:
    rows: list[tuple[object, ...]] = [
        (name(row), *(f"{n:,}" for n in numbers), f"{sum(numbers):,}")
        for row, numbers in zip(counts.rows, counts.counts, strict=True)
    ]
    if counts.adds_up:
        rows.append(("total", *(f"{sum(column):,}" for column in zip(*counts.counts, strict=True)), f"{sum(map(sum, counts.counts)):,}"))  # fmt: skip
    return table(
        (f"{counts.row_label} by {counts.column_label}", *map(name, counts.columns), "total"), rows, numbers=True
    )


def _patients(known: Known) -> str:
    if not known.card.patients:
        return "not known: the data do not say"
    unknown = known.card.without_patient
    return count(known.card.patients) + (f", and {count_of(unknown, 'image')} of unknown patients" if unknown else "")


def _sources_of_one_class(known: Known) -> list[str]:
    table = known.card.by_source
    if len(table.columns) < 2:
        return []
    return [
        source
        for source, column in zip(table.columns, zip(*table.counts, strict=True), strict=True)
        if sum(n > 0 for n in column) == 1
    ]
