"""Presets: each public set in a small folder of its true layout, read as it was published, around it, inside it, and in an archive."""

import gzip
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made_sets
import plainfilm
from plainfilm.data.catalog import Asked, Catalog, read_catalog
from plainfilm.data.cataloguing import presets
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, UsageError

PRESENT, ABSENT, UNCERTAIN, NOT_STATED = 1, 0, -1, -2
SETS: dict[str, tuple[Callable[[Path], Path], str | None]] = {
    "nih14": (made_sets.nih14, "effusion"),
    "chexpert": (made_sets.chexpert_small, "Pleural Effusion"),
    "mimic-cxr": (made_sets.mimic, "Pneumonia"),
    "padchest": (made_sets.padchest, "Pleural Effusion"),
    "vindr": (made_sets.vindr, "Cardiomegaly"),
    "rsna": (made_sets.rsna, None),
    "covidx": (made_sets.covidx, None),
    "radiography-database": (made_sets.radiography_database, None),
}


def read(source: Path, preset: str, label_of: str | None = None) -> Catalog:
    return read_catalog([source], Asked(preset=presets.find(preset), label_of=label_of))


def labels(catalog: Catalog) -> dict[str, str | None]:
    return {entry.name: entry.label for entry in catalog.entries}


def told(catalog: Catalog, what: str) -> dict[str, Any]:
    return {entry.name: getattr(entry, what) for entry in catalog.entries}


def states(catalog: Catalog, finding: str) -> dict[str, int]:
    place = catalog.findings.index(finding)
    return {entry.name: int(np.frombuffer(entry.findings, np.int8)[place]) for entry in catalog.entries}


def codes(catalog: Catalog) -> dict[str, int]:
    return Counter(problem.code for problem in catalog.problems if problem.code != "not-an-image")


def refused(source: Path, preset: str, label_of: str | None = None) -> str:
    with pytest.raises(CatalogError) as caught:
        read(source, preset, label_of)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what each set says


def test_nih14(tmp_path):
    catalog = read(made_sets.nih14(tmp_path), "nih14", "effusion")
    assert list(labels(catalog).values()) == [
        *("no Effusion", "no Effusion", "Effusion", "no Effusion", "no Effusion", "Effusion"),
        *("Effusion", "no Effusion", "no Effusion"),
    ]
    assert list(told(catalog, "split").values()) == ["train"] * 6 + ["test"] * 3  # as the official lists say
    assert list(told(catalog, "patient").values()) == ["1", "1", "1", "2", "3", "4", "1336", "1337", "1338"]
    assert set(told(catalog, "source").values()) == {"NIH ChestX-ray14"}
    assert catalog.findings == ("Cardiomegaly", "Effusion", "Emphysema", "Hernia", "Mass", "No Finding", "Nodule")
    assert list(states(catalog, "Cardiomegaly").values()) == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert catalog.entries[0].details["view"] == "PA"
    assert codes(catalog) == {}


def test_nih14_as_corrected_in_2020_and_as_a_sample(tmp_path):
    root = made_sets.nih14(tmp_path)
    text = (root / "Data_Entry_2017.csv").read_text()
    (root / "Data_Entry_2017_v2020.csv").write_text(text.replace("Effusion|Cardiomegaly", "Cardiomegaly"))
    assert labels(read(root, "nih14", "Effusion"))["images_001/images/00000001_002.png"] == "no Effusion"
    for name in ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"):
        (root / name).unlink()
    (root / "sample_labels.csv").write_text(text)
    assert labels(read(root, "nih14", "Effusion"))["images_001/images/00000001_002.png"] == "Effusion"


CHEXPERT = {
    "patient00001/study1/view1_frontal.jpg": ("no Pleural Effusion", "train", ABSENT),
    "patient00002/study1/view1_frontal.jpg": ("Pleural Effusion", "train", PRESENT),
    "patient00002/study1/view2_lateral.jpg": ("Pleural Effusion", "train", PRESENT),
    "patient00002/study2/view1_frontal.jpg": (None, "train", UNCERTAIN),
    "patient00003/study1/view1_frontal.jpg": ("no Pleural Effusion", "train", NOT_STATED),
    "patient00004/study1/view1_frontal.jpg": ("Pleural Effusion", "train", PRESENT),
    "patient64541/study1/view1_frontal.jpg": ("Pleural Effusion", "validation", PRESENT),
    "patient64542/study1/view1_frontal.jpg": ("no Pleural Effusion", "validation", ABSENT),
}


@pytest.mark.parametrize("make", [made_sets.chexpert_small, made_sets.chexpert_full])
@pytest.mark.parametrize("name", ["as published", "renamed"])
def test_chexpert(tmp_path, make, name):
    source = make(tmp_path)
    if name == "renamed":
        source = source.rename(tmp_path / "films")
    catalog = read(source, "chexpert", "Pleural Effusion")
    finding = states(catalog, "Pleural Effusion")
    found = {
        entry.name[entry.name.index("patient") :]: (entry.label, entry.split, finding[entry.name])
        for entry in catalog.entries
    }
    assert found == CHEXPERT
    assert catalog.findings == tuple(sorted(made_sets.CHEXPERT_FINDINGS))
    assert {entry.patient for entry in catalog.entries} == {name[:12] for name in CHEXPERT}
    assert {entry.details["view"] for entry in catalog.entries} == {"Frontal", "Lateral"}
    assert codes(catalog) == {"unlabelled": 1}


def test_chexpert_finds_its_files_among_thousands_of_the_same_name(tmp_path):
    top = made_sets.chexpert_full(tmp_path)
    rows = [f"CheXpert-v1.0/train/patient{number:05}/study1/view1_frontal.jpg" for number in range(10_000, 10_200)]
    for row in rows:
        made_sets.put(top / "CheXpert-v1.0 batch 4 (train 3)" / row.partition("train/")[2], "image")
    table = top / "CheXpert-v1.0 batch 1 (validate & csv)/train.csv"
    cells = ",".join("1.0" if name == "Pleural Effusion" else "" for name in made_sets.CHEXPERT_FINDINGS)
    table.write_text(table.read_text() + "".join(f"{row},Male,50,Frontal,PA,{cells}\n" for row in rows))
    found = Counter(labels(read(top, "chexpert", "Pleural Effusion")).values())
    assert found == {"Pleural Effusion": 204, "no Pleural Effusion": 3, None: 1}


def test_chexpert_with_the_test_set_of_chexlocalize(tmp_path):
    top = made_sets.chexpert_small(tmp_path)
    header = "Path," + ",".join(made_sets.CHEXPERT_FINDINGS)
    made_sets.films(top, ["test/patient64741/study1/view1_frontal.jpg"])
    cells = ",".join("0" for _ in made_sets.CHEXPERT_FINDINGS)
    (top / "test_labels.csv").write_text(f"{header}\ntest/patient64741/study1/view1_frontal.jpg,{cells}\n")
    (top / "val_labels.csv").write_text(
        f"{header}\nCheXpert-v1.0/valid/patient64542/study1/view1_frontal.jpg,{cells}\n"
    )
    catalog = read(top, "chexpert", "Edema")
    assert labels(catalog)["test/patient64741/study1/view1_frontal.jpg"] == "no Edema"
    assert told(catalog, "split")["test/patient64741/study1/view1_frontal.jpg"] == "test"


def test_mimic_cxr(tmp_path):
    catalog = read(made_sets.mimic(tmp_path), "mimic-cxr", "pneumonia")
    assert [(entry.patient, entry.label, entry.split) for entry in catalog.entries] == [
        ("10000032", "no Pneumonia", "train"),  # not stated, in a study of no finding
        ("10000032", "no Pneumonia", "train"),
        ("10000032", None, "train"),  # uncertain
        ("10000898", "Pneumonia", "validation"),
        ("10000935", "no Pneumonia", "test"),
        ("10000980", None, "test"),  # a study that no one has labelled
    ]
    assert list(states(catalog, "Pneumonia").values()) == [NOT_STATED] * 2 + [UNCERTAIN, PRESENT, ABSENT, NOT_STATED]
    assert catalog.findings == ("Edema", "No Finding", "Pleural Effusion", "Pneumonia")  # what no row states is none
    assert [entry.details["view"] for entry in catalog.entries[:2]] == ["PA", "LATERAL"]
    assert codes(catalog) == {"unlabelled": 1}


def test_mimic_cxr_whose_tables_are_unpacked_and_without_a_split(tmp_path):
    top = made_sets.mimic(tmp_path)
    for packed in list(top.glob("*.csv.gz")):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    (top / "mimic-cxr-2.0.0-split.csv").unlink()
    (top / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    catalog = read(top, "mimic-cxr", "Pneumonia")
    assert Counter(labels(catalog).values()) == {"no Pneumonia": 3, "Pneumonia": 1, None: 2}
    assert set(told(catalog, "split").values()) == {None}


def test_padchest(tmp_path):
    catalog = read(made_sets.padchest(tmp_path), "padchest", "Pleural Effusion")
    assert {name[:4]: label for name, label in labels(catalog).items()} == {
        "0/20": "no pleural effusion",
        "0/13": "pleural effusion",
        "1/11": "pleural effusion",
        "1/10": None,  # an empty list
        "54/2": None,  # an empty cell
        "54/3": "no pleural effusion",
    }
    assert catalog.findings == ("COPD signs", "cardiomegaly", "normal", "pleural effusion", "unchanged")
    assert sorted(states(catalog, "cardiomegaly").values()) == [NOT_STATED] * 2 + [ABSENT] * 2 + [PRESENT] * 2
    patients = told(catalog, "patient")
    assert len(set(patients.values())) == len(patients) - 1
    assert {entry.details["view"] for entry in catalog.entries} == {"PA", "L", "AP"}
    assert codes(catalog) == {"unlabelled": 1}


def test_vindr_counts_what_most_of_its_radiologists_saw(tmp_path):
    catalog = read(made_sets.vindr(tmp_path), "vindr", "cardiomegaly")
    assert {name[:8]: (label, told(catalog, "split")[name]) for name, label in labels(catalog).items()} == {
        "test/287": ("no Cardiomegaly", "test"),
        "test/8de": ("Cardiomegaly", "test"),
        "train/05": ("Cardiomegaly", "train"),
        "train/21": ("no Cardiomegaly", "train"),  # one of three
        "train/50": ("Cardiomegaly", "train"),  # two of three
        "train/9a": ("no Cardiomegaly", "train"),
    }
    assert list(states(catalog, "No finding").values()) == [1, 0, 0, 1, 0, 1]
    assert list(states(catalog, "ILD").values()) == [0] * 6
    assert list(states(catalog, "Other disease").values()) == [
        0,
        0,
        -2,
        -2,
        -2,
        -2,
    ]  # spelled so for the test set alone
    assert set(told(catalog, "patient").values()) == {None}  # the set names none
    assert codes(catalog) == {}


def test_vinbigdata_has_a_row_a_box(tmp_path):
    catalog = read(made_sets.vinbigdata(tmp_path), "vindr", "Cardiomegaly")
    assert labels(catalog) == {
        "test/0d.dicom": None,
        "train/0a.dicom": "Cardiomegaly",
        "train/0b.dicom": "no Cardiomegaly",  # two boxes of one radiologist are one voice
        "train/0c.dicom": "no Cardiomegaly",
    }
    assert states_of_labelled(catalog, "Nodule/Mass") == [0, 0, 0]
    assert codes(catalog) == {"not-in-table": 1, "unlabelled": 1}


def states_of_labelled(catalog: Catalog, finding: str) -> list[int]:
    place = catalog.findings.index(finding)
    return [int(np.frombuffer(entry.findings, np.int8)[place]) for entry in catalog.entries if entry.label]


def test_rsna_has_three_classes_or_two(tmp_path):
    source = made_sets.rsna(tmp_path)
    catalog = read(source, "rsna")
    assert [entry.label for entry in catalog.entries] == [None, *[label for label, _ in made_sets.RSNA.values()]]
    assert [entry.patient for entry in catalog.entries[1:]] == list(made_sets.RSNA)
    assert [entry.split for entry in catalog.entries] == ["test"] + ["train"] * 5
    assert catalog.findings == ()
    assert codes(catalog) == {"not-in-table": 1, "unlabelled": 1}
    two = read(source, "rsna", "lung opacity")
    assert Counter(labels(two).values()) == {"no Lung Opacity": 3, "Lung Opacity": 2, None: 1}


def test_rsna_without_the_table_of_classes(tmp_path):
    source = made_sets.rsna(tmp_path)
    (source / "stage_2_detailed_class_info.csv").unlink()
    assert Counter(labels(read(source, "rsna")).values()) == {"0": 3, "1": 2, None: 1}


def test_covidx(tmp_path):
    catalog = read(made_sets.covidx(tmp_path), "covidx")
    rows = [(part, *line.split()) for part, lines in made_sets.COVIDX.items() for line in lines]
    expected = {
        f"{part}/{file}": (label, patient, source, "validation" if part == "val" else part)
        for part, patient, file, label, source in rows
    }
    assert {
        entry.name: (entry.label, entry.patient, entry.source, entry.split) for entry in catalog.entries
    } == expected
    assert codes(catalog) == {}


def test_covidx_of_the_first_versions(tmp_path):
    catalog = read(made_sets.covidx_first(tmp_path), "covidx")
    assert Counter((entry.label, entry.split) for entry in catalog.entries) == Counter(
        (label, split) for label in ("normal", "pneumonia", "COVID-19") for split in ("train", "test")
    )
    assert {entry.source for entry in catalog.entries} == {"COVIDx CXR"}
    assert codes(catalog) == {}


def test_radiography_database(tmp_path):
    catalog = read(made_sets.radiography_database(tmp_path), "radiography-database")
    assert Counter(labels(catalog).values()) == dict.fromkeys(("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"), 2)
    sources = told(catalog, "source")
    assert sources["Normal/images/Normal-1.png"].endswith("rsna-pneumonia-detection-challenge/data")  # NORMAL-1 there
    assert sources["Normal/images/Normal-2.png"].endswith("chest-xray-pneumonia")
    assert len(set(sources.values())) == 4
    assert codes(catalog) == {"mask": 1}


# ---- wherever the folder is named


@pytest.mark.parametrize("preset", SETS)
def test_the_folder_around_reads_the_same(tmp_path, preset):
    make, label_of = SETS[preset]
    source = make(tmp_path / "around" / "set")
    expected = sorted(label or "" for label in labels(read(source, preset, label_of)).values())
    around = read(source.parent, preset, label_of)
    assert sorted(label or "" for label in labels(around).values()) == expected


@pytest.mark.parametrize(
    ("preset", "inner", "count"),
    [
        ("nih14", "images_001", 6),
        ("chexpert", "train", 6),
        ("mimic-cxr", "files", 6),
        ("vindr", "train", 4),
        ("covidx", "train", 4),
    ],
)
def test_an_inner_folder_finds_the_tables_around_it(tmp_path, preset, inner, count):
    make, label_of = SETS[preset]
    catalog = read(make(tmp_path / "set") / inner, preset, label_of)
    assert len(catalog.entries) == count
    assert len({label for label in labels(catalog).values() if label}) == 2


@pytest.mark.parametrize("preset", SETS)
def test_an_archive_reads_the_same(tmp_path, preset):
    make, label_of = SETS[preset]
    source = make(tmp_path / "set")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", source.parent, source.name)
    assert Counter(labels(read(Path(packed), preset, label_of)).values()) == Counter(
        labels(read(source, preset, label_of)).values()
    )


# ---- into a store


@pytest.mark.parametrize("preset", ["nih14", "chexpert", "vindr"])
def test_the_store_keeps_a_column_a_finding(tmp_path, preset):
    make, label_of = SETS[preset]
    source = make(tmp_path / "set")
    plainfilm.ingest(source, tmp_path / "s.h5", size=64, workers=1, preset=preset, label_of=label_of)
    catalog = read(source, preset, label_of)
    with Store(tmp_path / "s.h5") as store:
        held = {finding: store.findings[finding.replace("/", "_")] for finding in catalog.findings}
        assert len(held) == len(store.findings)
        assert {column.dtype for column in held.values()} == {np.dtype(np.int8)}
        for finding, column in held.items():
            assert dict(zip(store.file, column.tolist(), strict=True)) == states(catalog, finding)
        named = [None if label < 0 else store.classes[label] for label in store.labels]
        assert dict(zip(store.file, named, strict=True)) == labels(catalog)
        assert {part for part in store.split if part} == {"train", "validation", "test"}


# ---- what cannot be meant


def test_a_set_of_several_findings_tells_each_but_that_there_is_none(tmp_path):
    for preset, (make, label_of) in SETS.items():
        catalog = read(make(tmp_path / preset), preset)
        assert catalog.task == ("classes" if label_of is None else "findings")
        if label_of is not None:
            assert re.search(label_of, " ".join(catalog.told), re.IGNORECASE), catalog.told
            assert not any(name.lower().startswith(("no finding", "normal")) for name in catalog.told)
    assert read(tmp_path / "nih14", "nih14").told == (
        "Cardiomegaly",
        "Effusion",
        "Emphysema",
        "Hernia",
        "Mass",
        "Nodule",
    )


def test_chexpert_keeps_what_is_not_known_as_such_and_no_finding_makes_the_rest_absent(tmp_path):
    catalog = read(made_sets.chexpert_small(tmp_path), "chexpert")
    by_name = {entry.name: entry for entry in catalog.entries}
    rows = catalog.states_of(
        [by_name[f"train/patient0000{k}/study{s}/view1_frontal.jpg"] for k, s in ((1, 1), (2, 2), (2, 1))]
    )
    of = {name: rows[:, at].tolist() for at, name in enumerate(catalog.told)}
    assert of["Pleural Effusion"] == [0, -1, 1]
    assert of["Support Devices"] == [1, -1, -1]
    assert of["Edema"] == [0, -1, 1]
    assert "No Finding" not in catalog.told
    assert "No Finding" in catalog.findings


def test_a_finding_that_is_misspelt(tmp_path):
    message = refused(made_sets.nih14(tmp_path), "nih14", "Efusion")
    assert "received Efusion. Did you mean Effusion?" in message
    assert "Did you mean Cardiomegaly?" in refused(made_sets.chexpert_small(tmp_path), "chexpert", "Cardiomegalie")


@pytest.mark.parametrize("preset", SETS)
def test_a_folder_that_is_not_the_set(tmp_path, preset):
    made_sets.films(tmp_path / "films", ["A/1.png", "B/2.png"])
    _, label_of = SETS[preset]
    message = refused(tmp_path / "films", preset, label_of)
    title = presets.find(preset).title
    assert message.endswith(f'for preset="{preset}"; received none. Name the folder of {title} as it was published.')


def test_a_table_of_another_set_under_the_same_name(tmp_path):
    source = made_sets.vinbigdata(tmp_path)
    assert refused(source, "chexpert", "Edema") == (
        f"Expected a column Path in {source}/train.csv; received image_id, class_name, class_id, rad_id, x_min, y_min, x_max, y_max. "
        "Name the folder of CheXpert as it was published."
    )


def test_a_set_whose_images_are_missing(tmp_path):
    source = made_sets.rsna(tmp_path)
    shutil.rmtree(source / "stage_2_train_images")
    assert "received none of 6: line 2 says 0004cfab-14fd-4e49-80ba-63a80b6bddd6, and the nearest file is" in refused(
        source, "rsna"
    )


def test_names_of_presets():
    assert [preset.name for preset in presets.PRESETS] == list(SETS)
    assert presets.find("NIH14").title == "NIH ChestX-ray14"
    with pytest.raises(UsageError, match=r"received chexprt\. Did you mean chexpert\? See plainfilm presets\."):
        presets.find("chexprt")
