import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from made_files import dataset, dicom_bytes, encoded, endless_jpeg, film, gray_film
from plainfilm.serve.costs import is_light


def picture(side=64, kind="JPEG", **options):
    return encoded(Image.new("L", (side, side), 40), kind, **options)


@pytest.mark.parametrize(
    "data",
    [
        picture(),
        picture(2000),
        picture(3000, "PNG"),
        picture(1000, progressive=True),
        encoded(Image.fromarray(gray_film()).convert("RGB"), "JPEG", exif=bytes(60_000)),
    ],
)
def test_usual_films_are_light(data):
    assert is_light(data)
    assert is_light(bytearray(data))


@pytest.mark.parametrize(
    "data",
    [
        picture(6000),
        picture(6000, "PNG"),
        picture(3000, progressive=True),
        endless_jpeg(),
        picture(64, "PNG") + bytes(4_000_000),
        picture(64, "JPEG2000"),
        picture(64, "TIFF"),
        dicom_bytes(dataset(film())),
        np.save,
        b"",
    ],
)
def test_what_may_take_long_is_not(data):
    assert not is_light(b"\x93NUMPY" if callable(data) else data)


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_are_one_or_the_other(data, begin):
    assert is_light(begin + data) in {True, False}


def test_a_film_that_is_cut_anywhere_is_one_or_the_other():
    for whole in (picture(), picture(kind="PNG")):
        assert all(is_light(whole[:length]) in {True, False} for length in range(len(whole)))
