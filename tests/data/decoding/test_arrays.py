import io
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from made_files import film, gray_film, guessed_depth
from plainfilm.data import images
from plainfilm.data.decoding import arrays
from plainfilm.errors import ImageError

VALUES, GRAY = film(), gray_film()
SHOWN = np.floor(VALUES / 4095 * 255 + 0.5)


def npy(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def pnm(magic: str, top: int, values: NDArray[Any], comment: str = "") -> bytes:
    head = f"{magic}\n{comment}{values.shape[1]} {values.shape[0]}\n{top}\n".encode()
    if magic in {"P2", "P3"}:
        return head + b"\n".join(b" ".join(str(value).encode() for value in row.ravel()) for row in values)
    return head + values.astype(">u2" if top > 255 else "u1").tobytes()


def shown(data: bytes) -> NDArray[np.uint8]:
    return images.displayed(data, longest_px=3000)


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    return caught.value.code


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        VALUES.astype(">u2"),
        VALUES.astype(np.int64),
        np.asfortranarray(VALUES),
        VALUES[..., None],
        VALUES[None],
        np.repeat(VALUES[..., None], 3, axis=2),
        VALUES / 4095,
        VALUES.astype(np.float32),
    ],
)
def test_an_array_is_read_in_every_type_and_order(values: NDArray[Any]) -> None:
    assert np.abs(shown(npy(values)) - SHOWN).max() <= 1
    provenance = images.decode(npy(values)).provenance
    assert {key: provenance[key] for key in ("width", "height", "format")} == {
        "width": 48,
        "height": 64,
        "format": "NPY",
    }


def test_8_bit_arrays_are_read_as_they_are() -> None:
    assert np.array_equal(shown(npy(GRAY)), GRAY)
    assert guessed_depth(npy(GRAY)) is None
    assert np.array_equal(shown(npy(GRAY > 100)), 255 * (GRAY > 100))


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("several-frames", np.zeros((5, 64, 64))),
        ("unsupported-encoding", np.arange(500)),
        ("unsupported-encoding", np.array([{"a": 1}], object)),
        ("unsupported-encoding", np.zeros((64, 64), complex)),
        ("value-range", VALUES.astype(np.int16) - 100),
        ("too-small", np.zeros((20, 64))),
    ],
)
def test_an_array_that_is_no_picture_says_why(code: str, values: NDArray[Any]) -> None:
    assert refused(npy(values)) == code


def test_nothing_is_unpickled_and_no_array_made_before_the_header_was_checked() -> None:
    evil = (
        b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (64, 64), }".ljust(117) + b"\n"
    )
    assert refused(evil + pickle.dumps(print)) == "unsupported-encoding"
    huge = npy(VALUES).replace(b"(64, 48)", b"(64000, 48000)")
    assert refused(huge) == "too-many-pixels"
    assert refused(npy(VALUES)[:-1]) == "truncated"
    assert refused(npy(VALUES)[:40]) == "damaged"


@given(st.binary(max_size=300))
def test_any_header_gives_a_picture_or_an_image_error(tail: bytes) -> None:
    for head in (b"\x93NUMPY\x01\x00v\x00", b"P5 60 60 255\n", b"P2 40 40 999\n"):
        with pytest.raises(ImageError):
            images.decode(head + tail)


@pytest.mark.parametrize("comment", ["", "# made by hand\n"])
@pytest.mark.parametrize("magic", ["P2", "P5"])
def test_pnm_is_scaled_by_the_highest_value_that_it_states(magic: str, comment: str) -> None:
    assert np.array_equal(shown(pnm(magic, 255, GRAY, comment)), GRAY)
    assert np.array_equal(shown(pnm(magic, 4095, VALUES // 2, comment)), np.floor((VALUES // 2) / 4095 * 255 + 0.5))
    assert np.abs(shown(pnm(magic, 1000, VALUES // 5, comment)) - (VALUES // 5) / 1000 * 255).max() <= 1
    assert guessed_depth(pnm(magic, 4095, VALUES)) is None
    assert guessed_depth(pnm(magic, 65535, VALUES)) == 12


@pytest.mark.parametrize("magic", ["P3", "P6"])
def test_colour_pnm_becomes_gray(magic: str) -> None:
    assert np.array_equal(shown(pnm(magic, 65535, np.repeat(VALUES[..., None], 3, axis=2))), SHOWN)


def test_a_pnm_cut_short_is_truncated() -> None:
    for magic in ("P2", "P5"):
        assert refused(pnm(magic, 4095, VALUES)[:-9]) == "truncated"


def test_a_raw_image_of_the_jsrt_database_is_known_by_its_length_and_turned_over() -> None:
    values = film(arrays.JSRT_SIDE_PX, arrays.JSRT_SIDE_PX)
    read = images.decode(values.astype(">u2").tobytes(), size=256)
    assert read.provenance == {"width": 2048, "height": 2048, "format": "JSRT", "bits": 12}
    found = shown(values.astype(">u2").tobytes())
    assert np.abs(found - (255 - values / 4095 * 255)).max() <= 1
    assert refused(values.astype("<u2").tobytes()) == "unknown-format"
    assert refused(values.astype(">u2").tobytes() + b"\0") == "unknown-format"


def test_a_header_that_is_no_python_is_damaged() -> None:
    assert refused(b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<u2', 'shape': (64L, 64".ljust(117) + b"\n") == "damaged"
