"""What probes see of the images of a store, encoded or measured, and kept in the cache."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.audit import foreign_objects, masking
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray
from plainfilm.model.encoder import remembered
from plainfilm.model.foreign_objects import ObjectFinder
from plainfilm.model.lung_segmentation import LungFields, LungFinder
from plainfilm.results.audit import Sees

_VERSION = 4
_BLOCK = 64
Advance = Callable[[int, int], None]
Numbers = dict[str, NDArray[Any]]


class ImageEncoder(Protocol):
    """What turns gray uint8 (n, s, s) into float32 (n, width); `key` names its weights and preprocessing."""

    @property
    def key(self) -> str:
        """What the features depend on."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images."""


@dataclass(frozen=True, slots=True)
class Look:
    """A part of the image that a probe sees through the encoder; `show` blacks out the rest."""

    name: str
    title: str
    sees: Sees
    means: str
    show: Callable[[NDArray[np.uint8], masking.Hidden], NDArray[np.uint8]]


LOOKS = (
    Look("lungs_hidden", "Lung fields blacked out", "no lungs", "something outside the lungs tells the class", masking.without_lungs),
    Look("border", "Border only", "no lungs", "the frame, markers or positioning tell the class", masking.border),
    Look("corners", "Four corners only", "no lungs", "tags or collimation in the corners tell the class", masking.corners),
    Look("lungs_only", "Lung fields only", "lungs", "what a radiologist looks at tells the class", masking.lungs_only),
)  # fmt: skip


def hide(store: Store, rows: IntArray, common: NDArray[np.bool_] | None = None) -> masking.Hidden:
    """Find the lungs in `rows` int64 (n), and choose what to hide; see `masking.hide`."""
    finder = LungFinder()
    parts = [finder.find(store.images(rows[at : at + _BLOCK])) for at in range(0, len(rows), _BLOCK)]
    fields = LungFields(np.concatenate([p.masks for p in parts]), np.concatenate([p.found for p in parts]))
    return masking.hide(fields, common)


def encoded(
    store: Store,
    rows: IntArray,
    encoder: ImageEncoder,
    hidden: masking.Hidden,
    looks: Sequence[Look] = LOOKS,
    advance: Advance = lambda _done, _all: None,
) -> Numbers:
    """Encode what each look sees, float32 (n, width); measure brightness and grain around the lungs and within."""

    def see(images: NDArray[np.uint8], place: slice) -> Numbers:
        cut = hidden.cut(place)
        numbers = {
            "brightness": masking.brightness(images, cut),
            "texture": masking.texture(images, cut),
            "lung_brightness": masking.lung_brightness(images, cut),
            "lung_detail": masking.lung_detail(images, cut),
        }
        return numbers | {look.name: encoder.encode(look.show(images, cut)) for look in looks}

    digest = hashlib.sha256(hidden.chest.tobytes() + hidden.lungs.tobytes() + rows.tobytes()).hexdigest()
    names = " ".join(look.name for look in looks)
    return _kept(store, rows, f"{encoder.key} {names} {digest}", see, advance)


def objects(store: Store, rows: IntArray, hidden: masking.Hidden) -> FloatArray:
    """Measure foreign objects inside the lungs, float64 (n, k); see `foreign_objects.numbers`."""
    finder = ObjectFinder()

    def see(images: NDArray[np.uint8], place: slice) -> Numbers:
        return {"objects": foreign_objects.numbers(finder, images, hidden.cut(place))}

    digest = hashlib.sha256(hidden.lungs.tobytes() + rows.tobytes()).hexdigest()
    return _kept(store, rows, f"objects {digest}", see, lambda _done, _all: None)["objects"]


def measured(store: Store, rows: IntArray, common: NDArray[np.bool_]) -> Numbers:
    """Measure what needs no encoder: thumbnails, histograms, the outermost strips and the corners, float64 (n, k)."""

    def see(images: NDArray[np.uint8], _: slice) -> Numbers:
        return {
            "thumbnail": masking.thumbnails(images),
            "histogram": masking.histograms(images),
            "frame": masking.frame(images),
            "marks": masking.marks(images, common),
        }

    digest = hashlib.sha256(common.tobytes() + rows.tobytes()).hexdigest()
    return _kept(store, rows, f"measured {digest}", see, lambda _done, _all: None)


def whole(store: Store, rows: IntArray, encoder: ImageEncoder) -> NDArray[np.float32]:
    """Encode whole images, float32 (n, width)."""
    return np.concatenate([encoder.encode(store.images(rows[at : at + _BLOCK])) for at in range(0, len(rows), _BLOCK)])


def _kept(
    store: Store, rows: IntArray, key: str, see: Callable[[NDArray[np.uint8], slice], Numbers], advance: Advance
) -> Numbers:
    """Look at blocks of images, or take what was seen from the cache."""

    def look() -> Numbers:
        parts: dict[str, list[Any]] = {}
        for at in range(0, len(rows), _BLOCK):
            place = slice(at, min(at + _BLOCK, len(rows)))
            for name, values in see(store.images(rows[place]), place).items():
                parts.setdefault(name, []).append(values)
            advance(place.stop, len(rows))
        return {name: np.concatenate(values) for name, values in parts.items()}

    found, known = remembered("probes", f"{_VERSION} {store.fingerprint} {key}", look)
    if known:
        advance(len(rows), len(rows))
    return found
