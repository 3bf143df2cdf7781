import io
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from made_files import encoded, gray_film
from plainfilm.data import images
from plainfilm.data.decoding import jpeg
from plainfilm.errors import ImageError

GRAINY = np.clip(gray_film(240, 200) + np.random.default_rng(0).normal(0, 8, (240, 200)), 0, 255).astype(np.uint8)
END = b"\xff\xd9"


def made(mode: str = "L", **options: object) -> bytes:
    return encoded(Image.fromarray(GRAINY).convert(mode), "JPEG", **{"quality": 90, **options})


def scan_of(data: bytes) -> int:
    """Where the entropy-coded data of the first scan begin."""
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4])


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    return caught.value.code


KINDS = [
    made(),
    made(progressive=True),
    made("RGB"),
    made("RGB", subsampling=2, progressive=True),
    made("CMYK"),
    made(restart_marker_rows=1),
    made("RGB", keep_rgb=True),
    made(optimize=True),
]


@pytest.mark.parametrize("data", KINDS)
def test_a_jpeg_of_which_a_part_is_lost_is_damaged(data: bytes) -> None:
    start = scan_of(data)
    end = min(at for marker in (b"\xff\xc4", END) if (at := data.find(marker, start)) >= 0)
    some = (end - start) // 4
    middle = start + some
    for changed in (
        data[:middle] + END,
        data[:middle] + bytes(some) + data[middle + some :],
        data[:middle] + data[middle + some :],
        data[:middle] + data[middle : middle + some] + data[middle:],
    ):
        assert refused(changed) == "damaged"


@pytest.mark.parametrize("data", KINDS)
def test_a_jpeg_that_declares_another_size_is_damaged(data: bytes) -> None:
    frame = next(at for marker in (b"\xff\xc0", b"\xff\xc2") if (at := data.find(marker)) >= 0)
    for side in (48, 2400):
        assert refused(data[: frame + 5] + side.to_bytes(2) + data[frame + 7 :]) == "damaged"


def test_a_progressive_jpeg_that_lacks_a_scan_is_damaged() -> None:
    data = made(progressive=True)
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    for first, behind in zip(scans, [*scans[1:], len(data) - 2], strict=True):
        assert refused(data[:first] + data[behind:]) == "damaged"


def with_stray_bytes(data: bytes) -> bytes:
    at = data.index(b"\xff\xdb")
    return data[:at] + b"\x12\x34\x56" + data[at:]


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize(
    "changed",
    [
        with_stray_bytes,
        lambda data: data + b"camera maker's notes \xff\xda\0\1",
        lambda data: data[:-2] + bytes(7) + END,
        lambda data: data[:-2] + b"\xff\xff\xff" + END,
        lambda data: data[:2] + b"\xff\xe0\0\x10JFIF\0\x09\x63\0\0\1\0\1\0\0" + data[2:],
        lambda data: data[:2] + b"\xff\xfe\0\x08note\0\xff" + data[2:],
        lambda data: data + bytes(3000),
        lambda data: data + data,
    ],
)
def test_harmless_oddities_of_a_sound_jpeg_are_passed_over(data: bytes, changed: Callable[[bytes], bytes]) -> None:
    if data is KINDS[6] and b"JFIF" in changed(data):
        pytest.skip("JFIF means YCbCr")
    read = images.decode(changed(data))
    assert read.remarks == ()
    assert np.array_equal(read.pixels, images.decode(data).pixels)


@pytest.mark.parametrize("height", [200, 517, 1100, 2300])
def test_a_gray_jpeg_has_the_pixels_that_pillow_gives(height: int) -> None:
    film = Image.fromarray(gray_film(height, height - 30))
    for options in ({}, {"progressive": True}, {"quality": 30}):
        data = encoded(film, "JPEG", **options)
        with Image.open(io.BytesIO(data)) as image:
            image.draft(None, (256, 256))
            assert np.array_equal(jpeg.gray(data, *image.size), np.asarray(image))


def test_blocks_beyond_black_and_white_are_damage() -> None:
    """A wrong difference shifts all blocks behind it, and libjpeg-turbo has nothing to say."""
    data = made()
    start = scan_of(data)
    found = set()
    for bit in range(400, 1200):
        changed = bytearray(data)
        changed[start + bit // 8] ^= 128 >> bit % 8
        found.add(jpeg.fault(bytes(changed)))
    assert "blocks darker than black or brighter than white" in found
    assert jpeg.fault(data) is None


def test_a_jpeg_that_cannot_be_heard_is_judged_by_the_data_that_it_needs() -> None:
    odd = bytearray(imagecodecs.jpeg8_encode(np.repeat(GRAINY[..., None], 3, axis=2), level=90, subsampling="444"))
    frame = odd.index(b"\xff\xc0")
    for sampling, whole in ((b"\x31\x11\x11", False), (b"\x11\x11\x11", True)):
        for number in range(3):
            odd[frame + 11 + 3 * number] = sampling[number]
        assert (jpeg.fault(bytes(odd)) == jpeg.CANNOT_TELL) != whole
        if not whole:
            assert refused(bytes(odd)) == "damaged"
