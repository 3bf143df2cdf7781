import re
import tempfile
from pathlib import Path

import gdcm
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from made_files import dataset, dicom_bytes, encapsulated, encoded, film, gray_film, written
from plainfilm.data import images
from plainfilm.data.decoding import dicom_pixels, radiograph_dicom
from plainfilm.errors import ImageError

SIDE = 64


def shown(folder: Path, data: bytes) -> NDArray[np.int16]:
    return images.read(written(folder, data), size=SIDE).pixels.astype(np.int16)


def expected(stored: NDArray[np.generic], bits: int) -> NDArray[np.float64]:
    return np.floor(stored.astype(float) / (2**bits - 1) * 255 + 0.5)


def native(made: Dataset, syntax: UID) -> bytes:
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        pixels = np.frombuffer(made.PixelData, dtype=f"<u{made.BitsAllocated // 8}")
        made.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    return dicom_bytes(made)


def compressed(made: Dataset, syntax: UID) -> bytes:
    if syntax in {JPEGLossless, JPEGLosslessSV1}:
        return compressed_by_gdcm(made, syntax)
    made.compress(syntax, **({"jls_error": 2} if syntax == JPEGLSNearLossless else {}))
    return dicom_bytes(made)


def compressed_by_gdcm(made: Dataset, syntax: UID) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = written(Path(folder), dicom_bytes(made), "a.dcm"), Path(folder) / "b.dcm"
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(target))
        assert writer.Write()
        return target.read_bytes()


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_native_syntaxes_give_the_pixels_back(tmp_path: Path, syntax: UID, bits: int) -> None:
    stored = film(SIDE, SIDE, bits).astype(np.uint8 if bits == 8 else np.uint16)
    data = native(dataset(stored, bits=bits), syntax)
    assert np.array_equal(shown(tmp_path, data), expected(stored, bits))
    assert images.read(tmp_path / "file").provenance["transfer_syntax"] == str(syntax)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_lossless_syntaxes_give_the_pixels_back(tmp_path: Path, syntax: UID, bits: int) -> None:
    stored = film(SIDE, SIDE, bits).astype(np.uint8 if bits == 8 else np.uint16)
    data = compressed(dataset(stored, bits=bits), syntax)
    assert dcmread(written(tmp_path, data)).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(shown(tmp_path, data), expected(stored, bits))


def test_near_lossless_jpeg_ls_stays_within_its_bound(tmp_path: Path) -> None:
    stored = film(SIDE, SIDE, 12)
    made = dataset(stored, WindowCenter=2048, WindowWidth=4096)
    data = compressed(made, JPEGLSNearLossless)
    assert np.abs(shown(tmp_path, data) - expected(stored, 12)).max() <= 1


def test_lossy_jpeg_2000_stays_near(tmp_path: Path) -> None:
    stored = film(SIDE, SIDE, 8).astype(np.uint8)
    frame = encoded(Image.fromarray(stored), "JPEG2000", irreversible=True, no_jp2=True)
    data = encapsulated(dataset(stored, bits=8, WindowCenter=128, WindowWidth=256), JPEG2000, frame)
    assert np.abs(shown(tmp_path, data) - stored).mean() < 1.0


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit])
def test_jpeg_of_8_bits_stays_near(tmp_path: Path, syntax: UID) -> None:
    stored = film(SIDE, SIDE, 8).astype(np.uint8)
    frame = encoded(Image.fromarray(stored), "JPEG", quality=98)
    data = encapsulated(dataset(stored, bits=8, WindowCenter=128, WindowWidth=256), syntax, frame)
    assert np.abs(shown(tmp_path, data) - stored).mean() < 1.0


def test_a_data_set_without_preamble_is_read(tmp_path: Path) -> None:
    stored = film(SIDE, SIDE)
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
        whole = native(dataset(stored), syntax)
        first = b"\x00\x08\x00\x16" if syntax == ExplicitVRBigEndian else b"\x08\x00\x16\x00"
        found = shown(tmp_path, whole[whole.index(first) :])
        assert np.array_equal(found, expected(stored, 12)), syntax.name


def test_a_preamble_that_looks_like_a_tiff_is_still_dicom(tmp_path: Path) -> None:
    data = b"II*\x00" + dicom_bytes(dataset(film(SIDE, SIDE)))[4:]
    assert images.read(written(tmp_path, data)).provenance["format"] == "DICOM"


def test_monochrome1_reaches_the_pixels_turned_over(tmp_path: Path) -> None:
    stored = film(SIDE, SIDE)
    plain = shown(tmp_path, dicom_bytes(dataset(stored)))
    assert np.array_equal(shown(tmp_path, dicom_bytes(dataset(stored, photometric="MONOCHROME1"))), 255 - plain)


def test_colour_dicom_becomes_gray_and_is_flagged(tmp_path: Path) -> None:
    red, green = film(SIDE, SIDE, 8).astype(np.uint8), film(SIDE, SIDE, 8).astype(np.uint8).T
    rgb = np.stack([red, green, np.zeros_like(red)], axis=-1)
    gray = np.asarray(Image.fromarray(rgb).convert("L"), dtype=int)
    path = written(tmp_path, dicom_bytes(dataset(rgb, bits=8, photometric="RGB")))
    read = images.read(path, size=SIDE)
    assert np.array_equal(read.pixels, gray)
    assert [code for code, _ in read.remarks] == ["colour"]
    frame = encoded(Image.fromarray(rgb), "JPEG", quality=98, subsampling=0)
    data = encapsulated(dataset(rgb, bits=8, photometric="YBR_FULL_422"), JPEGBaseline8Bit, frame)
    assert np.abs(shown(tmp_path, data) - gray).mean() < 2.0


def test_a_palette_becomes_gray(tmp_path: Path) -> None:
    stored = film(SIDE, SIDE, 8).astype(np.uint8)
    made = dataset(stored, bits=8, photometric="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        made.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        entries = ((255 - np.arange(256)) * 257).astype("<u2")
        made.add_new(f"{colour}PaletteColorLookupTableData", "OW", entries.tobytes())
    assert np.array_equal(shown(tmp_path, dicom_bytes(made)), 255 - stored)


def test_provenance_carries_the_elements_of_the_design(tmp_path: Path) -> None:
    made = dataset(
        film(80, 60),
        PatientID="A 17",
        PatientSex="F",
        PatientAge="045Y",
        ViewPosition="PA",
        Manufacturer="Maker",
        Modality="DX",
        BodyPartExamined="CHEST",
        InstitutionName="House",
    )
    assert images.read(written(tmp_path, dicom_bytes(made))).provenance == {
        "width": 60,
        "height": 80,
        "format": "DICOM",
        "bits": 12,
        "transfer_syntax": str(ExplicitVRLittleEndian),
        "patient": "A 17",
        "sex": "F",
        "age": 45.0,
        "view": "PA",
        "manufacturer": "Maker",
        "modality": "DX",
        "body_part": "CHEST",
        "institution": "House",
        "photometric": "MONOCHROME2",
    }


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("045Y", 45.0),
        ("018M", 1.5),
        ("026W", 0.5),
        ("010D", 0.03),
        ("7", 7.0),
        ("", None),
        ("old", None),
        ("4Y5", None),
    ],
)
def test_ages_are_read_as_years(text: str, years: float | None) -> None:
    assert radiograph_dicom.age_in_years(text) == years


def remarks(folder: Path, **elements: object) -> list[str]:
    path = written(folder, dicom_bytes(dataset(film(), **elements)))  # type: ignore[arg-type]
    return [code for code, _ in images.read(path).remarks]


def test_what_is_no_frontal_chest_film_is_kept_and_flagged(tmp_path: Path) -> None:
    assert remarks(tmp_path, Modality="CT") == ["not-radiograph-modality"]
    assert remarks(tmp_path, Modality="RF") == ["not-radiograph-modality"]
    assert remarks(tmp_path, BodyPartExamined="LEFT KNEE") == ["not-chest"]
    assert remarks(tmp_path, ViewPosition="LL") == ["lateral"]
    assert remarks(tmp_path, PresentationIntentType="FOR PROCESSING") == ["for-processing"]
    assert remarks(tmp_path, WindowCenter=1, WindowWidth=0) == ["bad-window"]


def test_frontal_chest_films_are_not_flagged(tmp_path: Path) -> None:
    for modality in ("CR", "DX", "DR", "RG"):
        assert remarks(tmp_path, Modality=modality, ViewPosition="AP") == []
    for part in ("CHEST", "THORAX", "RIBS", "CHEST_ABDOMEN", "PORT", ""):
        assert remarks(tmp_path, BodyPartExamined=part) == []
    assert remarks(tmp_path, ViewPosition="LLD") == []


@pytest.mark.parametrize(
    ("meaning", "view"), [("postero-anterior", "PA"), ("antero-posterior", "AP"), ("left lateral", "LATERAL")]
)
def test_the_view_is_found_in_its_code_as_well(tmp_path: Path, meaning: str, view: str) -> None:
    code = Dataset()
    code.CodeMeaning = meaning
    path = written(tmp_path, dicom_bytes(dataset(film(), ViewCodeSequence=[code])))
    assert images.read(path).provenance["view"] == view


def test_every_remark_stands_in_the_table() -> None:
    folders = [Path(images.__file__).parent / "decoding", Path(images.__file__).parent]
    sources = "".join(path.read_text("utf-8") for folder in folders for path in folder.glob("*.py"))
    assert set(images.REMARKS) == set(
        re.findall(r'\(\s*"([a-z0-9-]+)",\s*(?:f?"|sentence|lateral_sentence)', sources)
    ) & set(images.REMARKS)


def refused(folder: Path, data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.read(written(folder, data))
    return caught.value.code


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_compressed_pixels_cut_short_are_refused(tmp_path: Path, syntax: UID) -> None:
    data = compressed(dataset(film(SIDE, SIDE)), syntax)
    assert refused(tmp_path, data[:-200]) == "truncated"
    made = dcmread(written(tmp_path, data))
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    assert refused(tmp_path, encapsulated(made, syntax, frame[: len(frame) // 2])) in {"truncated", "damaged"}


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless])
def test_a_codestream_larger_than_its_header_says_is_never_decoded(tmp_path: Path, syntax: UID) -> None:
    stored = gray_film(SIDE, SIDE)
    made = dataset(stored, bits=8)
    if syntax == JPEGBaseline8Bit:
        made = dcmread(written(tmp_path, encapsulated(made, syntax, encoded(Image.fromarray(stored), "JPEG"))))
    else:
        made.compress(syntax)
    made.Rows = 2 * SIDE
    assert refused(tmp_path, dicom_bytes(made)) == "damaged"


def test_text_beyond_ascii_and_control_characters_is_kept_printable(tmp_path: Path) -> None:
    made = dataset(film(), SpecificCharacterSet="ISO_IR 192", InstitutionName="Kliník\tB")
    assert images.read(written(tmp_path, dicom_bytes(made))).provenance["institution"] == "Kliník B"


def sample(name: str) -> Path:
    return Path(get_testdata_file(name, download=False))


def test_12_bit_jpeg_gives_the_values_that_another_decoder_gives() -> None:
    values = dicom_pixels.stored(dcmread(sample("JPEG-lossy.dcm"))).values
    assert (values.shape, int(values[420, 140]), int(values[230, 120])) == ((1024, 256), 244, 95)  # by libjpeg


@pytest.mark.parametrize(
    "names",
    [
        ("SC_rgb_rle.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_ybr_full_422_uncompressed.dcm"),
        ("SC_rgb_rle.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_gdcm_KY.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm"),
        ("MR_small.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm"),
    ],
)
def test_samples_of_other_makers_look_the_same_in_every_syntax(names: tuple[str, ...]) -> None:
    first, *others = (images.read(sample(name)).pixels.astype(int) for name in names)
    for other in others:
        assert np.abs(other - first).mean() < 2.0


def test_a_dicomdir_is_told_from_a_file_cut_short() -> None:
    with pytest.raises(ImageError, match="Media Storage Directory") as caught:
        images.read(sample("DICOMDIR"))
    assert caught.value.code == "no-pixels"
