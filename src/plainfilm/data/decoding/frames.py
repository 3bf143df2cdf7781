"""Compressed frames, JPEG and JPEG 2000: what their own headers state, and whether all of them is there."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

JPEG_END = b"\xff\xd9"  # end of image (T.81 B.1.1.3), and end of codestream (T.800 A.4.4)
_FILLER = bytes(range(1, 255)) * 64  # no marker in it
_NO_FRAME_HEADER = {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Stated:
    """What a codestream says of itself: rows and columns in px, bits of a sample, samples of a pixel."""

    rows: int
    columns: int
    bits: int
    samples: int


def stated(frame: bytes) -> Stated | None:
    """Read the header of a JPEG or JPEG-LS (SOFn, T.81 B.2.2) or JPEG 2000 codestream (SIZ, T.800 A.5.1); None where there is none."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if start >= 0 and not frame.startswith(b"\xff\xd8"):
        x1, y1, x0, y0 = struct.unpack_from(">4I", frame, start + 8)
        samples, depth = struct.unpack_from(">HB", frame, start + 40)
        return Stated(y1 - y0, x1 - x0, (depth & 0x7F) + 1, samples)
    at = 2
    while frame.startswith(b"\xff\xd8") and at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER):
            bits, rows, columns, samples = struct.unpack_from(">B2HB", frame, at + 4)
            return Stated(rows, columns, bits, samples)
        else:
            at += 2 + int(struct.unpack_from(">H", frame, at + 2)[0])
    return None


def has_end(data: bytes) -> bool:
    """Whether the last marker of a frame is its end; what stands behind it is padding."""
    end = data.rfind(JPEG_END)
    return end >= 0 and _is_padding(data[end + 2 :])


def _is_padding(rest: bytes) -> bool:
    return len(rest) <= 64 or not rest.strip(b"\0") or not rest.strip(b"\xff") or not rest.strip(b" ")


def is_whole_without_end(data: bytes, decode: Callable[[bytes], NDArray[Any]]) -> bool:
    """Whether nothing but the end marker is missing: then it makes no difference what stands between the data and the marker.

    A decoder that still needs data makes a picture of whatever it finds there.
    """
    try:
        one, other = (decode(data + filler + JPEG_END) for filler in (b"", _FILLER))
    except Exception:  # noqa: BLE001 - a decoder that refuses either has not got all
        return False
    return bool(np.array_equal(one, other))
