"""Report and capture: sound by the standard's own readers, in the image's study, the same UIDs each time, whatever a tag says."""

import io
import shutil
import subprocess
import warnings
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from made_dicom import ABOUT, MODEL, FakeExaminer, examined, has, instance, instance_bytes
from made_files import dicom_bytes
from plainfilm import NOTICE
from plainfilm.serve.dicom import class_codes, header, secondary_capture, structured_report
from plainfilm.serve.dicom.narrative import DicomAnswer, percent
from plainfilm.serve.dicom.worker import _made, _pair

IDENTITY = FakeExaminer().identity


def source_of(data: bytes):
    read = header.opened(data)
    return header.source(data, syntax=read.syntax, start=read.start)


def answer(level: str = "ok", label: str = "COVID") -> DicomAnswer:
    return DicomAnswer(examined=examined(level, label), identity=IDENTITY, about=ABOUT)


def made(level: str = "ok", label: str = "COVID", **elements):
    """Report and capture as read back; the capture is None where there is none."""
    both = _pair(source_of(instance_bytes(**elements)), answer(level, label))  # not `_made`, which would hide a failure
    return [dcmread(io.BytesIO(both[name])) if name in both else None for name in ("1-report", "2-capture")]


def texts(dataset) -> list[str]:
    found = [str(item.TextValue) for item in dataset.get("ContentSequence", []) if "TextValue" in item]
    for item in dataset.get("ContentSequence", []):
        found += texts(item)
    return found


def codes(dataset) -> dict[str, str]:
    found = {}
    for item in dataset.get("ContentSequence", []):
        if item.ValueType == "CODE":
            found[item.ConceptNameCodeSequence[0].CodeMeaning] = item.ConceptCodeSequence[0].CodeMeaning
        found |= codes(item)
    return found


def numbers(dataset) -> dict[str, float]:
    found = {}
    for item in dataset.get("ContentSequence", []):
        if item.ValueType == "NUM":
            name = item.ConceptNameCodeSequence[0].CodeMeaning
            found[name] = float(item.MeasuredValueSequence[0].NumericValue)
        found |= numbers(item)
    return found


def test_the_report_holds_the_answer_and_what_it_is_worth(tmp_path):
    (tmp_path / "sr.dcm").write_bytes(structured_report.made(source_of(instance_bytes()), answer()))
    read = hd.sr.srread(tmp_path / "sr.dcm")
    assert numbers(read) == {"Probability of COVID": 0.93, "Probability of NORMAL": 0.07}
    assert codes(read)["Class at the threshold"] == "COVID-19"
    assert codes(read)["Can the image be answered for"].startswith("As usual")
    said = texts(read)
    assert said.count(NOTICE) == 2
    assert "threshold: 0.41" in said
    assert "Not audited. It is worth what it was tested on." in said
    assert "Of what spoke for the answer, 62 % lies in the lung fields." in said
    assert any(each.startswith("Where 34 % of those examined have COVID") for each in said)
    groups = read.content.get_image_measurement_groups()
    assert groups[0].source_images[0].referenced_sop_instance_uid == instance().SOPInstanceUID
    evidence = read.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == instance().SOPInstanceUID
    assert read.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99PLAINFILM"
    assert read.VerificationFlag == "UNVERIFIED"


def test_the_answer_of_a_site_names_it_and_is_another_instance(tmp_path):
    there = replace(answer(), identity=replace(IDENTITY, site="Guangzhou"), about=replace(ABOUT, site="Guangzhou"))
    own, other = (structured_report.made(source_of(instance_bytes()), each) for each in (answer(), there))
    own, other = dcmread(io.BytesIO(own)), dcmread(io.BytesIO(other))
    assert "The calibration of the site Guangzhou is used." in texts(other)
    assert "calibration of the site: Guangzhou" in texts(other)
    assert not any("Guangzhou" in said for said in texts(own))
    assert own.SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.parametrize(("level", "word"), [("refused", "refused"), ("unreadable", "cannot be read")])
def test_where_there_is_no_answer_no_class_is_named(level, word):
    read, picture = made(level)
    assert "Class at the threshold" not in codes(read)
    assert not numbers(read)
    assert any(word in each for each in texts(read))
    assert (picture is None) == (level == "unreadable")


def test_both_are_in_the_image_s_study_and_say_what_they_are():
    image = instance()
    for each in made():
        for keyword in (
            "StudyInstanceUID",
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "StudyDate",
            "AccessionNumber",
        ):
            assert each[keyword].value == image[keyword].value, keyword
        assert each.SeriesInstanceUID != image.SeriesInstanceUID
        assert "research" in each.SeriesDescription.lower()
        assert each.Manufacturer == "plainfilm"
    _, picture = made()
    assert picture.BurnedInAnnotation == "YES"
    assert picture.PhotometricInterpretation == "RGB"
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert picture.PatientOrientation == ["L", "F"]


def test_the_capture_shows_the_film_undistorted_with_words_below():
    shown = answer().examined
    pixels = secondary_capture.picture(answer())
    height, width = shown.view.shape
    left = (pixels.shape[1] - width) // 2
    quiet = pixels[:80, left : left + width][:, :80]  # where nothing spoke for the answer, the film is as it was
    assert np.array_equal(quiet, np.stack([shown.view[:80, :80]] * 3, axis=-1))
    assert pixels.shape[0] > height + 60
    assert (pixels[height:] > 180).mean() > 0.005
    assert np.array_equal(
        np.asarray(dcmread(io.BytesIO(secondary_capture.made(source_of(instance_bytes()), answer()))).pixel_array),
        pixels,
    )


def test_the_capture_warns_where_the_accuracy_is_worth_little(monkeypatch):
    lines = []
    monkeypatch.setattr(secondary_capture, "_wrapped", lambda text, *_: lines.append(text) or [text])
    secondary_capture.picture(answer("flagged"))
    assert lines[0] == "COVID (flagged): probability 93 %"
    assert NOTICE in lines
    assert "Not audited. It is worth what it was tested on." in lines


def test_the_uids_are_the_same_each_time_and_others_for_another_image_or_model():
    first, again = made(), made()
    assert [each.SOPInstanceUID for each in first] == [each.SOPInstanceUID for each in again]
    assert [each.SeriesInstanceUID for each in first] == [each.SeriesInstanceUID for each in again]
    everything = {each.SOPInstanceUID for each in (*first, *made(SOPInstanceUID="1.2.3"))}
    everything.add(str(header.answer_uid(instance().SOPInstanceUID, "another model", structured_report.KIND)))
    assert len(everything) == 5
    assert first[0].SOPInstanceUID == header.answer_uid(instance().SOPInstanceUID, MODEL, "report")
    assert all(header.is_uid(each) for each in everything)


@pytest.mark.skipif(not has("dsrdump", "dcmdump"), reason="needs dsrdump and dcmdump (Debian's dcmtk)")
def test_dcmtk_reads_both(tmp_path):
    both = _made(source_of(instance_bytes()), answer())
    for name, data in both.items():
        (tmp_path / name).write_bytes(data)
    said = subprocess.run(["dsrdump", "+Pl", tmp_path / "1-report"], capture_output=True, text=True, check=True)
    assert "Probability of COVID" in said.stdout
    assert not [line for line in said.stderr.splitlines() if line.startswith("E:")]
    assert shutil.which("dcmdump")
    said = subprocess.run(["dcmdump", "+E", tmp_path / "2-capture"], capture_output=True, text=True, check=True)
    assert not [line for line in said.stderr.splitlines() if line.startswith("E:")]


@pytest.mark.skipif(not has("dciodvfy"), reason="needs dciodvfy (Debian's dicom3tools)")
@pytest.mark.parametrize(
    ("level", "label"), [("ok", "COVID"), ("flagged", "ward 7"), ("refused", "COVID"), ("unreadable", "")]
)
def test_a_validator_of_others_finds_no_error(level, label, tmp_path):
    both = _pair(source_of(instance_bytes()), answer(level, label))
    assert len(both) == 2 - (level == "unreadable")
    for name, data in both.items():
        (tmp_path / name).write_bytes(data)
        said = subprocess.run(["dciodvfy", tmp_path / name], capture_output=True, text=True, check=False)
        assert said.stderr.splitlines()[0] == {"1-report": "ComprehensiveSR", "2-capture": "SCImage"}[name]
        assert not [line for line in said.stderr.splitlines() if line.startswith("Error")]


def coded(read):
    """Value and scheme of the class called, and of what each probability is of, by the name of its class."""
    (group,) = read.content.get_image_measurement_groups()
    (called,) = (each.value for each in group.get_qualitative_evaluations() if each.name.meaning.startswith("Class"))
    found = {}
    for measured in group.get_measurements():
        of = [item.value for item in measured[0].get("ContentSequence", ()) if item.name.meaning == "Finding"]
        found[measured.name.meaning.removeprefix("Probability of ")] = [
            (code.value, code.scheme_designator) for code in of
        ]
    return (called.value, called.scheme_designator), found


@pytest.mark.parametrize(
    ("label", "expected"), [("COVID", ("840539006", "SCT")), ("No Finding", None), ("ward 7", None)]
)
def test_a_class_has_the_code_of_a_dictionary_that_knows_it_or_else_one_of_ours(label, expected, tmp_path):
    (tmp_path / "sr.dcm").write_bytes(structured_report.made(source_of(instance_bytes()), answer(label=label)))
    called, probabilities = coded(hd.sr.srread(tmp_path / "sr.dcm"))
    assert called == (expected or (f"CLASS-{header.digest(label, 8)}", "99PLAINFILM"))
    assert probabilities["NORMAL"] == [("17621005", "SCT")]
    assert probabilities[label] == ([expected] if expected else [])


IN_PS3_16 = ["60046008", "36118008", "19242006", "27925004", "4147007", "52988006", "17621005", "112121", "112001"]


def test_codes_of_classes_are_those_of_the_standard_where_it_has_them():
    from pydicom.sr._concepts_dict import concepts

    names = {
        (scheme, code): meaning
        for scheme in ("SCT", "DCM")
        for spellings in concepts[scheme].values()
        for code, (meaning, _) in spellings.items()
    }
    mine = set(class_codes._KNOWN.values())
    assert {code.value for code in mine if (code.scheme_designator, code.value) in names} == set(IN_PS3_16)
    for code in mine:
        known = names.get((code.scheme_designator, code.value), code.meaning)
        assert known.casefold() == code.meaning.casefold()
        assert len(code.meaning) <= 64


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("COVID-19", "840539006"),
        ("covid_19", "840539006"),
        ("Pleural Effusion", "60046008"),
        ("Effusion", "60046008"),
        ("TB", "56717001"),
        ("Lung Opacity", "112001"),
        ("No Finding", None),
        ("Pleural_Thickening", None),
        ("Hernia", None),
        ("not normal", None),
        ("COVID or NORMAL", None),
    ],
)
def test_a_class_is_known_by_its_letters_and_never_by_a_part_of_its_name(name, code):
    found = class_codes.known(name)
    assert (found and found.value) == code


HOSTILE = {
    "script": {"PatientName": "<script>alert(1)</script>", "PatientID": "'; DROP TABLE--"},
    "empty": {"PatientID": "", "PatientName": "", "StudyDate": "", "StudyTime": "", "AccessionNumber": ""},
    "missing": dict.fromkeys(
        ("PatientID", "PatientName", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber")
    ),
    "overlong": {"PatientID": "9" * 5000, "PatientName": "N" * 5000, "AccessionNumber": "A" * 500},
    "many names": {"PatientName": "a^b^c^d^e^f^g=h=i=j=k"},
    "control signs": {"PatientName": "Evil\x1b[31m\x00\nName", "PatientID": "a\tb"},
    "no sex or date": {
        "PatientSex": "QUITE",
        "StudyDate": "99999999",
        "PatientBirthDate": "yesterday",
        "StudyTime": "noon",
    },
    "many values": {"PatientID": ["one", "two"], "PatientOrientation": ["L", "F", "H"]},
    "japanese": {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
    "unknown character set": {"SpecificCharacterSet": "KLINGON", "PatientName": "Worf"},
    "no series": {"SeriesInstanceUID": None},
    "bad series": {"SeriesInstanceUID": "../../x"},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("elements", HOSTILE.values(), ids=HOSTILE.keys())
def test_any_instance_that_can_be_parsed_is_answered(elements):
    read, picture = made(**elements)
    for each in (read, picture):
        assert each.StudyInstanceUID == instance().StudyInstanceUID
        assert len(str(each.PatientID)) <= 64
        assert all(len(group) <= 64 for group in str(each.PatientName).split("="))
        assert str(each.PatientName).isprintable()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dicom_bytes(each)  # what pydicom finds malformed, it would warn about


@pytest.mark.filterwarnings("ignore")
def test_a_japanese_name_comes_back_whole():
    read, _ = made(**HOSTILE["japanese"])
    assert str(read.PatientName) == "Yamada^Tarou=山田^太郎"


@pytest.mark.parametrize("label", ["", "x" * 300, "a\\b", "<b>", "肺炎", "\ud800", "=^="])
def test_class_names_are_folder_names_and_may_be_anything(label):
    read, picture = made(label=label)
    assert "Class at the threshold" in codes(read)
    assert picture.Rows > 0


@given(data=st.data())
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore")
def test_mutated_heads_end_in_a_source_or_a_refusal(data):
    whole = bytearray(instance_bytes(PixelData=b"\0\0"))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(132, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=4))
    try:
        source = source_of(bytes(whole))
    except header.HeaderError:
        return
    assert set(_made(source, answer("unreadable"))) == {"1-report"}


def test_a_flood_of_elements_is_refused_quickly():
    flood = b"".join(b"\x09\x00" + n.to_bytes(2, "little") + b"UL\x00\x00" for n in range(0x10, 0xFFFF)) * 8
    with pytest.raises(header.HeaderError):
        header.source(flood, syntax=header.TRANSFER_SYNTAXES[0])


def test_deeply_nested_sequences_are_refused():
    nest = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20000
    with pytest.raises(header.HeaderError):
        header.source(nest, syntax=header.TRANSFER_SYNTAXES[0])


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.0, "0 %"), (0.001, "below 0.5 %"), (0.5, "50 %"), (0.999, "above 99.5 %"), (1.0, "100 %")],
)
def test_probabilities_are_said_without_false_certainty(probability, said):
    assert percent(probability) == said


ITEM = b"\xfe\xff\x00\xe0"
ITEMS = {"empty": ITEM + bytes(4), "with an element": ITEM + b"\x08\0\0\0" + b"\x08\0\x60\0CS\0\0"}


@pytest.mark.parametrize("items", ITEMS)
@pytest.mark.parametrize("sequence", [b"\x08\0\x40\x11SQ", b"\x09\0\x40\x11SQ", b"\x09\0\x40\x11UN"])
def test_a_sequence_of_half_a_million_items_is_not_read_to_its_end(items, sequence, monkeypatch):
    item, reads = ITEMS[items], []
    read = header._Bounded.read
    monkeypatch.setattr(header._Bounded, "read", lambda stream, size: reads.append(size) or read(stream, size))
    bomb = sequence + b"\0\0" + b"\xff" * 4 + item * ((4 << 20) // len(item))
    with pytest.raises(header.HeaderError, match="cannot be parsed"):
        header.source(bomb, syntax=header.TRANSFER_SYNTAXES[0])
    assert 40_000 < len(reads) < 40_100
