import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from made_files import dataset, film
from plainfilm.data.decoding.dicom_display import displayed


def shown(stored: NDArray[np.generic], **elements: object) -> NDArray[np.uint8]:
    pixels, remarks = displayed(stored, dataset(stored, **elements))  # type: ignore[arg-type]
    assert remarks == ()
    return pixels


def table(entries: NDArray[np.generic], first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries), first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return [item]


def eight_bits(tones: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.floor(np.asarray(tones, dtype=float) * 255 + 0.5)


def test_without_a_window_the_full_range_is_used() -> None:
    stored = np.array([[100, 200, 300, 1100]], dtype=np.uint16)
    assert np.array_equal(shown(stored), eight_bits(np.array([[0.0, 0.1, 0.2, 1.0]])))


def test_a_linear_window_follows_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1: width 4, centre 2048 -> below 2046 black, above 2049 white, three equal steps between
    stored = np.array([[0, 2046, 2047, 2048, 2049, 4095]], dtype=np.uint16)
    found = shown(stored, WindowCenter=2048, WindowWidth=4)
    assert found.tolist() == [[0, 0, 85, 170, 255, 255]]


def test_an_exact_linear_window_follows_the_standard() -> None:
    # PS3.3 C.11.2.1.3.2: width 4, centre 2048 -> from 2046 to 2050, four equal steps
    stored = np.array([[0, 2046, 2047, 2048, 2049, 2050, 4095]], dtype=np.uint16)
    found = shown(stored, WindowCenter=2048, WindowWidth=4, VOILUTFunction="LINEAR_EXACT")
    assert found.tolist() == [[0, 0, 64, 128, 191, 255, 255]]


def test_a_sigmoid_window_follows_the_standard() -> None:
    stored = film()
    found = shown(stored, WindowCenter=2000, WindowWidth=1500, VOILUTFunction="SIGMOID")
    expected = 1 / (1 + np.exp(-4 * (stored.astype(float) - 2000) / 1500))  # PS3.3 C.11.2.1.3.1
    assert np.array_equal(found, eight_bits(expected))


def test_the_first_of_several_windows_is_used() -> None:
    both = shown(film(), WindowCenter=[2000, 100], WindowWidth=[1000, 10])
    assert np.array_equal(both, shown(film(), WindowCenter=2000, WindowWidth=1000))


def test_a_window_stands_in_rescaled_units() -> None:
    stored = film()
    plain = shown(stored, WindowCenter=2000.5, WindowWidth=1001)
    rescaled = shown(stored, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3000.5, WindowWidth=2001)
    assert np.abs(plain.astype(int) - rescaled).max() <= 1


def test_a_negative_slope_turns_the_picture_over() -> None:
    stored = film()
    assert np.array_equal(shown(stored, RescaleSlope=-1, RescaleIntercept=4095), eight_bits(1 - stored / 4095))


@pytest.mark.parametrize("elements", [{}, {"WindowCenter": 1800, "WindowWidth": 2500}])
def test_monochrome1_is_turned_over_exactly(elements: dict[str, object]) -> None:
    stored = film()
    assert np.array_equal(shown(stored, photometric="MONOCHROME1", **elements), 255 - shown(stored, **elements))


def test_padding_counts_for_no_range_and_is_black() -> None:
    stored = film() // 4 + 1000
    stored[:10] = 4095
    found = shown(stored, PixelPaddingValue=4095)
    assert not found[:10].any()
    assert np.array_equal(found[10:], shown(stored[10:]))
    turned = shown(stored, PixelPaddingValue=4095, photometric="MONOCHROME1")
    assert not turned[:10].any()
    assert np.array_equal(turned[10:], 255 - shown(stored[10:]))


def test_a_range_of_padding_is_left_out_whole() -> None:
    stored = film() // 4 + 1000
    stored[:10], stored[0] = 4000, 4095
    found = shown(stored, PixelPaddingValue=4000, PixelPaddingRangeLimit=4095)
    assert np.array_equal(found[10:], shown(stored[10:]))


def test_signed_pixels_give_what_unsigned_ones_give() -> None:
    stored = film()
    signed = stored.astype(np.int16) - 2048
    assert np.array_equal(shown(signed), shown(stored))
    windowed = shown(signed, WindowCenter=0, WindowWidth=1000)
    assert np.array_equal(windowed, shown(stored, WindowCenter=2048, WindowWidth=1000))


def test_the_table_over_all_codes_gives_what_the_arithmetic_gives() -> None:
    stored = film()
    for elements in ({}, {"WindowCenter": 1800, "WindowWidth": 2500}, {"RescaleSlope": 0.5, "RescaleIntercept": 3}):
        assert np.array_equal(shown(stored, **elements), shown(stored.astype(np.uint32), **elements))


@given(
    stored=arrays.arrays(np.uint16, (5, 5), elements=st.integers(0, 4095)),
    center=st.integers(-500, 5000),
    width=st.integers(2, 6000),
    slope=st.sampled_from([0.25, 1.0, 3.0]),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_agree_with_pydicom(
    stored: NDArray[np.uint16], center: int, width: int, slope: float, function: str
) -> None:
    made = dataset(
        stored,
        RescaleSlope=slope,
        RescaleIntercept=-7,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=function,
    )
    found, remarks = displayed(stored, made)
    oracle = apply_voi_lut(apply_modality_lut(stored, made), made)
    expected = eight_bits((oracle + 7) / (4095 * slope))
    if not remarks:
        assert np.abs(found - expected).max() <= 1


def test_lookup_tables_agree_with_pydicom() -> None:
    stored = film()
    entries = np.round(4095 * (np.arange(4096) / 4095) ** 2)
    made = dataset(stored, VOILUTSequence=table(entries, 0, 12))
    found, remarks = displayed(stored, made)
    assert remarks == ()
    assert np.array_equal(found, eight_bits(apply_voi_lut(stored, made) / 4095))
    made = dataset(stored, ModalityLUTSequence=table(65535 - entries, 100, 16))
    measured = apply_modality_lut(stored, made).astype(float)
    found, _ = displayed(stored, made)
    low, high = 65535 - entries[4095 - 100], 65535 - entries[0]
    assert np.abs(found - eight_bits((measured - low) / (high - low))).max() <= 1


def test_a_voi_table_of_8_bit_entries_reaches_beyond_256_values() -> None:
    stored = film()
    entries = np.arange(4096) // 16
    assert np.array_equal(shown(stored, VOILUTSequence=table(entries, 0, 8)), stored // 16)


def test_values_outside_a_voi_table_take_its_first_and_last_entry() -> None:
    stored = np.array([[0, 99, 100, 101, 102, 4000]], dtype=np.uint16)
    found = shown(stored, VOILUTSequence=table(np.array([10, 20, 30]), 100, 8))
    assert found.tolist() == [[10, 10, 10, 20, 30, 30]]


def test_a_voi_table_goes_before_a_window() -> None:
    elements = {"VOILUTSequence": table(np.arange(4096), 0, 12), "WindowCenter": 10, "WindowWidth": 5}
    assert np.array_equal(shown(film(), **elements), shown(film(), VOILUTSequence=table(np.arange(4096), 0, 12)))


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 2000, "WindowWidth": 0},
        {"WindowCenter": 2000, "WindowWidth": 500, "VOILUTFunction": "CUBIC"},
        {"WindowCenter": 60_000, "WindowWidth": 10},
        {"VOILUTSequence": table(np.arange(4), 0, 40)},
    ],
)
def test_a_window_that_cannot_be_used_is_flagged_and_the_full_range_used(elements: dict[str, object]) -> None:
    stored = film()
    pixels, remarks = displayed(stored, dataset(stored, **elements))  # type: ignore[arg-type]
    assert [code for code, _ in remarks] == ["bad-window"]
    assert np.array_equal(pixels, shown(stored))


def test_an_empty_window_is_no_window() -> None:
    assert np.array_equal(shown(film(), WindowCenter="", WindowWidth=""), shown(film()))


def test_a_presentation_lut_lies_over_what_the_window_gives() -> None:
    stored = film()
    entries = np.rint(65535 * np.linspace(0, 1, 256) ** 2).astype(int)
    found = shown(stored, WindowCenter=2048, WindowWidth=4096, PresentationLUTSequence=table(entries, 0, 16))
    assert np.abs(found - 255 * (stored / 4095) ** 2).max() <= 2


@pytest.mark.parametrize("value", [63_536, -2000])
def test_the_padding_of_signed_pixels_may_stand_there_as_unsigned(value: int) -> None:
    stored = film().astype(np.int16) - 1000
    stored[:10] = -2000
    made = dataset(stored, bits=16)
    made.add_new("PixelPaddingValue", "US" if value > 0 else "SS", value)
    pixels, _ = displayed(stored, made)
    assert not pixels[:10].any()
    assert np.array_equal(pixels[10:], shown(stored[10:]))


@pytest.mark.parametrize(("width", "expected"), [(1, [0, 0, 255, 255]), (2, [0, 0, 255, 255])])
def test_the_narrowest_windows_are_a_threshold(width: int, expected: list[int]) -> None:
    assert shown(np.array([[0, 9, 10, 20]], np.uint16), WindowCenter=10, WindowWidth=width).tolist() == [expected]


@given(arrays.arrays(np.uint8, st.integers(0, 40)), st.binary(max_size=40))
def test_any_table_gives_a_picture_or_a_remark(entries: NDArray[np.uint8], descriptor: bytes) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "OW", descriptor)
    item.add_new("LUTData", "OW", entries.tobytes())
    pixels, _ = displayed(film(), dataset(film(), VOILUTSequence=[item]))
    assert pixels.shape == film().shape
