"""What probes see of the images of a store, each image looked at once, however many findings ask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.audit import looks, masking
from plainfilm.evidence.audit.looks import LOOKS, Advance, ImageEncoder, Look, Numbers
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray

_MASKS = ("chest", "body", "lungs", "fields", "found")


@dataclass(slots=True)
class _Held:
    """Numbers by name of rows that were looked at, in the order in which they were."""

    rows: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    numbers: Numbers = field(default_factory=dict)

    def of(self, rows: IntArray, look: Callable[[NDArray[np.bool_]], Numbers]) -> Numbers:
        """Give those of some rows; `look` is asked for the ones that are new, bool (n)."""
        new = ~np.isin(rows, self.rows)
        if new.any():
            found = look(new)
            self.numbers = {
                name: np.concatenate([self.numbers[name], values]) if self.numbers else values
                for name, values in found.items()
            }
            self.rows = np.concatenate([self.rows, rows[new]])
        order = np.argsort(self.rows)
        places = order[np.searchsorted(self.rows, rows, sorter=order)]
        return {name: values[places] for name, values in self.numbers.items()}


class Seeing:
    """The looks of `looks` at rows of a store through an encoder, kept as long as this is.

    `common` is what the lungs of the first rows that were asked for have in common, None before.
    """

    def __init__(self, store: Store, encoder: ImageEncoder, advance: Advance = lambda _done, _all: None) -> None:
        self._store, self._encoder, self._advance = store, encoder, advance
        self.common: NDArray[np.bool_] | None = None
        self._held: dict[str, _Held] = {}

    def hide(self, rows: IntArray) -> masking.Hidden:
        """As `looks.hide`."""

        def look(new: NDArray[np.bool_]) -> Numbers:
            hidden = looks.hide(self._store, rows[new], self.common)
            self.common = hidden.common
            return {name: getattr(hidden, name) for name in _MASKS}

        found = self._ask("hidden", rows, look)
        return masking.Hidden(**found, common=np.asarray(self.common))

    def encoded(self, rows: IntArray, hidden: masking.Hidden, which: Sequence[Look] = LOOKS) -> Numbers:
        """As `looks.encoded`."""

        def look(new: NDArray[np.bool_]) -> Numbers:
            own = hidden.cut(np.flatnonzero(new))
            return looks.encoded(self._store, rows[new], self._encoder, own, which, self._advance)

        return self._ask(" ".join(each.name for each in which), rows, look)

    def objects(self, rows: IntArray, hidden: masking.Hidden) -> FloatArray:
        """As `looks.objects`."""

        def look(new: NDArray[np.bool_]) -> Numbers:
            return {"objects": looks.objects(self._store, rows[new], hidden.cut(np.flatnonzero(new)))}

        return np.asarray(self._ask("objects", rows, look)["objects"])

    def measured(self, rows: IntArray, common: NDArray[np.bool_]) -> Numbers:
        """As `looks.measured`."""
        return self._ask("measured", rows, lambda new: looks.measured(self._store, rows[new], common))

    def whole(self, rows: IntArray) -> NDArray[np.float32]:
        """As `looks.whole`."""

        def look(new: NDArray[np.bool_]) -> Numbers:
            return {"whole": looks.whole(self._store, rows[new], self._encoder)}

        return np.asarray(self._ask("whole", rows, look)["whole"])

    def _ask(self, what: str, rows: IntArray, look: Callable[[NDArray[np.bool_]], Numbers]) -> dict[str, Any]:
        return self._held.setdefault(what, _Held()).of(rows, look)
