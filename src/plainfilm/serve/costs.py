"""Whether decoding a file is little work, told from its first bytes and its length: what is not waits with others that are not."""

import struct
from collections.abc import Iterator

_LIGHT_BYTES = 4_000_000
_LIGHT_PIXELS = 30_000_000  # times the scans of a JPEG, each of which goes over all of them: some 0.3 s
_SIDES = struct.Struct(">II")
_JPEG_SIDES = struct.Struct(">HH")
_FRAMES = {0xC0, 0xC1, 0xC2}  # SOF of Huffman-coded DCT: baseline, extended, progressive
_SCAN = b"\xff\xda"


def is_light(data: bytes | bytearray) -> bool:
    """Whether this is a JPEG or PNG whose bytes and declared pixels bound the work to a fraction of a second."""
    if len(data) > _LIGHT_BYTES:
        return False
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24:
        width, height = _SIDES.unpack_from(data, 16)
        return bool(width * height <= _LIGHT_PIXELS)
    sides = next((_JPEG_SIDES.unpack_from(data, at + 5) for kind, at in _segments(data) if kind in _FRAMES), None)
    return sides is not None and sides[0] * sides[1] * data.count(_SCAN) <= _LIGHT_PIXELS


def _segments(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Give the kind and place of each segment of a JPEG before its first scan (ITU-T T.81, B.1.1)."""
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF and data[at + 1] not in {0xDA, 0xFF}:
        yield data[at + 1], at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
