"""What a run answers about its data. Each function takes what is known, and answers only what stands there."""

from plainfilm.reporting.checklists.item import ItemAnswer
from plainfilm.reporting.formatting import isolated
from plainfilm.reporting.run_facts import PARTS, Known, count_of, leaking
from plainfilm.reporting.view_model import Counts

OPEN = ItemAnswer("open")
DEMOGRAPHIC = ("sex", "age")
ACQUIRED = ("view", "manufacturer", "model")
_SHOWN = 6  # names in a sentence


def sources(known: Known) -> ItemAnswer:
    """Where the images come from: names and counts; who gathered them, and how, is not in a file."""
    shown = ", ".join(isolated(name) for name in known.sources[:_SHOWN])
    more = f" and {len(known.sources) - _SHOWN} more" if len(known.sources) > _SHOWN else ""
    return ItemAnswer("partly", f"{count_of(len(known.sources), 'source')}: {shown}{more}.", "data")


def eligibility(known: Known) -> ItemAnswer:
    """Which files were left out, by reason; clinical criteria are not in a file."""
    found = _left_out(known)
    return ItemAnswer("partly", found, "data") if found else OPEN


def missing(known: Known) -> ItemAnswer:
    """What was missing: files left out, and images without a value of the columns that the data bring."""
    found = _left_out(known)
    if not found:
        return OPEN
    return ItemAnswer("partly", f"{found} Images without a label are not used. Nothing was imputed.", "data")


def subset(known: Known) -> ItemAnswer:
    """Which part of an image is used; whether the images are a selection is not in them."""
    means = {"stretch": "The whole image, stretched to a square", "crop": "The middle square of each image", "pad": "The whole image, padded to a square"}  # fmt: skip
    return ItemAnswer("partly", f"{means[known.about.preprocessing.fit]}; no region is chosen by hand.", "data")


def deidentified(known: Known) -> ItemAnswer:
    """How identifiers of patients are kept; nothing is known of names inside pictures and file names."""
    if not known.card.patients:
        return OPEN
    text = f"The store keeps {count_of(known.card.patients, 'patient')} as salted hashes"
    if kept := known.card.kept:
        names = ", ".join(map(isolated, kept))
        text = f"{text}, and as they are, as was asked, columns that may tell who somebody is: {names}."
    else:
        text = f"{text} and no other identifier of them."
    return ItemAnswer("partly", text, "data")


def acquisition(known: Known) -> ItemAnswer:
    """What the files say of how they were taken."""
    held = {name: n for name, n in known.card.recorded.items() if name in ACQUIRED and n > 0}
    return ItemAnswer("partly", f"Recorded: {_columns(known, held)}.", "data") if held else OPEN


def partitions(known: Known) -> ItemAnswer:
    """How images came to train, validation and test."""
    table = known.card.by_split
    if not _total(table):
        return OPEN
    text = f"{_by_part(table)}."
    if folds := known.metrics.folds:
        dealt = f"Cross-validation: dealt at random to {folds} folds, each tested by a classifier of the others, whose validation set is a part of these."
        together = "Patients and duplicates kept together, each class in its share."
        return ItemAnswer("answered", f"{dealt} {together} {text}", "data")
    if known.card.split == "made":
        dealt = "Dealt at random, patients and duplicates kept together, each class in its share."
        return ItemAnswer("answered", f"{dealt} {text}", "data")
    if known.card.split == "by date":
        dealt = "Temporal: later studies of patients without earlier ones are the test set; training and validation were dealt of the others at random, patients and duplicates kept together."
        return ItemAnswer("answered", f"{dealt} {text}", "data")
    if known.card.split == "given":
        return ItemAnswer(
            "partly", f"The split came with the data. {text}", "data", "Who split the data, how, and why so."
        )
    return ItemAnswer("partly", text, "data", "How the split was made: this store does not say.")


def disjoint(known: Known) -> ItemAnswer:
    """At which level the parts are disjoint: patient, or image with its duplicates."""
    if leaks := known.card.duplicates.leaks:
        text = f"Not disjoint: {leaking(leaks, ' of the given split')}."
        return ItemAnswer("partly", text, "data", "Why the parts overlap, or a new run on a split without leaks.")
    if known.patients_known:
        return ItemAnswer(
            "answered", "By patient: a patient's images, and copies of an image, stand in one part.", "data"
        )
    unknown = known.card.without_patient
    of = f"{unknown:,} of {known.metrics.data.images:,} images"
    text = f"By image: copies of an image stand in one part, but the patient of {of} is not known."
    return ItemAnswer("partly", text, "data", "Whether a patient can stand in two parts.")


def flow(known: Known) -> ItemAnswer:
    """How many came in and how many were left out, by class; complete only where patients are known."""
    table, found = known.card.by_split, _left_out(known)
    if not _total(table):
        return OPEN
    classes = ", ".join(f"{sum(row):,} {isolated(name)}" for name, row in zip(table.rows, table.counts, strict=True))
    text = f"In: {classes}. {found}".strip()
    if known.patients_known and found:
        patients = count_of(known.card.patients, "patient")
        return ItemAnswer("answered", f"{patients}. {text}", "data")
    return ItemAnswer("partly", text, "data", "How many patients these images come from, and who was excluded before.")


def numbers(known: Known) -> ItemAnswer:
    """How many images and outcomes each step of the analysis used."""
    table = known.card.by_split
    if not _total(table):
        return OPEN
    if known.patients_known:
        return ItemAnswer("answered", f"{_by_part(table)}, of {count_of(known.card.patients, 'patient')}.", "data")
    return ItemAnswer(
        "partly", f"{_by_part(table)}. These are images.", "data", "How many participants they come from."
    )


def characteristics(known: Known) -> ItemAnswer:
    """Who the patients are, as far as sex and age are recorded."""
    held = {name: n for name, n in known.card.recorded.items() if name in DEMOGRAPHIC and n > 0}
    if not held:
        return OPEN
    anchor = "subgroups" if known.subgroups else "data"
    return ItemAnswer("partly", f"Recorded: {_columns(known, held)}.", anchor)


def compared(known: Known) -> ItemAnswer:
    """How outcome and source are spread over development and test."""
    table = known.card.by_split
    if not _total(table):
        return OPEN
    return ItemAnswer("partly", f"Outcome by part: {_by_part(table)}.", "data")


def differences(known: Known) -> ItemAnswer:
    """How the test set differs from what the model was made on."""
    if known.card.split == "made":
        return ItemAnswer("answered", "None but chance: all parts were dealt from the same images.", "data")
    if known.metrics.in_time:
        return ItemAnswer("answered", f"The test set is of later studies. {known.metrics.in_time.sentence}", "data")
    return OPEN


def quality(known: Known) -> ItemAnswer:
    """What was checked when files were read."""
    found, twins = _left_out(known), known.card.duplicates
    if not found:
        return OPEN
    pairs = f"{count_of(twins.exact, 'exact pair')} and {count_of(twins.near, 'near pair')} of duplicates, {count_of(twins.conflicts, 'image')} left out for two labels on one image."  # fmt: skip
    return ItemAnswer("partly", f"{found} {pairs}", "data")


def _left_out(known: Known) -> str:
    if known.card.problems is None or known.card.left_out is None:
        return ""
    if not known.card.left_out:
        return "No file was left out when the folder was read."
    codes = ", ".join(f"{group.code} {group.count:,}" for group in known.card.problems[:_SHOWN])
    return f"{count_of(known.card.left_out, 'file')} left out when the folder was read (left out or flagged: {codes})."


def _by_part(table: Counts) -> str:
    parts = []
    for at, part in enumerate(table.columns):
        each = ", ".join(f"{row[at]:,} {isolated(name)}" for name, row in zip(table.rows, table.counts, strict=True))
        name = f"fold {part}:" if table.column_label == "fold" else part if part in PARTS else isolated(part)
        parts.append(f"{name} {each}")
    return "; ".join(parts)


def _total(table: Counts) -> int:
    return sum(map(sum, table.counts))


def _columns(known: Known, held: dict[str, int]) -> str:
    return ", ".join(f"{name} of {n:,} of {known.metrics.data.images:,} images" for name, n in held.items())
