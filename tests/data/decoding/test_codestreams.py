import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import JPEGLSLossless

from made_files import dataset, encoded, film, gray_film
from plainfilm.data import images
from plainfilm.data.decoding import codestreams
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS
from plainfilm.errors import ImageError


def stated(frame: bytes) -> tuple[int, int]:
    found = codestreams.frame_of(frame)
    assert found is not None
    return found.rows, found.columns


@given(st.binary(max_size=200))
def test_the_size_of_a_codestream_never_fails_but_by_name(frame: bytes) -> None:
    for start in (b"\xff\xd8\xff\xc0", b"\xff\xd8", b"\xff\x4f\xff\x51", b""):
        try:
            size = codestreams.frame_of(start + frame)
        except PYDICOM_ERRORS:
            continue
        assert size is None or isinstance(size, codestreams.Frame)


@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (33, 200)])
def test_the_size_of_a_codestream_is_read_from_its_header(rows: int, columns: int) -> None:
    image = Image.fromarray(gray_film(rows, columns))
    for frame in (encoded(image, "JPEG"), encoded(image, "JPEG", progressive=True), encoded(image, "JPEG2000")):
        assert stated(frame) == (rows, columns)
    made = dataset(film(rows, columns))
    made.compress(JPEGLSLossless)
    assert stated(get_frame(made.PixelData, 0, number_of_frames=1)) == (rows, columns)


def blocks(progressive: bool = False) -> bytes:
    noisy = np.random.default_rng(0).integers(0, 256, (96, 80), dtype=np.uint8)
    return encoded(Image.fromarray(noisy), "JPEG", quality=90, progressive=progressive)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_completed_where_its_end_marker_alone_is_missing(progressive: bool) -> None:
    whole = blocks(progressive)
    for tail in (b"", b"\xff", b"\0", bytes(300)):
        read = images.decode(whole[:-2] + tail)
        assert np.array_equal(read.pixels, images.decode(whole).pixels)
    assert [code for code, _ in images.decode(whole[:-2]).remarks] == ["no-end-marker"]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_a_block_is_truncated(progressive: bool) -> None:
    whole = blocks(progressive)
    for cut in (8, 20, 100, 1000, len(whole) // 2):
        with pytest.raises(ImageError) as caught:
            images.decode(whole[:-cut])
        assert caught.value.code == "truncated", cut


def test_a_progressive_jpeg_that_lacks_its_last_scan_is_truncated() -> None:
    whole = blocks(progressive=True)
    with pytest.raises(ImageError) as caught:
        images.decode(whole[: whole.rindex(b"\xff\xda")])
    assert caught.value.code == "truncated"


def test_a_jpeg_2000_is_completed_where_its_end_marker_alone_is_missing() -> None:
    whole = encoded(Image.fromarray(film(80, 70)), "JPEG2000", no_jp2=True, tile_size=(32, 32))
    assert codestreams.completed_2000(whole[:-2]) == codestreams.completed_2000(whole[:-2] + bytes(50)) == whole
    assert codestreams.completed_2000(whole[:-40]) is None
    assert codestreams.completed_2000(whole[: whole.rindex(b"\xff\x90")]) is None
    assert np.array_equal(images.decode(whole[:-2]).pixels, images.decode(whole).pixels)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("12-bit JPEG", imagecodecs.jpeg8_encode(film(), bitspersample=12)),
        ("12-bit lossless JPEG", imagecodecs.ljpeg_encode(film(), bitspersample=12)),
        ("JPEG-LS", imagecodecs.jpegls_encode(film())),
    ],
)
def test_a_jpeg_without_a_decoder_is_called_so(name: str, data: bytes) -> None:
    with pytest.raises(ImageError, match=name) as caught:
        images.decode(data)
    assert caught.value.code == "unsupported-encoding"
