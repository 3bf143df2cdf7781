import io
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from made_dicom_matrix import compressed
from made_files import dataset, dicom_bytes, encapsulated, encoded, film, gray_film
from plainfilm.data import images, phantom
from plainfilm.errors import ImageError

VALUES = np.clip(film(80, 60) + np.random.default_rng(0).integers(0, 30, (80, 60)), 0, 4095).astype(np.uint16)
GRAY = (VALUES // 16).astype(np.uint8)


def frame(syntax: str) -> bytes:
    made = compressed(dataset(VALUES), syntax)
    return get_frame(made.PixelData, 0, number_of_frames=1).rstrip(b"\0")


FRAMES: dict[Any, Callable[[], bytes]] = {
    JPEGLosslessSV1: lambda: frame(JPEGLosslessSV1),
    JPEGLSLossless: lambda: frame(JPEGLSLossless),
    JPEG2000Lossless: lambda: frame(JPEG2000Lossless),
    JPEGExtended12Bit: lambda: imagecodecs.jpeg8_encode(VALUES, level=95, bitspersample=12),
    JPEGBaseline8Bit: lambda: encoded(Image.fromarray(GRAY), "JPEG", quality=95),
}


def made(syntax: Any, data: bytes, **options: Any) -> bytes:
    eight = syntax == JPEGBaseline8Bit
    file = dataset(GRAY if eight else VALUES, bits=8 if eight else 12)
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = encapsulate([data], **options)
    file["PixelData"].VR = "OB"
    return dicom_bytes(file)


def shown(data: bytes) -> tuple[NDArray[np.uint8], list[str]]:
    return images.displayed(data, longest_px=1000), [code for code, _ in images.decode(data, size=64).remarks]


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    return caught.value.code


@pytest.mark.parametrize("syntax", FRAMES)
def test_the_end_of_a_frame_may_be_padded_missing_or_lie_in_another_fragment(syntax: Any) -> None:
    data = FRAMES[syntax]()
    whole, remarks = shown(made(syntax, data))
    assert remarks == []
    wrong_table = bytearray(encapsulate([data]))
    wrong_table[8:12] = b"\x77\x07\0\0"
    for changed, codes in (
        (made(syntax, data + bytes(500)), ["padded-frame"]),
        (made(syntax, data + b"\x20\x41" * 300), ["padded-frame"]),
        (made(syntax, data + bytes(40)), []),
        (made(syntax, data, fragments_per_frame=3), []),
        (made(syntax, data, fragments_per_frame=2, has_bot=False), []),
        (made(syntax, data[:-2]), ["no-end-marker"]),
        (made(syntax, data[:-2] + bytes(300)), ["no-end-marker"]),
        (made(syntax, data).replace(bytes(encapsulate([data])), bytes(wrong_table)), []),
    ):
        pixels, found = shown(changed)
        assert np.array_equal(pixels, whole)
        assert found == codes


@pytest.mark.parametrize("syntax", FRAMES)
def test_a_frame_that_lacks_data_is_truncated(syntax: Any) -> None:
    data = FRAMES[syntax]()
    for cut in (12, 60, len(data) // 3):
        assert refused(made(syntax, data[:-cut])) == "truncated", cut


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_a_file_without_file_meta_is_decoded_as_its_frame_says(syntax: Any) -> None:
    source, bare, stream = compressed(dataset(VALUES), syntax), Dataset(), io.BytesIO()
    bare.update(source)
    bare.save_as(stream, implicit_vr=False, little_endian=True)
    pixels, codes = shown(stream.getvalue())
    assert np.array_equal(pixels, shown(dicom_bytes(dataset(VALUES)))[0])
    assert codes == ["bad-header"]


def test_a_frame_is_decoded_as_it_says_of_itself_where_the_syntax_says_otherwise() -> None:
    plain = shown(dicom_bytes(dataset(VALUES)))[0]
    for syntax in (JPEGBaseline8Bit, JPEG2000Lossless):
        pixels, codes = shown(encapsulated(dataset(VALUES), syntax, frame(JPEGLSLossless)))
        assert np.array_equal(pixels, plain)
        assert codes == ["bad-header"]


def test_high_throughput_jpeg_2000_and_uncompressed_frames_are_read() -> None:
    plain = shown(dicom_bytes(dataset(VALUES)))[0]
    for syntax, data in (
        (HTJ2KLossless, imagecodecs.htj2k_encode(VALUES)),
        ("1.2.840.10008.1.2.1.98", VALUES.tobytes()),
    ):
        pixels, codes = shown(encapsulated(dataset(VALUES), syntax, data))
        assert np.array_equal(pixels, plain)
        assert codes == []


def test_values_above_bits_stored_are_used_where_they_are_the_picture() -> None:
    values = (VALUES.astype(np.uint32) * 15).astype(np.uint16)
    pixels, codes = shown(dicom_bytes(dataset(values, bits=12)))
    assert codes == ["bad-bits"]
    assert np.array_equal(pixels, shown(dicom_bytes(dataset(values, bits=16)))[0])
    signed = VALUES.astype(np.int16) * 8
    pixels, codes = shown(dicom_bytes(dataset(signed, bits=12)))
    assert codes == ["bad-bits"]


@pytest.mark.parametrize("junk", [1 << 15, 0xF000])
def test_an_overlay_above_bits_stored_is_left_out(junk: int) -> None:
    cells = VALUES.copy()
    cells[5:20, 10:40] |= junk
    for elements in ({}, {"OverlayBitPosition": 15}):
        file = dataset(cells)
        if elements:
            file.add_new((0x6000, 0x0102), "US", 15)
        pixels, codes = shown(dicom_bytes(file))
        assert codes == []
        assert np.array_equal(pixels, shown(dicom_bytes(dataset(VALUES)))[0])


def test_a_high_bit_that_cannot_be_true_is_passed_over() -> None:
    file = dataset(VALUES)
    file.HighBit = 15
    assert np.array_equal(shown(dicom_bytes(file))[0], shown(dicom_bytes(dataset(VALUES)))[0])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_float_pixels_are_shown_over_their_finite_range(kind: type) -> None:
    values = VALUES.astype(kind)
    values[40, 30] = np.nan
    file = dataset(VALUES)
    del file.PixelData, file.BitsStored, file.HighBit, file.PixelRepresentation
    file.BitsAllocated = 32 if kind == np.float32 else 64
    setattr(file, "FloatPixelData" if kind == np.float32 else "DoubleFloatPixelData", values.tobytes())
    pixels, codes = shown(dicom_bytes(file))
    assert codes == []
    plain = shown(dicom_bytes(dataset(VALUES)))[0]
    plain[40, 30] = 0
    assert np.array_equal(pixels, plain)


@pytest.mark.parametrize("frames", [0, 1, ""])
def test_a_number_of_frames_that_is_none_or_one_is_one(frames: Any) -> None:
    assert shown(dicom_bytes(dataset(VALUES, NumberOfFrames=frames)))[1] == []


@pytest.mark.parametrize(
    "change",
    [
        {"PhotometricInterpretation": "HSV"},
        {"PhotometricInterpretation": "YBR_PARTIAL_422"},
        {"BitsAllocated": 12},
        {"BitsAllocated": 24},
        {"SamplesPerPixel": 4},
    ],
)
def test_pixels_without_a_decoder_are_called_so(change: dict[str, Any]) -> None:
    file = dataset(VALUES)
    for keyword, value in change.items():
        setattr(file, keyword, value)
    assert refused(dicom_bytes(file)) == "unsupported-encoding"


def test_colour_of_16_bits_that_holds_12_is_shown_by_what_it_fills() -> None:
    rgb = np.repeat(VALUES[..., None], 3, axis=2)
    pixels, codes = shown(dicom_bytes(dataset(rgb, bits=16, photometric="RGB")))
    assert codes == ["bad-bits"]
    assert np.abs(pixels - VALUES / 4095 * 255).max() <= 1


def test_missing_elements_of_a_colour_picture_are_found_by_its_length() -> None:
    rgb = np.repeat(gray_film(80, 60)[..., None], 3, axis=2)
    file = dataset(rgb, bits=8, photometric="RGB")
    del file.PhotometricInterpretation, file.SamplesPerPixel, file.PlanarConfiguration
    pixels, codes = shown(dicom_bytes(file))
    assert codes == ["bad-header"]
    assert np.array_equal(pixels, gray_film(80, 60))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_flipped_bits_in_a_lossless_jpeg_are_not_silent(bits: int) -> None:
    gray = np.asarray(phantom.render(phantom.plan(8, seed=1)[3]).pixels)
    values = gray if bits == 8 else gray.astype(np.uint16) << bits - 8
    coded = imagecodecs.ljpeg_encode(values, bitspersample=bits)
    plain = images.decode(encapsulated(dataset(values, bits=bits), JPEGLosslessSV1, coded))
    assert plain.remarks == ()
    for seed in range(30):
        changed, rng = bytearray(coded), random.Random(seed)
        for _ in range(6):
            changed[rng.randrange(200, len(coded) - 2)] ^= 1 << rng.randrange(8)
        with suppress(ImageError):
            found = images.decode(encapsulated(dataset(values, bits=bits), JPEGLosslessSV1, bytes(changed)))
            is_wrong = (np.abs(found.pixels.astype(int) - plain.pixels) > 16).mean() > 0.05
            assert found.remarks or not is_wrong, seed


@pytest.mark.parametrize("signed", [False, True])
def test_a_sound_lossless_jpeg_has_no_remark(signed: bool) -> None:
    for bits in (12, 16):
        made = compressed(dataset(VALUES.astype(np.int16) - 2048 if signed else VALUES, bits=bits), JPEGLosslessSV1)
        assert images.decode(dicom_bytes(made)).remarks == ()
