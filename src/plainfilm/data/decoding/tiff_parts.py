"""Whether the strips or tiles of a TIFF page hold what their picture needs; libtiff writes its complaints to the terminal, or has none."""

from collections.abc import Callable

from plainfilm.data.decoding import jpeg, lzw, packbits, tiff
from plainfilm.data.decoding.codestreams import END
from plainfilm.data.decoding.inflating import inflated_length

_AMOUNT = "another amount of data in a strip or tile than it needs"
_YCBCR = 6


def fault(data: bytes, tags: tiff.Tags) -> str | None:
    """Say what is wrong with the strips or tiles of a page; compressions for fax, LZMA, Zstandard, WebP and old JPEG are not looked into."""
    compression = int(tags.get(tiff.COMPRESSION, 1))
    if compression == _JPEG:
        tables = bytes(tags.get(_TABLES, b"")).removesuffix(END)
        return next(filter(None, (_jpeg_fault(tables, part) for part, _ in tiff.parts_of(data, tags))), None)
    length = _LENGTHS.get(compression)
    if length is None or int(tags.get(tiff.PHOTOMETRIC, 1)) == _YCBCR:
        return None
    return next(
        (_AMOUNT for part, needed in tiff.parts_of(data, tags) if length(part, max(needed)) not in needed), None
    )


def _jpeg_fault(tables: bytes, part: bytes) -> str | None:
    found = jpeg.fault(tables + part[2:] if tables else part)
    return None if found == jpeg.CANNOT_TELL else found


def _of_codes(part: bytes, _most: int) -> int | None:
    return None if part[:1] == b"\0" else lzw.length(part, 9, is_tiff=True)


_JPEG, _TABLES = 7, 347
_LENGTHS: dict[int, Callable[[bytes, int], int | None]] = {
    1: lambda part, _: len(part), 5: _of_codes, 8: inflated_length, 32946: inflated_length, 32773: lambda part, _: packbits.length(part),
}  # fmt: skip
