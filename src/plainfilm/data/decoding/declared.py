"""What a JPEG or PNG declares of its size, read from its head alone: how much work it may make before anything is decoded."""

import struct
from dataclasses import dataclass

from plainfilm.data.decoding import codestreams
from plainfilm.data.decoding.signatures import kind_of

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2}  # of a pixel, by the colour type of PNG; 4 of type 6
_HUFFMAN = {0xC0, 0xC1, 0xC2}  # SOF markers of T.81: baseline, extended, progressive
_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class Declared:
    """Pixels, bytes of all their samples, and scans, each of which goes over all pixels of a JPEG; 1 of a PNG."""

    pixels: int
    samples_bytes: int
    scans: int


def declared(data: bytes | bytearray) -> Declared | None:
    """Read the head of a PNG, or of a JPEG by Huffman's codes; None of anything else, and where it does not tell."""
    kind = kind_of(data)
    if kind == "PNG" and data.count(b"IHDR") == 1 and len(data) >= 26:
        width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
        return _of(width * height, _SAMPLES.get(colour, 4), bits, 1)
    if kind != "JPEG":
        return None
    try:
        frame = codestreams.frame_of(data)
    except struct.error:
        return None
    if frame is None or frame.process not in _HUFFMAN:
        return None
    return _of(frame.columns * frame.rows, frame.samples, frame.bits, data.count(_SCAN))


def _of(pixels: int, samples: int, bits: int, scans: int) -> Declared:
    return Declared(pixels, pixels * samples * max(8, bits) // 8, scans)
