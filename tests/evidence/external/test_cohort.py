import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_external import pictures, write_bundle, write_store
from plainfilm.data.catalog import Catalog, Entry
from plainfilm.data.places.place import Folder
from plainfilm.data.store import Store
from plainfilm.errors import BundleError, CatalogError, UsageError
from plainfilm.evidence.external import cohort
from plainfilm.evidence.external.cohort import SAME_FILE, SAME_IMAGE, SAME_PATIENT, match_labels
from plainfilm.evidence.external.training_fingerprints import TrainingFingerprints
from plainfilm.results import documents

CLASSES = ("empty", "square")
TRAINED = np.arange(30) % 2


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def trained(folder):
    """The store that the bundle was made from: six of thirty films are its test set."""
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(30) % 5]
    return write_store(folder / "trained.h5", pictures(TRAINED, seed=1), 1 - TRAINED, split=split)


@pytest.fixture(scope="module")
def bundle(folder, trained):
    with Store(trained) as store:
        return write_bundle(folder / "b.plainfilm", folder, seen=TrainingFingerprints.of(store).to_bytes(), data_fingerprint=store.fingerprint)  # fmt: skip


def selected_of(path, bundle, mapping=None):
    with Store(path) as store:
        return cohort.select(store, bundle, cohort.map_store(store, bundle, mapping or {}))


# Labels


def test_labels_of_the_same_name_match_whatever_their_case_and_hyphens():
    assert match_labels(["covid_19", "Normal", "TB"], ("COVID-19", "NORMAL"), {}) == {
        "covid_19": "COVID-19",
        "Normal": "NORMAL",
    }


def test_a_mapping_goes_before_names_and_several_labels_may_stand_for_one_class():
    there = ["COVID", "sick", "healthy"]
    mapping = {"SICK": "covid", "healthy": "NORMAL", "COVID": "NORMAL"}
    assert match_labels(there, ("COVID", "NORMAL"), mapping) == {
        "COVID": "NORMAL",
        "sick": "COVID",
        "healthy": "NORMAL",
    }


@pytest.mark.parametrize(
    ("there", "mapping", "match"),
    [
        (["sick", "well"], {"ill": "COVID"}, "one of the labels sick, well; received ill"),
        (["sick", "well"], {"sick": "COVD"}, "the model's classes COVID, NORMAL; received COVD"),
        (
            ["sick", "well"],
            {},
            r"classes of the model \(COVID, NORMAL\); received sick, well. Say which is which: mapping=",
        ),
        ([], {}, "received no label"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_told_what_is_there(there, mapping, match):
    with pytest.raises(UsageError, match=match) as caught:
        match_labels(there, ("COVID", "NORMAL"), mapping)
    assert "\n" not in str(caught.value)


@given(st.lists(st.text("abc -_", max_size=4), max_size=6), st.dictionaries(st.text("abc ", max_size=3), st.sampled_from("ab")))  # fmt: skip
def test_every_match_is_of_a_label_that_is_there_and_a_class_that_the_model_has(there, mapping):
    try:
        found = match_labels(there, ("a", "b"), mapping)
    except UsageError:
        return
    assert set(found) <= set(there)
    assert set(found.values()) <= {"a", "b"}


def entry(name, label):
    return Entry(
        place=Folder(Path()), name=name, file=name, label=label, patient=None, source="x", split="train", details={}
    )


def test_entries_get_the_classes_names_and_the_others_are_counted(bundle):
    listed = [entry("1", "box"), entry("2", "empty"), entry("3", "cat"), entry("4", None), entry("5", "cat")]
    kept, labels = cohort.map_catalog(Catalog(tuple(listed), (), "classes"), bundle, {"box": "square"})
    assert [(e.name, e.label) for e in kept] == [("1", "square"), ("2", "empty")]
    assert labels.stands_for == {"box": "square", "empty": "empty"}
    assert labels.left_out == {"cat": 2, "": 1}
    assert labels.renamed


# Stores


def test_rows_bear_the_models_numbers_and_what_stands_for_nothing_is_left_out(folder, bundle):
    truth = np.arange(12) % 2
    labels = np.array([2, 0, 1, 0, -1, 0, 2, 0, 1, 0, 2, -1])  # box, cat, void
    path = write_store(folder / "named.h5", pictures(truth, seed=5), labels, classes=("box", "cat", "void"))
    selected = selected_of(path, bundle, {"box": "square", "void": "empty"})
    assert selected.rows.tolist() == [0, 1, 3, 5, 6, 7, 9, 10]
    named = ["empty", "square", "square", "square", "empty", "square", "square", "empty"]
    assert [CLASSES[k] for k in selected.classes] == named
    assert selected.labels.left_out == {"cat": 2, "": 2}
    assert not selected.is_own
    assert selected.overlap.counts.found == 0


@pytest.mark.parametrize(("size", "fit"), [(32, "stretch"), (64, "pad")])
def test_a_store_prepared_otherwise_is_refused(folder, bundle, size, fit):
    images = pictures(np.arange(6) % 2, seed=6)[:, :size, :size]
    path = write_store(folder / f"{size}{fit}.h5", np.ascontiguousarray(images), np.arange(6) % 2, fit=fit)
    with pytest.raises(UsageError, match=rf"64 px, stretch.*received {size} px, {fit}.*size=64, fit=.stretch."):
        selected_of(path, bundle)


# What was seen


def test_what_the_model_was_made_from_is_left_out_and_so_are_its_patients(folder, trained, bundle):
    truth = np.arange(20) % 2
    images = pictures(truth, seed=9)
    with Store(trained) as store:
        old = store.images(range(30))
    images[3], images[8] = old[4], old[1]
    digests = [hashlib.sha256(b"%d" % k).hexdigest() for k in range(20)]
    digests[3] = hashlib.sha256(old[4].tobytes()).hexdigest()
    group = np.arange(20)
    group[11] = group[8]
    path = write_store(folder / "mixed.h5", images, 1 - truth, sha256=np.array(digests), group=group)
    selected = selected_of(path, bundle)
    assert dict(zip(selected.overlap.rows.tolist(), selected.overlap.reasons, strict=True)) == {
        3: SAME_FILE,
        8: SAME_IMAGE,
        11: SAME_PATIENT,
    }
    assert selected.rows.tolist() == [k for k in range(20) if k not in {3, 8, 11}]
    told = selected.overlap.counts
    assert (told.searched, told.found, told.same_file, told.same_film, told.same_patient) == (True, 3, 1, 1, 1)


def test_of_its_own_store_only_the_test_set_is_selected(trained, bundle):
    selected = selected_of(trained, bundle)
    assert selected.is_own
    assert selected.rows.tolist() == [4, 9, 14, 19, 24, 29]
    assert not selected.overlap.counts.searched


def test_its_own_store_split_otherwise_gives_the_same_rows(folder, trained, bundle):
    path = write_store(folder / "resplit.h5", pictures(TRAINED, seed=1), 1 - TRAINED)
    selected = selected_of(path, bundle)
    assert selected.is_own
    assert selected.rows.tolist() == [4, 9, 14, 19, 24, 29]


def test_a_folder_of_its_own_images_is_not_taken_for_its_test_set(trained, bundle):
    with Store(trained) as store:
        labels = replace(cohort.map_store(store, bundle, {}), renamed=True)
        with pytest.raises(CatalogError, match="received 30, and it was made from all of them"):
            cohort.select(store, bundle, labels)


def test_a_bundle_that_does_not_say_what_it_has_seen_is_said(folder, trained):
    blind = write_bundle(folder / "blind.plainfilm", folder, seen=b"")
    selected = selected_of(trained, blind)
    assert len(selected.rows) == 30
    assert documents.plain(selected.overlap.counts) == {
        "searched": False,
        "not_searched": "The bundle does not say which images it was made from.",
        "found": 0,
        "same_file": 0,
        "same_film": 0,
        "same_patient": 0,
    }


def test_a_damaged_list_is_refused(folder, trained, bundle):
    damaged = write_bundle(folder / "damaged.plainfilm", folder, seen=bundle.seen[:-1])
    with pytest.raises(BundleError, match="the images it was made from"):
        selected_of(trained, damaged)
