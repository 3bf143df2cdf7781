"""Catalogs: every layout, tables as people write them, and folders that cannot be meant."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from made_archives import zipped
from plainfilm.data.catalog import Asked, Catalog
from plainfilm.data.catalog import read_catalog as read_asked
from plainfilm.data.cataloguing import folders
from plainfilm.data.tables import reading as tables
from plainfilm.errors import CatalogError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    return folder


def read_catalog(sources: list[Path], *, one_class_will_do: bool = False, **asked: Any) -> Catalog:
    return read_asked(sources, Asked(**asked), one_class_will_do=one_class_will_do)


def put(folder: Path, *names: str) -> None:
    """Files by name; a catalog never looks at what an image holds."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")


def put_dicom(path: Path, **attributes: str) -> str:
    """A DICOM header without pixels; gives its SOP Instance UID."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return str(dataset.SOPInstanceUID)


def table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def labels_of(catalog: Catalog) -> dict[str, str | None]:
    return {entry.file: entry.label for entry in catalog.entries}


def codes(catalog: Catalog) -> list[str]:
    return [problem.code for problem in catalog.problems]


# Layouts


def test_the_first_folder_is_the_class_at_any_depth(source):
    put(source, "COVID/a.jpg", "COVID/day 1/x/b.PNG", "NORMAL/c.tiff")
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"COVID/a.jpg": "COVID", "COVID/day 1/x/b.PNG": "COVID", "NORMAL/c.tiff": "NORMAL"}
    assert catalog.layout == "classes"
    assert catalog.problems == ()
    assert {(entry.source, entry.patient, entry.split) for entry in catalog.entries} == {("films", None, None)}
    assert all(entry.path.is_file() for entry in catalog.entries)


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        *(("train", "train"), ("Training", "train"), ("val", "validation"), ("valid", "validation")),
        *(("VALIDATION", "validation"), ("dev", "validation"), ("test", "test"), ("testing", "test")),
    ],
)
def test_split_folders_give_the_split_and_the_next_folder_the_class(source, folder, split):
    put(source, f"{folder}/A/1.jpg", f"{folder}/B/2.jpg")
    catalog = read_catalog([source])
    assert [(entry.label, entry.split) for entry in catalog.entries] == [("A", split), ("B", split)]
    assert catalog.layout == "splits"


def test_a_folder_wrapped_around_the_splits_is_no_class(source):
    put(source, "chest_xray/train/A/1.jpg", "chest_xray/test/B/2.jpg", "__MACOSX/chest_xray/train/A/._1.jpg")
    assert [(e.file, e.label, e.split) for e in read_catalog([source]).entries] == [
        ("chest_xray/test/B/2.jpg", "B", "test"),
        ("chest_xray/train/A/1.jpg", "A", "train"),
    ]


def test_masks_are_set_aside_in_class_folders_and_counted_once(source):
    put(source, "COVID/images/1.png", "COVID/masks/1.png", "Normal/images/2.png", "Normal/masks/2.png")
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"COVID/images/1.png": "COVID", "Normal/images/2.png": "Normal"}
    assert [(p.code, p.fatal, p.sentence.split()[0]) for p in catalog.problems] == [("mask", True, "2")]


@pytest.mark.parametrize(
    "name",
    [
        *("mask/1.png", "Masks/1.png", "segmentation/1.png", "lung_masks/deep/1.png", "lung masks/1.png"),
        *("infection masks/1.png", "leftMask/1.png", "A/1_mask.png", "A/1-mask.png", "A/1_seg.tif", "A/1_Mask.PNG"),
    ],
)
def test_masks_are_known_by_folder_and_by_name(name):
    assert folders.is_mask(name)


@pytest.mark.parametrize("name", ["masked/1.png", "A/mask.png", "A/unmask.png", "Segment/1.png", "A/1_masked.png"])
def test_other_names_are_no_masks(name):
    assert not folders.is_mask(name)


def test_a_mask_that_a_table_lists_is_still_no_radiograph(source):
    put(source, "images/1.png", "images/2.png", "masks/1.png")
    table(source / "metadata.csv", "file_name,label\nimages/1.png,A\nimages/2.png,B\nmasks/1.png,A\n")
    catalog = read_catalog([source])
    assert list(labels_of(catalog)) == ["images/1.png", "images/2.png"]
    assert codes(catalog) == ["mask"]


def test_hidden_and_foreign_files_are_passed_over(source):
    put(source, "A/1.jpg", "B/2.jpg", "A/.3.jpg", ".git/4.jpg", "B/Thumbs.db", "A/.DS_Store", "DICOMDIR", "A/read.txt")
    put(source, "A/list.xlsx", "A/noextension")
    catalog = read_catalog([source])
    assert list(labels_of(catalog)) == ["A/1.jpg", "B/2.jpg"]
    assert codes(catalog) == ["system-folder", "not-an-image"]
    assert catalog.problems[0].file == ".git"
    assert catalog.problems[1].sentence.startswith("7 files passed over: ")


def test_images_without_label_come_along_with_labelled_ones(source):
    put(source, "A/1.jpg", "B/2.jpg", "3.jpg", "images/4.jpg")
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"3.jpg": None, "A/1.jpg": "A", "B/2.jpg": "B", "images/4.jpg": None}
    assert [(p.code, p.fatal) for p in catalog.problems] == [("unlabelled", False)]


def test_links_are_files_but_linked_folders_are_not_entered(source, tmp_path):
    put(source, "A/1.jpg", "B/2.jpg")
    put(tmp_path, "elsewhere/3.jpg")
    (source / "A/loop").symlink_to(source, target_is_directory=True)
    (source / "B/3.jpg").symlink_to(tmp_path / "elsewhere/3.jpg")
    catalog = read_catalog([source])
    assert list(labels_of(catalog)) == ["A/1.jpg", "B/2.jpg", "B/3.jpg"]
    assert [(p.code, p.file) for p in catalog.problems] == [("linked-folder", "A/loop")]


@given(names=st.permutations(["B/10.jpg", "A/2.jpg", "A/10.jpg", "A.x/1.jpg", "B/a/1.jpg"]))
def test_the_order_does_not_depend_on_that_of_the_disk(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("films")
    put(folder, *names)
    listed = [entry.file for entry in read_catalog([folder]).entries]
    assert listed == ["A/10.jpg", "A/2.jpg", "A.x/1.jpg", "B/10.jpg", "B/a/1.jpg"]


# Several SOURCE folders


def test_several_sources_are_joined_under_their_names(tmp_path):
    put(tmp_path, "one/A/1.jpg", "two/A/1.jpg", "two/B/1.jpg")
    catalog = read_catalog([tmp_path / "two", tmp_path / "one"])
    assert [(e.file, e.source) for e in catalog.entries] == [
        *(("two/A/1.jpg", "two"), ("two/B/1.jpg", "two")),
        ("one/A/1.jpg", "one"),
    ]


def test_sources_of_one_name_are_told_apart(tmp_path):
    put(tmp_path, "x/data/A/1.jpg", "y/data/B/1.jpg")
    catalog = read_catalog([tmp_path / "x/data", tmp_path / "y/data"])
    assert list(labels_of(catalog)) == ["x/data/A/1.jpg", "y/data/B/1.jpg"]


@pytest.mark.parametrize("second", [".", "A", "A/.."])
def test_a_source_inside_another_is_refused(source, second):
    put(source, "A/1.jpg", "B/2.jpg")
    with pytest.raises(CatalogError, match="share images"):
        read_catalog([source, source / second])


def test_a_folder_and_an_archive_in_it_are_two_sources(source):
    put(source, "A/1.jpg", "B/2.jpg")
    zipped(source / "more.zip", {"A/3.jpg": (source / "A/1.jpg").read_bytes()})
    names = {Path(file).name for file in labels_of(read_catalog([source, source / "more.zip"]))}
    assert names == {"1.jpg", "2.jpg", "3.jpg"}


@pytest.mark.parametrize("twice", [("more.zip", "more.zip"), ("more.zip", "A/../more.zip")])
def test_an_archive_named_twice_is_refused(source, twice):
    put(source, "A/1.jpg")
    zipped(source / "more.zip", {"A/3.jpg": b""})
    with pytest.raises(CatalogError, match="share images"):
        read_catalog([source / each for each in twice])


# Tables


def test_a_metadata_table_gives_everything_it_has(source):
    put(source, "a.jpg", "sub/b.jpg")
    table(
        source / "metadata.csv",
        "file_name,label,patient_id,source,split,view,sex,age,scanner\n"
        "a.jpg,COVID,7,Bergen,Valid,PA,F,61,Acme X\n"
        "sub/b.jpg, NORMAL ,,,,,,nan,\n",
    )
    one, two = read_catalog([source]).entries
    assert (one.label, one.patient, one.source, one.split) == ("COVID", "7", "Bergen", "validation")
    assert one.details == {"view": "PA", "sex": "F", "age": "61", "scanner": "Acme X"}
    assert (two.label, two.patient, two.source, two.split, two.details) == ("NORMAL", None, "films", None, {})


def test_json_lines_read_like_csv(source):
    put(source, "a.jpg", "b.jpg")
    rows = [
        {"file_name": "a.jpg", "label": "A", "age": 50, "tags": ["x"]},
        {"file_name": "b.jpg", "label": "B", "age": None},
    ]
    table(source / "metadata.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"a.jpg": "A", "b.jpg": "B"}
    assert [entry.details for entry in catalog.entries] == [{"age": "50", "tags": '["x"]'}, {}]
    assert catalog.layout == "table"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_tables_are_read_as_spreadsheets_write_them(tmp_path, delimiter, encoding):
    rows = [["Image Path", "Diagnosis", "Gender"], ["å.jpg", '"grippe, sévère; oui"', "M"]]
    path = table(tmp_path / "t.csv", "\r\n".join(delimiter.join(row) for row in rows), encoding)
    read = tables.read_table(path)
    assert read.named == {"file_name": "Image Path", "label": "Diagnosis", "sex": "Gender"}
    assert read.rows[0].values == {"file_name": "å.jpg", "label": "grippe, sévère; oui", "sex": "M"}


@pytest.mark.parametrize(
    ("header", "column"),
    [
        *(("FILE NAME", "file_name"), ("filename", "file_name"), ("Image Index", "file_name"), ("path", "file_name")),
        *(("Class", "label"), ("finding", "label"), ("Finding Labels", "label"), ("Patient ID", "patient_id")),
        *(("subject_id", "patient_id"), ("patientid", "patient_id"), ("Hospital", "source"), ("site", "source")),
        *(("Patient Gender", "sex"), ("View Position", "view"), ("SOPInstanceUID", "sop_instance_uid")),
        *(("sop_instance_uid", "sop_instance_uid"), ("StudyInstanceUID", "study_instance_uid")),
    ],
)
def test_usual_column_names_are_known(tmp_path, header, column):
    assert tables.read_table(table(tmp_path / "t.csv", f"{header},x\n1,2\n")).named == {column: header}


def test_of_two_names_for_one_column_the_first_counts_and_the_other_is_a_detail(tmp_path):
    row = tables.read_table(table(tmp_path / "t.csv", "path,file_name\np.jpg,f.jpg\n")).rows[0]
    assert (row.get("file_name"), row.details) == ("f.jpg", {"path": "p.jpg"})


def test_listed_files_that_are_missing_and_files_that_are_not_listed_are_told(source):
    put(source, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    table(source / "metadata.csv", "file_name,label\na.jpg,A\nb.jpg,B\ngone.jpg,A\n,B\n")
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"a.jpg": "A", "b.jpg": "B"}
    found = {problem.code: problem for problem in catalog.problems}
    assert found.keys() == {"missing-file", "no-file-name", "not-in-table"}
    assert found["missing-file"].file == "gone.jpg"
    assert found["not-in-table"].sentence == "2 images not in metadata.csv, such as c.jpg."


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "A/../../secret.jpg", "/etc/hosts", r"..\secret.jpg", r"C:\x.jpg", "~/x.jpg"]
)
def test_a_table_cannot_lead_outside_the_folder(source, name):
    put(source, "a.jpg", "b.jpg", "../secret.jpg")
    table(source / "metadata.csv", f"file_name,label\na.jpg,A\nb.jpg,B\n{name},A\n")
    catalog = read_catalog([source])
    assert list(labels_of(catalog)) == ["a.jpg", "b.jpg"]
    assert [(p.code, p.file) for p in catalog.problems] == [("outside-folder", name)]


def test_a_folder_column_cannot_lead_outside_either(source):
    put(source, "a.jpg", "b.jpg", "../secret.jpg")
    table(source / "metadata.csv", "file_name,label,folder\na.jpg,A,\nb.jpg,B,.\nsecret.jpg,A,..\n")
    assert codes(read_catalog([source])) == ["outside-folder"]


def test_rows_given_twice_count_once_and_contradicting_rows_not_at_all(source):
    put(source, "a.jpg", "b.jpg", "c.jpg")
    table(source / "metadata.csv", "file_name,label\na.jpg,A\nb.jpg,B\nc.jpg,A\n./a.jpg,A\nc.jpg,B\nc.jpg,B\n")
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"a.jpg": "A", "b.jpg": "B"}
    assert [(p.code, p.file, p.fatal) for p in catalog.problems] == [
        ("duplicate-row", "a.jpg", False),
        ("two-labels", "c.jpg", True),
    ]


def test_a_table_without_labels_leaves_them_to_the_folders(source):
    put(source, "A/1.jpg", "B/2.jpg")
    table(source / "metadata.csv", "file_name,patient_id\nA/1.jpg,p1\nB/2.jpg,p2\n")
    assert [(e.label, e.patient) for e in read_catalog([source]).entries] == [("A", "p1"), ("B", "p2")]


def test_each_table_speaks_for_its_own_folder(source):
    put(source, "train/1.jpg", "train/2.jpg", "test/1.jpg", "test/2.jpg", "docs/metadata.csv")
    for part in ("train", "test"):
        table(source / part / "metadata.csv", "file_name,label\n1.jpg,A\n2.jpg,B\n")
    catalog = read_catalog([source])
    assert [(e.file, e.label, e.split) for e in catalog.entries] == [
        *(("test/1.jpg", "A", "test"), ("test/2.jpg", "B", "test")),
        *(("train/1.jpg", "A", "train"), ("train/2.jpg", "B", "train")),
    ]
    assert catalog.problems == ()


def test_a_second_table_in_a_folder_is_not_read(source):
    put(source, "a.jpg", "b.jpg")
    table(source / "metadata.csv", "file_name,label\na.jpg,A\nb.jpg,B\n")
    table(source / "metadata.jsonl", '{"file_name": "a.jpg", "label": "Z"}')
    catalog = read_catalog([source])
    assert labels_of(catalog)["a.jpg"] == "A"
    assert codes(catalog) == ["second-table"]


def test_names_may_be_bare_and_lack_the_extension(source):
    put(source, "A/x-1.png", "B/x-2.png")
    table(source / "metadata.csv", "file,class\nx-1.png,A\nx-2,B\n")
    assert labels_of(read_catalog([source])) == {"A/x-1.png": "A", "B/x-2.png": "B"}


def test_the_ieee8023_table_gives_the_last_part_of_a_finding_and_radiographs_only(source):
    put(source, "images/1.jpg", "images/2.jpg", "images/ct.jpg")
    table(
        source / "metadata.csv",
        "patientid,offset,sex,age,finding,view,modality,folder,filename\n"
        "2,0,M,65,Pneumonia/Viral/COVID-19,PA,X-ray,images,1.jpg\n"
        "3,,F,,No Finding,AP Supine,X-ray,images,2.jpg\n"
        "4,,,,Pneumonia/Viral/COVID-19,Axial,CT,images,ct.jpg\n"
        "5,,,,Pneumonia/Viral/COVID-19,Axial,CT,volumes,v.nii.gz\n",
    )
    catalog = read_catalog([source])
    assert labels_of(catalog) == {"images/1.jpg": "COVID-19", "images/2.jpg": "No Finding"}
    assert [entry.patient for entry in catalog.entries] == ["2", "3"]
    assert catalog.entries[1].details["view"] == "AP Supine"
    assert catalog.layout == "ieee8023"
    assert [(p.code, p.sentence) for p in catalog.problems] == [
        ("other-modality", "2 rows of another modality (CT 2).")
    ]


# DICOM


def test_dicom_headers_give_patient_source_and_more(source):
    put_dicom(
        source / "COVID/1.dcm",
        PatientID="77",
        InstitutionName="St. Olav",
        ViewPosition="AP",
        PatientAge="045Y",
        PatientSex="F",
        Manufacturer="Acme",
    )
    put_dicom(source / "NORMAL/IM0001")
    put_dicom(source / "NORMAL/1.2.840.113619.2.5")
    put(source, "DICOMDIR", "NORMAL/IM0002")
    catalog = read_catalog([source])
    covid, one, two = catalog.entries
    assert (covid.label, covid.patient, covid.source) == ("COVID", "77", "St. Olav")
    assert covid.details == {"view": "AP", "sex": "F", "age": "45", "manufacturer": "Acme"}
    assert (one.file, two.file, two.source, two.patient) == (
        *("NORMAL/1.2.840.113619.2.5", "NORMAL/IM0001", "films"),
        None,
    )
    assert catalog.layout == "dicom"
    assert codes(catalog) == ["not-an-image"]


def test_a_damaged_dicom_header_is_left_to_the_decoder(source):
    (source / "A").mkdir()
    (source / "A/1.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    put(source, "B/2.dcm")
    assert labels_of(read_catalog([source])) == {"A/1.dcm": "A", "B/2.dcm": "B"}


@pytest.mark.parametrize(
    ("header", "keyword"),
    [
        *(("SOPInstanceUID", "SOPInstanceUID"), ("study_instance_uid", "StudyInstanceUID")),
        *(("accession_number", "AccessionNumber"), ("patient_id", "PatientID")),
    ],
)
def test_dicom_files_are_labelled_by_identifier(source, tmp_path, header, keyword):
    ids = {}
    for number in (1, 2, 3):
        given = {} if keyword == "SOPInstanceUID" else {keyword: f"1.2.{number}"}
        uid = put_dicom(source / f"p{number}/s/1", **given)
        ids[f"p{number}/s/1"] = given.get(keyword, uid)
    text = f"{header},label\n{ids['p1/s/1']},A\n{ids['p2/s/1']},B\nunknown,A\n"
    catalog = read_catalog([source], labels=table(tmp_path / "l.csv", text))
    assert labels_of(catalog) == {"p1/s/1": "A", "p2/s/1": "B", "p3/s/1": None}
    assert codes(catalog) == ["missing-file", "not-in-table", "unlabelled"]


# A table of labels


@pytest.mark.parametrize("written", ["x/1.png", "1.png", "films/x/1.png", r"x\1.png", "./x/1.png", "1"])
def test_a_table_of_labels_names_images_in_many_ways(source, tmp_path, written):
    put(source, "x/1.png", "x/2.png")
    path = table(tmp_path / "labels.csv", f"file_name,label,patient_id\n{written},A,p\n2.png,B,q\n")
    catalog = read_catalog([source], labels=path)
    assert [(e.label, e.patient) for e in catalog.entries] == [("A", "p"), ("B", "q")]


def test_a_table_of_labels_may_name_absolute_paths_and_paths_beside_itself(source):
    put(source, "x/1.png", "x/2.png")
    path = table(source / "x/labels.csv", f"file_name,label\n{source / 'x/1.png'},A\n./2.png,B\n")
    assert labels_of(read_catalog([source], labels=path)) == {"x/1.png": "A", "x/2.png": "B"}


def test_a_table_of_labels_overrides_folders_that_are_classes(source, tmp_path):
    put(source, "A/1.png", "B/2.png", "C/3.png")
    catalog = read_catalog([source], labels=table(tmp_path / "l.csv", "file_name,label\nA/1.png,B\n"))
    assert labels_of(catalog) == {"A/1.png": "B", "B/2.png": "B", "C/3.png": "C"}
    assert [(p.code, p.fatal) for p in catalog.problems] == [("not-in-table", False)]


def test_a_table_of_labels_overrides_a_metadata_table(source, tmp_path):
    put(source, "1.png", "2.png")
    table(source / "metadata.csv", "file_name,label,source\n1.png,A,S\n2.png,B,S\n")
    laid = read_catalog([source], labels=table(tmp_path / "l.csv", "file_name,label\n1.png,C\n2.png,B\n"))
    assert [(e.label, e.source) for e in laid.entries] == [("C", "S"), ("B", "S")]


def test_a_bare_name_that_stands_twice_names_both(source, tmp_path):
    put(source, "x/1.png", "y/1.png")
    with pytest.raises(CatalogError, match=r"1\.png in line 2 of .* received x/1\.png and y/1\.png"):
        read_catalog([source], labels=table(tmp_path / "l.csv", "file_name,label\n1.png,A\n"))


def test_a_path_in_two_sources_needs_the_source(tmp_path):
    put(tmp_path, "one/A/1.png", "two/A/1.png")
    sources = [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(CatalogError, match=r"received one/A/1\.png and two/A/1\.png"):
        read_catalog(sources, labels=table(tmp_path / "l.csv", "file_name,label\nA/1.png,X\n"))
    catalog = read_catalog(sources, labels=table(tmp_path / "m.csv", "file_name,label\none/A/1.png,X\ntwo/A/1.png,Y\n"))
    assert labels_of(catalog) == {"one/A/1.png": "X", "two/A/1.png": "Y"}


def test_an_image_under_two_labels_of_a_table_is_left_out(source, tmp_path):
    put(source, "A/1.png", "A/2.png", "B/3.png")
    catalog = read_catalog([source], labels=table(tmp_path / "l.csv", "file_name,label\n1.png,A\n1.png,B\n"))
    assert labels_of(catalog) == {"A/2.png": "A", "B/3.png": "B"}
    assert "two-labels" in codes(catalog)


# Classes


def test_spellings_of_one_class_are_joined_under_the_commoner(tmp_path):
    put(
        tmp_path,
        "one/Covid 19/1.jpg",
        "one/Normal/2.jpg",
        "two/COVID-19/3.jpg",
        "two/COVID-19/4.jpg",
        "two/normal /5.jpg",
    )
    catalog = read_catalog([tmp_path / "one", tmp_path / "two"])
    assert Counter(entry.label for entry in catalog.entries) == {"COVID-19": 3, "Normal": 2}
    assert [(p.code, p.fatal) for p in catalog.problems] == [("class-spelling", False)] * 2
    assert catalog.problems[0].sentence.startswith("COVID-19, Covid 19 are taken as one class, COVID-19;")


def test_only_the_classes_asked_for_are_kept_and_the_others_counted(source):
    put(source, "COVID/1.jpg", "NORMAL/2.jpg", "VIRAL/3.jpg", "VIRAL/4.jpg", "5.jpg")
    catalog = read_catalog([source], classes=["covid", "NORMAL"])
    assert labels_of(catalog) == {"5.jpg": None, "COVID/1.jpg": "COVID", "NORMAL/2.jpg": "NORMAL"}
    assert ("class-not-asked", "VIRAL", "2 images") in {(p.code, p.file, p.sentence[:8]) for p in catalog.problems}


def test_labels_are_joined_under_the_class_that_they_are_said_to_be(source):
    put(source, "COVID/1.jpg", "NORMAL/2.jpg", "VIRAL/3.jpg", "VIRAL/4.jpg", "5.jpg")
    catalog = read_catalog([source], mapping={"covid": "Sick", "VIRAL": "SICK"}, classes=["sick", "NORMAL"])
    assert Counter(entry.label for entry in catalog.entries) == {"SICK": 3, "NORMAL": 1, None: 1}
    told = {(p.code, p.file, p.sentence) for p in catalog.problems}
    assert ("class-mapped", "COVID", "1 image labelled so: of the class Sick, as was asked.") in told


def test_a_label_to_map_that_is_not_there_or_findings_are_refused(source):
    put(source, "COVID/1.jpg", "NORMAL/2.jpg")
    with pytest.raises(
        CatalogError, match=r"labels for `mapping` among COVID, NORMAL; received NORMALL\. Did you mean NORMAL\?"
    ):
        read_catalog([source], mapping={"NORMALL": "COVID"})
    with pytest.raises(CatalogError, match=r"at least two classes .* received one: COVID\."):
        read_catalog([source], mapping={"NORMAL": "COVID"})
    (source / "metadata.csv").write_text("file_name,label\nCOVID/1.jpg,Mass|Effusion\nNORMAL/2.jpg,Mass\n")
    with pytest.raises(CatalogError, match="received several findings an image"):
        read_catalog([source], mapping={"Mass": "Node"}, task="findings")


def test_a_class_that_is_not_there_is_refused_with_a_guess(source):
    put(source, "COVID/1.jpg", "NORMAL/2.jpg")
    with pytest.raises(CatalogError, match=r"among COVID, NORMAL; received NORMALL\. Did you mean NORMAL\?"):
        read_catalog([source], classes=["COVID", "NORMALL"])


# What cannot be meant


def message(*sources: Path, labels: Path | None = None) -> str:
    with pytest.raises(CatalogError) as caught:
        read_catalog(sources, labels=labels)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("Expected ")
    return str(caught.value)


def test_a_folder_that_does_not_exist_is_named_with_a_guess(source):
    assert "Did you mean films?" in message(source.parent / "filsm")


def test_no_source_is_an_error():
    assert "received none" in message()


@pytest.mark.parametrize(
    ("name", "advice"),
    [("x.zip", "Name the folder that holds it"), ("x.7z", "Unpack it"), ("x.jpg", "Name the folder that holds it")],
)
def test_a_file_is_no_source(source, name, advice):
    put(source, name)
    if name.endswith(".7z"):
        (source / name).write_bytes(b"7z\xbc\xaf\x27\x1c and so on")
    assert advice in message(source / name)


def test_an_empty_folder_is_an_error(source):
    assert "an empty folder" in message(source)


def test_a_folder_without_images_says_what_it_holds(source):
    put(source, "a.nii", "b.nii", "c.txt")
    assert "other files alone (.nii 2, .txt 1)" in message(source)


def test_masks_alone_are_no_images(source):
    put(source, "masks/1.png")
    assert "nothing but 1 segmentation mask" in message(source)


def test_unlabelled_images_alone_are_told_the_layouts(source):
    put(source, "1.png", "images/2.png")
    assert "metadata.csv" in message(source)
    assert "2 images without a label" in message(source)


def test_one_class_is_an_error(source):
    put(source, "COVID/1.jpg", "COVID/2.jpg", "3.jpg")
    assert "Expected at least two classes" in message(source)
    assert "received one: COVID." in message(source)


def test_a_folder_around_the_classes_is_no_class(source):
    put(source, "download/COVID/1.jpg", "download/NORMAL/2.jpg")
    assert set(labels_of(read_catalog([source])).values()) == {"COVID", "NORMAL"}


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_folder_without_permission_is_an_error_and_below_source_a_problem(source):
    put(source, "A/1.jpg", "B/2.jpg", "C/3.jpg")
    try:
        (source / "C").chmod(0)
        assert [(p.code, p.file) for p in read_catalog([source]).problems] == [("no-permission", "C")]
        source.chmod(0)
        assert "Check its permissions" in message(source)
    finally:
        source.chmod(0o755)
        (source / "C").chmod(0o755)


def test_folders_that_the_system_refuses_are_told(source, monkeypatch):
    put(source, "A/1.jpg", "B/2.jpg", "C/3.jpg")
    real, refused = os.scandir, {str(source / "C")}

    def scandir(path):
        if os.fspath(path) in refused:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert [(p.code, p.file) for p in read_catalog([source]).problems] == [("no-permission", "C")]
    refused.add(str(source))
    assert "Check its permissions" in message(source)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,label\na.jpg,A\n", "Expected a column file_name in"),
        ("name,label\na.jpg,A\n", "received name, label."),
        ("", "an empty file"),
        ("file_name,label\na.jpg,A,extra\n", "3 cells in line 2"),
        ('file_name,label\n"a.jpg,A\n', "unexpected end of data"),
        ("file_name,label\nx.jpg,A\n", "received none of 1"),
        ("file_name,label,split\na.jpg,A,fold3\n", "received split fold3 in line 2"),
    ],
)
def test_a_table_that_cannot_be_meant_says_why(source, text, told):
    put(source, "a.jpg", "b.jpg")
    table(source / "metadata.csv", text)
    assert told in message(source)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04xlsx", "a spreadsheet"),
        (b"a\0b", "binary data"),
        (b"file_name,kind\na.jpg,A\n", "Expected a column label"),
    ],
)
def test_a_table_of_labels_that_is_none_says_why(source, tmp_path, data, told):
    put(source, "a.jpg", "b.jpg")
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    assert told in message(source, labels=path)


def test_a_table_of_labels_that_fits_no_image_is_an_error(source, tmp_path):
    put(source, "a.jpg", "b.jpg")
    said = message(source, labels=table(tmp_path / "l.csv", "file,label\nz.jpg,A\n"))
    assert "received none of 1: line 2 says z.jpg, and the nearest file is " in said


def test_a_table_of_labels_that_is_missing_is_an_error(source, tmp_path):
    put(source, "a.jpg")
    assert "No such file" in message(source, labels=tmp_path / "none.csv")


@pytest.mark.parametrize("line", ["[1]", "{", '"a"'])
def test_a_bad_json_line_is_named(source, line):
    put(source, "a.jpg")
    table(source / "metadata.jsonl", '{"file_name": "a.jpg"}\n' + line)
    assert "line 2, which is not JSON" in message(source) or "line 2, which is not a JSON object" in message(source)


def headers_or_message(path: Path) -> tuple[str, ...]:
    try:
        return ("headers", *tables.read_table(path).headers)
    except CatalogError as error:
        return tuple(str(error).split())


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_error_of_ours(tmp_path_factory, data):
    for name in ("t.csv", "t.jsonl"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        assert headers_or_message(path)[0] in {"headers", "Expected"}


def test_contradicted_images_alone_are_an_error_that_says_so(source, tmp_path):
    put(source, "a.jpg")
    assert "under two labels" in message(source, labels=table(tmp_path / "l.csv", "file,label\na.jpg,A\na.jpg,B\n"))


# Real collections


def test_the_shared_collections_are_read_by_their_tables(shared):
    catalog = read_catalog([shared / "data/mixed", shared / "data/darkcovidnet"])
    assert Counter(entry.label for entry in catalog.entries) == {"NORMAL": 2244, "COVID": 1022, "PNEUMONIA": 500}
    assert len({entry.file for entry in catalog.entries}) == 3766
    assert catalog.problems == ()


def test_the_shared_masks_are_never_radiographs(shared):
    assert "428 images without a label" in message(shared / "data/lungs")


def test_where_a_class_may_not_be_listed_the_missing_class_is_explained(tmp_path, monkeypatch):
    for name in ("COVID", "NORMAL"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    listed = os.scandir

    def locked(folder):
        if str(folder).endswith("COVID"):
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(
        CatalogError, match="received one: NORMAL. The folder COVID cannot be listed: check its permissions"
    ):
        read_catalog([tmp_path])


def test_folders_whose_classes_a_table_replaced_are_said_to_be_unused(source, tmp_path):
    put(source, *(f"{name}/{k}.png" for name in ("one", "two") for k in range(4)))
    rows = "\n".join(f"{name}/{k}.png,{k % 2},{k // 2}" for name in ("one", "two") for k in range(4))
    text = f"file_name,Effusion,Mass\n{rows}\n"
    table(source / "metadata.csv", text)
    kept = read_catalog([source])
    assert [(level.role, level.names) for level in kept.levels] == [("class", ("one", "two"))]
    assert "labels-of-folders" in codes(kept)
    laid = read_catalog([source], labels=table(tmp_path / "labels.csv", text))
    assert (laid.task, laid.told) == ("findings", ("Effusion", "Mass"))
    assert [level.role for level in laid.levels] == ["-"]
    assert "labels-of-folders" not in codes(laid)
    classes = read_catalog([source], labels=table(tmp_path / "c.csv", text.replace("Effusion,Mass", "label,other")))
    assert [level.role for level in classes.levels] == ["-"]
