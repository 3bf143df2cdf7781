"""All probes of one sample of a store: from what each sees to its AUROC."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.audit import masking, metadata_features, ridge
from plainfilm.evidence.audit.findings import ProbeFinding
from plainfilm.evidence.statistics.discrimination import newcombe
from plainfilm.evidence.statistics.intervals import IntArray
from plainfilm.model.encoder import remembered
from plainfilm.model.lung_segmentation import LungFields, LungFinder
from plainfilm.results.audit import NotRun, Probe, Sees

SURE = 0.995  # level of the intervals that rules rest on: about twenty probes are looked at
FEWEST = 10  # patients or unrelated images of a class
FOUND = 0.5  # share of images whose lungs must be found
EXAMPLES = 4
_VERSION = 1
_BLOCK = 64


class ImageEncoder(Protocol):
    """What turns gray uint8 (n, s, s) into float32 (n, width); `key` names its weights and preprocessing."""

    @property
    def key(self) -> str:
        """What the features depend on."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows that probes work on, int64 (n), with labels, groups and the parts of the cross-validation, int64 (n)."""

    rows: IntArray
    labels: IntArray
    group: IntArray
    part: IntArray
    classes: tuple[str, ...]


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


_LOOKS: tuple[tuple[str, str, Sees, str, Callable[..., Any]], ...] = (
    (
        "lungs_hidden",
        "Lung fields blacked out",
        "no lungs",
        "something outside the lungs tells the class",
        masking.without_lungs,
    ),
    ("border", "Border only", "no lungs", "the frame, markers or positioning tell the class", masking.border),
    ("corners", "Four corners only", "no lungs", "tags or collimation in the corners tell the class", masking.corners),
    ("lungs_only", "Lung fields only", "lungs", "what a radiologist looks at tells the class", masking.lungs_only),
)


def draw(store: Store, most: int, seed: int = 0) -> Sample:
    """Draw at most `most` labelled rows of the training and validation sets, as many of each class as there are.

    The test set is not touched.
    """
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero((store.labels >= 0) & np.isin(store.split, ("train", "validation")))
    shuffled = rng.permutation(pool)
    by_class = [shuffled[store.labels[shuffled] == number] for number in range(len(store.classes))]
    each = _share_out([len(rows) for rows in by_class], most)
    rows = np.sort(np.concatenate([rows[:count] for rows, count in zip(by_class, each, strict=True)]))
    labels, group = store.labels[rows], store.group[rows]
    return Sample(rows=rows, labels=labels, group=group, part=ridge.folds(labels, group, seed), classes=store.classes)


def _share_out(sizes: list[int], most: int) -> list[int]:
    """Share `most` places evenly; what a small class leaves goes to the others."""
    given = [0] * len(sizes)
    for left, index in enumerate(sorted(range(len(sizes)), key=lambda i: sizes[i])):
        given[index] = min(sizes[index], (most - sum(given)) // (len(sizes) - left))
    return given


def probe(
    store: Store,
    sample: Sample,
    encoder: ImageEncoder,
    *,
    features: NDArray[np.float32] | None = None,
    advance: Callable[[int, int], None] = lambda _done, _all: None,
) -> Probed:
    """Run every probe that the sample allows.

    `features` float32 (n, width) are those of the whole images where they are known; `advance(done, all)` counts images.
    """
    few = _too_few(sample)
    if few:
        return _unprobed(store, few)
    start = time.perf_counter()
    hidden = _hidden(store, sample)
    lungs_s = time.perf_counter() - start
    seen = _look(store, sample, encoder, hidden, advance)
    features = _whole(store, sample, encoder) if features is None else features
    encode_s = time.perf_counter() - start - lungs_s
    shown = _examples(sample)
    images = store.images(sample.rows[shown])
    scores = _scores(sample, features)
    whole = _judge(
        sample,
        scores,
        name="whole_image",
        title="Whole image",
        sees="everything",
        means="what your model may use",
        seen=images,
    )
    parts, unseen = _part_probes(sample, seen, images, hidden, shown)
    told, untold = _told_probes(store, sample)
    return Probed(
        probes=(whole, *parts, *_simple_probes(sample, seen, images), *told),
        not_run=(*unseen, *untold),
        features=features,
        scores=scores,
        found=float(hidden.found.mean()),
        examples=images,
        example_rows=sample.rows[shown],
        seconds={"lungs": lungs_s, "encoding": encode_s, "heads": time.perf_counter() - start - lungs_s - encode_s},
    )


def _unprobed(store: Store, reason: str) -> Probed:
    return Probed(
        probes=(),
        not_run=(NotRun(check="probes", reason=reason),),
        features=np.empty((0, 0), np.float32),
        scores=np.empty((0, 0)),
        found=float("nan"),
        examples=np.empty((0, store.size, store.size), np.uint8),
        example_rows=np.empty(0, np.int64),
        seconds={},
    )


def _part_probes(
    sample: Sample, seen: Mapping[str, NDArray[Any]], images: NDArray[np.uint8], hidden: masking.Hidden, shown: IntArray
) -> tuple[list[ProbeFinding], list[NotRun]]:
    """Run what sees the image in part; without lungs in most images there is nothing to hide."""
    found = float(hidden.found.mean())
    if found < FOUND:
        reason = f"Lungs were found in {100 * found:.0f} % of the images; at least {100 * FOUND:.0f} % are needed."
        return [], [NotRun(check=title, reason=reason) for _, title, *_ in _LOOKS]
    here = hidden.cut(shown)
    return [
        _judge(
            sample, _scores(sample, seen[name]), name=name, title=title, sees=sees, means=means, seen=look(images, here)
        )
        for name, title, sees, means, look in _LOOKS
    ], []


def _too_few(sample: Sample) -> str:
    counts = {name: len(np.unique(sample.group[sample.labels == number])) for number, name in enumerate(sample.classes)}
    name, least = min(counts.items(), key=lambda pair: pair[1])
    if least >= FEWEST:
        return ""
    return f"{name} has {least} patients or unrelated images outside the test set; at least {FEWEST} of each class are needed."


def _hidden(store: Store, sample: Sample) -> masking.Hidden:
    finder = LungFinder()
    parts = [finder.find(store.images(sample.rows[at : at + _BLOCK])) for at in range(0, len(sample.rows), _BLOCK)]
    return masking.hide(LungFields(np.concatenate([p.masks for p in parts]), np.concatenate([p.found for p in parts])))


def _look(
    store: Store, sample: Sample, encoder: ImageEncoder, hidden: masking.Hidden, advance: Callable[[int, int], None]
) -> dict[str, NDArray[Any]]:
    """Encode what each probe sees, or take it from the cache; measure thumbnails, histograms, brightness and grain."""
    digest = hashlib.sha256(hidden.chest.tobytes() + hidden.lungs.tobytes() + sample.rows.tobytes()).hexdigest()
    found, known = remembered(
        "probes",
        f"{_VERSION} {encoder.key} {store.fingerprint} {digest}",
        lambda: _see(store, sample, encoder, hidden, advance),
    )
    if known:
        advance(len(sample.rows), len(sample.rows))
    return found


def _whole(store: Store, sample: Sample, encoder: ImageEncoder) -> NDArray[np.float32]:
    blocks = range(0, len(sample.rows), _BLOCK)
    return np.concatenate([encoder.encode(store.images(sample.rows[at : at + _BLOCK])) for at in blocks])


def _see(
    store: Store, sample: Sample, encoder: ImageEncoder, hidden: masking.Hidden, advance: Callable[[int, int], None]
) -> dict[str, NDArray[Any]]:
    parts: dict[str, list[Any]] = {}
    for at in range(0, len(sample.rows), _BLOCK):
        images, here = store.images(sample.rows[at : at + _BLOCK]), slice(at, at + _BLOCK)
        cut = hidden.cut(here)
        now: dict[str, NDArray[Any]] = {"thumbnail": masking.thumbnails(images), "histogram": masking.histograms(images),
               "brightness": masking.brightness(images, cut), "texture": masking.texture(images, cut), "frame": masking.frame(images)}  # fmt: skip
        now |= {name: encoder.encode(look(images, cut)) for name, _, _, _, look in _LOOKS}
        for name, values in now.items():
            parts.setdefault(name, []).append(values)
        advance(min(at + _BLOCK, len(sample.rows)), len(sample.rows))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _simple_probes(sample: Sample, simple: Mapping[str, NDArray[Any]], images: NDArray[np.uint8]) -> list[ProbeFinding]:
    small = masking.thumbnails(images).reshape(-1, masking.THUMBNAIL, masking.THUMBNAIL).astype(np.uint8)
    return [
        _judge(sample, _scores(sample, simple["thumbnail"]), name="thumbnail", title="8 × 8 thumbnail", sees="coarse", means="large shadows and brightness tell the class", seen=small),
        _judge(sample, _scores(sample, simple["histogram"]), name="histogram", title="Histogram of gray levels", sees="coarse", means="exposure tells the class", seen=images),
        _judge(sample, _scores(sample, simple["brightness"]), name="brightness", title="Brightness around the lungs", sees="no lungs", means="exposure or processing tells the class", cue="brightness"),
        _judge(sample, _scores(sample, simple["texture"]), name="texture", title="Grain around the lungs", sees="no lungs", means="noise or compression tells the class", cue="noise texture"),
        _judge(sample, _scores(sample, simple["frame"]), name="frame", title="Outermost strips of the four sides", sees="no lungs", means="a frame or the collimation tells the class", cue="border"),
    ]  # fmt: skip


def _told_probes(store: Store, sample: Sample) -> tuple[list[ProbeFinding], list[NotRun]]:
    """Run what needs no image: each column group, all of them, the patient, the source."""
    found, probes, not_run = metadata_features.cues(store, sample.rows), [], []
    everything = {f"{cue}: {name}": column for cue, own in found.items() for name, column in own.items()}
    asked = [("provenance", "Provenance: size, format, quality, tags", "", everything)]
    asked += [
        (cue.replace(" ", "_"), cue.capitalize() if cue[0].islower() else cue, cue, own) for cue, own in found.items()
    ]
    asked += [("patient", "Age, sex and view", "patient", metadata_features.patient(store, sample.rows))]
    source = {"source": store.source[sample.rows]}
    asked += [("source", "Name of the source", "source", source if len(np.unique(source["source"])) > 1 else {})]
    why = {
        "provenance": "Size, format and tags are the same in all images, or are not recorded.",
        "patient": "Age, sex and view are not recorded.",
        "source": "Only one source is known for these images. Name the sources: a column `source` in a metadata.csv, or one folder a hospital.",
    }
    for name, title, cue, own in asked:
        if own:
            probes.append(
                _judge(
                    sample,
                    _scores(sample, ridge.as_indicators(own)),
                    name=name,
                    title=title,
                    sees="no image",
                    means=f"{title[0].lower()}{title[1:]} tells the class",
                    cue=cue,
                )
            )
        else:
            not_run.append(NotRun(check=title, reason=why[name]))
    return probes, not_run


def _scores(sample: Sample, features: NDArray[Any]) -> NDArray[np.float64]:
    return ridge.out_of_fold(features, sample.labels, sample.part, len(sample.classes))


def _judge(
    sample: Sample,
    scores: NDArray[np.float64],
    *,
    name: str,
    title: str,
    sees: Sees,
    means: str,
    cue: str = "",
    seen: NDArray[np.uint8] | None = None,
) -> ProbeFinding:
    estimate = ridge.area(sample.labels, scores, sample.group)
    return ProbeFinding(
        name=name,
        result=Probe(auroc=estimate, n=len(sample.rows), title=title, sees=sees),
        surely=_surely(sample, estimate.value),
        cue=cue,
        means=means,
        seen=seen,
    )


def _surely(sample: Sample, value: float) -> float:
    """Lower end of a cautious interval; with more than two classes for the rarest against the rest."""
    groups = [len(np.unique(sample.group[sample.labels == number])) for number in range(len(sample.classes))]
    rarest = min(groups)
    return newcombe(value, rarest, sum(groups) - rarest, SURE).low


def _examples(sample: Sample) -> IntArray:
    """Choose a few places of the sample, the classes in turn."""
    by_class = [np.flatnonzero(sample.labels == number) for number in range(len(sample.classes))]
    rounds = [own[turn] for turn in range(EXAMPLES) for own in by_class if turn < len(own)]
    return np.array(sorted(rounds[:EXAMPLES], key=lambda place: int(sample.labels[place])), np.int64)
