import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from made_files import encoded, film, gray_film, guessed_depth
from plainfilm.data import images
from plainfilm.data.decoding.inflating import inflated_length
from plainfilm.errors import ImageError

ROWS, COLUMNS = 75, 53
VALUES = film(ROWS, COLUMNS)
SHOWN = np.floor(VALUES / 4095 * 255 + 0.5)
RGB = np.repeat(VALUES[..., None], 3, axis=2)


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def pages(*each: tuple[NDArray[Any], dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for values, options in each:
            writer.write(values, **options)
    return stream.getvalue()


def shown(data: bytes) -> NDArray[np.uint8]:
    return images.displayed(data, longest_px=1000)


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    return caught.value.code


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damaged_data_of_a_compression_that_is_decoded_are_damaged(compression: str, dtype: type) -> None:
    data = bytearray(tiff(VALUES.astype(dtype), compression=compression))
    images.decode(bytes(data))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        begins, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data[begins + 6 : begins + length] = bytes(length - 6)  # behind the mark that it begins with
    assert refused(bytes(data)) == "damaged"


def test_a_strip_that_inflates_to_more_than_its_picture_is_counted_no_further() -> None:
    whole = zlib.compress(bytes(1 << 26))
    assert inflated_length(whole, 1 << 26) == 1 << 26
    assert 1000 < inflated_length(whole, 1000) <= 1000 + (1 << 20)
    assert inflated_length(whole[:-5], 1 << 26) is None
    assert inflated_length(zlib.compress(b"a" * 10) + b"behind", 10) == 10
    data = bytearray(tiff(np.zeros((64, 64), np.uint8), compression="zlib", rowsperstrip=64))
    at, bomb = len(data), zlib.compress(bytes(1 << 24))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = {number: file.pages[0].tags[number] for number in (273, 279)}
    for number, value in ((273, at), (279, len(bomb))):
        assert tags[number].dtype == tifffile.DATATYPE.LONG or value < 1 << 16
        data[tags[number].valueoffset : tags[number].valueoffset + 2] = struct.pack("<H", value)
    assert refused(bytes(data) + bomb) == "damaged"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (32, 16)])
@pytest.mark.parametrize(
    ("compression", "predictor"),
    [(None, False), ("lzw", False), ("lzw", True), ("zlib", False), ("zlib", True), ("packbits", False)],
)
def test_samples_of_16_bits_and_more_are_read_at_full_depth(
    compression: str | None, predictor: bool, tile: tuple[int, int] | None, order: str
) -> None:
    options = {"compression": compression, "predictor": predictor, "tile": tile, "byteorder": order}
    files = [
        tiff(VALUES, **options),
        tiff(RGB, photometric="rgb", **options),
        tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate", **options),
        tiff((VALUES / 4095).astype(np.float32), **options),
    ]
    for data in files:
        assert np.array_equal(shown(data), SHOWN)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.uint32, np.uint64, np.float64])
def test_samples_of_every_type_are_read(kind: type) -> None:
    values = VALUES / 4095 if kind == np.float64 else VALUES
    assert np.array_equal(shown(tiff(values.astype(kind))), SHOWN)


def test_half_floats_and_big_files_are_read() -> None:
    assert np.abs(shown(tiff((VALUES / 4095).astype(np.float16))) - SHOWN).max() <= 1
    assert np.array_equal(shown(tiff(VALUES, bigtiff=True)), SHOWN)


def test_packed_samples_of_12_bits_are_read_and_their_depth_is_stated() -> None:
    data = tiff(VALUES // 2, bitspersample=12, photometric="minisblack")
    assert np.array_equal(shown(data), np.floor((VALUES // 2) / 4095 * 255 + 0.5))
    assert images.decode(data).provenance["bits"] == 12
    assert guessed_depth(data) is None


def test_16_bits_of_which_white_is_zero_are_turned_over() -> None:
    assert np.array_equal(shown(tiff(VALUES, photometric="miniswhite")), 255 - SHOWN)


def test_an_alpha_channel_of_16_bits_lies_over_black() -> None:
    opaque = np.where(np.arange(COLUMNS) < 20, 0, 65535).astype(np.uint16) + np.zeros_like(VALUES)
    found = shown(tiff(np.dstack([RGB, opaque]), photometric="rgb", extrasamples=["unassalpha"]))
    assert not found[:, :20].any()
    assert np.array_equal(found[:, 20:], SHOWN[:, 20:])


@pytest.mark.parametrize("side", [{"subfiletype": 1}, {"subfiletype": 1, "compression": "zlib"}])
@pytest.mark.parametrize("first", [True, False])
def test_a_page_that_is_a_reduced_copy_is_passed_over(side: dict[str, Any], first: bool) -> None:
    for picture in (gray_film(ROWS, COLUMNS), VALUES):
        whole, small = (picture, {}), (np.ascontiguousarray(picture[::2, ::2]), side)
        found = shown(pages(*((small, whole) if first else (whole, small))))
        assert np.array_equal(found, picture if picture.dtype == np.uint8 else SHOWN)


def test_a_page_that_is_a_mask_is_passed_over_and_two_pictures_are_refused() -> None:
    mask = (VALUES > 2000, {"subfiletype": 4, "photometric": "mask"})
    assert np.array_equal(shown(pages((VALUES, {}), mask)), SHOWN)
    assert refused(pages((VALUES, {}), (VALUES, {}))) == "several-pages"
    assert refused(pages(*[(VALUES, {"subfiletype": 1})] * 70)) == "several-pages"


@pytest.mark.parametrize("compression", ["jpeg2000", "lerc", "png", "jpegxr"])
def test_a_compression_without_a_decoder_is_called_so(compression: str) -> None:
    for values in (VALUES, gray_film(ROWS, COLUMNS)):
        assert refused(tiff(values, compression=compression)) == "unsupported-encoding"


@pytest.mark.parametrize(
    "data",
    [
        tiff(VALUES.astype(np.complex64)),
        tiff(np.dstack([RGB, VALUES]), photometric="separated"),
        tiff(VALUES, bigtiff=True, byteorder=">"),
    ],
)
def test_samples_without_a_meaning_here_are_called_unsupported(data: bytes) -> None:
    assert refused(data) == "unsupported-encoding"


@pytest.mark.parametrize("values", [VALUES, gray_film(ROWS, COLUMNS)])
def test_a_file_cut_short_is_truncated(values: NDArray[Any]) -> None:
    with_head = encoded(Image.fromarray(values), "TIFF")
    assert refused(with_head[:-500]) == "truncated"


def test_negative_samples_are_refused_and_not_wrapped() -> None:
    assert refused(tiff(VALUES.astype(np.int16) - 5)) == "value-range"
    assert refused(tiff(gray_film(ROWS, COLUMNS).astype(np.int8))) == "value-range"
