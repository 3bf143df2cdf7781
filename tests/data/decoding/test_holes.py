import io
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from made_files import dataset, dicom_bytes, encoded, gray_film
from plainfilm.data import images
from plainfilm.data.decoding import holes

GRAINY = np.clip(gray_film(150, 130) + np.random.default_rng(0).normal(0, 6, (150, 130)), 5, 250).astype(np.uint8)


def npy(gray: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, gray)
    return stream.getvalue()


def tiff(gray: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, gray)
    return stream.getvalue()


FORMATS: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
    "BMP": lambda gray: encoded(Image.fromarray(gray), "BMP"),
    "PGM": lambda gray: encoded(Image.fromarray(gray), "PPM"),
    "NPY": npy,
    "TIFF": tiff,
    "DICOM": lambda gray: dicom_bytes(dataset(gray, bits=8)),
    "DICOM of 12 bits": lambda gray: dicom_bytes(dataset(gray.astype(np.uint16) * 16)),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [0, 255])
def test_a_hole_in_data_without_compression_is_flagged(name: str, value: int) -> None:
    data = FORMATS[name](GRAINY)
    assert images.decode(data).remarks == ()
    start = len(data) - 100 * 130 + 60
    for length in (2500, 6000):
        holed = data[:start] + bytes([value]) * length + data[start + length :]
        assert "hole" in {code for code, _ in images.decode(holed).remarks}, length


def test_edges_of_what_is_pictured_are_no_holes() -> None:
    slanted, framed, banded = GRAINY.copy(), GRAINY.copy(), GRAINY.copy()
    for row in range(60, 150):
        slanted[row, max(0, 130 - 4 * (row - 60)) :] = 0
    framed[:, 100:], framed[:20], framed[130:] = 0, 0, 0
    banded[70:90] = 0
    mask = np.where(slanted > 0, 255, 0).astype(np.uint8)
    for picture in (GRAINY, slanted, framed, banded, mask, np.zeros((40, 40), np.uint8)):
        for turned in (picture, picture[::-1], picture[:, ::-1], picture.T):
            assert holes.remarks(turned) == ()
            assert holes.remarks(np.dstack([turned] * 3)) == ()


@pytest.mark.parametrize("part", [slice(0, 3050), slice(9000, 12_000), slice(17_000, None)])
def test_a_hole_in_colours_and_at_either_end_is_found(part: slice) -> None:
    flat = GRAINY.ravel().copy()
    flat[part] = 7
    holed = flat.reshape(GRAINY.shape)
    assert holes.remarks(holed) == holes.remarks(np.dstack([holed] * 3)) == holes.HOLE
