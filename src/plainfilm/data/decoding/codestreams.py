"""Headers and ends of JPEG, JPEG-LS and JPEG 2000 codestreams, as files and as frames of DICOM."""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.decoding.decoded import Remarks

END = b"\xff\xd9"  # end of image (T.81) and of codestream (T.800)
WAVELETS, LOSSLESS_JPEG, JPEG_LS = 0, 0xC3, 0xF7  # as processes; 0 is no SOF marker
LOSSLESS = {LOSSLESS_JPEG, JPEG_LS}
_PROGRESSIVE = {0xC2, 0xCA}
JPEG_2000 = b"\xff\x4f\xff\x51"
_BOX = b"\0\0\0\x0cjP  "
NO_END: Remarks = (
    (
        "no-end-marker",
        "Expected an end marker behind the compressed picture; received none, though all of the picture is there. Nothing is lost.",
    ),
)
HOLE: Remarks = (
    (
        "hole",
        "Expected compressed data without gaps; received a long run of zeros among them. Part of the picture is probably wrong: look at it.",
    ),
)
_NOISE = bytes(np.random.default_rng(0).integers(1, 255, 4096, dtype=np.uint8))  # none of it a marker
_LAST_BYTES, _LAST_ROWS, _HOLE_BYTES = 16, 16, 128
_LAST_BYTES_LOSSLESS = 3  # Huffman's codes are read bit by bit, up to the last byte
WIDEST = 16  # bits of a sample (T.81 B.2.2)
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True)
class Frame:
    """What a codestream states of itself; `process` is the number of its SOF marker, 0 for JPEG 2000."""

    rows: int
    columns: int
    bits: int
    samples: int
    process: int

    @property
    def encoding(self) -> str:
        """Its name, for people."""
        names = {
            0: "JPEG 2000",
            LOSSLESS_JPEG: "lossless JPEG",
            JPEG_LS: "JPEG-LS",
            0xC9: "arithmetic JPEG",
            0xCA: "arithmetic JPEG",
        }
        return f"{self.bits}-bit {names.get(self.process, 'JPEG')}"


def frame_of(data: bytes | bytearray) -> Frame | None:
    """Read the header of a JPEG, JPEG-LS (SOFn, T.81 B.2.2) or JPEG 2000 codestream (SIZ, T.800 A.5.1); None without one."""
    start = data.find(JPEG_2000) if data.startswith((JPEG_2000, _BOX)) else -1  # RLE may hold these bytes too
    if start >= 0:
        x1, y1, x0, y0 = struct.unpack_from(">4I", data, start + 8)
        return Frame(
            y1 - y0, x1 - x0, (data[start + 42] & 0x7F) + 1, int.from_bytes(data[start + 40 : start + 42]), WAVELETS
        )
    for marker, at in segments(data):
        if marker == JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 4)
            return Frame(rows, columns, bits, samples, marker)
    return None


def segments(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Give the segments of a JPEG: their markers, and where these stand."""
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while found := _MARKER.search(data, at):
        marker, at = data[found.end() - 1], found.end() - 2
        if marker == END[1]:
            return
        yield marker, at
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def end_of(data: bytes) -> int | None:
    """Where the picture ends, behind its end marker, whatever follows; None without an end marker behind the last scan or tile-part."""
    last = max(data.rfind(b"\xff\xda"), data.rfind(b"\xff\x90"), 0)
    at = data.find(END, last)
    return None if at < 0 else at + len(END)


def completed_2000(data: bytes) -> bytes | None:
    """Put the end marker behind the last tile-part of JPEG 2000; None where a tile or a part of one is missing (T.800 A.4.2)."""
    start = data.find(JPEG_2000)
    x1, y1, _, _, width, height, left, top = struct.unpack_from(">8I", data, start + 8)
    tiles = -(-(x1 - left) // width) * -(-(y1 - top) // height)
    at, found = start + 2, set[int]()
    while data[at : at + 1] == b"\xff" and data[at : at + 2] not in {b"\xff\x90", END}:
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    while data[at : at + 2] == b"\xff\x90":
        tile, length = struct.unpack_from(">HI", data, at + 4)
        found.add(tile)
        at = at + length if length else len(data) + 1
    return data[:at] + END if len(found) == tiles and at <= len(data) else None


def completed(data: bytes, is_whole: Callable[[bytes], bool]) -> bytes | None:
    """Put the missing end marker behind a JPEG or JPEG-LS; None where more than that is missing, as `is_whole` says of it without the marker."""
    rest = data.rstrip(b"\0")
    rest = data[: len(rest) + 2].removesuffix(b"\xff")
    return rest + END if brings_all(rest) and is_whole(rest) else None


def is_enough(rest: bytes, decode: Callable[[bytes], NDArray[Any]]) -> bool:
    """Whether a decoder needs nothing behind these data: it then gives the same picture with an end marker there, and with noise before one.

    A decoder of JPEG-LS says itself where it needs more.
    """
    plain, frame = decode(rest + END), frame_of(rest)
    if frame is not None and frame.process == JPEG_LS:
        return True
    return np.array_equal(plain, decode(rest + _NOISE + END))


def ends_with_picture(whole: bytes, plain: NDArray[Any], decode: Callable[[bytes], NDArray[Any]]) -> bool:
    """Whether a decoder that gave `plain` (h, w, ...) came to the end of these data with the end of the picture.

    Noise in place of the last bytes then changes the last rows, and those alone. JPEG-LS codes many equal rows by few bits, and says itself where
    it needs more.
    """
    frame = frame_of(whole)
    is_lossless = frame is not None and frame.process == LOSSLESS_JPEG
    rest = whole.removesuffix(END).rstrip(b"\xff")
    rest = rest[: -_LAST_BYTES_LOSSLESS if is_lossless else -_LAST_BYTES].rstrip(b"\xff")
    changed = np.flatnonzero((plain != decode(rest + _NOISE + END)).reshape(len(plain), -1).any(axis=1))
    is_late = (frame is not None and frame.process == JPEG_LS) or changed[:1] >= len(plain) - max(
        _LAST_ROWS, len(plain) // 20
    )
    return bool(len(changed) and is_late)


def widened(data: bytes) -> bytes:
    """Declare samples of 16 bits in a lossless JPEG; none is then cut to its own range."""
    at = next(at for marker, at in segments(data) if marker == LOSSLESS_JPEG) + 4
    return data[:at] + bytes([WIDEST]) + data[at + 1 :]


def is_within_range(widened: NDArray[Any], bits: int) -> bool:
    """Whether all samples of a lossless JPEG that was `widened` lie in the range of its own `bits` (T.81 H.1.2.1): wrong differences add up and leave it."""
    values = widened.view("u2").astype(np.int32) - (1 << WIDEST - 1) + (1 << bits - 1)
    return bool(values.min() >= 0 and values.max() < 1 << bits)


def has_hole(data: bytes) -> bool:
    """Whether a run of zeros stands in the tiles of JPEG 2000, longer than arithmetic codes and empty packets give (T.800 B.9)."""
    return data.find(bytes(_HOLE_BYTES), max(0, data.find(b"\xff\x90"))) >= 0


def brings_all(data: bytes) -> bool:
    """Whether the scans, each supposed to be whole, bring all bits of all coefficients (T.81 G.1.1.1.1); lossless ones have but one."""
    frame = frame_of(data)
    if frame is None or frame.process in LOSSLESS:
        return frame is not None
    if frame.process not in _PROGRESSIVE and data.count(b"\xff\xda") == 1 and frame.samples == 1:
        return True
    brought = set[tuple[int, int]]()
    for marker, at in segments(data):
        if marker == 0xDA:
            count = data[at + 4]
            first, last, approximation = data[at + 5 + 2 * count : at + 8 + 2 * count]
            if frame.process not in _PROGRESSIVE:  # some write other bounds, which mean nothing
                first, last, approximation = 0, 63, 0
            if not approximation & 15:
                chosen = data[at + 5 : at + 5 + 2 * count : 2]
                brought |= {(component, k) for component in chosen for k in range(first, last + 1)}
    return len(brought) == 64 * frame.samples > 0
