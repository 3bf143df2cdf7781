"""The folder of doubtful labels: relabel.csv, all labels in the order of doubt; relabel.html, the first with pictures; relabel.json."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import plainfilm
from plainfilm.data import corrections
from plainfilm.data.store import Store
from plainfilm.evidence.relabelling.doubts import SURE
from plainfilm.evidence.relabelling.listing import Listing, Listings
from plainfilm.harmless import write_table
from plainfilm.reporting import environment, page
from plainfilm.reporting.view_model import Counts, Picture
from plainfilm.results import documents
from plainfilm.results.relabelling import Beside, FilmBeside, Relabelling

TABLE = "relabel.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """A label on the page: its place in the table, file, label, what it looks like and why, probabilities by class, and pictures."""

    place: int
    file: str
    label: str
    suggested: str
    is_copy: bool
    chances: Sequence[tuple[str, float]]
    pictures: Sequence[Picture]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelabelPage:
    """All that the page shows."""

    title: str
    created: str
    version: str
    folder: str
    result: Relabelling
    counted: Counts
    films: Sequence[Doubted]
    asked: Sequence[tuple[str, str]]
    repeat: Sequence[str]


def write(
    folder: Path,
    store: Store,
    found: Listings,
    beside: Sequence[Sequence[int]],
    result: Relabelling,
    *,
    name: str,
    command: str,
) -> None:
    """Write the files into an empty folder, which will be called `name`; `beside` has the rows to show beside each film."""
    write_table(folder / TABLE, _table(store, found))
    (folder / "relabel.json").write_bytes(documents.encode(result, indent=1))
    shown = RelabelPage(
        title=f"Doubtful labels of {store.shown}",
        created=environment.now(),
        version=plainfilm.__version__,
        folder=name,
        result=result,
        counted=_counts(result),
        films=[_film(found, at, rows) for at, rows in enumerate(beside)],
        asked=[
            ("Store", store.shown),
            ("Labelled radiographs", f"{result.images:,}"),
            ("Features of", result.encoder),
            ("Cross-validations", f"{result.repeats} of {result.folds} folds, by patient"),
        ],
        repeat=[command] if command else [],
    )  # fmt: skip
    page.write(folder, "relabel.html", page.render("relabel.html", {"report": shown, "sure": SURE}), {})


def _counts(result: Relabelling) -> Counts:
    """Count radiographs by label and what they are counted to; of several findings a row each."""
    if not result.findings:
        return Counts(
            row_label="label", column_label="class of the like", rows=result.classes, columns=result.classes, counts=result.counted
        )  # fmt: skip
    each = [own.counted for own in result.findings.values()]
    return Counts(
        row_label="finding",
        column_label="label",
        rows=list(result.findings),
        columns=["absent", "absent, looks present", "present", "present, looks absent"],
        counts=[(*absent, present[1], present[0]) for absent, present in each],
    )


def _table(store: Store, found: Listings) -> Iterator[list[object]]:
    of_findings = store.task == "findings"
    chances = ["probability"] if of_findings else [f"probability {name}" for name in store.classes]
    yield [corrections.FILE, *([corrections.FINDING] if of_findings else []), corrections.LABEL, "suggested", corrections.CORRECTION, corrections.BY,
           "doubtful", "doubt", *chances, "copy", "source", "split", corrections.SHA256, corrections.STORE]  # fmt: skip
    whole, listings = corrections.identity(store), list(found.each.items())
    files, sources, parts, digests = store.file, store.source, store.split, store.sha256
    for number, place in found.order.tolist():
        finding, own = listings[number]
        told, row = found.stores[finding], int(own.rows[place])
        suggested, copy, chance = own.suggested[place], own.copy[place], own.probabilities[place]
        yield [
            str(files[row]),
            *([finding] if of_findings else []),
            told.classes[told.labels[row]],
            told.classes[suggested] if suggested >= 0 else "",
            "",
            "",
            "yes" if suggested >= 0 else "no",
            f"{own.doubt[place]:.4f}",
            *(f"{each:.4f}" for each in (chance[1:] if of_findings else chance)),
            str(files[copy]) if copy >= 0 else "",
            str(sources[row]),
            str(parts[row]),
            str(digests[row]),
            whole,
        ]


def films_beside(found: Listings, beside: Sequence[Sequence[int]]) -> tuple[Beside, ...]:
    """Say of each label on the page which films stand beside it."""
    told = []
    for at, rows in enumerate(beside):
        finding, own, place, store = _listed(found, at)
        captions = _captions(store, rows, is_copy=own.copy[place] >= 0)
        films = [
            FilmBeside(sha256=str(store.sha256[row]), caption=text) for row, text in zip(rows, captions, strict=True)
        ]
        told.append(Beside(sha256=str(store.sha256[own.rows[place]]), finding=finding, films=tuple(films)))
    return tuple(told)


def _listed(found: Listings, at: int) -> tuple[str, Listing, int, Store]:
    """Find the label at a place of the order of doubt: its finding, its listing and place there, and the store."""
    number, place = found.order[at].tolist()
    finding, own = list(found.each.items())[number]
    return finding, own, place, found.stores[finding]


def _captions(store: Store, rows: Sequence[int], *, is_copy: bool) -> list[str]:
    what = "Its copy" if is_copy else "Nearest"
    return [f"{what}: {store.classes[store.labels[row]]}" for row in rows]


def _film(found: Listings, at: int, beside: Sequence[int]) -> Doubted:
    _, own, place, store = _listed(found, at)
    row, copy = int(own.rows[place]), int(own.copy[place])
    label, suggested = store.classes[store.labels[row]], store.classes[own.suggested[place]]
    captions = [f"This film: {label}", *_captions(store, beside, is_copy=copy >= 0)]
    rows = [row, *beside]
    return Doubted(
        place=at + 1,
        file=str(store.file[row]),
        label=label,
        suggested=suggested,
        is_copy=copy >= 0,
        chances=list(zip(store.classes, own.probabilities[place].tolist(), strict=True)),
        pictures=[
            Picture(pixels=image, caption=text) for image, text in zip(store.pictures(rows), captions, strict=True)
        ],
    )
