"""Framing, brightness and detail of the lungs: what they tell of sick and well within a hospital, and how often they speak of nothing.

The three probes on all films of *several* (NORMAL against SICK), over all and within each source that has both; the same with the labels
dealt anew within each source, patients together, 400 times, on 600 films as the audit draws them, of all sources and of each alone; and on
normal films of RSNA whose sick, chosen by lot, get large opacities drawn into their lungs: the fields that are found then change, and
framing may not speak of that. Half an hour on two cores, most of it for lungs.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import plainfilm
from honest import sets
from honest.row import Row
from measuring import SHARED
from plainfilm.data.store import Store
from plainfilm.evidence.audit import judging, masking, ridge, within_sources
from plainfilm.evidence.audit.sample import Sample
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.results.audit import ProbedImages
from plainfilm.results.documents import plain

PROBES = ("framing", "lung_brightness", "lung_detail")
DEALT = 400
FILMS = 600
OPAQUE = 10
CLASSES = ("NORMAL", "SICK")
Numbers = dict[str, NDArray[np.float64]]


def measure(work: Path) -> list[Row]:
    path = work / "several.h5"
    if not path.is_file():
        plainfilm.ingest(SHARED / "data" / "several", path, labels=SHARED / "data" / "several" / "sick.csv", seed=0)
    with Store(path) as store:
        numbers = _numbers(work, store)
        return [*_told(store, numbers), *_dealt(store, numbers), *_opaque(work)]


def _numbers(work: Path, store: Store) -> Numbers:
    kept = work / "numbers.npz"
    if not kept.is_file():
        parts = [_of(store.images(np.arange(at, min(at + 64, len(store))))) for at in range(0, len(store), 64)]
        np.savez(kept, **{name: np.concatenate([part[name] for part in parts]) for name in PROBES})
    with np.load(kept) as file:
        return dict(file)


def _of(images: NDArray[np.uint8]) -> Numbers:
    hidden = masking.hide(LungFinder().find(images))
    return {
        "framing": masking.framing(hidden),
        "lung_brightness": masking.lung_brightness(images, hidden),
        "lung_detail": masking.lung_detail(images, hidden),
    }


def _sample(rows: NDArray[np.int64], labels: NDArray[np.int64], group: NDArray[np.int64], seed: int) -> Sample:
    return Sample(rows=rows, labels=labels, group=group, part=ridge.folds(labels, group, seed), classes=CLASSES)


def _whole(sample: Sample, numbers: NDArray[np.float64]) -> ProbedImages:
    auroc, by_class = judging.tell(sample, ridge.out_of_fold(numbers, sample.labels, sample.part, len(CLASSES)))
    return ProbedImages(auroc=auroc, n=len(sample.rows), by_class=by_class)


def _told(store: Store, numbers: Numbers) -> list[Row]:
    sample = _sample(np.arange(len(store)), store.labels, store.group, 0)
    rows = []
    for name in PROBES:
        found = {"over all": _whole(sample, numbers[name])}
        found |= within_sources.judge(sample, numbers[name], store.source, 0)
        rows.append(Row(f"{name}: AUROC of sick against well", {where: plain(own.auroc) for where, own in found.items()}, "stated", True))  # fmt: skip
    return rows


def _dealt(store: Store, numbers: Numbers) -> list[Row]:
    """Deal labels anew within each source, a patient's together, so that nothing but the source tells them, and that not within it."""
    spoken: dict[str, list[bool]] = {}
    outside: dict[str, list[bool]] = {}
    for seed in range(DEALT):
        random = np.random.default_rng([seed, 3])
        labels = _deal(store, random)
        rows = np.sort(random.permutation(len(store))[:FILMS])
        sample = _sample(rows, labels[rows], store.group[rows], seed)
        for name in PROBES:
            own = within_sources.judge(sample, numbers[name][rows], store.source[rows], seed)
            spoken.setdefault(name, []).append(any(map(_speaks, own.values())))
            outside.setdefault(name, []).extend(each.auroc.low > 0.5 for each in own.values())
        names = np.unique(store.source)
        alone = np.flatnonzero(store.source == names[seed % len(names)])[:FILMS]
        dealt = random.permutation(len(alone)) % 2
        one = _sample(alone, _together(dealt, store.group[alone]), store.group[alone], seed)
        for name in PROBES:
            whole = _whole(one, numbers[name][alone])
            spoken.setdefault(f"{name}, one source", []).append(_speaks(whole))
            outside.setdefault(f"{name}, one source", []).append(whole.auroc.low > 0.5)
    return [
        Row(f"{name}: labels dealt anew: a set in which it speaks", {**plain(wilson(alarms)), "95 % interval above 0.5": plain(wilson(outside[name]))},
            "at most 0.005; at most 0.05", bool(np.mean(alarms) <= 0.005 and wilson(outside[name]).low <= 0.05))
        for name, alarms in spoken.items()
    ]  # fmt: skip


def _speaks(found: ProbedImages) -> bool:
    return any(map(judging.speaks, found.by_class.values()))


def _deal(store: Store, random: np.random.Generator) -> NDArray[np.int64]:
    labels = store.labels.copy()
    for name in np.unique(store.source):
        own = np.flatnonzero(store.source == name)
        labels[own] = _together(random.permutation(labels[own]), store.group[own])
    return labels


def _together(labels: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give all of a group the label of its first."""
    _, first, code = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(labels[first][code])


def _opaque(work: Path) -> list[Row]:
    images, group = sets.films(work, "several", source="rsna")
    done = sets.runs(
        work, [("opaque", seed) for seed in range(OPAQUE)], lambda _, seed: _opaque_run(images, group, seed)
    )
    alarms = [run["speaks"] for run in done]
    values = [run["framing"] for run in done]
    return [Row("framing: half of 300 RSNA films opaque: a set in which it speaks", {**plain(wilson(alarms)), "mean AUROC": float(np.mean(values)), "highest": max(values)}, "at most 0.05", bool(np.mean(alarms) <= 0.05))]  # fmt: skip


def _opaque_run(images: NDArray[np.uint8], group: NDArray[np.int64], seed: int) -> dict[str, Any]:
    random = np.random.default_rng([seed, 5])
    rows = np.sort(random.permutation(len(images))[:300])
    labels = _together(random.permutation(len(rows)) % 2, group[rows])
    films = images[rows].copy()
    masks = LungFinder().find(films).masks
    for row in np.flatnonzero(labels == 1):
        films[row] = _with_opacity(films[row], masks[row], random)
    found = _whole(_sample(rows, labels, group[rows], seed), _of(films)["framing"])
    return {"framing": found.auroc.value, "speaks": _speaks(found)}


def _with_opacity(film: NDArray[np.uint8], mask: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.uint8]:
    """Whiten a large round part of a lung, wherever its middle lies, edges and bases too."""
    inside = np.argwhere(mask) * film.shape[0] // len(mask)
    if not len(inside):
        return film
    spot = np.zeros(film.shape)
    spot[tuple(inside[random.integers(len(inside))])] = 1
    spot = gaussian_filter(spot, random.uniform(0.04, 0.1) * len(film))
    field = gaussian_filter(masking.sized(mask[None], len(film))[0].astype(float), 3)
    return np.clip(film + 110 * field * spot / spot.max(), 0, 255).astype(np.uint8)
