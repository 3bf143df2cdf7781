"""DICOM files that a few bytes make large, deep or slow for whoever reads them without a bound."""

import struct
import zlib
from collections.abc import Iterator

from pydicom.uid import DeflatedExplicitVRLittleEndian

from made_files import dataset, dicom_bytes, film

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))


def deflated(zeros: int, *, preamble: bool = True) -> bytes:
    """A sound film, deflated, with an element of so many zeros behind its pixels."""
    made = dataset(film(), PatientID="P1", Modality="DX")
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    plain = dicom_bytes(made)
    start = 144 + struct.unpack_from("<I", plain, 140)[0]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [squeezer.compress(each) for each in _swollen(zlib.decompress(plain[start:], -zlib.MAX_WBITS), zeros)]
    whole = plain[:start] + b"".join(pieces) + squeezer.flush()
    return whole if preamble else whole[132:]


def _swollen(body: bytes, zeros: int) -> Iterator[bytes]:
    yield body + struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, min(zeros, _UNDEFINED - 1))
    for at in range(0, zeros, 1 << 24):
        yield bytes(min(1 << 24, zeros - at))


def with_elements(inserted: bytes) -> bytes:
    """A sound film without preamble, with bytes between its patient and its pixels."""
    plain = dicom_bytes(dataset(film(), PatientID="P1", Modality="DX"))
    body = plain[144 + struct.unpack_from("<I", plain, 140)[0] :]
    at = body.index(struct.pack("<HH", 0x0028, 0x0002))
    return body[:at] + inserted + body[at:]


def many_elements(count: int) -> bytes:
    return with_elements(struct.pack("<HH2sH", 0x0019, 0x1001, b"LO", 0) * count)


def many_items(count: int) -> bytes:
    items = (_ITEM + struct.pack("<I", 0)) * count
    return with_elements(sequence(items))


def deep(depth: int) -> bytes:
    inside = b""
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, _UNDEFINED) + _ITEM + struct.pack("<I", _UNDEFINED)
    closing = _ITEM_END + bytes(4) + _SEQUENCE_END + bytes(4)
    return with_elements(opening * depth + inside + closing * depth)


def sequence(items: bytes, *, vr: bytes = b"SQ") -> bytes:
    """A sequence of undefined length, or fragments where `vr` is OB."""
    return struct.pack("<HH2sHI", 0x0019, 0x1002, vr, 0, _UNDEFINED) + items + _SEQUENCE_END + bytes(4)


def fragment(data: bytes) -> bytes:
    return _ITEM + struct.pack("<I", len(data)) + data


def long_value(length: int) -> bytes:
    """A patient's id, or as many of them, of so many bytes; as UT, since LO cannot be so long."""
    return with_elements(struct.pack("<HH2sHI", 0x0010, 0x4000, b"UT", 0, length) + b"1\\" * (length // 2))
