import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

import made_bombs
from made_files import dataset, dicom_bytes, film
from plainfilm.data.decoding import dicom_reading, radiograph_dicom
from plainfilm.errors import ImageError

NAMES = {"PatientID": "P 1", "InstitutionName": "North", "Modality": "DX", "PatientAge": "061Y", "PatientSex": "F"}
SAMPLES = [
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
    "nested_priv_SQ.dcm",
    "rtplan.dcm",
    "reportsi.dcm",
    "no_meta.dcm",
    "UN_sequence.dcm",
    "meta_missing_tsyntax.dcm",
    "SC_rgb_jpeg.dcm",
    "priv_SQ.dcm",
    "ExplVR_BigEnd.dcm",
]


def named(data: bytes) -> dict[str, str]:
    return dicom_reading.names(BytesIO(data))


def refused(data: bytes) -> tuple[str, str]:
    found = []
    for read in (dicom_reading.read, named):
        with pytest.raises(ImageError, match=r"^Expected [^\n]*; received [^\n]*\.$") as error:
            read(data)
        found.append(error.value.code)
    return tuple(found)


@pytest.mark.parametrize("preamble", [True, False])
def test_a_deflate_bomb_is_counted_not_kept(preamble: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_reading, "MAX_INFLATED_BYTES", 20_000)
    bomb, sound = (made_bombs.deflated(zeros, preamble=preamble) for zeros in (20_000, 0))
    with pytest.raises(ImageError, match="once inflated") as error:
        dicom_reading.read(bomb)
    assert error.value.code == "too-many-bytes"
    assert named(bomb)["patient_id"] == "P1", "names lie before what swells"
    assert dicom_reading.read(sound).Rows == 64


def test_a_deflated_file_that_is_cut_is_no_whole_one() -> None:
    with pytest.raises(ImageError) as error:
        radiograph_dicom.decode(made_bombs.deflated(0)[:-200])
    assert error.value.code == "truncated"


@pytest.mark.parametrize(
    ("made", "limit", "within", "beyond"),
    [
        (made_bombs.many_elements, "MOST_ELEMENTS", 900, 1000),
        (made_bombs.many_items, "MOST_ELEMENTS", 900, 1000),
        (made_bombs.deep, "MOST_DEPTH", 32, 33),
        (made_bombs.long_value, "MOST_VALUE_BYTES", 1 << 20, (1 << 20) + 2),
    ],
)
def test_what_a_header_may_hold_is_bounded(made, limit, within, beyond, monkeypatch) -> None:
    if limit == "MOST_ELEMENTS":
        monkeypatch.setattr(dicom_reading, limit, 1000)
    assert refused(made(beyond)) == ("damaged", "damaged")
    assert named(made(within))["patient_id"] == "P1"
    assert dicom_reading.read(made(within)).Rows == 64


@pytest.mark.parametrize("name", SAMPLES)
def test_files_of_all_kinds_are_read_as_pydicom_reads_them(name: str) -> None:
    path = Path(get_testdata_file(name, download=False))
    plain, bounded = dcmread(path, force=True), dicom_reading.read(path.read_bytes())
    assert [*map(int, bounded.keys())] == [tag for tag in map(int, plain.keys()) if tag <= 0x7FE00010]
    with path.open("rb") as file:
        found = dicom_reading.names(file)
    assert found == named(path.read_bytes())
    for key, keyword in dicom_reading.KEYWORDS.items():
        assert found.get(key, "") == " ".join(str(plain.get(keyword) or "").split())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_names_are_read_in_every_encoding_and_nothing_else(syntax) -> None:
    made = dataset(film(), StudyDescription="x" * 64, ReferencedImageSequence=Sequence([Dataset()] * 3), **NAMES)
    made.file_meta.TransferSyntaxUID = syntax
    found = named(dicom_bytes(made))
    assert found.pop("sop_instance_uid") == made.SOPInstanceUID
    assert found == {"patient_id": "P 1", "source": "North", "modality": "DX", "age": "061Y", "sex": "F"}


@pytest.mark.parametrize("preamble", [0, 132])
def test_ages_are_given_in_years_and_damage_in_one_line(preamble: int) -> None:
    whole = dicom_bytes(dataset(film(), **NAMES))[preamble:]
    assert radiograph_dicom.names(BytesIO(whole))["age"] == "61"
    head = whole[: whole.index(b"P 1") - 8]
    assert "patient_id" not in radiograph_dicom.names(BytesIO(head))


@pytest.mark.parametrize("seed", range(8))
def test_fragments_are_passed_over_whatever_lies_in_them(seed: int) -> None:
    noise = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) * seed
    between = made_bombs.sequence(made_bombs.fragment(noise) * 3, vr=b"OB")
    data = made_bombs.with_elements(between + struct.pack("<HH2sH", 0x0020, 0x4000, b"LT", 2) + b"ok")
    seen = dicom_reading.read(data)
    assert (seen.Rows, seen.ImageComments) == (64, "ok")
    assert named(data)["modality"] == "DX"


def test_texts_are_cut() -> None:
    assert len(named(dicom_bytes(dataset(film(), PatientID="x" * 3000)))["patient_id"]) == dicom_reading.MOST_TEXT
