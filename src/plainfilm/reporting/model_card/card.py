"""The model card (Markdown) and the sheets of CLAIM 2024 and TRIPOD+AI (a page), both filled from what a run recorded.

Nothing here computes a result: a value that was not recorded is said to be missing, an item without a value stays open.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

import plainfilm
from plainfilm import NOTICE
from plainfilm.data import corrections
from plainfilm.data.provenance import kept_columns
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation import source_baseline
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import page, report_data
from plainfilm.reporting.checklists.checklist import Checklist, ChecklistRow, fill
from plainfilm.reporting.checklists.claim import CLAIM
from plainfilm.reporting.checklists.item import ANCHORS
from plainfilm.reporting.checklists.tripod import TRIPOD
from plainfilm.reporting.formatting import MISSING
from plainfilm.reporting.model_card import results_sections, sections
from plainfilm.reporting.model_card.markdown import table, text
from plainfilm.reporting.run_facts import Card, Known

__all__ = ["Card", "Checklist", "Known", "checklists", "checklists_page", "checklists_text", "describe", "model_card"]

_SECTIONS = {
    "What it is": sections.identity,
    "Intended use": sections.use,
    "Must not be used for": sections.misuse,
    "Performance, and what it is worth": results_sections.performance,
    "Data": sections.data,
    "Training": sections.training,
    "Subgroups": results_sections.subgroups,
    "Calibration and threshold": sections.calibration,
    "Limits": sections.limits,
    "Checks that could not run": sections.not_run,
    "Versions": sections.versions,
    "How to repeat it": sections.repeat,
}


def describe(
    store: Store,
    *,
    rule: source_baseline.SourceRule,
    title: str,
    folder: str,
    recipe: Recipe,
    repeat: Sequence[str],
    folds: Sequence[Store] = (),
) -> Card:
    """Take from a store what a card needs beside `metrics.json` and the manifest; no file name, nothing of any patient.

    Parameters
    ----------
    store
        What the model was made from.
    rule
        The source rule, for its table of classes by source.
    title, folder
        Heading, and name of the run folder.
    recipe
        Without paths of this machine.
    repeat
        Commands.
    folds
        The store under each split of a cross-validation, which took no notice of its own.
    """
    by_split, by_source = report_data.tables(store, rule, folds)
    tested = folds[0] if folds else store
    patients, unknown = report_data.known_patients(store)
    return Card(
        title=title,
        folder=folder,
        by_split=by_split,
        by_source=by_source,
        patients=patients,
        without_patient=unknown,
        groups=len(np.unique(store.group)),
        split=_split(tested),
        recorded={name: _recorded(values) for name, values in store.provenance.items()},
        problems=report_data.problems(store) if "problems" in store.attributes else None,
        left_out=int(store.attributes["left_out"]) if "left_out" in store.attributes else None,
        duplicates=report_data.duplicate_counts(tested),
        recipe=recipe,
        repeat=tuple(repeat),
        corrected=[made.sentence for made in corrections.made_in(store.attributes)],
        kept=kept_columns(store.attributes),
    )


def model_card(known: Known) -> str:
    """Write the model card in Markdown."""
    head = [f"# Model card: {text(known.card.title)}", f"**{NOTICE}**"]
    head.append(
        "Filled by plainfilm from what the run recorded. What was not recorded is said, and nothing is assumed."
    )
    body = [f"## {title}\n\n{write(known)}" for title, write in _SECTIONS.items()]
    lists = [f"- {each.name}: {each.summary}" for each in checklists(known)]
    body.append("## Reporting checklists\n\n" + "\n".join(lists) + "\n\nItem by item: checklists.html, checklists.md.")
    return "\n\n".join([*head, *body]) + "\n"


def checklists(known: Known) -> tuple[Checklist, Checklist]:
    """Fill CLAIM 2024 (44 items) and TRIPOD+AI (27 items, 52 with their parts) from the same values as `model_card`.

    An item is "answered" only where its value stands in what is given; the rest is "partly", "open" or, with its
    reason, "not applicable".

    References
    ----------
    Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300. Collins et al., BMJ 2024;385:e078378.
    """
    return fill(CLAIM, known), fill(TRIPOD, known)


def checklists_text(known: Known) -> str:
    """Write both lists in Markdown, to be filled further: an item that the run does not know says so."""
    parts = [f"# Reporting checklists: {text(known.card.title)}",
             "Filled by plainfilm from what the run recorded. The wording is ours: read the published list before you send one in."]  # fmt: skip
    for each in checklists(known):
        parts += [
            f"## {each.name}",
            f"{each.full_name}. {each.citation}, https://doi.org/{each.doi}",
            f"{each.summary}.",
        ]
        for section, rows in each.sections.items():
            cells = [(row.number, text(row.asked), row.status, *_answer(row)) for row in rows]
            parts += [f"### {section}", table(("No.", "Asked", "Status", "Evidence of this run", "You write"), cells)]
    return "\n\n".join(parts) + "\n"


def _answer(row: ChecklistRow) -> tuple[str, str]:
    known = "The run does not know." if row.evidence == MISSING else text(row.evidence)
    return known, text(row.write)


def checklists_page(known: Known) -> str:
    """Write both lists as one HTML page, to stand beside report.html, whose sections it links."""
    values = {
        "report": {
            "title": known.card.title,
            "folder": known.card.folder,
            "created": known.about.created,
            "version": known.about.versions.get("plainfilm", plainfilm.__version__),
        },
        "lists": checklists(known),
        "anchors": ANCHORS,
        "verdict": known.verdict,
    }
    return page.render("checklists.html", values)


def _split(store: Store) -> Literal["given", "made", "by date"] | None:
    noted = str(store.attributes.get("split", ""))
    if noted == "given" or int(store.attributes.get("leaking_images", 0)):
        return "given"
    if noted == "by date":
        return "by date"
    return "made" if noted == "made" else None


def _recorded(values: np.ndarray[Any, np.dtype[Any]]) -> int:
    return int(np.isfinite(values).sum() if values.dtype.kind == "f" else (values != "").sum())
