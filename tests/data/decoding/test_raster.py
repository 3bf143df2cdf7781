import itertools
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from made_files import encoded, film, gray_film, guessed_depth, written
from plainfilm.data import images
from plainfilm.data.decoding import raster
from plainfilm.data.decoding.depth import to_eight_bits
from plainfilm.errors import ImageError

SIDE = 96


def square(bits: int = 8) -> NDArray[np.uint16]:
    return film(SIDE, SIDE, bits)


def pixels_of(folder: Path, data: bytes) -> NDArray[np.int16]:
    return images.read(written(folder, data), size=SIDE).pixels.astype(np.int16)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_lossless_files_give_their_pixels_back_exactly(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    gray = square().astype(np.uint8)
    assert np.array_equal(pixels_of(tmp_path, encoded(Image.fromarray(gray), kind, **options)), gray)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_files_are_scaled_by_the_smallest_usual_depth(tmp_path: Path, kind: str, bits: int) -> None:
    values = square(bits)
    expected = np.round(values / (2**bits - 1) * 255)
    assert np.array_equal(pixels_of(tmp_path, encoded(Image.fromarray(values), kind)), expected)


def test_a_dark_16_bit_film_stays_dark(tmp_path: Path) -> None:
    values = square(12) // 3 * 2  # at most 2730 of 4095
    assert pixels_of(tmp_path, encoded(Image.fromarray(values), "PNG")).max() == round(2730 / 4095 * 255)


def test_float_tiff_is_taken_as_0_to_1_or_as_a_usual_depth(tmp_path: Path) -> None:
    values = square(12).astype(np.float32)
    expected = np.round(values / 4095 * 255)
    for scale in (1.0, 1 / 4095):
        data = encoded(Image.fromarray(values * np.float32(scale)), "TIFF")
        assert np.abs(pixels_of(tmp_path, data) - expected).max() <= 1


@given(arrays.arrays(np.uint16, (4, 4)))
def test_scaling_keeps_the_order_of_gray_values(values: NDArray[np.uint16]) -> None:
    order = np.argsort(values, axis=None, kind="stable")
    assert np.all(np.diff(to_eight_bits(values).pixels.ravel()[order].astype(int)) >= 0)


@pytest.mark.parametrize("values", [np.array([-1, 5]), np.array([0, 70_000]), np.array([0.0, np.nan])])
def test_values_without_a_usual_depth_are_refused(values: NDArray[np.generic]) -> None:
    with pytest.raises(ImageError) as caught:
        to_eight_bits(values)
    assert caught.value.code == "value-range"


def test_one_bit_files_are_black_and_white(tmp_path: Path) -> None:
    bits = square() > 100
    for kind in ("PNG", "TIFF", "BMP"):
        data = encoded(Image.fromarray(bits), kind)
        assert np.array_equal(pixels_of(tmp_path, data), bits * 255)


def test_a_white_is_zero_tiff_is_turned_over(tmp_path: Path) -> None:
    photometric = b"\x06\x01\x03\x00\x01\x00\x00\x00"  # tag 262, type short, one value
    for values in (square().astype(np.uint8), square(16)):
        data = encoded(Image.fromarray(values), "TIFF")
        assert data.count(photometric + b"\x01") == 1
        turned = pixels_of(tmp_path, data.replace(photometric + b"\x01", photometric + b"\x00"))
        assert np.array_equal(turned, 255 - pixels_of(tmp_path, data))


def test_transparency_lies_over_black(tmp_path: Path) -> None:
    gray = np.maximum(square(), 1).astype(np.uint8)
    opacity = np.where(np.arange(SIDE) < SIDE // 2, 255, 0).astype(np.uint8)[None, :].repeat(SIDE, axis=0)
    alpha = Image.fromarray(opacity)
    expected = np.where(opacity > 0, gray, 0)
    for layers, mode in (([gray], "LA"), ([gray] * 3, "RGBA")):
        image = Image.merge(mode, [*(Image.fromarray(layer) for layer in layers), alpha])
        assert np.array_equal(pixels_of(tmp_path, encoded(image, "PNG")), expected)


def test_a_palette_with_a_transparent_entry_lies_over_black(tmp_path: Path) -> None:
    gray = square().astype(np.uint8)
    image = Image.fromarray(gray).convert("P")
    found = pixels_of(tmp_path, encoded(image, "PNG", transparency=int(gray[40, 40])))
    assert np.array_equal(found, np.where(gray == gray[40, 40], 0, gray))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_every_colour_space_gives_the_same_gray(tmp_path: Path, mode: str) -> None:
    gray = square().astype(np.uint8)
    image = Image.fromarray(gray).convert(mode)
    for options in ({}, {"progressive": True}):
        difference = pixels_of(tmp_path, encoded(image, "JPEG", quality=98, **options)) - gray
        assert np.abs(difference).mean() < 1.0
        assert abs(difference.mean()) < 0.3


def test_a_jpeg_stored_as_rgb_gives_the_same_gray(tmp_path: Path) -> None:
    gray = square().astype(np.uint8)
    image = Image.merge("RGB", [Image.fromarray(gray)] * 3)
    difference = pixels_of(tmp_path, encoded(image, "JPEG", quality=98, keep_rgb=True)) - gray
    assert np.abs(difference).mean() < 1.0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_eight_orientations_give_the_same_picture(tmp_path: Path, kind: str) -> None:
    upright = Image.fromarray(film(SIDE, SIDE // 2, 8).astype(np.uint8))
    to_stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    found = []
    for tag, turn in to_stored.items():
        stored = upright if turn is None else upright.transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = tag
        lossy = {"quality": 98} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
        found.append(images.read(written(tmp_path, encoded(stored, kind, exif=exif, **lossy)), size=SIDE, fit="pad"))
        assert (found[-1].provenance["width"], found[-1].provenance["height"]) == stored.size
    for other in found[1:]:
        assert np.abs(other.pixels.astype(int) - found[0].pixels).max() <= (6 if kind == "JPEG" else 1)


def test_shrinking_while_decoding_does_not_change_gray_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    large = Image.fromarray(film(SIDE, SIDE, 8).astype(np.uint8)).resize((1501, 1703), Image.Resampling.BICUBIC)
    grainy = np.clip(np.asarray(large) + rng.normal(0, 6, (1703, 1501)), 0, 255).astype(np.uint8)
    for mode, fit in itertools.product(("L", "RGB"), images.FITS):
        path = written(tmp_path, encoded(Image.fromarray(grainy).convert(mode), "JPEG", quality=90))
        with Image.open(path) as whole:
            reference = written(tmp_path, encoded(whole.convert("L"), "PNG"), "whole.png")
        difference = images.read(path, fit=fit).pixels - images.read(reference, fit=fit).pixels.astype(float)
        assert np.abs(difference).mean() < 0.6
        assert abs(difference.mean()) < 0.1
        assert np.abs(difference[:, [0, -1]]).mean() < 1.5  # libjpeg fills the last, incomplete block
        assert np.abs(difference[[0, -1]]).mean() < 1.5


def test_shrinking_while_decoding_agrees_with_pillow_on_real_films(shared: Path) -> None:
    paths = sorted((shared / "data").glob("*/*/*.jpg"))[::400]
    assert paths
    for path in paths:
        with Image.open(path) as image:
            whole = np.asarray(image.convert("L").resize((64, 64)), dtype=float)
        assert np.abs(images.read(path, size=64).pixels - whole).mean() < 1.5


@pytest.mark.parametrize("least", [100, 256, 300])
@pytest.mark.parametrize("fit", images.FITS)
def test_a_jpeg_is_never_decoded_below_the_size_asked_for(least: int, fit: str) -> None:
    data = encoded(Image.fromarray(gray_film(1100, 620)), "JPEG")
    width, height = raster.decode(data, "JPEG", least=least, fit=fit).gray.size
    assert (height if fit == "pad" else min(width, height)) >= least
    assert width < 620


@given(quality=st.integers(1, 100))
def test_the_quality_of_a_jpeg_is_found_from_its_table(quality: int) -> None:
    data = encoded(Image.fromarray(gray_film()), "JPEG", quality=quality)
    found = raster.decode(data, "JPEG", least=32, fit="stretch").provenance["quality"]
    assert abs(int(found) - quality) <= (1 if quality > 10 else 3)


def test_provenance_says_what_is_known_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(Image.fromarray(gray_film(80, 60)), "JPEG", quality=88, dpi=(300, 300)))
    known = {"width": 60, "height": 80, "format": "JPEG", "mode": "L", "bits": 8, "quality": 88, "ppi": 300.0}
    assert images.read(path).provenance == known
    path = written(tmp_path, encoded(Image.fromarray(film(80, 60)), "PNG"))
    known = {"width": 60, "height": 80, "format": "PNG", "mode": "I;16", "bits": 16, "depth": 12}
    assert images.read(path).provenance == known


def test_a_coloured_photograph_is_flagged(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :200].astype(np.uint8)
    photograph = np.stack([x, y, 255 - x], axis=-1)
    for kind in ("PNG", "JPEG", "WEBP"):
        remarks = images.read(written(tmp_path, encoded(Image.fromarray(photograph), kind))).remarks
        assert [code for code, _ in remarks] == ["colour"]


def test_coloured_overlay_text_and_a_faint_tint_are_not_flagged(tmp_path: Path) -> None:
    gray = gray_film(200, 200)
    tinted = np.stack([gray * 0.92, gray * 0.98, gray * 1.0], axis=-1).astype(np.uint8)
    tinted[:12, :100] = (255, 40, 0)
    for kind in ("PNG", "JPEG"):
        assert images.read(written(tmp_path, encoded(Image.fromarray(tinted), kind))).remarks == ()


def test_every_jpeg_cut_short_is_refused(tmp_path: Path) -> None:
    for options in ({}, {"progressive": True}):
        data = encoded(Image.fromarray(gray_film(300, 200)), "JPEG", **options)
        for keep in (0.3, 0.6, 0.9):
            with pytest.raises(ImageError) as caught:
                images.read(written(tmp_path, data[: int(len(data) * keep)]))
            assert caught.value.code in {"truncated", "damaged"}


def test_damaged_exif_beside_a_sound_picture_is_passed_over(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(gray_film()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert images.read(written(tmp_path, data)).pixels.shape == (256, 256)


def wide(values: NDArray[np.uint16]) -> bytes:
    return imagecodecs.png_encode(values)


def with_sbit(png: bytes, bits: int) -> bytes:
    """The same PNG with an sBIT chunk behind its IHDR."""
    body = b"sBIT" + bytes([bits])
    return png[:33] + struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_16_bit_png_in_colour_is_read_at_its_full_depth(tmp_path: Path, bits: int) -> None:
    values, opaque = square(bits), np.full((SIDE, SIDE), 65535, np.uint16)
    expected = np.floor(values / (2**bits - 1) * 255 + 0.5)
    for channels in ([values] * 3, [*[values] * 3, opaque], [values, opaque]):
        assert np.array_equal(pixels_of(tmp_path, wide(np.dstack(channels))), expected)


def test_the_depth_that_a_png_states_is_used() -> None:
    raw, spread = square(10), (square(12) << 4 | square(12) >> 8) // 2
    for bits, values, top in ((12, raw, 4095), (12, spread, 65535), (16, raw, 65535)):
        data = with_sbit(encoded(Image.fromarray(values), "PNG"), bits)
        assert guessed_depth(data) is None
        assert np.abs(images.decode(data, size=SIDE, depth=14).pixels - values / top * 255).max() <= 1


def test_jpeg_2000_files_are_read_at_their_full_depth(tmp_path: Path) -> None:
    for bits in (8, 12, 16):
        values = square(bits).astype(np.uint8 if bits == 8 else np.uint16)
        expected = np.floor(values / (2**bits - 1) * 255 + 0.5)
        for options in ({"no_jp2": True}, {}):
            assert np.array_equal(
                pixels_of(tmp_path, encoded(Image.fromarray(values), "JPEG2000", **options)), expected
            )
    data = encoded(Image.fromarray(square(12)), "JPEG2000")
    assert images.decode(data).provenance["format"] == "JP2"
    cut = data[: len(data) // 2]
    with pytest.raises(ImageError) as caught:
        images.decode(cut)
    assert caught.value.code == "truncated"
