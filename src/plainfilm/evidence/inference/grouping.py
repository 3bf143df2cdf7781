"""One answer a study or a patient: whose the films are, and their answers joined as the classifier's training chose.

Ids come from DICOM headers or from a table of the user's; none of them is in an answer, which counts studies or patients.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from plainfilm.arguments import By, Prevalence
from plainfilm.data import decoder_pool
from plainfilm.data.spelling import plain_id
from plainfilm.errors import UsageError
from plainfilm.evidence.inference.predictor import Predictor, called_of
from plainfilm.evidence.outliers.judging import LATERAL
from plainfilm.model import combining
from plainfilm.model.scaling import logit, moved
from plainfilm.results.manifest import Combining
from plainfilm.results.predictions import UNSURE, GroupedPrediction, Prediction

PLAIN = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"})  # that are no DICOM files
_IDS: Mapping[By, tuple[str, ...]] = {
    "patient": ("patient_id",),
    "study": ("study_instance_uid", "accession_number", "study_id"),
}  # by the names of tables' columns and of headers
_LATERAL = ("lateral", LATERAL)


def ways_of(predictor: Predictor) -> dict[str, Combining]:
    """Give how a classifier joins several films, by its positive class, or by each finding.

    Raises
    ------
    UsageError
        It does not know.
    """
    decision = predictor.bundle.classifier.decision
    if decision.positive is None and decision.task == "classes":
        raise UsageError(
            f"Expected a model of two classes, or of findings, for --by; received one of {len(decision.classes)} classes. Leave it out."
        )
    if not decision.ways:
        raise UsageError(
            "Expected a bundle that knows how several films become one answer, for --by; received one of before 0.3.0. Train it again, or leave "
            "--by out."
        )
    return decision.ways


def units_of(files: Sequence[str], by: By, table: str | Path | None = None) -> tuple[list[int], int]:
    """Number the study or patient of each file, from 0 in the order of the files; and count the files that nothing names one of.

    Parameters
    ----------
    files
        Paths.
    by
        "study" or "patient".
    table
        With file names and a column of patients or of studies; by default DICOM headers say it. A file that neither names stands alone.

    Raises
    ------
    UsageError
        The table has no such column.
    CatalogError
        It cannot be read.
    """
    keys = _of_table(files, by, Path(table)) if table is not None else _of_headers(files, by)
    return apart(keys), keys.count("")


def apart(keys: Sequence[str]) -> list[int]:
    """Number keys from 0 in the order in which they come first; "" names nothing, and each stands alone."""
    return numbered(key or f"\0{place}" for place, key in enumerate(keys))


def numbered(keys: Iterable[str]) -> list[int]:
    """Number keys from 0 in the order in which they come first."""
    known: dict[str, int] = {}
    return [known.setdefault(key, len(known)) for key in keys]


def key_of(told: Mapping[str, str], by: By) -> str:
    """Name a study or patient by what a header or a row of a table says; "" where it says nothing, or a placeholder such as `Anonymous`."""
    own = next((told[name] for name in _IDS[by] if told.get(name)), "")
    if not plain_id(own):
        return ""
    if by == "patient":
        return f"{plain_id(own)}\0{plain_id(told.get('issuer', ''))}"
    return own if told.get("study_instance_uid") else f"{own}\0{plain_id(told.get('patient_id', ''))}"


def _of_headers(files: Sequence[str], by: By) -> list[str]:
    asked = [place for place, file in enumerate(files) if PurePath(file).suffix.lower() not in PLAIN]
    keys = [""] * len(files)
    for place, told in zip(
        asked, decoder_pool.read_headers(files[each] for each in asked) if asked else (), strict=True
    ):
        keys[place] = key_of(told, by) if isinstance(told, dict) else ""
    return keys


def _of_table(files: Sequence[str], by: By, path: Path) -> list[str]:
    from plainfilm.data.tables.reading import read_table  # not needed without one

    table = read_table(path)
    if "file_name" not in table.named or not any(name in table.named for name in _IDS[by]):
        raise UsageError(
            f"Expected a column of file names and one of {'patients' if by == 'patient' else 'studies'} in {path}; received "
            f"{table.shown_headers()}. Rename them file_name and {_IDS[by][0]}."
        )
    rows: dict[str, str] = {}
    for row in table.rows:
        written = PurePath(row.get("file_name"))
        told = {name: row.get(name) for name in ("patient_id", *_IDS["study"]) if name in table.named}
        own = key_of(told, by)
        for name in (str(written), str((path.parent / written).absolute())):
            rows[name] = own
        rows.setdefault(written.name, own)
    several = Counter(PurePath(row.get("file_name")).name for row in table.rows)

    def found(file: str) -> str:
        whole = rows.get(file) or rows.get(str(Path(file).absolute()))
        return whole or (rows.get(PurePath(file).name, "") if several[PurePath(file).name] == 1 else "")

    return [found(file) for file in files]


def joined(
    predictor: Predictor,
    answers: Iterable[Prediction],
    units: Sequence[int],
    by: By,
    *,
    prevalence: Prevalence | None = None,
) -> Iterator[GroupedPrediction]:
    """Join the answers to films, in order, to one of each unit, in the order of their first films; `units` are of `units_of`."""
    ways, left = ways_of(predictor), Counter(units)
    held: dict[int, list[Prediction]] = defaultdict(list)
    due = 0
    for unit, answer in zip(units, answers, strict=True):
        held[unit].append(answer)
        left[unit] -= 1
        while due in held and not left[due]:
            yield join(predictor, ways, held.pop(due), f"{by} {due + 1}", prevalence=prevalence)
            due += 1


def join(
    predictor: Predictor,
    ways: Mapping[str, Combining],
    films: Sequence[Prediction],
    name: str,
    *,
    prevalence: Prevalence | None = None,
) -> GroupedPrediction:
    """Join the answers to the films of one study or patient: of the frontal ones that were not refused, if there are some."""
    answered, frontal, used = _with_a_say(films)
    given = {"file": name, "films": tuple(film.file for film in films), "used": len(used)}
    reasons = _left_out(films, answered, frontal)
    if not used:
        return GroupedPrediction(**given, label=None, level="unreadable", probabilities={}, reasons=films[0].reasons)  # type: ignore[arg-type]
    values = {each: _probability(how, [film.probabilities[each] for film in used]) for each, how in ways.items()}
    flagged = any(film.level == "flagged" for film in used)
    level = "refused" if not answered else "flagged" if flagged else "ok"
    said = _of_classes if predictor.bundle.classifier.decision.task == "classes" else _of_findings
    return GroupedPrediction(
        **given,  # type: ignore[arg-type]
        **said(predictor, ways, values, level, prevalence),
        reasons=(*reasons, *dict.fromkeys(reason for film in used for reason in film.reasons)),
        notes=tuple(dict.fromkeys(note for film in used for note in film.notes)),
    )


def _with_a_say(
    films: Sequence[Prediction],
) -> tuple[list[Prediction], list[Prediction], list[Prediction]]:
    """Give the films that were not refused, the frontal ones of them, and those that have a say."""
    readable = [film for film in films if film.probabilities]
    answered = [film for film in readable if film.level != "refused"]
    frontal = [film for film in answered if not set(_LATERAL) & {*film.reasons, *film.notes}]
    return answered, frontal, frontal or answered or readable


def deciding(ways: Mapping[str, Combining], films: Sequence[Prediction]) -> int | None:
    """Find the film that speaks most for the positive class, or for any finding, of those that have a say: its place; None where no film could be read."""
    *_, used = _with_a_say(films)

    def standing(film: Prediction) -> float:
        odds = logit(np.array([[film.probabilities[name], how.threshold] for name, how in ways.items()]))
        return float((odds[:, 0] - odds[:, 1]).max())

    best = max(used, key=standing, default=None)
    return None if best is None else next(place for place, film in enumerate(films) if film is best)


def _probability(how: Combining, films: Sequence[float]) -> float:
    return float(combining.probabilities(how, np.asarray(films), np.zeros(len(films), np.int64))[0])


def _moved(predictor: Predictor, how: Combining, value: float, prevalence: Prevalence | None) -> float | None:
    """Give the probability at a prevalence of patients, as a predictor does for a film; None where it holds at none."""
    if predictor.stated(prevalence) is None or isinstance(prevalence, Mapping) or not 0 < how.prevalence < 1:
        return None
    return moved(value, how.prevalence, how.prevalence if prevalence is None else prevalence)


def _of_findings(
    predictor: Predictor,
    ways: Mapping[str, Combining],
    values: Mapping[str, float],
    level: str,
    prevalence: Prevalence | None,
) -> dict[str, Any]:
    """Give the answer, its level and the probabilities, by their names in `Prediction`."""
    upper = [how.threshold for how in ways.values()]
    lower = [how.lower_threshold for how in ways.values() if how.lower_threshold is not None]
    chance = np.array([values[name] for name in predictor.classes_])
    said = called_of(predictor.classes_, chance, upper, lower, level) | {"probabilities": values}
    if isinstance(prevalence, Mapping):
        shares = {name: how.prevalence for name, how in ways.items() if name in predictor.prevalences} | {**prevalence}
        known = {name: share for name, share in shares.items() if 0 < ways[name].prevalence < 1}
        said["at_prevalences"] = {name: moved(values[name], ways[name].prevalence, at) for name, at in known.items()}
    return said


def _of_classes(
    predictor: Predictor,
    ways: Mapping[str, Combining],
    values: Mapping[str, float],
    level: str,
    prevalence: Prevalence | None,
) -> dict[str, Any]:
    ((positive, how),), value = ways.items(), next(iter(values.values()))
    other = next(name for name in predictor.classes_ if name != positive)
    chances = {name: value if name == positive else 1 - value for name in predictor.classes_}
    if level != "refused" and how.lower_threshold is not None and how.lower_threshold <= value < how.threshold:
        level = UNSURE
    label = None if level in {"refused", UNSURE} else positive if value >= how.threshold else other
    at = _moved(predictor, how, value, prevalence)
    return {"label": label, "level": level, "probabilities": chances, "at_prevalence": at}


def _left_out(
    films: Sequence[Prediction], answered: Sequence[Prediction], frontal: Sequence[Prediction]
) -> tuple[str, ...]:
    """Say how many films had no say, and why."""
    counts = {
        "unreadable": sum(not film.probabilities for film in films),
        "refused": sum(film.level == "refused" for film in films) if answered else 0,
        "lateral": len(answered) - len(frontal) if frontal else 0,
    }
    told = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
    return (f"{sum(counts.values())} of {len(films)} films left out: {told}",) if told else ()
