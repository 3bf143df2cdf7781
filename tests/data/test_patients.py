"""Keys of patients: joined over all sources, unless they are kept apart."""

import pytest

from plainfilm.data.patients import Named, patient_keys


def groups(patients, issuers=None, sources=None):
    issuers, apart = issuers or [""] * len(patients), sources is not None
    images = zip(patients, issuers, sources or [""] * len(patients), strict=True)
    return numbered(
        [Named(id=name or "", issuer=issuer, source=source) for name, issuer, source in images], apart=apart
    )


def numbered(images, *, apart=False):
    keys, _ = patient_keys(images, apart=apart)
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
    assert patient_keys([Named("1")] * 10) == ([""] * 10, True)
    assert patient_keys([Named("1")] * 9)[1] is False
    assert patient_keys([Named("1")] * 10 + [Named()])[1] is False


def test_all_ids_of_one_image_are_one_patient():
    assert numbered([Named("A"), Named("B"), Named("C", others=("A", "B"))]) == [0, 0, 0]
    assert numbered([Named("A", "Agnes"), Named("A", "Harbour"), Named("T", others=("A",))]) == [0, 0, 0]


def test_a_folder_of_a_patient_is_the_one_id_that_is_found_in_it():
    assert numbered([Named("77", folder="patient1"), Named(folder="patient1"), Named(folder="patient2")]) == [0, 0, 2]


def test_a_folder_with_two_ids_joins_nobody():
    images = [Named("1", folder="ward"), Named("2", folder="ward"), Named(folder="ward")]
    assert numbered(images) == [0, 1, 2]


def test_a_folder_of_one_name_is_one_patient_wherever_it_lies_unless_sources_are_apart():
    assert numbered([Named(folder="patient012", source="A"), Named(folder="patient012", source="B")]) == [0, 0]
    images = [Named(folder="patient012", source="A"), Named(folder="patient012", source="B")]
    assert numbered(images, apart=True) == [0, 1]
