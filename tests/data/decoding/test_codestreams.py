import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import JPEGLSLossless

from made_files import dataset, encoded, film, gray_film
from plainfilm.data.decoding import codestreams
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS


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
