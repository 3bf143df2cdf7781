"""The folder of doubtful labels: relabel.csv, all labelled films in the order of doubt; relabel.html, the first with pictures; relabel.json."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import plainfilm
from plainfilm.data import corrections
from plainfilm.data.store import Store
from plainfilm.evidence.relabelling.doubts import SURE
from plainfilm.evidence.relabelling.listing import Listing
from plainfilm.harmless import write_table
from plainfilm.reporting import environment, page
from plainfilm.reporting.view_model import Counts, Picture
from plainfilm.results import documents
from plainfilm.results.relabelling import Relabelling

TABLE = "relabel.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """A film on the page: its place in the table, file, label, what it looks like and why, probabilities by class, and pictures."""

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
    found: Listing,
    beside: Mapping[int, Sequence[int]],
    result: Relabelling,
    *,
    name: str,
    command: str,
) -> None:
    """Write the files into an empty folder, which will be called `name`; `beside` has the rows to show beside each film by its row."""
    write_table(folder / TABLE, _table(store, found))
    (folder / "relabel.json").write_bytes(documents.encode(result, indent=1))
    shown = RelabelPage(
        title=f"Doubtful labels of {store.shown}",
        created=environment.now(),
        version=plainfilm.__version__,
        folder=name,
        result=result,
        counted=Counts(
            row_label="label", column_label="class of the like", rows=store.classes, columns=store.classes, counts=result.counted
        ),
        films=[_film(store, found, place, beside) for place in range(result.shown)],
        asked=[
            ("Store", store.shown),
            ("Labelled radiographs", f"{result.images:,}"),
            ("Features of", result.encoder),
            ("Cross-validations", f"{result.repeats} of {result.folds} folds, by patient"),
        ],
        repeat=[command] if command else [],
    )  # fmt: skip
    page.write(folder, "relabel.html", page.render("relabel.html", {"report": shown, "sure": SURE}), {})


def _table(store: Store, found: Listing) -> Iterator[list[object]]:
    chances = [f"probability {name}" for name in store.classes]
    yield ["file", corrections.LABEL, "suggested", corrections.CORRECTION, corrections.BY, "doubtful", "doubt", *chances, "copy", "source", "split",
           corrections.SHA256, corrections.STORE]  # fmt: skip
    whole = corrections.identity(store)
    files, sources, parts, digests = store.file, store.source, store.split, store.sha256
    for place, row in enumerate(found.rows.tolist()):
        suggested, copy = found.suggested[place], found.copy[place]
        yield [
            str(files[row]),
            store.classes[store.labels[row]],
            store.classes[suggested] if suggested >= 0 else "",
            "",
            "",
            "yes" if suggested >= 0 else "no",
            f"{found.doubt[place]:.4f}",
            *(f"{chance:.4f}" for chance in found.probabilities[place]),
            str(files[copy]) if copy >= 0 else "",
            str(sources[row]),
            str(parts[row]),
            str(digests[row]),
            whole,
        ]


def _film(store: Store, found: Listing, place: int, beside: Mapping[int, Sequence[int]]) -> Doubted:
    row, copy = int(found.rows[place]), int(found.copy[place])
    label, suggested = store.classes[store.labels[row]], store.classes[found.suggested[place]]
    rows = [row, copy] if copy >= 0 else [row, *beside[row]]
    told = ["This film", "Its copy"] if copy >= 0 else ["This film", *["Nearest"] * (len(rows) - 1)]
    captions = [f"{what}: {store.classes[store.labels[each]]}" for what, each in zip(told, rows, strict=True)]
    return Doubted(
        place=place + 1,
        file=str(store.file[row]),
        label=label,
        suggested=suggested,
        is_copy=copy >= 0,
        chances=list(zip(store.classes, found.probabilities[place].tolist(), strict=True)),
        pictures=[
            Picture(pixels=image, caption=text) for image, text in zip(store.pictures(rows), captions, strict=True)
        ],
    )
