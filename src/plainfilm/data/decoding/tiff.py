"""TIFF: which page is the picture, and samples of more than 8 bits, which Pillow reads in part only.

Pillow undoes the compression alone: it is handed the page as an 8-bit picture whose pixels are the bytes of the samples. Byte order,
predictor and the meaning of the samples are dealt with here.
"""

import struct
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from plainfilm.data.decoding.decoded import check_size, refusal
from plainfilm.data.decoding.samples import Samples
from plainfilm.errors import ImageError

MAX_PAGES = 64
(
    _SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, COMPRESSION, PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS, _SAMPLES, _STRIP_ROWS,
    _STRIP_BYTES, _PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _EXTRA, _FORMAT,
) = (254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339)  # fmt: skip
_REDUCED, _MASK = 1, 4
_BYTEWISE = {1: "no", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_SAFE = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
_OPTIONAL = {34925, 50000}  # which a libtiff may be built without
Tags = TiffImagePlugin.ImageFileDirectory_v2


def picture(data: bytes) -> tuple[int, Tags]:
    """Find the page that is the picture: neither a reduced copy nor a mask. Give its number and its tags.

    Raises
    ------
    ImageError
        `several-pages` where several are; as `check_size`.
    """
    pages = _directories(data)
    main = [number for number, tags in enumerate(pages) if not _is_side_page(tags)]
    if len(main) > 1 or len(pages) > MAX_PAGES:
        raise refusal(
            "several-pages", "Expected one image a file; received a TIFF of several pages. Save each page by itself."
        )
    number = main[0] if main else 0
    tags = pages[number]
    check_size(int(tags[_WIDTH]), int(tags[_HEIGHT]))
    return number, tags


def _directories(data: bytes) -> list[Tags]:
    if data[2:4] == b"\0+":  # Pillow takes it for a small one
        raise _unsupported("a big-endian BigTIFF")
    head = data[: 16 if data[2:4] == b"+\0" else 8]
    stream, pages, at, seen = BytesIO(data), list[Tags](), Tags(head).next, set[int]()
    while at and at not in seen and len(pages) <= MAX_PAGES:
        seen.add(at)
        stream.seek(at)
        tags = Tags(head)
        tags.load(stream)
        pages.append(tags)
        at = tags.next
    return pages


def _is_side_page(tags: Tags) -> bool:
    return bool(int(tags.get(_SUBFILE, 0)) & (_REDUCED | _MASK)) or int(tags.get(_OLD_SUBFILE, 1)) == 2


def _parts(tags: Tags) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the strips or tiles stand, and their bytes."""
    offsets, lengths = (_TILE_OFFSETS, _TILE_BYTES) if _TILE_OFFSETS in tags else (_STRIP_OFFSETS, _STRIP_BYTES)
    return tuple(tags.get(offsets, ())), tuple(tags.get(lengths, ()))


def parts_of(data: bytes, tags: Tags) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Give each strip or tile of a page as it stands in the file, and the bytes that it holds once decompressed: its own, and those of a full one."""
    width, height, samples = int(tags[_WIDTH]), int(tags[_HEIGHT]), int(tags.get(_SAMPLES, 1))
    planes = samples if int(tags.get(_PLANAR, 1)) == 2 else 1
    rows = int(tags.get(_TILE_HEIGHT, min(int(tags.get(_STRIP_ROWS, height)), height)))
    row_bytes = -(-int(tags.get(_TILE_WIDTH, width)) * (samples // planes) * bits_of(tags) // 8)
    down = -(-height // rows)
    for number, (start, length) in enumerate(zip(*_parts(tags), strict=False)):
        left = rows if _TILE_WIDTH in tags else min(rows, height - number % down * rows)
        yield data[start : start + length], (row_bytes * left, row_bytes * rows)


def is_cut_short(data: bytes, tags: Tags) -> bool:
    """Whether a strip or tile of the page lies beyond the end of the file; the last one's length may overstate it."""
    starts, lengths = _parts(tags)
    return any(start + length > len(data) for start, length in zip(starts, lengths, strict=False))


def bits_of(tags: Tags) -> int:
    """Give the bits a sample."""
    return int(tags.get(_BITS, (1,))[0])


def is_beyond_pillow(tags: Tags) -> bool:
    """Whether the samples are of more than 8 bits, or signed."""
    return bits_of(tags) > 8 or int(tags.get(_FORMAT, (1,))[0]) == 2


def unsupported(tags: Tags) -> ImageError | None:
    """Say what of a sound page there is no decoder for, if that may be why it could not be read."""
    compression = int(tags.get(COMPRESSION, 1))
    name = TiffImagePlugin.COMPRESSION_INFO.get(compression, f"number {compression}")
    if compression not in _SAFE and not (compression in _OPTIONAL and _is_decoded(name)):
        return _unsupported(f"the compression {name}")
    if _key_of(tags) not in {key[1:] for key in TiffImagePlugin.OPEN_INFO}:
        return _unsupported(f"{bits_of(tags)} bits a sample and photometric interpretation {tags.get(PHOTOMETRIC)}")
    return None


@cache
def _is_decoded(compression: str) -> bool:
    """Whether Pillow's libtiff was built with one of the optional compressions."""
    try:
        Image.new("L", (1, 1)).save(BytesIO(), "TIFF", compression=compression)
    except (OSError, KeyError, ValueError):
        return False
    return True


def _key_of(tags: Tags) -> tuple[Any, ...]:
    bits = tags.get(_BITS, (1,))
    samples = int(tags.get(_SAMPLES, 1))
    bits = bits * samples if len(bits) == 1 else bits
    return tags.get(PHOTOMETRIC, 0), tags.get(_FORMAT, (1,))[:1], tags.get(_FILL_ORDER, 1), bits, tags.get(_EXTRA, ())


def _unsupported(received: str) -> ImageError:
    return refusal(
        "unsupported-encoding",
        f"Expected a TIFF of 8 or 16 bits, gray or RGB; received {received}. Save it as a plain TIFF or PNG.",
    )


def samples_of(data: bytes, tags: Tags) -> Samples:
    """Decode a page that `is_beyond_pillow`.

    Raises
    ------
    ImageError
        `unsupported-encoding` where the samples are neither whole bytes nor packed integers, gray or RGB.
    """
    bits, count = set(tags.get(_BITS, (1,))), int(tags.get(_SAMPLES, 1))
    formats, photometric = set(tags.get(_FORMAT, (1,))), int(tags.get(PHOTOMETRIC, 1))
    (width_bits,), kind = bits if len(bits) == 1 else (0,), _KINDS.get(next(iter(formats)), "")
    whole = width_bits in ({16, 32, 64} if kind == "f" else {8, 16, 32, 64})
    if (
        not kind
        or len(formats) > 1
        or not (whole or (8 < width_bits < 16 and kind == "u"))
        or photometric not in {0, 1, 2}
    ):
        raise _unsupported(
            f"{width_bits or sorted(bits)} bits a sample, sample format {sorted(formats)}, photometric interpretation {photometric}"
        )
    compression = int(tags.get(COMPRESSION, 1))
    if compression not in _BYTEWISE:
        raise _unsupported(f"{width_bits} bits a sample under the compression number {compression}")
    channels = 3 if photometric == 2 else 1
    if count < channels:
        raise refusal("damaged", f"Expected RGB of 3 samples; received {count}. Save the file again.")
    dtype = np.dtype(f"{'>' if tags.prefix == b'MM' else '<'}{kind}{width_bits // 8}") if whole else None
    values = _decoded(data, tags, count, width_bits, dtype)
    has_alpha = count == channels + 1 and set(tags.get(_EXTRA, (0,))) & {1, 2}
    return Samples(
        values[..., : channels + bool(has_alpha)], None if whole else width_bits, white_is_zero=photometric == 0
    )


def _decoded(data: bytes, tags: Tags, count: int, bits: int, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Give all samples (h, w, count)."""
    width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
    columns = int(tags.get(_TILE_WIDTH, width))
    padded = -(-width // columns) * columns
    planes = count if int(tags.get(_PLANAR, 1)) == 2 else 1
    rows = [_bytes_of(data, tags, plane, planes, padded * (count // planes) * bits) for plane in range(planes)]
    found = [_samples(each, columns, count // planes, bits, dtype, int(tags.get(_PREDICTOR, 1))) for each in rows]
    return np.concatenate([each.reshape(height, -1, count // planes)[:, :width] for each in found], axis=2)


def _bytes_of(data: bytes, tags: Tags, plane: int, planes: int, row_bits: int) -> NDArray[np.uint8]:
    """Undo the compression of one plane: uint8 (h, bytes a row)."""
    starts, lengths = _parts(tags)
    some = len(starts) // planes
    width, height = -(-row_bits // 8), int(tags[_HEIGHT])
    if width * height > 2 * (Image.MAX_IMAGE_PIXELS or 0):
        raise refusal(
            "too-many-pixels",
            f"Expected at most 178 MB of samples; received {width * height / 1e6:.0f} MB. Save a smaller copy.",
        )
    entries = {
        _WIDTH: width,
        _HEIGHT: height,
        _BITS: 8,
        COMPRESSION: int(tags.get(COMPRESSION, 1)),
        PHOTOMETRIC: 1,
        _SAMPLES: 1,
    }
    entries |= {_FILL_ORDER: int(tags.get(_FILL_ORDER, 1))}
    lists = (_STRIP_OFFSETS, _STRIP_BYTES)
    if _TILE_OFFSETS in tags:
        lists = (_TILE_OFFSETS, _TILE_BYTES)
        across = -(-int(tags[_WIDTH]) // int(tags[_TILE_WIDTH]))
        entries |= {_TILE_WIDTH: width // across, _TILE_HEIGHT: int(tags[_TILE_HEIGHT])}
    else:
        entries |= {_STRIP_ROWS: min(int(tags.get(_STRIP_ROWS, height)), height)}
    part = slice(plane * some, (plane + 1) * some)
    whole = _file(data, entries, dict(zip(lists, (starts[part], lengths[part] or (width * height,)), strict=True)))
    with Image.open(BytesIO(whole), formats=("TIFF",)) as image:
        return np.asarray(image)


def _file(data: bytes, entries: dict[int, int], lists: dict[int, tuple[int, ...]]) -> bytes:
    """Lay a directory of 32-bit entries behind the data of a file, and the head of a little-endian TIFF over its own."""
    start = len(data) + len(data) % 2
    behind = start + 6 + 12 * (len(entries) + len(lists))
    fields, long = {tag: (1, value) for tag, value in entries.items()}, b""
    for tag, values in lists.items():
        packed = struct.pack(f"<{len(values)}I", *values)
        fields[tag] = (len(values), values[0] if len(values) == 1 else behind + len(long))
        long += packed if len(values) > 1 else b""
    directory = b"".join(struct.pack("<HHII", tag, 4, *fields[tag]) for tag in sorted(fields))
    head = struct.pack("<2sHI", b"II", 42, start)
    return head + data[8:] + bytes(len(data) % 2) + struct.pack("<H", len(fields)) + directory + bytes(4) + long


def _samples(
    rows: NDArray[np.uint8], columns: int, count: int, bits: int, dtype: np.dtype[Any] | None, predictor: int
) -> NDArray[Any]:
    """Read samples (h, w * count) in the bytes of rows, and undo the predictor within each tile of `columns` pixels."""
    if dtype is None:
        return np.concatenate([_unpacked(row, bits) for row in np.array_split(rows, -(-len(rows) // 64))])
    tile_bytes = columns * count * dtype.itemsize
    if (
        predictor == 3
    ):  # Adobe Photoshop TIFF Technical Note 3: differences of bytes, then the high bytes of a row before the lower ones
        tiles = rows.reshape(len(rows), -1, tile_bytes // count, count)
        planes = np.cumsum(tiles, axis=2, dtype=np.uint8).reshape(len(rows), -1, dtype.itemsize, columns * count)
        rows = np.ascontiguousarray(planes.swapaxes(2, 3)).reshape(len(rows), -1)
        dtype = dtype.newbyteorder(">")
    values = np.ascontiguousarray(rows).view(dtype).astype(dtype.newbyteorder("="), copy=False)
    if predictor == 2:
        whole = values.view(f"u{dtype.itemsize}").reshape(len(rows), -1, columns, count)
        values = np.cumsum(whole, axis=2, dtype=whole.dtype).view(values.dtype).reshape(len(rows), -1)
    return values


def _unpacked(rows: NDArray[np.uint8], bits: int) -> NDArray[np.uint16]:
    ones = np.unpackbits(rows, axis=1)
    ones = ones[:, : ones.shape[1] // bits * bits].reshape(len(rows), -1, bits)
    return np.asarray(ones @ (1 << np.arange(bits - 1, -1, -1, dtype=np.uint16)), dtype=np.uint16)
