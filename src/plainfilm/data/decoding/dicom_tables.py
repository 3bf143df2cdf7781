"""Lookup tables of DICOM: Modality, VOI, Presentation and palettes, in either byte order, of entries of 8 or 16 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from plainfilm.data.decoding.decoded import Remarks
from plainfilm.data.decoding.depth import DEPTHS_BITS
from plainfilm.errors import FlawError

_COLOURS = ("Red", "Green", "Blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Table:
    """`entries` int64; the first holds for the value `first` and all below it, the last for all above (PS3.3 C.11.1.1)."""

    entries: NDArray[np.int64]
    first: int
    bits: int

    def of(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Look values up."""
        index = np.clip(np.floor(values.astype(np.float64)) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[index.astype(np.int64)], dtype=np.float64)

    @property
    def depth(self) -> int:
        """Bits that the entries fill: those declared, unless entries go beyond them, or stay below a quarter of them."""
        return filled_bits(int(self.entries.max()), self.bits)

    @property
    def remarks(self) -> Remarks:
        """What is to be said where declared and filled bits differ."""
        if self.depth == self.bits:
            return ()
        sentence = f"Expected a lookup table of {self.bits} bits; received one whose highest entry is {self.entries.max()}. {self.depth} bits were taken: look at the picture."
        return (("bad-table", sentence),)


def filled_bits(high: int, declared: int) -> int:
    """Give the bits that values up to `high` fill: those declared, unless values go beyond them, or stay below a quarter of their range."""
    if not high or 2 ** max(0, declared - 2) <= high < 2**declared:
        return declared
    return next(bits for bits in DEPTHS_BITS if high < 2**bits)


def table_of(item: Dataset, *, little: bool, lowest: float) -> Table:
    """Read the table of an item of a LUT sequence; `lowest` is the lowest value to be looked up, by which the sign of its first is known.

    Raises
    ------
    ValueError
        No entries, or entries of none to 16 bits.
    """
    count, first, bits = _descriptor(item["LUTDescriptor"].value, little)
    data = _bytes(item["LUTData"], little)
    table = Table(_entries(data, count), first - 65536 if first > 32767 and lowest < 0 else first, bits)
    if table.entries.size == 0 or not 1 <= bits <= 16:
        raise FlawError(f"a lookup table of {table.entries.size} entries of {bits} bits")
    return table


def coloured(stored: NDArray[Any], dataset: Dataset, *, little: bool) -> tuple[NDArray[np.uint16], int]:
    """Look stored values up in a palette (PS3.3 C.7.6.3.1.5 and C.7.9.2): values (h, w, 3), and their depth in bits."""
    tables = [_palette(dataset, colour, little, float(stored.min())) for colour in _COLOURS]
    high = max(int(table.entries.max()) for table in tables)
    bits = 8 if high < 256 else 16
    return np.stack([table.of(stored) for table in tables], axis=-1).astype(np.uint16), bits


def _palette(dataset: Dataset, colour: str, little: bool, lowest: float) -> Table:
    name = f"{colour}PaletteColorLookupTable"
    count, first, bits = _descriptor(dataset[f"{name}Descriptor"].value, little)
    if f"{name}Data" in dataset:
        entries = _entries(_bytes(dataset[f"{name}Data"], little), count)
    else:
        words = _bytes(dataset[f"Segmented{name}Data"], little)
        size = 1 if bits == 8 else 2
        entries = _expanded(np.frombuffer(words, f"<u{size}").astype(np.int64), size)[:count]
    return Table(entries, first - 65536 if first > 32767 and lowest < 0 else first, bits)


def _descriptor(value: Any, little: bool) -> tuple[int, int, int]:
    """Count, first value mapped and bits; 0 means 65536 entries, and a count of more than 32767 may stand there as negative."""
    numbers = np.frombuffer(value, "<i2" if little else ">i2") if isinstance(value, bytes) else value
    count, first, bits = (int(number) for number in numbers)
    return count & 0xFFFF or 65536, first, bits & 0xFFFF


def _bytes(element: Any, little: bool) -> bytes:
    """Give the words of a table with their low byte first, whatever its VR and the file's byte order (PS3.5 7.3)."""
    value = element.value
    if not isinstance(value, bytes):
        return np.atleast_1d(np.asarray(value, dtype=np.int64)).astype("<u2").tobytes()
    if little or element.VR == "OB":
        return value
    return np.frombuffer(value[: len(value) // 2 * 2], ">u2").astype("<u2").tobytes()


def _entries(data: bytes, count: int) -> NDArray[np.int64]:
    """Split into entries: of 16 bits where there are bytes enough for that, else of 8."""
    return np.frombuffer(data, "<u2" if len(data) >= 2 * count else "u1")[:count].astype(np.int64)


def _expanded(words: NDArray[np.int64], size: int, at: int = 0, segments: int = -1, last: int = 0) -> NDArray[np.int64]:
    """Expand segments of a palette: discrete, linear, and copies of earlier ones (PS3.3 C.7.9.2); words have `size` bytes."""
    found, is_copy = list[NDArray[np.int64]](), segments >= 0
    while at + 2 < len(words) and segments:
        kind, length = int(words[at]), int(words[at + 1])
        if kind == _DISCRETE:
            found.append(words[at + 2 : at + 2 + length])
            at += 2 + length
        elif kind == _LINEAR:
            found.append(np.rint(last + (words[at + 2] - last) * np.arange(1, length + 1) / length).astype(np.int64))
            at += 3
        elif kind == _INDIRECT and not is_copy:
            offset = int.from_bytes(words[at + 2 : at + 2 + 4 // size].astype(f"<u{size}").tobytes(), "little")
            found.append(_expanded(words, size, offset // size, length, last))
            at += 2 + 4 // size
        else:
            raise FlawError(f"a segment of kind {kind} in a palette")
        last = int(found[-1][-1]) if found[-1].size else last
        segments -= 1
    return np.concatenate(found or [np.empty(0, np.int64)])
