"""Keys of patients: joined over all sources, unless they are kept apart."""

import pytest

from plainfilm.data.patients import names_a_person, patient_keys


def groups(patients, issuers=None, sources=None):
    keys, _ = patient_keys(patients, issuers or [""] * len(patients), sources)
    return [keys.index(key) if key else None for key in keys]


def test_an_id_is_one_patient_in_all_sources_and_two_where_they_are_apart():
    assert groups(["P1", "P1", "P2"]) == [0, 0, 2]
    assert groups(["P1", "P1", "P2"], sources=["A", "B", "A"]) == [0, 1, 2]


@pytest.mark.parametrize(("one", "other"), [("P1", " p1 "), ("7", "007"), ("7", "7.0"), ("A  B", "a b"), ("0", "00")])
def test_what_tables_change_does_not_count(one, other):
    assert groups([one, other]) == [0, 0]


@pytest.mark.parametrize(("one", "other"), [("P1", "P10"), ("7", "70"), ("1.5", "15"), ("0", "10")])
def test_other_ids_are_other_patients(one, other):
    assert groups([one, other]) == [0, 1]


def test_issuers_tell_equal_ids_apart_until_one_image_lacks_an_issuer():
    assert groups(["1", "1", "1"], ["Agnes", "Harbour", "agnes "]) == [0, 1, 0]
    assert groups(["1", "1", "1", "2"], ["Agnes", "Harbour", "", "Agnes"]) == [0, 0, 0, 3]


@pytest.mark.parametrize(
    "name",
    [None, "", "  ", "Anonymous", "ANON", "unknown", "xxx", "-", "N/A", "None", "anonymized^patient", "removed", "?"],
)
def test_a_placeholder_is_nobody(name):
    assert groups([name, name, "P1"]) == [None, None, 2]


def test_one_id_for_everything_is_nobodys():
    assert patient_keys(["1"] * 10, [""] * 10) == ([""] * 10, True)
    assert patient_keys(["1"] * 9, [""] * 9)[1] is False
    assert patient_keys(["1"] * 10 + [None], [""] * 11)[1] is False


@pytest.mark.parametrize(
    "column",
    "paciente_nombre Nachname Vorname nom prénom geburtsdatum fecha_nacimiento PatientID patientname name Subject subject_id MRN "
    "MedicalRecordNumber date_of_birth patient_birth_date PatientAddress first_name nom_du_patient 姓名".split(),
)
def test_a_column_that_names_a_person_is_known_in_several_languages(column):
    assert names_a_person(column)


@pytest.mark.parametrize(
    "column",
    "age PatientAge patient_sex hospital id image_id finding_name class_name filename temperature location study_id birth_weight "
    "nombre_archivo patient_position".split(),
)
def test_other_columns_name_nobody(column):
    assert not names_a_person(column)
