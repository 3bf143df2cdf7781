"""How many bytes a stream of LZW codes stands for, as GIF and TIFF have them: what a decoder that stops when it has enough does not say."""

import numpy as np
from numpy.typing import NDArray

_LARGEST = 4096  # codes of 12 bits


def length(data: bytes, bits: int, *, is_tiff: bool) -> int | None:
    """Count the bytes that codes of `bits` bits and more stand for, up to their end code or the end of the data; None where a code means nothing.

    TIFF 6.0, section 13, has the highest bit first and makes codes longer one entry early; GIF89a, appendix F, the lowest bit first.
    """
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="big" if is_tiff else "little")
    clear, total, at, most = 1 << bits - 1, 0, 0, 2 * _LARGEST
    while True:
        codes, ends = _codes(stream[at : at + 12 * most], bits, is_tiff)
        special = np.flatnonzero((codes == clear) | (codes == clear + 1))
        if not len(special) and at + 12 * most < len(stream):  # of a table that stays full
            most *= 8
            continue
        stop = int(special[0]) if len(special) else len(codes)
        some = _bytes_of(codes[:stop], clear)
        if some is None or not len(special) or codes[stop] == clear + 1:
            return None if some is None else total + some
        total += some
        at += int(ends[stop])


def _codes(stream: NDArray[np.uint8], bits: int, is_tiff: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read codes up to where the table must be full, and where each ends, in bits."""
    entries = np.arange(len(stream) // bits) + (1 << bits - 1) + 1 + is_tiff  # in the table when a code is read
    widths = np.clip(np.floor(np.log2(np.maximum(entries, 1))).astype(np.int64) + 1, bits, 12)
    ends = np.cumsum(widths)
    count = int(np.searchsorted(ends, len(stream), side="right"))
    widths, ends = widths[:count], ends[:count]
    codes = np.zeros(count, np.int64)
    for bit in range(12):  # from the first
        inside = bit < widths
        place = widths - 1 - bit if is_tiff else np.full(count, bit)
        codes[inside] |= stream[(ends - widths)[inside] + bit].astype(np.int64) << place[inside]
    return codes, ends


def _bytes_of(codes: NDArray[np.int64], clear: int) -> int | None:
    """Sum the lengths of strings: 1 for a byte; for an entry, one more than that of the code that it was made behind."""
    places = codes - clear - 1
    if (places > np.arange(len(codes))).any() or (codes[:1] >= clear).any():
        return None
    parents = np.where(places > 0, places - 1, -1)
    further = (parents >= 0).astype(np.int64)
    while (inner := parents >= 0).any():
        further[inner] += further[parents[inner]]
        parents[inner] = parents[parents[inner]]
    return int(len(codes) + further.sum())
