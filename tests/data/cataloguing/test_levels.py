"""Levels: what folders are taken for, in the layouts that people have."""

import pytest

from plainfilm.data.cataloguing.level_names import halves, is_finding, kind_of, split_of, tokens
from plainfilm.data.cataloguing.levels import read_levels, roles_of
from plainfilm.errors import UsageError


def said(*folders, images=20, **asked):
    layout = read_levels({folder and f"{folder}/": images for folder in folders}, **asked)
    return {folder.rstrip("/"): each for folder, each in layout.said.items()}


def labels(*folders, images=20, **asked):
    return {folder: each.label for folder, each in said(*folders, images=images, **asked).items()}


# One name


def test_a_name_has_words_and_numbers():
    assert tokens("TrainSet_01-NonCOVID v2") == ["train", "set", "01", "non", "covid", "v", "2"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("train", "train"), ("Train Set", "train"), ("TRAINING_DATA", "train"), ("trainset", "train")),
        *(("images_train", "train"), ("stage_2_train_images", "train"), ("train_val", "train"), ("TrainVal", "train")),
        *(
            ("val", "validation"),
            ("Validation Images", "validation"),
            ("valid", "validation"),
            ("dev set", "validation"),
        ),
        *(
            ("test_images", "test"),
            ("Test Set", "test"),
            ("TestData", "test"),
            ("testing", "test"),
            ("holdout", "test"),
        ),
        *(("test positive", None), ("contest", None), ("latest", None), ("trained nurse", None), ("train_test", None)),
        *(("Validierung", "validation"), ("validação", "validation"), ("entraînement", "train"), ("treino", "train")),
        *(("测试集", "test"), ("訓練データ", "train"), ("hold-out", "test"), ("X_train", "train"), ("3_test", "test")),
        *(("COVID", None), ("Rapid test negative", None), ("val d'or hospital", None)),
    ],
)
def test_a_split_word_counts_with_nothing_but_fillers_beside_it(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("images", "plain"),
            ("CXR_png", "plain"),
            ("images_001", "plain"),
            ("part 2", "plain"),
            ("batch-03", "plain"),
        ),
        *(("Set A", "plain"), ("dicom", "plain"), ("frontal", "plain"), ("Original Images", "plain")),
        *(("fold1", "fold"), ("Fold_3", "fold"), ("k-fold 2", "fold"), ("cv5", "fold")),
        *(("20200131", "date"), ("2020-01-31", "date"), ("2020", "date"), ("31.12.2020", "date"), ("2020-03", "date")),
        *(("01-01-1990-NA-CHEST-12345", "date"), ("20200101 CXR", "date")),
        *(("s50414267", "examination"), ("study1", "examination"), ("1.2.840.113619.2", "examination")),
        *(("1.000000-NA-12345", "examination"), ("ses-02", "examination")),
        *(("p10", "patient"), ("patient00101", "patient"), ("P7 DOE^JOHN", "patient"), ("sub-001", "patient")),
        *(("10000032", "patient"), ("DOE, JANE", "patient"), ("0a1b2c3d4e5f60718293a4b5c6d7e8f9", "patient")),
        *(("MontgomerySet", "collection"), ("ChinaSet_AllFiles", "collection"), ("Hospital B", "collection")),
        *(("rsna", "collection"), ("site_1", "collection"), ("my dataset", "collection")),
        *(("COVID", "finding"), ("no finding", "finding"), ("Viral Pneumonia", "finding"), ("NonCOVID", "finding")),
        *(("COVID_dataset", "finding"), ("Normal set", "finding"), ("2019-nCoV", "finding"), ("TB", "finding")),
        *(("grade 2", "finding"), ("class1", "finding"), ("Gesund", "finding")),
        *(("0", "number"), ("12", "number"), ("A", "name"), ("cats", "name"), ("Müller", "name")),
    ],
)
def test_each_folder_is_of_a_kind(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["customers", "boards", "research", "download", "films", "lung", "", "notes"])
def test_other_words_are_no_findings(name):
    assert not is_finding(name)


def test_a_split_and_a_class_may_stand_in_one_name():
    assert halves(["train_COVID", "test_COVID", "Test positive"]) == {
        "train_COVID": ("train", "COVID"),
        "test_COVID": ("test", "COVID"),
    }
    found = said("train-covid", "train-normal", "test-covid", "test-normal")
    assert {(each.label, each.split) for each in found.values()} == {
        ("covid", "train"), ("normal", "train"), ("covid", "test"), ("normal", "test")
    }  # fmt: skip


@pytest.mark.parametrize(
    "parts", [("covid_train", "covid_test"), ("rsna-train", "rsna-val"), ("tr", "te"), ("train", "eval")]
)
def test_a_name_that_says_no_more_than_the_split_is_no_class(parts):
    found = said(*(f"{part}/{name}" for part in parts for name in ("COVID", "NORMAL")))
    assert {each.label for each in found.values()} == {"COVID", "NORMAL"}
    assert len({each.split for each in found.values()} - {None}) == 2


def test_eval_is_the_test_set_beside_a_validation_set():
    assert [each.split for each in said("train/a", "val/a", "eval/b").values()] == ["train", "validation", "test"]
    assert [each.split for each in said("train/a", "eval/a", "test/b").values()] == ["train", "validation", "test"]
    assert labels("tr", "b") == {"tr": "tr", "b": "b"}


# Classes


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ({"a": "a", "b": "b", "": None}, "any names, where nothing speaks against them"),
        ({"COVID/images": "COVID", "NORMAL/images": "NORMAL"}, "plain words are no classes"),
        ({"COVID/day 1/x": "COVID", "NORMAL": "NORMAL"}, "the first level"),
        ({"train/COVID": "COVID", "val/NORMAL": "NORMAL", "test/NORMAL": "NORMAL"}, "below the split"),
        ({"COVID/train": "COVID", "COVID/test": "COVID", "NORMAL/train": "NORMAL"}, "above the split"),
        ({"archive/data/COVID": "COVID", "archive/data/NORMAL": "NORMAL"}, "below wrappers"),
        ({"my work/COVID": "COVID", "my work/NORMAL": "NORMAL"}, "below a folder around all"),
        ({"St Agnes/COVID": "COVID", "Harbour/NORMAL": "NORMAL", "Harbour/COVID": "COVID"}, "below hospitals"),
        ({"MontgomerySet/png": None, "ChinaSet_AllFiles/png": None}, "collections are no classes"),
        ({f"p{i}": None for i in range(10, 20)}, "patients are no classes"),
        ({f"p{i}/s{i}": None for i in range(3)}, "patients and their studies are no classes"),
        ({f"P{i} DOE^JOHN/20200101 CXR/CR Thorax PA": None for i in range(10)}, "nor what lies below them"),
        ({"fold1/a": "a", "fold2/b": "b"}, "folds are no classes"),
        ({"2020-01-01": None, "2020-01-02": None}, "dates are no classes"),
        ({"0": "0", "1": "1"}, "numbers may be classes"),
        ({"COVID/patient1": "COVID", "NORMAL/patient1": "NORMAL"}, "above patients"),
        ({"patient1/COVID": "COVID", "patient2/NORMAL": "NORMAL"}, "a finding below patients"),
        ({"Train Set/a": "a", "Test Set/a": "a", "Test Set/b": "b"}, "any spelling of a split"),
        ({"set1/COVID": "COVID", "set2/NORMAL": "NORMAL"}, "below portions"),
        ({"COVID": "COVID"}, "one alone"),
        ({"sub-optimal": "sub-optimal", "optimal": "optimal"}, "a word behind sub- is no patient's"),
        ({"p53 mutant": "p53 mutant", "wild type": "wild type"}, "a number within words is no patient's"),
        ({"Case": "Case", "Control": "Control"}, "what people call a class"),
        ({"COVID": "COVID", "figures": None}, "what lies beside the classes"),
        (
            {"original/COVID": "COVID", "augmented/COVID": "COVID", "original/b": "b"},
            "below what was done to the images",
        ),
        ({f"LIDC/LIDC-IDRI-{i:04d}/s1": None for i in range(6)}, "a folder around patients is no class"),
        (
            {f"COVID-19-AR-{i}": None for i in range(16434000, 16434006)},
            "a crowd that differs by a long number is of patients",
        ),
        (
            {"patient1/study1_positive": "positive", "patient2/study2_negative": "negative"},
            "without the study's number",
        ),
    ],
)
def test_the_classes_stand(folders, expected):
    assert labels(*folders) == folders, expected


def test_many_folders_of_few_images_are_patients():
    names = ["Anna", "Bela", "Cid", "Dora", "Emil"]
    assert set(labels(*names, images=2).values()) == {None}
    assert labels(*names, images=50) == {name: name for name in names}
    assert set(labels(*(f"n{i:02d}" for i in range(60)), images=50).values()) == {None}


def test_the_kinds_that_were_passed_by_are_told():
    found = read_levels({"p10/s1/": 3, "p11/s2/": 3})
    assert found.passed_by == {"patient", "examination"}
    assert found.levels["patient"][1] == {"p10": 3, "p11": 3}


def test_levels_are_counted_by_role():
    found = read_levels({"train/COVID/": 3, "test/COVID/": 2, "test/NORMAL/images/": 1})
    assert found.levels == {
        "split": {1: {"train": 3, "test": 3}},
        "class": {2: {"COVID": 5, "NORMAL": 1}},
        "-": {3: {"images": 1}},
    }


# Sources and patients


def test_folders_that_hold_the_same_classes_again_are_sources():
    found = said("Agnes/COVID", "Agnes/NORMAL", "Harbour/COVID")
    assert [each.source for each in found.values()] == ["Agnes", "Agnes", "Harbour"]
    assert {each.source for each in said("x/COVID", "x/NORMAL").values()} == {None}


def test_collections_are_sources_at_any_depth():
    found = said("COVID/MontgomerySet", "NORMAL/ChinaSet")
    assert [(each.label, each.source) for each in found.values()] == [
        ("COVID", "MontgomerySet"),
        ("NORMAL", "ChinaSet"),
    ]


def test_a_folder_names_its_patient():
    found = said("COVID/p1", "NORMAL/p1", "train/COVID/patient00101", "test/NORMAL/patient00101")
    assert [each.patient for each in found.values()] == ["p1", "p1", "patient00101", "patient00101"]


# As asked


def test_a_level_may_be_named():
    assert labels("x/A/1", "y/B/1", classes_from=2) == {"x/A/1": "A", "y/B/1": "B"}
    assert labels("x/A", "y/deep/B", classes_from=-1) == {"x/A": "A", "y/deep/B": "B"}
    assert labels("p10", "p11", classes_from=1) == {"p10": "p10", "p11": "p11"}
    assert labels("x/A", "y", classes_from=2) == {"x/A": "A", "y": None}
    for level in (0, 3, -3):
        with pytest.raises(UsageError, match=r"from 1 to 2, or -1 .* received"):
            labels("x/A", classes_from=level)


def test_every_level_may_be_named():
    found = said("north/test/ill/p1/deep", "south/train/well/p2", layout="source/split/class/patient")
    assert [(e.source, e.split, e.label, e.patient) for e in found.values()] == [
        ("north", "test", "ill", "p1"),
        ("south", "train", "well", "p2"),
    ]
    assert labels("x/A", "x/B", layout="-/class") == {"x/A": "A", "x/B": "B"}


@pytest.mark.parametrize("layout", ["", "x", "class/class", "-", "split class", "-/-"])
def test_a_layout_that_cannot_be_meant_is_one_line(layout):
    with pytest.raises(UsageError, match="Expected a layout of class, split, source, patient or -"):
        roles_of(layout)


def test_a_split_level_must_name_splits():
    with pytest.raises(UsageError, match="on level 1, the split of `layout`; received COVID"):
        labels("COVID/x", layout="split/class")


def test_names_of_any_length_have_a_kind():
    assert kind_of("s" + "1" * 60_000 + "!") in {"examination", "name"}
