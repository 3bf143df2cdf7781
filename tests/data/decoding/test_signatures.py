import io
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from made_files import dataset, dicom_bytes, encoded, film, gray_film
from plainfilm.data.images import kind_of


def gray() -> Image.Image:
    return Image.fromarray(gray_film())


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, film())
    return stream.getvalue()


def headless(**options: bool) -> bytes:
    stream, made, source = io.BytesIO(), Dataset(), dataset(film())
    made.update(source)
    made.save_as(stream, **options)
    return stream.getvalue()


def only_meta() -> bytes:
    return dicom_bytes(dataset(film()))[132:]


def begins_with_a_sequence() -> bytes:
    item, made, stream = Dataset(), Dataset(), io.BytesIO()
    item.CodeValue = "1"
    made.LanguageCodeSequence = [item]
    made.SOPClassUID = ComputedRadiographyImageStorage
    made.save_as(stream, implicit_vr=True, little_endian=True)
    return stream.getvalue()


KINDS: list[tuple[str, Callable[[], bytes]]] = [
    *[(kind, lambda kind=kind: encoded(gray(), kind)) for kind in ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")],
    ("TIFF", lambda: encoded(gray(), "TIFF", big_tiff=True)),
    ("JP2", lambda: encoded(gray(), "JPEG2000")),
    ("JP2", lambda: encoded(gray(), "JPEG2000", no_jp2=True)),
    ("PNM", lambda: encoded(gray(), "PPM")),
    ("PNM", lambda: b"P2 # by hand\n#another\n 30 40\n# depth\n4095\n1 2 3"),
    ("PNM", lambda: b"P5 30 40 255\n" + bytes(1200)),
    ("NPY", npy),
    ("DICOM", lambda: dicom_bytes(dataset(film()))),
    ("DICOM", lambda: b"II*\0" + dicom_bytes(dataset(film()))[4:]),
    ("DICOM", only_meta),
    ("DICOM", begins_with_a_sequence),
    *[
        ("DICOM", lambda i=i, e=e: headless(implicit_vr=i, little_endian=e))
        for i, e in ((True, True), (False, True), (False, False))
    ],
    ("HEIC", lambda: b"\0\0\0\x18ftypheic" + bytes(100)),
    ("AVIF", lambda: b"\0\0\0\x1cftypavif" + bytes(100)),
    ("JPEG XL", lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100)),
    ("JPEG XR", lambda: b"II\xbc\x01" + bytes(100)),
    ("PSD", lambda: b"8BPS\0\x01" + bytes(100)),
]


@pytest.mark.parametrize(("kind", "data"), KINDS)
def test_a_file_is_known_by_its_first_bytes(kind: str, data: Callable[[], bytes]) -> None:
    assert kind_of(data()) == kind_of(data()[:512]) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BMI,age,sex\n22,50,F\n" * 9,
        b"P2 Anna 30\nP3 Ben 41\n",
        b"P5,30,40\n",
        b"GIF89a",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(100),
        b"\x1f\x8b\x08\0" + bytes(60),
        b"id,label\n1,COVID\n",
        b"MZ\x90\0\x03\0\0\0",
        bytes(512),
        b"\xff" * 512,
        np.arange(8, 8 + 256, dtype="<u2").tobytes(),
        np.full(256, 8, dtype="<u2").tobytes(),
        np.full(256, 8, dtype=">u2").tobytes(),
        np.tile(np.array([8, 5, 10, 0], "<u2"), 64).tobytes(),
        b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41",
    ],
)
def test_what_is_no_image_is_not_taken_for_one(data: bytes) -> None:
    assert kind_of(data) is None


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]))
def test_text_is_not_taken_for_an_image(text: str, encoding: str) -> None:
    assert kind_of(text.encode(encoding)) is None


@given(st.binary(max_size=600))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    kind_of(data)


def test_bytes_by_chance_are_hardly_ever_an_image() -> None:
    chance = random.Random(1)
    heads = [bytes([2, 8][i % 2 : i % 2 + 1]) + b"\0" + chance.randbytes(510) for i in range(100_000)]
    assert sum(kind_of(head) is not None for head in heads) == 0
    small = [np.array([8, *(chance.randrange(64) for _ in range(255))], "<u2").tobytes() for _ in range(20_000)]
    assert sum(kind_of(head) is not None for head in small) <= 2


def test_a_long_gap_in_a_header_is_passed_in_no_time() -> None:
    assert kind_of(b"P5" + 400 * b" " + b"x") is None
    assert kind_of(b"P5" + 50 * b" #\n" + b"30 40 255\n") == "PNM"
