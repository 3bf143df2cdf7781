"""Which columns, and which of their values, may stand in a store."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data import sexes
from plainfilm.data.ages import years
from plainfilm.data.kept_columns import cells_of, looks_personal


def kept(name, *cells, groups=None):
    """What is kept of a column of which each value stands for two patients, once each."""
    found = cells_of(name, cells * 2, groups or list(range(2 * len(cells))))
    return None if found is None else found[: len(cells)]


@pytest.mark.parametrize(
    "name",
    "age Patient_Age PatientSex_DICOM sex Geschlecht 性别 view ViewPosition Projektion 体位 manufacturer Hersteller ManufacturerModelName model 型号 "
    "KVP Exposure ExposureInuAs_DICOM rows width OriginalImageWidth bits_stored BodyPartExamined modality".split(),
)
def test_usual_names_are_allowed_in_any_spelling(name):
    assert cells_of(name, ["1"] * 4, range(4)) == ["1"] * 4


@pytest.mark.parametrize(
    "name",
    "name Nachname PatientName patient DOB MRN id device_id model_serial view_comment mobile age_at_death exposure_date Zimmer station "
    "institution remarks 姓名 出生日期 fecha_nacimiento prénom telefono region source_comment patient_size".split(),
)
def test_other_names_are_not(name):
    assert cells_of(name, ["1"] * 4, range(4)) is None


@pytest.mark.parametrize(
    ("written", "told"),
    [("64", "64"), ("64.7", "64"), ("064Y", "64"), ("45 Jahre", "45"), ("89", "89"), ("90", "90"), ("97", "90"), (">89", "90"), ("90+", "90"),
     ("018M", "1.5"), ("1.53", "1.5"), ("005D", "0"), ("1950-03-01", ""), ("19500301", ""), ("adult", ""), ("1950", "")],
)  # fmt: skip
def test_ages_are_whole_years_none_above_ninety_and_no_date(written, told):
    assert kept("age", written, "50") == [told, "50"]


@given(st.text(max_size=20))
def test_whatever_is_kept_of_an_age_is_one_and_at_most_ninety(text):
    (told, _) = kept("age", text, "50")
    assert told == "" or 0 <= years(told) <= 90
    assert told == "" or math.floor(min(years(text), 90)) == math.floor(years(told))


@pytest.mark.parametrize(
    ("written", "told"), [("60-69", "60-69"), ("80+", "80+"), ("95-99", "90+"), ("90+", "90+"), ("Anna", "")]
)
def test_bands_of_ages_end_at_ninety(written, told):
    assert kept("age_group", written, "40-49") == [told, "40-49"]


def test_numbers_are_kept_with_their_unit_but_none_that_may_be_a_persons():
    cells = ("80 kV", "12,5", "0.14\\0.14", "1234567", "19500301", "Anna")
    assert kept("exposure", *cells) == ["80 kV", "12,5", "0.14\\0.14", "", "", ""]
    assert kept("exposure", "1234567", "19500301", "5") is None  # most do not fit


def test_words_are_kept_where_they_are_known_or_two_patients_share_them():
    cells = ["PA", "AP supine", "DRX-1", "DRX-1", "Sunray", "DRX-1"]
    assert cells_of("view", cells, [1, 2, 3, 3, 4, 5]) == ["PA", "AP supine", "DRX-1", "DRX-1", "", "DRX-1"]
    assert cells_of("model", ["DRX-1", "DRX-1"], [3, 3]) is None  # one patient's alone


def test_a_column_of_as_many_words_as_patients_is_a_column_of_names():
    names = [f"Quast{letter}" for letter in "abcdefghijklmnopqrst"]
    assert cells_of("model", names * 2, range(40)) is None


@pytest.mark.parametrize(
    "cell",
    ["Anna Schmidt", "Schmidt Anna", "Max Mustermann", "Mustermann^Max", "Mustermann, Max", "Dr. Weber", "Frau Weber", "03.05.1960", "1960-05-03", "3 May 1960", "05/1960", "1960年5月3日",
     "SN 48213-77", "0171 234 567", "a@b.org", "https://a.b/c", "1.2.840.113619.2.55", "was seen by a colleague and sent home again", "王伟"],
)  # fmt: skip
def test_what_looks_like_somebodys_is_known(cell):
    assert looks_personal(cell)
    assert cells_of("model", [cell, "DRX"] * 4, range(8)) in (None, ["", "DRX"] * 4)


@pytest.mark.parametrize(
    "cell",
    ["Philips Medical Systems", "KONICA MINOLTA, INC.", "Definium 8000", "Essenta DR", "DR-F", "Ysio Max", "AXIOM Aristos FX", "uDR 770i", "p.a.", "联影", "GE Healthcare"],
)  # fmt: skip
def test_devices_do_not_look_so(cell):
    assert not looks_personal(cell)
    assert kept("model", cell) == [cell]


def test_a_transfer_syntax_is_no_uid_of_an_image():
    cells = ["1.2.840.10008.1.2.1", "1.2.840.113619.2.55.3"]
    assert kept("transfer_syntax", *cells) == [cells[0], ""]


def test_every_word_for_a_sex_that_is_kept_is_read_in_the_audit_too():
    words = ["weiblich", "Männlich", "女", "男性", "женский", "Frau", "varón", "X", "unknown"]
    assert kept("Geschlecht", *words) == words
    assert {sexes.sex(word) for word in words} == {"F", "M", "other", ""}
    assert kept("sex", "Anna", "Schmidt") is None
