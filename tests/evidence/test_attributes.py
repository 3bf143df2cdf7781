"""What tables and DICOM headers write of a patient, and the few names it becomes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made_files
from plainfilm.data.catalog import read_catalog
from plainfilm.data.decoding.radiograph_dicom import age_in_years
from plainfilm.data.ingest import fill_store
from plainfilm.data.phantom import plan, write_phantoms
from plainfilm.data.store import Store
from plainfilm.evidence.attributes import BANDS, CHILD, NAMES, age_band, sex, traits, view

NAN = float("nan")


def store(source=None, n=3, **provenance):
    columns = {name: np.asarray(values) for name, values in provenance.items()}
    return SimpleNamespace(source=np.asarray(source or ["north"] * n), provenance=columns, subgroups=())


def known(made, kind):
    found = traits(made, np.arange(len(made.source)))[kind]
    return None if found is None else found.tolist()


@pytest.mark.parametrize(
    ("written", "band"),
    [
        ("0", CHILD), ("17.99", CHILD), ("18", "18-39"), ("39.9", "18-39"), ("40", "40-64"), ("64", "40-64"), ("65", "65+"), ("120", "65+"),
        ("045Y", "40-64"), ("006M", CHILD), ("216M", "18-39"), ("003W", CHILD), ("010D", CHILD), ("058y", "40-64"),
        ("58 years", "40-64"), ("6 months", CHILD), ("33 yrs old", "18-39"), ("90+", "65+"), (">89", "65+"), ("> 89 y", "65+"), ("12,5", CHILD),
        ("121", ""), ("413", ""), ("-4", ""), ("adult", ""), ("", ""), ("nan", ""), ("45X", ""), ("1e2", ""), ("60-69", ""),
    ],
)  # fmt: skip
def test_an_age_falls_into_its_band(written, band):
    assert age_band(written) == band


@given(st.integers(0, 999), st.sampled_from("DWMY"))
def test_a_dicom_age_is_read_as_the_decoder_reads_it(number, unit):
    years = age_in_years(f"{number:03d}{unit}")
    expected = "" if years is None else next(name for end, name in BANDS if years < end)
    near_an_edge = years is not None and any(
        abs(years - edge) < 0.006 for edge in (18, 40, 65, 120)
    )  # the decoder rounds to two decimals
    assert near_an_edge or age_band(f"{number:03d}{unit}") == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [("F", "F"), ("female", "F"), (" Female ", "F"), ("m", "M"), ("MALE", "M"), ("O", "other"), ("U", ""), ("unknown", ""), ("1", "1"), ("", ""),
     ("weiblich", "F"), ("Männlich", "M"), ("W", "F"), ("d", "other"), ("Femme", "F"), ("女", "F"), ("男", "M"), ("여성", "F"), ("женский", "F"), ("V", "V")],
)  # fmt: skip
def test_a_sex_is_one_letter(written, read):
    assert sex(written) == read


@pytest.mark.parametrize(
    ("column", "read"),
    [
        (["H", "M", "m"], ["M", "F", "F"]),  # hombre, mujer
        (["H", "F", "M"], ["M", "F", "M"]),
        (["F", "M", "weiblich"], ["F", "M", "F"]),
    ],
)
def test_what_a_letter_means_is_told_by_those_beside_it(column, read):
    assert known(store(sex=column), "sex") == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("PA", "PA"), ("pa", "PA"), ("Ap", "AP"), ("AP Supine", "AP supine"), ("AP_supine", "AP supine"), ("ap-erect", "AP erect"),
        ("postero-anterior", "PA"), ("L", "lateral"), ("LL", "lateral"), ("LATERAL", "lateral"), ("Left Lateral", "lateral"), ("LLD", "LLD"),
        ("Oblique", "oblique"), ("-", ""), ("n/a", ""), ("", ""), ("正面", "正面"),
    ],
)  # fmt: skip
def test_a_view_has_one_spelling(written, read):
    assert view(written) == read


@given(st.text())
def test_any_text_is_read_without_trouble_and_reading_again_changes_nothing(text):
    for read in (sex, view):
        once = read(text)
        assert read(once) == once
    assert age_band(text) in {"", *(name for _, name in BANDS)}


def test_numbers_and_text_are_read_alike():
    assert known(store(age=[4.0, 70.0, NAN]), "age") == [CHILD, "65+", ""]
    assert known(store(age=["4", "070Y", ""]), "age") == [CHILD, "65+", ""]
    assert known(store(sex=[0.0, 1.0, NAN]), "sex") == ["0", "1", ""]


def test_a_column_that_is_missing_or_empty_is_not_recorded():
    found = traits(store(source=["", "unknown", "N/A"], view=["", "", ""], age=[NAN] * 3), np.arange(3))
    assert found == dict.fromkeys(NAMES)


def test_a_kind_known_in_another_part_is_recorded_but_not_known_here():
    found = traits(store(sex=["F", "", ""]), np.array([1, 2]))
    assert found["sex"].tolist() == ["", ""]
    assert found["age"] is None


def test_rows_come_in_the_order_asked_for():
    assert traits(store(sex=["F", "M", "F"]), np.array([1, 0]))["sex"].tolist() == ["M", "F"]


def test_no_rows_are_no_trouble():
    assert traits(store(sex=["F", "M", "F"]), np.array([], np.int64))["sex"].shape == (0,)


def test_columns_of_other_names_fill_what_the_first_leaves_open():
    made = store(sex=["F", "", ""], Gender=["M", "male", ""], **{"Patient Sex": ["M", "F", "O"]})
    assert known(made, "sex") == ["F", "M", "other"]


def test_makers_that_differ_by_case_and_spaces_are_one_under_the_commoner_spelling():
    made = store(n=5, Manufacturer=["Philips", "PHILIPS", "Philips ", "GE  Healthcare", "unknown"])
    assert known(made, "manufacturer") == ["Philips", "Philips", "Philips", "GE Healthcare", ""]


def test_the_names_are_those_that_ingest_gives_from_a_table(tmp_path: Path):
    write_phantoms(tmp_path / "made", n=24, seed=3, duplicates=0)
    fill_store(read_catalog([tmp_path / "made"]), tmp_path / "s.h5", size=32)
    by_file = {visit.name: visit for visit in plan(24, seed=3, duplicates=0)}
    with Store(tmp_path / "s.h5") as opened:
        found = traits(opened, np.arange(len(opened)))
        own = [by_file[Path(str(file)).stem] for file in opened.file]
    assert found["sex"].tolist() == [visit.sex for visit in own]
    assert found["view"].tolist() == [visit.view for visit in own]
    assert found["source"].tolist() == [visit.hospital.name for visit in own]
    assert [name == CHILD for name in found["age"]] == [visit.age < 18 for visit in own]
    assert found["manufacturer"] is None


def test_the_names_are_those_that_ingest_gives_from_dicom(tmp_path: Path):
    for row in range(12):
        folder = tmp_path / "dicom" / "AB"[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(row).integers(0, 4096, (40, 40), dtype=np.uint16)
        made = made_files.dataset(pixels, PatientSex="F", PatientAge="006M", ViewPosition="AP", Manufacturer="ACME")
        made_files.written(folder, made_files.dicom_bytes(made), f"{row}.dcm")
    fill_store(read_catalog([tmp_path / "dicom"]), tmp_path / "s.h5", size=32)
    with Store(tmp_path / "s.h5") as opened:
        found = traits(opened, np.arange(len(opened)))
    assert {kind: set(found[kind].tolist()) for kind in ("sex", "age", "view", "manufacturer")} == {
        "sex": {"F"}, "age": {CHILD}, "view": {"AP"}, "manufacturer": {"ACME"},
    }  # fmt: skip
