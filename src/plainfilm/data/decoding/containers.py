"""What PNG, WebP and GIF files say of themselves that Pillow does not check: checksums, lengths, and whether the picture needs the data it has."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO

from PIL import Image

from plainfilm.data.decoding import lzw
from plainfilm.data.decoding.inflating import inflated_length

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type of PNG (11.2.2)
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # Adam7 (8.1)
_LAST_BYTES, _LAST_BYTES_LOSSLESS = 16, 3
_MORE = b"\x5a\xc3" * 16
_Decoder = Callable[[bytes], bytes | None]


def png_fault(data: bytes) -> str | None:
    """Check the CRC of every chunk (PNG 5.3), the checksum of the compressed data, and that they fill the picture."""
    packed, header, at = [], b"", 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))):
            return f"the checksum of its chunk {kind.decode('ascii', 'replace')} is wrong"
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"IEND":
            break
        at += 12 + length
    expected = _png_length(header)
    return (
        None
        if inflated_length(b"".join(packed), expected) == expected
        else "another amount of data than its size needs"
    )


def _png_length(header: bytes) -> int:
    """Bytes of all rows, each behind its filter (PNG 7.2 and 8.1)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    bits = depth * _CHANNELS[colour]
    sides = [(-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in passes]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sides if columns > 0 and rows > 0)


def webp_fault(data: bytes) -> str | None:
    """Check the lengths of a WebP (RFC 9649), and that its picture needs the data it has: after a fault a decoder comes to its end too early, or too late."""
    chunks = list(_riff(data))
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) or any(at + length > end for _, at, length in chunks):
        return "it is cut short"
    found = next((chunk for chunk in chunks if chunk[0] in {b"VP8 ", b"VP8L"}), None)
    if found is None:  # a single frame of an animation
        return None
    kind, at, length = found

    def picture(part: bytes) -> bytes | None:
        return _picture(_replaced(data, at, length, part))

    is_other = _is_other_lossless if kind == b"VP8L" else _needs_less
    return "another amount of data than its picture needs" if is_other(data[at : at + length], picture) else None


def _needs_less(body: bytes, picture: _Decoder) -> bool:
    return any(picture(part) is not None for part in (body[:-_LAST_BYTES], _without_modes(body)))


def _is_other_lossless(body: bytes, picture: _Decoder) -> bool:
    """Whether other last bits make the same picture, or more bits another: libwebp makes the last row from what it has, and says nothing."""
    at, whole = len(body) - _LAST_BYTES_LOSSLESS, picture(body)
    return whole == picture(body[:at] + bytes(each ^ 0xFF for each in body[at:])) or whole != picture(body + _MORE)


def is_lossless_webp(data: bytes) -> bool:
    """Whether the picture of a WebP is coded without loss (RFC 9649, 2.6)."""
    return any(kind == b"VP8L" for kind, _, _ in _riff(data))


def _riff(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, length
        at += 8 + length + length % 2


def _without_modes(body: bytes) -> bytes:
    """Cut off the end of the first partition of a VP8 key frame (RFC 6386, 9.1)."""
    tag = int.from_bytes(body[:3], "little")
    first = tag >> 5
    cut = min(_LAST_BYTES, first // 2)
    shorter = (tag & 31 | (first - cut) << 5).to_bytes(3, "little")
    return shorter + body[3 : 10 + first - cut] + body[10 + first :]


def _replaced(data: bytes, at: int, length: int, part: bytes) -> bytes:
    padded = part + bytes(len(part) % 2)
    whole = data[8 : at - 4] + struct.pack("<I", len(part)) + padded + data[at + length + length % 2 :]
    return data[:4] + struct.pack("<I", len(whole)) + whole


def _picture(data: bytes) -> bytes | None:
    with suppress(OSError, ValueError, SyntaxError, EOFError), Image.open(BytesIO(data), formats=("WEBP",)) as image:
        return image.tobytes()
    return None


def gif_fault(data: bytes) -> str | None:
    """Check that the codes of the first picture of a GIF fill it (GIF89a, 20 to 22)."""
    at = 13 + _table_length(data[10])
    while data[at] == 0x21:  # extension
        at = _behind_blocks(data, at + 2)[1]
    width, height, flags = struct.unpack_from("<HHB", data, at + 5)
    at += 10 + _table_length(flags)
    codes, _ = _behind_blocks(data, at + 1)
    return (
        None
        if lzw.length(codes, data[at] + 1, is_tiff=False) == width * height
        else "another amount of data than its size needs"
    )


def _table_length(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_blocks(data: bytes, at: int) -> tuple[bytes, int]:
    """Join the blocks that begin here; say where they end."""
    blocks = []
    while length := data[at]:
        blocks.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return b"".join(blocks), at + 1
