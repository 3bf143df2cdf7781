import io
import random
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from made_files import encoded, gray_film
from plainfilm.data import images
from plainfilm.data.decoding import containers, lzw, packbits
from plainfilm.errors import ImageError

GRAINY = np.clip(gray_film(150, 130) + np.random.default_rng(0).normal(0, 6, (150, 130)), 0, 255).astype(np.uint8)


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    return caught.value.code


def tiff(**options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, GRAINY, **options)
    return stream.getvalue()


FILES = {
    "PNG": encoded(Image.fromarray(GRAINY), "PNG"),
    "WebP": encoded(Image.fromarray(GRAINY), "WEBP", quality=85),
    "GIF": encoded(Image.fromarray(GRAINY), "GIF"),
    "TIFF deflate": tiff(compression="zlib", rowsperstrip=16),
    "TIFF LZW": tiff(compression="lzw"),
    "TIFF PackBits": tiff(compression="packbits", rowsperstrip=16),
    "TIFF JPEG": tiff(compression="jpeg", rowsperstrip=64),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_hole_or_without_some_bytes_is_refused(name: str) -> None:
    data = FILES[name]
    assert images.decode(data).remarks == ()
    at, some = len(data) // 2, len(data) // 10
    for changed in (
        data[:at] + bytes(some) + data[at + some :],
        data[:at] + random.Random(0).randbytes(some) + data[at + some :],
        data[:at] + data[at + some :],
        data[:at],
    ):
        assert refused(changed) in {"damaged", "truncated", "several-frames"}


def test_a_lossless_webp_without_some_bytes_is_refused() -> None:
    data = encoded(Image.fromarray(GRAINY), "WEBP", lossless=True)
    assert images.decode(data).remarks == ()
    for keep in (0.2, 0.5, 0.9):
        at = int(len(data) * keep)
        assert refused(data[:at]) == refused(data[:at] + data[at + 200 :]) == "damaged"


def test_a_png_whose_checksum_is_wrong_is_damaged() -> None:
    data = FILES["PNG"]
    at = data.rindex(b"IEND") - 8  # of the last IDAT
    assert refused(data[:at] + bytes(4) + data[at + 4 :]) == "damaged"


@pytest.mark.parametrize("side", [40, 140])
def test_a_png_that_declares_another_height_is_refused(side: int) -> None:
    data = FILES["PNG"]
    header = data[12:20] + struct.pack(">I", side) + data[24:29]
    assert refused(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]) == "damaged"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA"])
@pytest.mark.parametrize("shape", [(150, 130), (33, 61)])
def test_sound_files_of_every_mode_are_passed(mode: str, shape: tuple[int, int]) -> None:
    image = Image.fromarray(GRAINY[: shape[0], : shape[1]]).convert(mode)
    assert containers.png_fault(encoded(image, "PNG")) is None
    if mode not in {"LA"}:
        assert containers.gif_fault(encoded(image.convert("P"), "GIF")) is None
    assert containers.webp_fault(encoded(image.convert("RGBA"), "WEBP", quality=70)) is None


@pytest.mark.parametrize("count", [1, 300, 5000, 70_000])
def test_the_length_of_lzw_and_packbits_is_that_of_what_was_coded(count: int) -> None:
    rng = np.random.default_rng(count)
    for values in (rng.integers(0, 256, count), np.cumsum(rng.integers(-1, 2, count)), np.zeros(count)):
        plain = values.astype(np.uint8).tobytes()
        assert lzw.length(imagecodecs.lzw_encode(plain), 9, is_tiff=True) == count
        packed = imagecodecs.packbits_encode(plain)
        assert packbits.length(packed) == count
        assert packbits.used(packed + b"\0", count) == len(packed)
        assert packbits.length(packed[:-1]) != count


def test_a_lossless_webp_with_more_data_than_its_picture_needs_is_refused() -> None:
    data = encoded(Image.fromarray(GRAINY), "WEBP", lossless=True)
    length = int.from_bytes(data[16:20], "little")
    body = data[20 : 20 + length] + b"\x11" * 6
    longer = data[8:16] + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    assert refused(data[:4] + struct.pack("<I", len(longer)) + longer) == "damaged"


def test_a_lossless_webp_whose_values_wrap_round_is_flagged() -> None:
    beyond = Image.fromarray((GRAINY.astype(int) + 120).astype(np.uint8))
    assert [code for code, _ in images.decode(encoded(beyond, "WEBP", lossless=True)).remarks] == ["seam"]
    assert images.decode(encoded(beyond, "PNG")).remarks == ()


@pytest.mark.parametrize("height", [33, 64, 65, 66, 150])
def test_a_sound_lossless_webp_is_passed_whatever_its_last_rows_show(height: int) -> None:
    drawn = GRAINY[:height].copy()
    for last in (np.uint8(0), np.uint8(255), np.arange(130, dtype=np.uint8), drawn[-20:] & 0xF0):
        drawn[-20:] = last
        data = encoded(Image.fromarray(drawn), "WEBP", lossless=True)
        assert images.decode(data).remarks == ()


def test_a_webp_of_a_single_frame_of_an_animation_is_passed() -> None:
    data = encoded(Image.fromarray(GRAINY), "WEBP")
    head = struct.pack("<II", 0, 0)[:6] + (129).to_bytes(3, "little") + (149).to_bytes(3, "little") + bytes(4)
    frame = head + data[12:]
    extended = b"VP8X" + struct.pack("<II", 10, 2) + head[6:12]
    parts = extended + b"ANIM" + struct.pack("<I", 6) + bytes(6) + b"ANMF" + struct.pack("<I", len(frame)) + frame
    assert images.decode(b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts).remarks == ()
