"""Whether the picture of an 8-bit JPEG is whole: what libjpeg-turbo warns of, which Pillow drops, and what no encoder writes.

The entropy-coded data are decoded a second time, at an eighth of the size. Their header is laid out anew for it, so that harmless oddities of
application segments, or bytes between segments, are not heard; and the step of the lowest coefficient is made smaller, so that a mean of a
block that lies outside the range of samples shows instead of being clipped: a wrong difference shifts all blocks behind it.
"""

import re
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from plainfilm.data.decoding import codestreams
from plainfilm.data.decoding.codestreams import END

_SCAN, _TABLES = 0xDA, 0xDB
_HEADER = {_TABLES, 0xDD, *range(0xC0, 0xD0)}  # DQT, DRI, SOFn, DHT and DAC
_NO_FRAME = {0xC4, 0xC8, 0xCC, 0xDD}
_HEADROOM = 4  # times the range of samples that is looked at
_LOWEST, _HIGHEST = -1024, 1016  # of eight times a block's mean, level-shifted (T.81 A.3.1 and A.3.3)
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
NO_END = "Premature end of JPEG file"
_UNHEARD = "Could not determine subsampling"
CANNOT_TELL = "unusual sampling factors"


@dataclass(frozen=True, slots=True)
class _Plain:
    """A JPEG reduced to what its picture is decoded by, whose scans begin at `scans`; `step` of the lowest coefficient, for which `shown` stands there."""

    data: bytes
    scans: int
    step: int = 0
    shown: int = 0


def gray(data: bytes, width: int, height: int) -> NDArray[np.uint8] | None:
    """Decode a JPEG of one component at the scale that gives this size: uint8 (h, w), as Pillow does; None where a warning is heard."""
    try:
        found = simplejpeg.decode_jpeg(data, "GRAY", min_height=height, min_width=width)[..., 0]
    except ValueError:
        return None
    return found if found.shape == (height, width) else None


def fault(data: bytes) -> str | None:
    """Say what is wrong with the entropy-coded data of a JPEG.

    Returns
    -------
    str or None
        `NO_END` where the end marker is missing, perhaps alone; `CANNOT_TELL` where they cannot be heard; None if nothing is wrong.

    Raises
    ------
    IndexError, struct.error
        The header ends too early.
    """
    plain = _plain(data)
    try:
        shown = simplejpeg.decode_jpeg(plain.data, "GRAY", min_height=1, min_width=1)[..., 0]
    except ValueError as error:
        if _UNHEARD in str(error):
            return CANNOT_TELL
        if not _is_padding(str(error), plain):
            return str(error)
        shown = simplejpeg.decode_jpeg(plain.data, "GRAY", min_height=1, min_width=1, strict=False)[..., 0]
    return _beyond_range(shown, plain) if codestreams.brings_all(data) else "scans are missing"


def _is_padding(warning: str, plain: _Plain) -> bool:
    """Whether what a decoder stumbles over are zeros between picture and end marker, as some cameras write them."""
    found, end = _STRAY.search(warning), plain.data.find(END, plain.scans)
    return found is not None and not plain.data[end - int(found[1]) : end].strip(b"\0")


def _beyond_range(shown: NDArray[np.uint8], plain: _Plain) -> str | None:
    if not plain.step:
        return None
    unit = 8 * plain.step / plain.shown
    spare = plain.step + unit / 2
    darkest, brightest = unit * (np.array([shown.min(), shown.max()]) - 128.0)
    is_within = darkest >= _LOWEST - spare and brightest <= _HIGHEST + spare
    return None if is_within else "blocks darker than black or brighter than white"


def _plain(data: bytes) -> _Plain:
    """Keep the segments that the picture needs, in order, and all from the first scan on."""
    header, frame, tables = bytearray(data[:2]), b"", dict[int, tuple[int, int]]()
    for marker, at in codestreams.segments(data):
        if marker == _SCAN:
            return _with_headroom(header, frame, tables, data[at:])
        if marker in _HEADER:
            segment = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4])]
            if marker == _TABLES:
                tables |= _lowest_steps(segment, len(header))
            elif marker not in _NO_FRAME:
                frame = segment
            header += segment
    return _Plain(data, len(data))


def _with_headroom(header: bytearray, frame: bytes, tables: dict[int, tuple[int, int]], scans: bytes) -> _Plain:
    """Make the step of the lowest coefficient of the gray component smaller (SOFn, T.81 B.2.2)."""
    is_gray = frame[9] == 1 or (frame[9] == 3 and frame[10:17:3] != b"RGB")
    at, wide = tables[frame[12]]
    step = int.from_bytes(header[at : at + 1 + wide])
    if not is_gray or not step:
        return _Plain(bytes(header + scans), len(header))
    shown = max(1, step // _HEADROOM)
    header[at : at + 1 + wide] = shown.to_bytes(1 + wide)
    return _Plain(bytes(header + scans), len(header), step, shown)


def _lowest_steps(segment: bytes, start: int) -> dict[int, tuple[int, int]]:
    """Tables of a DQT (T.81 B.2.4.1) that will stand at `start`: number -> where its first entry stands, and whether that has 16 bits."""
    found, at = dict[int, tuple[int, int]](), 4
    while at < len(segment):
        wide, number = divmod(segment[at], 16)
        found[number] = (start + at + 1, wide)
        at += 1 + 64 * (1 + wide)
    return found
