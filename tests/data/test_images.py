import hashlib
import os
import pickle
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import MPEG2MPML, ComprehensiveSRStorage

from made_files import dataset, dicom_bytes, encapsulated, encoded, film, gray_film, guessed_depth, written
from plainfilm.data import images
from plainfilm.data.decoding import raster
from plainfilm.errors import ImageError, UsageError


def reason(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        images.read(path)
    return caught.value.code


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + start + struct.pack(">I", 64) + b"IDAT" + bytes(68)


def jpeg() -> bytes:
    return encoded(Image.fromarray(gray_film(200, 160)), "JPEG")


def pages(kind: str) -> bytes:
    frames = [Image.fromarray(gray_film()), Image.fromarray(255 - gray_film())]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def without_pixels() -> bytes:
    made = dataset(film(), SOPClassUID=ComprehensiveSRStorage)
    del made.PixelData
    return dicom_bytes(made)


def without_rows() -> bytes:
    made = dataset(film())
    del made.Rows
    return dicom_bytes(made)


BAD_FILES: list[tuple[str, Callable[[], bytes]]] = [
    ("empty", lambda: b""),
    ("web-page", lambda: b"\n<!DOCTYPE html><html><body>404</body></html>"),
    ("lfs-pointer", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
    ("unknown-format", lambda: b"%PDF-1.7 and so on"),
    ("truncated", lambda: jpeg()[:-400]),
    ("truncated", lambda: encoded(Image.fromarray(gray_film()), "PNG")[:-60]),
    ("truncated", lambda: dicom_bytes(dataset(film()))[:-100]),
    ("truncated", lambda: dicom_bytes(dataset(film()))[:600]),
    ("damaged", lambda: jpeg()[:3] + bytes(100)),
    ("damaged", lambda: b"\x89PNG\r\n\x1a\n" + bytes(100)),
    ("truncated", lambda: bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00"),
    ("damaged", without_rows),
    ("unsupported-encoding", lambda: encapsulated(dataset(film()), MPEG2MPML, b"00")),
    ("too-many-pixels", lambda: png_header(8_000, 7_000)),
    ("too-many-pixels", lambda: png_header(60_000, 60_000)),
    ("too-many-pixels", lambda: dicom_bytes(dataset(film(), Rows=60_000, Columns=60_000))),
    ("too-small", lambda: encoded(Image.fromarray(gray_film(27, 400)), "PNG")),
    ("several-frames", lambda: pages("GIF")),
    ("several-frames", lambda: pages("WEBP")),
    ("several-frames", lambda: pages("PNG")),
    ("several-frames", lambda: dicom_bytes(dataset(film(), NumberOfFrames=2))),
    ("several-pages", lambda: pages("TIFF")),
    ("no-pixels", without_pixels),
    ("value-range", lambda: encoded(Image.fromarray(film().astype(np.float32) - 5), "TIFF")),
    ("blank", lambda: encoded(Image.new("L", (64, 64), 128), "PNG")),
]


@pytest.mark.parametrize(("code", "data"), BAD_FILES)
def test_a_bad_file_is_refused_with_its_own_reason(tmp_path: Path, code: str, data: Callable[[], bytes]) -> None:
    path = written(tmp_path, data(), "chest.jpg")
    with pytest.raises(ImageError) as caught:
        images.read(path)
    assert caught.value.code == code
    sentence = str(caught.value)
    assert sentence.startswith("Expected ")
    assert "; received " in sentence
    assert "\n" not in sentence


def test_a_path_without_a_file_is_not_found(tmp_path: Path) -> None:
    assert reason(tmp_path / "vanished.png") == "not-found"
    assert reason(written(tmp_path, b"x") / "below-a-file.png") == "not-found"


def test_a_folder_and_a_pipe_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert reason(tmp_path) == "not-a-file"
    assert reason(tmp_path / "pipe") == "not-a-file"


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, jpeg())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the mode bits would prove nothing
    assert reason(path) == "no-permission"


def test_a_path_that_the_system_refuses_is_unreadable() -> None:
    assert reason(Path("a\0b")) == "unreadable"


def test_a_file_above_100_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    assert reason(path) == "too-many-bytes"


def test_too_little_memory_is_a_reason_and_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(raster, "decode", starve)
    assert reason(written(tmp_path, jpeg())) == "out-of-memory"


def test_the_table_of_reasons_holds_exactly_the_codes_that_are_raised() -> None:
    raised = {code for code, _ in BAD_FILES}
    elsewhere_here = {"not-found", "not-a-file", "no-permission", "unreadable", "too-many-bytes", "out-of-memory"}
    assert set(images.REASONS) == raised | elsewhere_here | {"decoder-crashed", "too-slow"}


def test_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(Image.fromarray(gray_film()), "PNG"), "really.dcm")
    assert images.read(path).provenance["format"] == "PNG"


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, jpeg())
    assert images.read(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("fit", images.FITS)
@pytest.mark.parametrize("size", [1, 100, 256])
def test_pixels_are_a_square_of_the_size_asked_for(tmp_path: Path, fit: str, size: int) -> None:
    pixels = images.read(written(tmp_path, jpeg()), size=size, fit=fit).pixels
    assert pixels.shape == (size, size)
    assert pixels.dtype == np.uint8


def test_stretch_uses_the_whole_picture_and_crop_its_middle_square(tmp_path: Path) -> None:
    pixels = np.zeros((64, 128), dtype=np.uint8)
    pixels[:, 32:96] = 200
    path = written(tmp_path, encoded(Image.fromarray(pixels), "PNG"))
    stretched = images.read(path, size=64).pixels
    assert np.all(stretched[:, 20:44] == 200)
    assert np.all(stretched[:, :12] == 0)
    assert np.all(stretched[:, 52:] == 0)
    cropped = images.read(path, size=64, fit="crop").pixels
    assert np.array_equal(cropped, pixels[:, 32:96])


def test_pad_keeps_the_aspect_ratio_between_black_bars(tmp_path: Path) -> None:
    pixels = np.full((64, 128), 200, dtype=np.uint8)
    pixels[0, 0] = 0
    padded = images.read(written(tmp_path, encoded(Image.fromarray(pixels), "PNG")), size=128, fit="pad").pixels
    assert np.array_equal(padded[32:96], pixels)
    assert not padded[:32].any()
    assert not padded[96:].any()


def test_a_narrow_blank_picture_is_not_saved_by_its_bars(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(Image.new("L", (64, 128), 90), "PNG"))
    with pytest.raises(ImageError) as caught:
        images.read(path, fit="pad")
    assert caught.value.code == "blank"


@pytest.mark.parametrize("options", [{"fit": "squeeze"}, {"size": 0}, {"size": 5000}])
def test_options_that_cannot_be_meant_are_wrong_usage(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="received"):
        images.read(written(tmp_path, jpeg()), **options)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # from writing the file
def test_warnings_of_the_decoders_stay_away_from_the_user(tmp_path: Path) -> None:
    made = dataset(film(), PatientAge="45 years", StudyDate="not a date")
    path = written(tmp_path, dicom_bytes(made))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        images.read(path)
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(entry.message) for entry in heard] == ["mine"]


def test_threads_that_overlap_leave_the_warning_filters_as_they_were(tmp_path: Path) -> None:
    path = written(tmp_path, jpeg())
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [images.read(path) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


SEEDS = [
    jpeg(),
    encoded(Image.fromarray(film()), "PNG"),
    encoded(Image.fromarray(film()), "TIFF"),
    encoded(Image.fromarray(gray_film()), "WEBP"),
    encoded(Image.fromarray(gray_film()), "BMP"),
    encoded(Image.fromarray(gray_film()), "GIF"),
    dicom_bytes(dataset(film(), WindowCenter=2000, WindowWidth=3000)),
    dicom_bytes(dataset(film()))[dicom_bytes(dataset(film())).index(b"\x08\x00\x16\x00") :],
]


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=8),
    keep=st.floats(0.01, 1.0),
)
def test_altered_files_give_a_radiograph_or_an_image_error(
    tmp_path: Path, seed: bytes, edits: list[tuple[int, int]], keep: float
) -> None:
    data = bytearray(seed)
    for at, value in edits:
        data[at % len(data)] = value
    path = written(tmp_path, bytes(data[: max(1, round(keep * len(data)))]))
    try:
        found = images.read(path, size=32)  # anything but an ImageError would be raised
    except ImageError as error:
        found = error
    if isinstance(found, ImageError):
        assert found.code in images.REASONS
    else:
        assert found.pixels.shape == (32, 32)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([b"", *(seed[:16] for seed in SEEDS), bytes(128) + b"DICM"]),
    tail=st.binary(max_size=400),
)
def test_random_bytes_give_an_image_error(tmp_path: Path, head: bytes, tail: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        images.read(written(tmp_path, head + tail))
    assert caught.value.code in images.REASONS


def test_an_image_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ImageError("blank", "Expected a picture; received none.")))
    assert (type(error), error.code, str(error)) == (ImageError, "blank", "Expected a picture; received none.")


def test_reading_imports_neither_learning_libraries_nor_pydicom(tmp_path: Path) -> None:
    path = written(tmp_path, jpeg())
    program = (
        "import sys; from plainfilm.data import images; images.read(sys.argv[1]);"
        "print(*sorted({'keras', 'tensorflow', 'sklearn', 'pydicom', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("fit", images.FITS)
def test_an_array_is_fitted_as_the_file_that_holds_it(tmp_path: Path, fit: str) -> None:
    gray = gray_film(90, 60)
    path = written(tmp_path, encoded(Image.fromarray(gray), "PNG"))
    assert np.array_equal(images.fitted(gray, size=48, fit=fit), images.read(path, size=48, fit=fit).pixels)
    square = images.fitted(gray, size=48, fit=fit)
    assert np.array_equal(images.fitted(square, size=48, fit=fit), square)


@pytest.mark.parametrize("wrong", [gray_film().astype(float), gray_film()[..., None], gray_film(8, 90), "film.png"])
def test_an_array_of_another_kind_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="Expected a gray uint8 array"):
        images.fitted(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("fit", images.FITS)
@pytest.mark.parametrize("made", [jpeg, lambda: dicom_bytes(dataset(film(70, 90)))])
def test_bytes_are_decoded_as_the_file_that_holds_them(tmp_path: Path, made: Callable[[], bytes], fit: str) -> None:
    by_file, by_bytes = (
        images.read(written(tmp_path, made()), size=48, fit=fit),
        images.decode(bytearray(made()), size=48, fit=fit),
    )
    assert np.array_equal(by_file.pixels, by_bytes.pixels)
    assert (by_file.sha256, by_file.provenance) == (by_bytes.sha256, by_bytes.provenance)


@pytest.mark.parametrize(("code", "data"), BAD_FILES)
def test_bad_bytes_are_refused_with_the_reason_of_the_file(code: str, data: Callable[[], bytes]) -> None:
    for decode in (images.decode, lambda given: images.displayed(given, longest_px=100)):
        with pytest.raises(ImageError) as caught:
            decode(data())
        assert caught.value.code == code


def test_more_bytes_than_a_file_may_have_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(ImageError) as caught:
        images.decode(bytes(images.MAX_BYTES + 1))
    assert caught.value.code == "too-many-bytes"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("height", "width", "shown"),
    [(300, 200, (100, 67)), (200, 300, (67, 100)), (1700, 900, (100, 53)), (60, 40, (60, 40)), (100, 100, (100, 100)), (3000, 33, (100, 1))],
)  # fmt: skip
def test_a_film_is_shown_in_its_proportions_and_never_enlarged(
    kind: str, height: int, width: int, shown: tuple[int, int]
) -> None:
    found = images.displayed(encoded(Image.fromarray(gray_film(height, width)), kind), longest_px=100)
    assert (found.shape, found.dtype) == (shown, np.uint8)


def test_a_film_is_shown_upright_and_bones_bright() -> None:
    gray = gray_film(90, 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.fromarray(np.ascontiguousarray(np.rot90(gray))), "PNG", exif=exif)
    assert np.array_equal(images.displayed(turned, longest_px=90), gray)
    dark = dicom_bytes(dataset(4095 - film(90, 60), photometric="MONOCHROME1"))
    light = dicom_bytes(dataset(film(90, 60)))
    difference = images.displayed(dark, longest_px=90).astype(int) - images.displayed(light, longest_px=90)
    assert np.abs(difference).max() <= 1


def test_a_small_film_is_shown_as_it_is() -> None:
    gray = gray_film(90, 60)
    assert np.array_equal(images.displayed(encoded(Image.fromarray(gray), "PNG"), longest_px=1024), gray)


def test_the_depth_that_would_be_guessed_is_told_for_wide_files_only() -> None:
    wide = film(bits=12)
    assert guessed_depth(encoded(Image.fromarray(wide), "PNG")) == 12
    assert guessed_depth(encoded(Image.fromarray(wide), "TIFF")) == 12
    for data in (
        encoded(Image.fromarray(gray_film()), "PNG"),
        jpeg(),
        dicom_bytes(dataset(wide)),
        b"",
        b"\x89PNG\r\n\x1a\n",
    ):
        assert guessed_depth(data) is None


def test_a_given_depth_scales_files_alike(tmp_path: Path) -> None:
    dark, bright = film(bits=12) // 5, film(bits=12)
    for values in (dark, bright):
        path = written(tmp_path, encoded(Image.fromarray(values), "PNG"))
        read = images.read(path, size=32, depth=12)
        assert read.provenance["depth"] == 12
        whole = images.fitted(np.floor(values / 4095 * 255 + 0.5).astype(np.uint8), size=32)
        assert np.abs(read.pixels.astype(int) - whole).max() <= 1
    assert images.read(path, depth=12).remarks == ()


def codes(data: bytes) -> list[str]:
    return [code for code, _ in images.decode(data, size=64).remarks]


def test_a_picture_of_which_hardly_anything_is_seen_is_flagged() -> None:
    film_of_12_bits = film(200, 150)
    saturating = {"WindowCenter": 4, "WindowWidth": 2}
    assert codes(dicom_bytes(dataset(film_of_12_bits, **saturating))) == ["low-contrast"]
    dark = film_of_12_bits.copy()
    dark[0, :40] = 60_000
    assert codes(encoded(Image.fromarray(dark), "PNG")) == ["low-contrast"]
    assert codes(encoded(Image.fromarray((gray_film(200, 150) > 100).astype(np.uint8) * np.uint8(255)), "PNG")) == [
        "mask"
    ]


def test_a_dark_a_bright_and_a_padded_film_are_not_flagged() -> None:
    gray = gray_film(200, 150)
    padded = np.zeros((600, 600), np.uint8)
    padded[:200, :150] = gray
    for values in (gray // 4, 255 - gray // 4, padded):
        assert codes(encoded(Image.fromarray(values), "PNG")) == []


@pytest.mark.parametrize("kind", ["heic", "avif", "mif1"])
def test_a_format_without_a_decoder_is_named(kind: str) -> None:
    with pytest.raises(ImageError, match="HEIC|AVIF") as caught:
        images.decode(b"\0\0\0\x18ftyp" + kind.encode() + bytes(100))
    assert caught.value.code == "unsupported-encoding"
