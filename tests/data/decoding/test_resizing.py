import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plainfilm.data import images
from plainfilm.data.decoding import resizing
from plainfilm.data.decoding.decoded import DecodedImage
from plainfilm.data.images import unfitted

SIZE = 48


def fitted(gray, how, size=SIZE):
    whole = (0, 0, gray.shape[1], gray.shape[0])
    return np.array(resizing.fit(DecodedImage(Image.fromarray(gray), whole, {}), size, how), np.float32) / 255


def centre(values):
    """Row and column of the centre of mass, as shares of height and width."""
    y, x = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    total = values.sum()
    return np.array([(y * values).sum() / total / values.shape[0], (x * values).sum() / total / values.shape[1]])


@given(
    how=st.sampled_from(images.FITS),
    height=st.integers(64, 400),
    width=st.integers(64, 400),
    at=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
)
def test_what_was_fitted_and_laid_back_lies_where_it_was(how, height, width, at):
    gray, side = np.zeros((height, width), np.uint8), min(height, width)
    if how == "crop":  # inside the square that is left
        at = tuple(0.5 + (share - 0.5) * side / length for share, length in zip(at, (height, width), strict=True))
    top, left, half = int(at[0] * height), int(at[1] * width), max(4, side // 10)
    gray[top - half : top + half, left - half : left + half] = 255
    back = unfitted(fitted(gray, how), height=height, width=width, fit=how)
    assert (back.shape, back.dtype) == ((height, width), np.float32)
    pixel = max(height, width) / SIZE  # of the square, in pixels of the picture
    shift = (centre(back) - centre(gray.astype(np.float32))) * (height, width)
    assert np.abs(shift).max() < 1.1 * pixel
    assert 0 <= back.min() <= back.max() <= 1


@pytest.mark.parametrize(("height", "width"), [(300, 100), (100, 300), (101, 300), (300, 101)])
def test_what_crop_cut_off_is_nothing_and_the_rest_is_the_middle(height, width):
    back = unfitted(np.ones((SIZE, SIZE), np.float32), height=height, width=width, fit="crop")
    side = min(height, width)
    assert back.sum() == side**2
    rows, columns = np.flatnonzero(back.any(1)), np.flatnonzero(back.any(0))
    for found, length in ((rows, height), (columns, width)):
        assert abs((found[0] + found[-1] + 1) - length) <= 1


@pytest.mark.parametrize(("height", "width"), [(300, 100), (100, 300)])
def test_of_what_pad_added_nothing_comes_back(height, width):
    square = np.zeros((SIZE, SIZE), np.float32)
    bars = (slice(None), slice(16, 32)) if height > width else (slice(16, 32), slice(None))
    square[bars] = 1
    back = unfitted(square, height=height, width=width, fit="pad")
    edge = 7  # half a pixel of the square, which bilinear values blend
    assert back[edge:-edge, edge:-edge].min() == 1
    assert unfitted(1 - square, height=height, width=width, fit="pad")[edge:-edge, edge:-edge].max() == 0


@pytest.mark.parametrize("how", images.FITS)
def test_an_even_square_stays_even(how):
    back = unfitted(np.full((SIZE, SIZE), 0.25, np.float32), height=90, width=90, fit=how)
    np.testing.assert_allclose(back, 0.25, atol=1e-6)


@pytest.mark.parametrize("how", images.FITS)
def test_a_long_thin_picture_gets_its_values_too(how):
    back = unfitted(np.ones((SIZE, SIZE), np.float32), height=4000, width=32, fit=how)
    assert back.shape == (4000, 32)
    assert back.max() == 1
