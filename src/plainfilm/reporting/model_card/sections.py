"""The sections of a model card in Markdown, each from what is known; what was not recorded is said."""

from collections.abc import Mapping

from plainfilm.reporting.checklists import data_answers, model_answers
from plainfilm.reporting.formatting import count, date, decimal, number, percent, seconds
from plainfilm.reporting.model_card.markdown import bullets, fenced, name, table, text
from plainfilm.reporting.model_card.results_sections import NOT_RECORDED
from plainfilm.reporting.run_facts import Known, count_of, estimate, inside
from plainfilm.reporting.view_model import Counts

_COLUMNS_SHOWN = 20


def identity(known: Known) -> str:
    """What it is."""
    backbone, made = inside(known.about, "backbone"), inside(known.about, "preprocessing")
    classes = ", ".join(map(name, known.classes))
    facts = {
        "Task": f"chest radiograph to one of {len(known.classes)} classes: {classes}" if classes else "",
        "Positive class": name(known.positive) if known.positive is not None else "",
        "Backbone": f"{name(backbone['name'])}, frozen" if backbone.get("name") else "",
        "Input": f"one image, gray, {made['input_size']} × {made['input_size']} px" if made.get("input_size") else "",
        "Output": "a calibrated probability of each class" if _calibrated(known) else "a probability of each class",
        "Made": text(date(str(known.about.get("created") or ""))),
        "Made with": f"plainfilm {text(known.versions['plainfilm'])}" if known.versions.get("plainfilm") else "",
    }
    return _facts(facts)


def use(known: Known) -> str:
    """What it is for."""
    stated = text(known.about.get("intended_use") or "")
    ours = "To study what a classifier learns from these data, and whether its accuracy would hold elsewhere."
    return bullets(line for line in (stated, ours) if line)


def misuse(known: Known) -> str:
    """What it must not be used for."""
    lines = [
        "Diagnosis, triage, screening or treatment of any person, alone or as an aid.",
        "Images that are no chest radiographs, or that were taken or processed in another way than those below.",
    ]
    if not known.external():
        lines.append("Images of hospitals other than those below: it was not tested on any.")
    if known.verdict == "not to be believed":
        lines.append("Any claim that it sees disease: the audit says that its accuracy is not to be believed.")
    return bullets(lines)


def data(known: Known) -> str:
    """Counts by class, part and source; patients, split, files left out."""
    card = known.card
    tables = [_counts(each) for each in (card.by_split, card.by_source) if each is not None and each.rows]
    facts = {
        "Images": count(known.images) if known.images is not None else "",
        "Patients": _patients(known),
        "Patients or unrelated images": count(card.groups) if card.groups is not None else "",
        "Split": {"given": "given with the data", "made": "made at random, each class in its share"}.get(
            card.split or "", ""
        ),
        "Parts are disjoint": text(data_answers.disjoint(known).evidence),
        "Files left out": "" if card.left_out is None else f"{card.left_out:,}",
        "Recorded of images": ", ".join(
            f"{name(each)} {n:,}" for each, n in list(card.recorded.items())[:_COLUMNS_SHOWN]
        ),
        "Fingerprint": text(
            known.about.get("data_fingerprint") or inside(known.metrics, "data").get("fingerprint") or ""
        ),
    }
    reasons = [f"{text(group.code)} ({group.count:,}): {text(group.sentence)}" for group in card.problems or ()]
    parts = [_facts(facts), *(tables or ["Counts by class, part and source are not recorded."])]
    if card.duplicates is not None:
        twins = card.duplicates
        parts.append(f"Duplicates: {count_of(twins.exact, 'exact pair')}, {count_of(twins.near, 'near pair')}; {count_of(twins.conflicts, 'image')} left out for two labels on one image.")  # fmt: skip
    if reasons:
        parts.append("Left out or flagged when the files were read:\n\n" + bullets(reasons))
    return "\n\n".join(parts)


def training(known: Known) -> str:
    """Recipe, backbone, seed."""
    backbone, took = inside(known.about, "backbone"), inside(known.metrics, "seconds")
    settings = ("optimizer", "learning_rate", "batch_size", "epochs", "loss", "class_weight", "keep")
    written = [f"{each.replace('_', ' ')} {text(known.setting('training', each))}" for each in settings if known.setting("training", each)]  # fmt: skip
    facts = {
        "Recipe": name(known.recipe["name"]) if known.recipe.get("name") else "",
        "Seed": text(known.recipe["seed"]) if "seed" in known.recipe else "",
        "Backbone": name(backbone["name"]) if backbone.get("name") else "",
        "Backbone's weights": f"SHA-256 {text(backbone['weights_sha256'])}" if backbone.get("weights_sha256") else "",
        "Head": text(known.setting("head", "layers")),
        "Head trained with": ", ".join(written),
        "Preprocessing": text(model_answers.preprocessing(known).evidence),
        "Time": seconds(took["training"]) if number(took.get("training")) is not None else "",
    }
    return _facts(facts)


def calibration(known: Known) -> str:
    """Temperature, threshold, and how far probabilities are from what is observed."""
    test, temperature = known.tested, number(known.metrics.get("temperature"))
    threshold, rule = number(known.metrics.get("threshold")), text(model_answers.threshold_rule(known))
    facts = {
        "Temperature": f"{temperature:.2f}" if temperature is not None else "",
        "Threshold": ", ".join(filter(None, (decimal(threshold), rule))) if threshold is not None else "",
        f"Brier score, {known.where}": estimate("brier", test.get("brier")),
        f"ECE, {known.where}": estimate("ece", test.get("ece")),
    }
    examined = "Predictive values over prevalence and the decision curve stand in report.html."
    unknown = "Predictive values at other prevalences, and clinical utility, were not examined."
    told = examined if inside(known.metrics, "utility") else unknown
    return f"{_facts(facts)}\n\n{told} PPV and NPV hold for the share of the classes in the {known.where} only."


def limits(known: Known) -> str:
    """What the numbers cannot say."""
    openings = number(known.metrics.get("test_openings")) or 0
    leaking = count_of(known.leaks, "image")
    told = {
        "It was not tested on data from elsewhere.": not known.external(),
        "Only one source is known, so nothing tells the disease from the hospital.": len(known.sources) == 1,
        "Sources are not recorded.": not known.sources,
        "Patients are not known for all images, so one may stand in two parts.": not known.patients_known,
        f"The given split leaks: {leaking} share a patient or a copy with another part.": known.leaks > 0,
        f"The test part was opened {int(openings)} times; choices may have come to fit it.": openings > 1,
        "Performance of subgroups is not known.": not inside(known.metrics, "subgroups"),
        "The labels are taken as they came with the data; nobody read the images again.": True,
        "The audit did not run.": not known.verdict,
    }
    lines = [line for line, holds in told.items() if holds]
    if alone := _sources_of_one_class(known):
        names = ", ".join(map(name, alone))
        lines.insert(0, f"Sources with one class only, where knowing the hospital is enough: {names}.")
    lungs = number(known.audit.get("lungs_found"))
    if lungs is not None and lungs < 1:
        lines.append(f"Lungs were found in {percent(lungs)} of the images that the audit looked at.")
    return bullets(lines)


def not_run(known: Known) -> str:
    """Checks that could not run; none of them counts as passed."""
    if not known.verdict:
        return "None of the audit's checks ran."
    lines = [f"{text(each.get('check', '?'))}: {text(each.get('reason', ''))}" for each in known.not_run]
    return bullets(lines) + "\n\nNone of these counts as passed." if lines else "Every check of the audit ran."


def versions(known: Known) -> str:
    """Software and versions."""
    return _facts({name(each): text(version) for each, version in known.versions.items()})


def repeat(known: Known) -> str:
    """Commands and recipe, as they are."""
    parts = [fenced("\n".join(known.card.repeat), "sh") if known.card.repeat else "No command is recorded."]
    parts.append(f"Recipe, every value resolved:\n\n{fenced(known.card.recipe, 'toml')}" if known.card.recipe else "No recipe is recorded.")  # fmt: skip
    return "\n\n".join(parts)


def _facts(values: Mapping[str, str]) -> str:
    rows = [(label, value) for label, value in values.items() if value]
    return table(("What", "Value"), rows) if rows else NOT_RECORDED


def _counts(counts: Counts) -> str:
    rows: list[tuple[object, ...]] = [
        (name(row), *(f"{n:,}" for n in numbers), f"{sum(numbers):,}")
        for row, numbers in zip(counts.rows, counts.counts, strict=True)
    ]
    rows.append(("total", *(f"{sum(column):,}" for column in zip(*counts.counts, strict=True)), f"{sum(map(sum, counts.counts)):,}"))  # fmt: skip
    return table(
        (f"{counts.row_label} by {counts.column_label}", *map(name, counts.columns), "total"), rows, numbers=True
    )


def _patients(known: Known) -> str:
    if known.card.patients is None:
        return ""
    if not known.card.patients:
        return "not known: the data do not say"
    unknown = known.card.without_patient
    return count(known.card.patients) + (f", and {count_of(unknown, 'image')} of unknown patients" if unknown else "")


def _sources_of_one_class(known: Known) -> list[str]:
    table = known.card.by_source
    if table is None or len(table.columns) < 2:
        return []
    return [
        source
        for source, column in zip(table.columns, zip(*table.counts, strict=True), strict=True)
        if sum(n > 0 for n in column) == 1
    ]


def _calibrated(known: Known) -> bool:
    temperature = number(known.metrics.get("temperature"))
    return temperature is not None and temperature != 1
