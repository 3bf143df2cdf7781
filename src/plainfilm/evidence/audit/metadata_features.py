"""What a store tells of an image without the image: one thing at a time, and all of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence import attributes

Columns = dict[str, NDArray[Any]]

# What a file or a table says of the making of an image; nothing of a diagnosis.
_DEVICE = ("manufacturer", "model", "manufacturer_model_name", "station", "detector")
_TAGS = ("photometric", "transfer_syntax", "ppi", "compression")
_CUES: Mapping[str, tuple[str, ...]] = {
    "JPEG quality": ("quality",),
    "file format": ("format", "original_ext", "original_format", "extension", *_TAGS),
    "bit depth or colour": ("bits", "mode", "original_mode"),
    "device": _DEVICE,
}
_WIDTHS = (("width", "height"), ("original_width", "original_height"))


def cues(store: Store, rows: NDArray[np.int64]) -> dict[str, Columns]:
    """Give the columns that each named cue reads, cut to `rows`; only what differs between images."""
    found = {"aspect ratio": _aspects(store), "resolution": _sizes(store)}
    found |= {
        name: {key: store.provenance[key] for key in keys if key in store.provenance} for name, keys in _CUES.items()
    }
    return _varied({name: {key: column[rows] for key, column in own.items()} for name, own in found.items()})


def patient(store: Store, rows: NDArray[np.int64]) -> tuple[Columns, tuple[str, ...]]:
    """Give age, sex and view, as far as they are known and differ, and which of them are not recorded."""
    known = attributes.patient(store, rows)
    told = {kind: column for kind, column in known.items() if column is not None}
    return _varied({"patient": told}).get("patient", {}), tuple(kind for kind in known if kind not in told)


def _varied(found: Mapping[str, Columns]) -> dict[str, Columns]:
    kept = {}
    for name, columns in found.items():
        cut = {key: column for key, column in columns.items() if len(np.unique(column)) > 1}
        if cut:
            kept[name] = cut
    return kept


def _sizes(store: Store) -> Columns:
    return {f"{w} x {h}": store.provenance[w] * store.provenance[h] for w, h in _known(store)}


def _aspects(store: Store) -> Columns:
    with np.errstate(divide="ignore", invalid="ignore"):
        return {f"{w} / {h}": store.provenance[w] / store.provenance[h] for w, h in _known(store)}


def _known(store: Store) -> list[tuple[str, str]]:
    numbers = {key for key, column in store.provenance.items() if column.dtype.kind == "f"}
    return [pair for pair in _WIDTHS if numbers.issuperset(pair)]
