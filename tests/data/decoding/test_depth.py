import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from made_files import film
from plainfilm.data.decoding.depth import DEPTHS_BITS, to_eight_bits


def expected(values: NDArray[np.generic], bits: int) -> NDArray[np.float64]:
    return np.minimum(np.floor(values.astype(float) / (2**bits - 1) * 255 + 0.5), 255)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.uint32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("bits", DEPTHS_BITS)
def test_the_smallest_usual_depth_is_guessed_and_told(bits: int, kind: type) -> None:
    scaled = to_eight_bits(film(bits=bits).astype(kind))
    assert scaled.depth == bits
    assert scaled.remarks == ()
    assert np.abs(scaled.pixels - expected(film(bits=bits), bits)).max() <= (1 if kind == np.float32 else 0)


@given(st.sampled_from(DEPTHS_BITS), st.sampled_from(DEPTHS_BITS))
def test_a_given_depth_is_used_and_what_lies_above_it_is_white_with_a_remark(of_file: int, given_bits: int) -> None:
    values = film(bits=of_file)
    scaled = to_eight_bits(values, given=given_bits)
    assert scaled.depth == given_bits
    assert np.array_equal(scaled.pixels, expected(values, given_bits))
    assert [code for code, _ in scaled.remarks] == (["clipped"] if of_file > given_bits else [])


def test_a_stated_depth_goes_before_a_given_one_and_is_no_guess() -> None:
    scaled = to_eight_bits(film(bits=10), stated=12, given=16)
    assert scaled.depth is None
    assert np.array_equal(scaled.pixels, expected(film(bits=10), 12))


def test_a_marker_at_the_highest_value_does_not_darken_the_film() -> None:
    values = film(bits=12)
    values[4:9, 4:9] = 65535
    scaled = to_eight_bits(values)
    assert scaled.depth == 12
    assert [code for code, _ in scaled.remarks] == ["clipped"]
    assert np.array_equal(scaled.pixels, expected(values, 12))


def test_a_film_of_16_bits_that_is_burned_out_on_a_tenth_is_no_marker() -> None:
    values = film(bits=14)
    values[:10] = 65535
    assert to_eight_bits(values).depth == 16


def test_floats_of_at_most_1_have_no_depth() -> None:
    tones = film(bits=12) / 4095
    scaled = to_eight_bits(tones, given=12)
    assert scaled.depth is None
    assert np.array_equal(scaled.pixels, np.floor(tones * 255 + 0.5))
