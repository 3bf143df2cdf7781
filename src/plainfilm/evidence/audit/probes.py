"""All probes of one sample of a store: from what each sees to how well it tells each class."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence import attributes
from plainfilm.evidence.audit import foreign_objects, judging, masking, metadata_features, ridge, within_sources
from plainfilm.evidence.audit.findings import ProbeFinding, Strip
from plainfilm.evidence.audit.looks import LOOKS, Look
from plainfilm.evidence.audit.sample import Sample, shown
from plainfilm.evidence.audit.seeing import Seeing
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray
from plainfilm.results.audit import ForeignObject, NotRun, Probe, Sees

FOUND = 0.5  # share of images whose lungs must be found
EXAMPLES = 4
OBJECT_FILMS = 6
CHEAP = 20_000  # images at most of probes that need neither the encoder nor lung fields
GROWN = 1_800  # images at most of a probe that needs both, where fewer leave it open
_OBJECTS = "Foreign objects inside the lungs"
_OPEN = (0.55, 0.7)  # AUROC


@dataclass(frozen=True, slots=True)
class _OfLungs:
    """A probe of a few numbers that are measured of the lungs, within each source too."""

    name: str
    title: str
    sees: Sees
    means: str
    cue: str = ""


_OF_LUNGS = (
    _OfLungs("framing", "Framing of the lungs", "framing", "collimation or cropping tells the class", "framing"),
    _OfLungs("lung_brightness", "Brightness within the lungs", "coarse", "disease or exposure tells the class"),
    _OfLungs("lung_detail", "Fine detail within the lungs", "coarse", "disease or sharpness tells the class"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What the probes found. `features` float32 (n, width) of the whole images, `seconds` by stage."""

    probes: tuple[ProbeFinding, ...]
    not_run: tuple[NotRun, ...]
    features: NDArray[np.float32]
    scores: NDArray[np.float64]  # (n, classes) of the probe that sees everything, out of fold
    found: float
    examples: NDArray[np.uint8]
    example_rows: IntArray
    seconds: Mapping[str, float]
    objects: Mapping[str, ForeignObject] = field(default_factory=dict)
    with_objects: Strip | None = None


def probe(
    store: Store,
    sample: Sample,
    seeing: Seeing,
    drawn: Callable[[int], Sample],
    *,
    seed: int = 0,
    features: NDArray[np.float32] | None = None,
) -> Probed:
    """Run every probe that the sample allows.

    What is cheap sees all images of the training and validation sets, at most `CHEAP`, by `drawn`, which draws as the sample
    was. `features` float32 (n, width) are those of the whole images where they are known.
    """
    few = sample.too_few()
    if few:
        return _unprobed(store, few)
    start = time.perf_counter()
    hidden = seeing.hide(sample.rows)
    lungs_s = time.perf_counter() - start
    seen = seeing.encoded(sample.rows, hidden)
    features = seeing.whole(sample.rows) if features is None else features
    encode_s = time.perf_counter() - start - lungs_s
    places = shown(sample, EXAMPLES)
    images = store.pictures(sample.rows[places])
    scores = _scores(sample, features)
    whole = _judge(sample, scores, "whole_image", "Whole image", "everything", "what your model may use", seen=images)
    objects = seeing.objects(sample.rows, hidden)
    objects_s = time.perf_counter() - start - lungs_s - encode_s
    more = cache(partial(_more, seeing, sample, drawn))
    of_parts = _Parts(store, seeing, sample, hidden, seen, seed, more)
    parts, unseen = _part_probes(of_parts, objects, images, places)
    wide = drawn(CHEAP)
    told, untold = _told_probes(store, wide)
    return Probed(
        probes=(whole, *parts, *_simple_probes(seeing, wide, hidden.common, images), *told),
        not_run=(*unseen, *untold),
        objects=foreign_objects.found(sample, objects) if hidden.found.mean() >= FOUND else {},
        with_objects=_with_objects(store, sample, objects),
        features=features,
        scores=scores,
        found=float(hidden.found.mean()),
        examples=images,
        example_rows=sample.rows[places],
        seconds={
            "lungs": lungs_s,
            "encoding": encode_s,
            "objects": objects_s,
            "heads": time.perf_counter() - start - lungs_s - encode_s - objects_s,
        },
    )


def _with_objects(store: Store, sample: Sample, objects: FloatArray) -> Strip | None:
    """Show the images in which the detector is surest of an object."""
    surest = foreign_objects.surest(objects)[:OBJECT_FILMS]
    rows = sample.rows[surest]
    if not len(rows):
        return None
    captions = tuple(f"{store.file[row]}, {store.classes[store.labels[row]]}" for row in rows)
    return Strip(
        images=store.pictures(np.sort(rows))[np.argsort(np.argsort(rows))],
        captions=captions,
        sentence="Where it is surest:",
    )


def _unprobed(store: Store, reason: str) -> Probed:
    return Probed(
        probes=(),
        not_run=(NotRun(check="Probes", reason=reason),),
        features=np.empty((0, 0), np.float32),
        scores=np.empty((0, 0)),
        found=float("nan"),
        examples=np.empty((0, store.size, store.size), np.uint8),
        example_rows=np.empty(0, np.int64),
        seconds={},
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What probes that see the image in part work on: `seen` of the sample, and where to look at more."""

    store: Store
    seeing: Seeing
    sample: Sample
    hidden: masking.Hidden
    seen: Mapping[str, NDArray[Any]]
    seed: int
    more: Callable[[], "_More | None"]

    def widened(
        self,
        known: NDArray[Any],
        see: Callable[[IntArray, masking.Hidden], NDArray[Any]],
        judged: Callable[[Sample, NDArray[Any]], ProbeFinding],
    ) -> ProbeFinding:
        """Judge what is known of the sample; where that leaves open whether it tells a class, `see` more images."""
        first = judged(self.sample, known)
        of_classes = first.result.by_class.values()
        is_open = any(_OPEN[0] <= own.auroc.value <= _OPEN[1] for own in of_classes)
        if not is_open or any(map(judging.speaks, of_classes)):
            return first
        more = self.more()
        if more is None:
            return first
        order = np.argsort(np.concatenate([self.sample.rows, more.rows]))
        return judged(more.sample, np.concatenate([known, see(more.rows, more.hidden)])[order])


@dataclass(frozen=True, slots=True)
class _More:
    """A sample that holds the first one, the rows that are new in it, and their lungs."""

    sample: Sample
    rows: IntArray
    hidden: masking.Hidden


def _more(seeing: Seeing, sample: Sample, drawn: Callable[[int], Sample]) -> _More | None:
    """Find the lungs in more images; None where there are none."""
    larger = drawn(GROWN)
    rows = np.setdiff1d(larger.rows, sample.rows)
    return _More(larger, rows, seeing.hide(rows)) if len(rows) else None


def _part_probes(
    parts: _Parts, objects: FloatArray, images: NDArray[np.uint8], places: IntArray
) -> tuple[list[ProbeFinding], list[NotRun]]:
    """Run what sees the image in part; without lungs in most images there is nothing to hide."""
    found = float(parts.hidden.found.mean())
    around = [
        _judge(parts.sample, _scores(parts.sample, parts.seen["brightness"]), "brightness", "Brightness around the lungs", "no lungs",
               "exposure or processing tells the class", "brightness"),
        _judge(parts.sample, _scores(parts.sample, parts.seen["texture"]), "texture", "Grain around the lungs", "no lungs",
               "noise or compression tells the class", "noise texture"),
    ]  # fmt: skip
    if found < FOUND:
        reason = f"Lungs were found in {100 * found:.0f} % of the images; at least {100 * FOUND:.0f} % are needed."
        titles = (*(look.title for look in LOOKS), _OBJECTS, *(kind.title for kind in _OF_LUNGS))
        return around, [NotRun(check=title, reason=reason) for title in titles]
    here = parts.hidden.cut(places)
    measured = {"framing": masking.framing(parts.hidden), **parts.seen}
    return [
        *(_part_probe(parts, look, look.show(images, here)) for look in LOOKS),
        *around,
        _object_probe(parts, objects),
        *(_lung_probe(parts, kind, measured[kind.name]) for kind in _OF_LUNGS),
    ], []


def _part_probe(parts: _Parts, look: Look, seen: NDArray[np.uint8]) -> ProbeFinding:
    """Judge one look; one that sees no lungs at more images where that is asked for."""

    def judged(sample: Sample, features: NDArray[Any]) -> ProbeFinding:
        return _judge(sample, _scores(sample, features), look.name, look.title, look.sees, look.means, seen=seen)

    def see(rows: IntArray, hidden: masking.Hidden) -> NDArray[Any]:
        return parts.seeing.encoded(rows, hidden, [look])[look.name]

    known = parts.seen[look.name]
    return parts.widened(known, see, judged) if look.sees == "no lungs" else judged(parts.sample, known)


def _object_probe(parts: _Parts, objects: FloatArray) -> ProbeFinding:
    def judged(sample: Sample, features: NDArray[Any]) -> ProbeFinding:
        return _judge(sample, _scores(sample, features), "objects", _OBJECTS, "objects",
                      "text, electrodes or tubes tell the class", "foreign objects")  # fmt: skip

    return parts.widened(objects, parts.seeing.objects, judged)


def _lung_probe(parts: _Parts, kind: _OfLungs, numbers: FloatArray) -> ProbeFinding:
    """Judge numbers of the lungs, of all images and within each source."""
    found = _judge(parts.sample, _scores(parts.sample, numbers), kind.name, kind.title, kind.sees, kind.means, kind.cue)
    by_source = within_sources.judge(parts.sample, numbers, parts.store.source[parts.sample.rows], parts.seed)
    return replace(found, result=structs.replace(found.result, by_source=by_source))


def _simple_probes(
    seeing: Seeing, sample: Sample, common: NDArray[np.bool_], images: NDArray[np.uint8]
) -> list[ProbeFinding]:
    """Run what needs neither the encoder nor lung fields."""
    simple = seeing.measured(sample.rows, common)
    small = masking.thumbnails(images).reshape(-1, masking.THUMBNAIL, masking.THUMBNAIL).astype(np.uint8)
    return [
        _judge(sample, _scores(sample, simple["thumbnail"]), "thumbnail", "8 × 8 thumbnail", "coarse", "large shadows and brightness tell the class", seen=small),
        _judge(sample, _scores(sample, simple["histogram"]), "histogram", "Histogram of gray levels", "coarse", "exposure tells the class", seen=images),
        _judge(sample, _scores(sample, simple["frame"]), "frame", "Outermost strips of the four sides", "no lungs", "a frame or the collimation tells the class", "border"),
        _judge(sample, _scores(sample, simple["marks"]), "marks", "Marks in the corners", "no lungs", "tags or letters in the corners tell the class"),
    ]  # fmt: skip


def _told_probes(store: Store, sample: Sample) -> tuple[list[ProbeFinding], list[NotRun]]:
    """Run what needs no image: each column group, all of them, the patient, the source."""
    found = metadata_features.cues(store, sample.rows)
    everything = {f"{cue}: {name}": column for cue, own in found.items() for name, column in own.items()}
    of_patient, unknown = metadata_features.patient(store, sample.rows)
    source = {"source": store.source[sample.rows]}
    asked = [
        ("provenance", "Provenance: size, format, quality, tags", "", everything),
        *((cue.replace(" ", "_"), cue[0].upper() + cue[1:], cue, own) for cue, own in found.items()),
        ("patient", "Age, sex and view", "patient", of_patient),
        ("source", "Name of the source", "source", source if len(np.unique(source["source"])) > 1 else {}),
    ]
    why = {
        "provenance": "Size, format and tags are the same in all images, or are not recorded.",
        "patient": "They are not recorded."
        if len(unknown) == len(attributes.PATIENT)
        else "What is recorded is the same in all images.",
        "source": "Only one source is known for these images. Name the sources: a column source in a metadata.csv, or one folder a hospital.",
    }
    probes = [
        _judge(sample, _scores(sample, ridge.as_indicators(own)), name, title, "no image", f"{title[0].lower()}{title[1:]} tells the class", cue)
        for name, title, cue, own in asked
        if own
    ]  # fmt: skip
    not_run = [NotRun(check=title, reason=why[name]) for name, title, _, own in asked if not own]
    if of_patient:
        not_run += [NotRun(check=kind.capitalize(), reason="It is not recorded.") for kind in unknown]
    return probes, not_run


def _scores(sample: Sample, features: NDArray[Any]) -> FloatArray:
    return ridge.out_of_fold(features, sample.labels, sample.part, len(sample.classes))


def _judge(
    sample: Sample,
    scores: FloatArray,
    name: str,
    title: str,
    sees: Sees,
    means: str,
    cue: str = "",
    *,
    seen: NDArray[np.uint8] | None = None,
) -> ProbeFinding:
    auroc, by_class = judging.tell(sample, scores)
    result = Probe(auroc=auroc, n=len(sample.rows), title=title, sees=sees, by_class=by_class)
    return ProbeFinding(name=name, result=result, cue=cue, means=means, seen=seen)
