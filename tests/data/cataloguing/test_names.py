"""Which file a name in a table means: every usual difference of spelling, and no guess where two could be meant."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plainfilm.data.cataloguing.names import Names, leads_outside, tidy
from plainfilm.data.tables.reading import Table, read_table
from plainfilm.errors import CatalogError


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Table:
    path = tmp_path_factory.mktemp("names") / "t.csv"
    path.write_text("file_name,label,patient_name\nNORMAL-0.PNG,A,DOE^JOHN\n")
    return read_table(path)


def find(table: Table, written: str, *files: str, others=()) -> str | None:
    return Names([(file, file) for file in files], others).find(tidy(written), table, table.rows[0])


NFC, NFD = (unicodedata.normalize(form, "é_1.png") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("A/1.png", "A/1.png"),
        ("1.png", "A/1.png"),
        ("1", "A/1.png"),
        ("A/1", "A/1.png"),
        (" A/1.png ", "A/1.png"),
        (r"A\1.png", "A/1.png"),
        (r"C:\films\A\1.png", "A/1.png"),
        ("./A//1.png", "A/1.png"),
        (NFC, NFD),
        (NFD, NFC),
        (f"Ä/{NFC}", f"{unicodedata.normalize('NFD', 'Ä')}/{NFD}"),
        ("NORMAL-0.png", "Normal-0.PNG"),
        ("NORMAL-0", "x/Normal-0.PNG"),
        ("covid/a.png", "COVID/A.png"),
        ("STRASSE.png", "straße.png"),
        ("chest%20film%20%281%29.png", "chest film (1).png"),
        ("chest film.png", "chest%20film.png"),
        ("f%C3%A9.png", unicodedata.normalize("NFD", "fé.png")),
        ("1.0", "1.png"),
        ("1.0.png", "1.png"),
        ("17", "00000017.png"),
        ("00017.png", "17.png"),
        ("x.png", "x.jpg"),
        ("x.dcm", "x.dcm.png"),
        ("x", "x.dcm.png"),
        ("x.nii", "x.nii.gz"),
        ("1.2.840.10008.5", "1.2.840.10008.5.dcm"),
        ("/content/drive/MyDrive/data/images/img0.png", "images/img0.png"),
        ("/content/drive/MyDrive/data/images/img0.png", "img0.png"),
        ("/kaggle/input/COVID/COVID-1.png", "COVID/images/COVID-1.png"),
        ("images/7.png", "CLASS/7.png"),
        ("x/1.png", "deep/x/1.png"),
        ("https://host.org/films/a%20b.png", "films/a b.png"),
        ("images_001/00000013_005.png", "all/sorted/00000013_005.png"),
    ],
)
def test_a_name_is_found_however_it_is_written(table, written, file):
    assert find(table, written, file, "other/other.png", "zz.png") == file


@pytest.mark.parametrize(
    ("written", "files"),
    [
        ("gone.png", ("a.png", "b.png")),
        ("A/1.png", ("B/1.png",)),
        ("COVID/image_01.png", ("NORMAL/image_01.png",)),
        ("train/00000013_005.png", ("test/00000013_005.png",)),
        ("patB/IM-0001-0001.png", ("patA/IM-0001-0001.png",)),
        ("patB/00000001.dcm", ("patA/00000001.dcm",)),
        ("/content/drive/MyDrive/patB/00000001.dcm", ("patA/00000001.dcm",)),
        ("patient1/study1/view1.jpg", ("patient2/study1/view1.jpg", "patient3/study1/view1.jpg")),
        ("images/1.png", ("A/1.png", "B/1.png")),
        ("masks/1.png", ("images/1.png",)),
        ("masks/1.png", ("1.png",)),
        ("1.2", ("1.3.png",)),
        ("10", ("1.png", "100.png")),
        ("", ("a.png",)),
    ],
)
def test_what_may_be_another_file_is_not_taken(table, written, files):
    assert find(table, written, *files) is None


@pytest.mark.parametrize(
    ("written", "files", "file"),
    [
        ("/x/B/1.png", ("A/1.png", "B/1.png"), "B/1.png"),
        ("/y/A/B/1.png", ("B/1.png", "A/B/1.png", "C/B/1.png"), "A/B/1.png"),
        ("a.PNG", ("a.png", "A.PNG", "a.PNG"), "a.PNG"),
        ("a", ("a.png", "A.png"), "a.png"),
        ("a.png", ("a.jpg", "a.png"), "a.png"),
        ("17", ("17.png", "00017.png"), "17.png"),
    ],
)
def test_the_nearest_form_and_the_longest_end_count(table, written, files, file):
    assert find(table, written, *files) == file


@pytest.mark.parametrize(
    ("written", "files"),
    [
        ("1.png", ("x/1.png", "y/1.png")),
        ("x", ("x.png", "x.jpg")),
        ("x.dcm", ("x.png", "x.jpg")),
        ("NORMAL.png", ("Normal.png", "normal.png")),
    ],
)
def test_a_name_that_fits_several_files_is_an_error_with_both(table, written, files):
    with pytest.raises(CatalogError, match=f"in line 2 of .* received {sorted(files)[0]} and {sorted(files)[1]}"):
        find(table, written, *files)


def test_a_file_that_is_there_but_not_to_be_found_is_no_other(table):
    assert find(table, "x/1.png", "1.png") == "1.png"
    assert find(table, "x/1.png", "1.png", others={"x/1.png"}) is None


def test_a_file_may_have_several_names_and_a_name_several_files(table):
    names = Names(
        [("1.png", "one/1.png"), ("one/1.png", "one/1.png"), ("1.png", "two/1.png"), ("two/1.png", "two/1.png")]
    )
    assert names.find("one/1.png", table, table.rows[0]) == "one/1.png"
    assert names.find("/else/two/1.png", table, table.rows[0]) == "two/1.png"
    with pytest.raises(CatalogError, match="received one/1.png and two/1.png"):
        names.find("1.png", table, table.rows[0])


def test_a_file_whose_name_is_a_part_of_anothers_is_another(table):
    with pytest.raises(CatalogError, match="received 1 and 10"):
        Names([("x", "10"), ("x", "1")]).find("x", table, table.rows[0])


def test_many_files_of_one_bare_name_are_told_apart_by_the_ends_of_their_paths(table):
    files = [f"train/Patient{i:05d}/study1/view1_frontal.jpg" for i in range(20_000)]
    names = Names((file, file) for file in files)
    for file in files[::50]:
        assert names.find(f"CheXpert-v1.0/{file}", table, table.rows[0]) == file
        assert names.find(f"/data/{file.upper()}", table, table.rows[0]) == file
        assert names.find(file.replace("train", "valid"), table, table.rows[0]) is None
        assert names.find(file.replace("study1", "study2"), table, table.rows[0]) is None


def test_where_nothing_fits_one_name_and_the_nearest_file_are_told(table):
    names = Names((f"Normal_{i}.jpeg", f"Normal_{i}.jpeg") for i in range(5000))
    said = names.explain(table)
    assert said.startswith("none of 1: line 2 says NORMAL-0.PNG, and the nearest file is Normal_")
    assert "(tried the path, its end" in said
    assert "DOE" not in said
    assert "there is no file" in Names([]).explain(table)


@given(
    names=st.sets(st.text(st.characters(categories=["L", "N", "M"]), min_size=1, max_size=6), min_size=1, max_size=6)
)
def test_both_unicode_forms_of_a_name_are_one(table, names):
    assume(len({unicodedata.normalize("NFC", name.casefold()) for name in names}) == len(names))
    assume(not any(name.isdecimal() for name in names))
    disk = {unicodedata.normalize("NFD", name) + ".png": name for name in names}
    assume(len(disk) == len(names))
    found = Names((file, file) for file in disk)
    for file, name in disk.items():
        assert found.find(unicodedata.normalize("NFC", name) + ".png", table, table.rows[0]) == file


@pytest.mark.parametrize(
    ("name", "outside"), [("/a", True), ("../a", True), ("C:/a", True), ("~/a", True), ("a/b", False)]
)
def test_what_leads_outside_is_known(name, outside):
    assert leads_outside(name) is outside
