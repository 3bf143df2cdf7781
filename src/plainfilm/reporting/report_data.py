"""A trained run as its report wants it: tables, pictures and curves, computed from the store and the scores."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from plainfilm.data import corrections
from plainfilm.data.provenance import kept_columns, left_out_columns
from plainfilm.data.spelling import listed
from plainfilm.data.store import SPLITS, Store, members
from plainfilm.errors import StoreError
from plainfilm.evidence.evaluation import source_baseline
from plainfilm.evidence.evaluation.evaluate import Lines, Scores
from plainfilm.evidence.statistics.curves import Curves
from plainfilm.model.augmentation import alter
from plainfilm.model.classifier import Decision
from plainfilm.model.recipe_schema import AugmentationSettings, Recipe
from plainfilm.reasons import reason_of
from plainfilm.reporting.report import Curve, Reliability
from plainfilm.reporting.view_model import Counts, DuplicateCounts, Mistake, Picture, ProblemGroup
from plainfilm.results.metrics import Metrics
from plainfilm.results.predictions import UNSURE
from plainfilm.results.task import BETWEEN, combination

SAMPLES = 4
ALTERED = 3  # views shown of a training image
MISTAKES = 12
ORIGIN = ("source", "patient", "group")  # columns of predictions.csv


def tables(store: Store, rule: source_baseline.SourceRule, folds: Sequence[Store] = ()) -> list[Counts]:
    """Class × split, or × fold of a cross-validation, and class × source."""
    found, kind = members(store.targets, store.classes), "class" if store.task == "classes" else "finding"
    by_split = [list(parts.values()) for parts in store.counts().values()]
    parts = Counts(row_label=kind, column_label="split", rows=tuple(found), columns=SPLITS, counts=by_split)
    if folds:
        held = [[int(is_it[fold.rows("test")].sum()) for fold in folds] for is_it in found.values()]
        numbers = [str(number) for number in range(1, len(folds) + 1)]
        parts = Counts(row_label=kind, column_label="fold", rows=tuple(found), columns=numbers, counts=held)
    by_source = [[int((is_it & (store.source == name)).sum()) for name in rule.sources] for is_it in found.values()]
    return [
        parts,
        Counts(row_label=kind, column_label="source", rows=tuple(found), columns=rule.sources, counts=by_source),
    ]


def facts(store: Store) -> list[tuple[str, str]]:
    """Numbers that say what the data are."""
    patients, unknown = known_patients(store)
    return [
        ("Radiographs", f"{len(store):,}"),
        ("Known patients", f"{patients:,}{_apart(store)}" if patients else "none: the data do not say"),
        ("Radiographs of unknown patients", f"{unknown:,}"),
        ("Patients or unrelated images", f"{len(np.unique(store.group)):,}"),
        ("Stored at", f"{store.size} × {store.size} px ({store.attributes.get('fit', '?')})"),
        *_corrections(store),
        *_columns(store),
    ]


def origin(store: Store, row: int) -> tuple[str, str, str]:
    """Say where a row comes from, as `ORIGIN` names it: its source, its patient's salted hash, and the number of its group."""
    return str(store.source[row]), str(store.patient[row]), str(store.group[row])


def findings_heads(decision: Decision) -> list[str]:
    """Name the columns of `predicted_findings`."""
    heads = [head for name in decision.classes for head in (f"probability {name}", f"truth {name}")]
    return ["file", "split", "label", *heads, "predicted", *([UNSURE] if decision.lower_thresholds else [])]


def predicted_findings(store: Store, decision: Decision, part: str, scores: Scores) -> Iterator[list[str]]:
    """Give a line a row: beside each finding's probability the truth, 1, 0, or nothing where it is not known."""
    truths, called = store.named(scores.rows), decision.called(scores.probabilities, np.asarray(scores.threshold))
    unsure, names = scores.unsure(decision), np.array(decision.classes)
    for at, row in enumerate(scores.rows):
        pairs = zip(scores.probabilities[at], scores.labels[at], strict=True)
        cells = [cell for chance, state in pairs for cell in (f"{chance:.6f}", str(state) if state >= 0 else "")]
        open_ = [BETWEEN.join(names[unsure[at]])] if decision.lower_thresholds else []
        yield [str(store.file[row]), part, truths[at], *cells, combination(names[called[at]]), *open_]


def _corrections(store: Store) -> list[tuple[str, str]]:
    """Say which labels were corrected since they were read, and by whom."""
    return [("Labels corrected", made.sentence) for made in corrections.made_in(store.attributes)]


def known_patients(store: Store) -> tuple[int, int]:
    """Count the patients of a store, and the radiographs of unknown ones."""
    numbers = store.codes("patient")
    known = numbers[numbers >= 0]
    return int((np.bincount(known) > 0).sum()), len(numbers) - len(known)


def _columns(store: Store) -> list[tuple[str, str]]:
    """Say which columns of tables and headers the store lacks, and which it has since `--keep` named them."""
    left_out = [each.column for each in left_out_columns(store.attributes) if not each.kept]
    kept = kept_columns(store.attributes)
    told = (("Columns left out of the store", left_out), ("Columns kept as they are, as was asked", kept))
    return [(what, listed(names)) for what, names in told if names]


def _apart(store: Store) -> str:
    is_apart = store.attributes.get("patients") == "apart by source"
    return "; equal ids of two sources are two patients, as was asked (--separate-sources)" if is_apart else ""


def samples(store: Store) -> dict[str, list[Picture]]:
    """The first few training images of each class; rows are in random order, so they are a fair draw."""
    shown = {}
    for name, is_it in members(store.targets, store.classes).items():
        rows = store.rows("train")
        rows = rows[is_it[rows]][:SAMPLES]
        shown[name] = [
            Picture(pixels=image, caption=str(store.file[row]))
            for row, image in zip(rows, store.pictures(rows), strict=True)
        ]
    return shown


def altered(store: Store, recipe: Recipe) -> list[Picture]:
    """A training image of each class and views of it, as the training saw them; none without augmentation."""
    views = min(ALTERED, recipe.augmentation.views)
    shown = []
    for is_it in members(store.targets, store.classes).values() if views else ():
        rows = store.rows("train")
        rows = np.repeat(rows[is_it[rows]][:1], views + 1)
        numbers = np.arange(len(rows))
        pixels = alter(store.pictures(rows), rows, numbers, recipe.augmentation, seed=recipe.seed)
        captions = ["as it is", *(f"view {view}" for view in numbers[1:])]
        shown += [Picture(pixels=image, caption=text) for image, text in zip(pixels, captions, strict=True)]
    return shown


def altered_means(settings: AugmentationSettings) -> str:
    """How training images were altered, in a sentence; nothing without augmentation."""
    if not settings.views:
        return ""
    bounds = [
        (settings.rotation, f"turned by up to {settings.rotation:g}°"),
        (settings.shift, f"shifted by up to {100 * settings.shift:g} % of the side"),
        (settings.zoom, f"zoomed by up to {100 * settings.zoom:g} %"),
        (settings.contrast, f"contrast changed by up to {100 * settings.contrast:g} %"),
        (settings.gamma, f"gamma by up to {100 * settings.gamma:g} %"),
        (settings.noise, f"noise of up to {settings.noise:g} gray levels"),
        (settings.blur, f"blurred by up to {settings.blur:g} px"),
        (settings.cutout, f"a square of up to {100 * settings.cutout:g} % of the side made gray"),
        (settings.flip, "half of them mirrored left to right"),
    ]
    told = ", ".join(text for value, text in bounds if value)
    which = f"one of {settings.views} altered views, drawn anew" if settings.views > 1 else "its altered view"
    return f"Each epoch saw each training image as it is or in {which}: {told}."


class _Noted(msgspec.Struct):
    sentence: str
    count: int
    files: tuple[str, ...]


def problems(store: Store) -> list[ProblemGroup]:
    """What ingest left out or flagged, the commonest reason first."""
    try:
        noted = msgspec.json.decode(str(store.attributes.get("problems", "{}")), type=dict[str, _Noted])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise StoreError(
            f"Expected a whole plainfilm store; received {store.path}, whose list of problems is damaged ({reason_of(error)}). "
            "Ingest it again."
        ) from error
    made = [
        ProblemGroup(code=code, sentence=own.sentence, count=own.count, examples=own.files)
        for code, own in noted.items()
    ]
    return sorted(made, key=lambda group: -group.count)


def duplicate_counts(store: Store) -> DuplicateCounts:
    """What ingest found of duplicates."""
    number = {
        name: int(store.attributes.get(name, 0))
        for name in ("exact_duplicates", "near_duplicates", "label_conflicts", "leaking_images")
    }
    _, sizes = np.unique(store.group, return_counts=True)
    return DuplicateCounts(exact=number["exact_duplicates"], near=number["near_duplicates"], groups=int((sizes > 1).sum()),
                           conflicts=number["label_conflicts"], leaks=number["leaking_images"])  # fmt: skip


def mistakes(store: Store, scores: Scores, decision: Decision) -> list[Mistake]:
    """The wrong answers that were surest, the surest first; of findings each by itself."""
    if decision.task == "findings":
        return _mistaken_findings(store, scores, decision)
    called = decision.predict(scores.probabilities, scores.threshold)
    surety = scores.probabilities[np.arange(len(called)), called]
    wrong = np.flatnonzero(called != scores.labels)
    wrong = wrong[np.argsort(-surety[wrong], kind="stable")][:MISTAKES]
    return [
        Mistake(
            pixels=image,
            file=str(store.file[scores.rows[at]]),
            truth=decision.classes[scores.labels[at]],
            predicted=decision.classes[called[at]],
            probability=float(surety[at]),
        )
        for at, image in zip(wrong, store.pictures(scores.rows[wrong]), strict=True)
    ]


def _mistaken_findings(store: Store, scores: Scores, decision: Decision) -> list[Mistake]:
    called = decision.called(scores.probabilities, np.asarray(scores.threshold))
    surety = np.where(called, scores.probabilities, 1 - scores.probabilities)
    wrong = np.argwhere((scores.labels >= 0) & (called != (scores.labels == 1)))
    wrong = wrong[np.argsort(-surety[tuple(wrong.T)], kind="stable")][:MISTAKES]
    pictures = store.pictures(scores.rows[wrong[:, 0]])
    return [
        Mistake(
            pixels=pictures[place],
            file=str(store.file[scores.rows[row]]),
            truth=("" if not called[row, at] else "no ") + decision.classes[at],
            predicted=("no " if not called[row, at] else "") + decision.classes[at],
            probability=float(surety[row, at]),
        )
        for place, (row, at) in enumerate(wrong.tolist())
    ]


def lines(drawn: Lines, metrics: Metrics) -> tuple[list[Curve], list[Curve], Reliability]:
    """ROC and precision-recall lines (one, or one a class) and the reliability bins, with the areas that `metrics` tell."""
    roc, precision_recall = [], []
    for name, own in drawn.by_class.items():
        areas = (metrics.per_class or {}).get(name, metrics)
        roc.append(Curve(name=name, x=own.fpr, y=own.tpr, area=areas.auroc))
        precision_recall.append(Curve(name=name, x=own.recall, y=own.precision, area=areas.auprc))
    return roc, precision_recall, bins_of(drawn.reliability)


def bins_of(lines: Curves) -> Reliability:
    """Take the reliability bins from some lines."""
    return Reliability(
        mean_predicted=lines.mean_predicted, observed=lines.observed, low=lines.low, high=lines.high, count=lines.count
    )
