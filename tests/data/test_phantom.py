import csv
import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plainfilm.data import phantom
from plainfilm.data.phantom import HOSPITALS, SHORTCUTS, Phantom
from plainfilm.errors import CatalogError, UsageError


@pytest.fixture(scope="module")
def films() -> list[Phantom]:
    return [phantom.render(visit) for visit in phantom.plan(100, seed=5, duplicates=0)]


def resized(pixels, size):
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX), np.float32)


def corners(pixels):
    square = resized(pixels, 64)
    edge = (slice(0, 10), slice(54, 64))
    return np.concatenate([square[a, b].reshape(5, 2, 5, 2).mean((1, 3)).ravel() for a in edge for b in edge])


def cross_validated_auc(features, films):
    sick = np.array([film.visit.sick for film in films])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    patients = [film.visit.patient for film in films]
    scores = cross_val_predict(model, features, sick, groups=patients, cv=folds, method="decision_function")
    return roc_auc_score(sick, scores)


def planted(shortcut, n):
    visits = phantom.plan(n, seed=3, shortcut=shortcut, duplicates=0)
    return [phantom.render(visit) for visit in visits]


def lung_grey(film):
    return float(np.mean(film.pixels[film.lungs]))


# one film


def test_the_same_visit_gives_the_same_bytes():
    visit = phantom.plan(4, seed=9)[0]
    assert phantom.encode(phantom.render(visit)) == phantom.encode(phantom.render(visit))
    other = replace(visit, seed=visit.seed + 1)
    assert phantom.encode(phantom.render(other)) != phantom.encode(phantom.render(visit))


def test_films_are_grey_bytes_of_their_hospitals_size(films):
    for film in films:
        height, width = film.pixels.shape
        low, high = film.visit.hospital.width
        assert film.pixels.dtype == np.uint8
        assert low <= width <= high
        assert film.visit.hospital.aspect[0] - 0.01 <= height / width <= film.visit.hospital.aspect[1] + 0.01
        assert np.ptp(film.pixels) > 150
    assert {film.visit.hospital.name for film in films} == {hospital.name for hospital in HOSPITALS}


def test_lungs_are_one_pair_left_and_right_darker_than_the_middle(films):
    for film in films:
        assert film.lungs.dtype == np.bool_
        assert film.lungs.shape == film.pixels.shape
        assert 0.15 <= film.lungs.mean() <= 0.55
        parts, count = ndimage.label(film.lungs)
        assert count == 2
        (_, right_x), (_, left_x) = sorted(ndimage.center_of_mass(film.lungs, parts, [1, 2]), key=lambda at: at[1])
        width = film.pixels.shape[1]
        assert 0.1 < right_x / width < 0.48
        assert 0.52 < left_x / width < 0.9
        middle = film.pixels[film.pixels.shape[0] // 2 :, int((right_x + left_x) / 2) + np.arange(-8, 8)]
        assert lung_grey(film) < middle.mean()


def test_the_right_dome_stands_higher_than_the_left(films):
    higher = 0
    for film in films:
        parts, _ = ndimage.label(film.lungs)
        right, left = sorted(ndimage.find_objects(parts), key=lambda box: box[1].start)
        higher += right[0].stop <= left[0].stop
    assert higher / len(films) > 0.8


def test_sick_lungs_are_whiter_and_the_corners_are_not(films):
    sick = [film for film in films if film.visit.sick]
    well = [film for film in films if not film.visit.sick]
    assert roc_auc_score([film.visit.sick for film in films], [lung_grey(film) for film in films]) > 0.6
    difference = np.mean([corners(f.pixels).mean() for f in sick]) - np.mean([corners(f.pixels).mean() for f in well])
    spread = np.std([corners(film.pixels).mean() for film in films]) * np.sqrt(1 / len(sick) + 1 / len(well))
    assert abs(difference) < 3 * spread


def test_disease_whitens_lower_outer_lung_and_leaves_the_rest_of_the_film():
    changes, beside = [], []
    for visit in phantom.plan(30, seed=2, duplicates=0):
        well, sick = (phantom.render(replace(visit, sick=ill)) for ill in (False, True))
        change = sick.pixels.astype(float) - well.pixels
        rows = np.nonzero(well.lungs.any(1))[0]
        lower = np.arange(len(change))[:, None] > np.median(rows)
        changes.append((change[well.lungs & lower].mean(), change[well.lungs & ~lower].mean()))
        beside.append(np.abs(change[~ndimage.binary_dilation(well.lungs, iterations=12)]).mean())
    lower_change, upper_change = np.mean(changes, axis=0)
    assert lower_change > 1.5 * upper_change > 0
    assert np.mean(beside) < 0.15 * lower_change


def test_severity_is_nought_for_the_well_and_varies_among_the_sick(films):
    sick = np.array([film.severity for film in films if film.visit.sick])
    assert {film.severity for film in films if not film.visit.sick} == {0.0}
    assert sick.min() >= 0.2
    assert sick.max() <= 1
    assert sick.std() > 0.1


def test_a_thumbnail_does_not_solve_the_task_and_corners_tell_nothing(films):
    thumbnails = np.stack([resized(film.pixels, 32).ravel() for film in films])
    assert cross_validated_auc(thumbnails, films) < 0.93
    assert 0.3 < cross_validated_auc(np.stack([corners(film.pixels) for film in films]), films) < 0.7


# the plan


@settings(max_examples=40)
@given(n=st.integers(4, 400), seed=st.integers(0, 2**32), duplicates=st.integers(0, 5))
def test_a_plan_has_n_films_and_no_patient_of_both_classes(n, seed, duplicates):
    visits = phantom.plan(n, seed=seed, duplicates=min(duplicates, n // 2))
    assert len(visits) == n
    assert len({visit.name for visit in visits}) == n
    labels = defaultdict(set)
    for visit in visits:
        labels[visit.patient].add(visit.label)
    assert all(len(found) == 1 for found in labels.values())
    originals = [visit for visit in visits if not visit.copy]
    assert abs(sum(1 if visit.sick else -1 for visit in originals)) <= 1


def test_every_hospital_has_both_classes_in_the_same_share():
    counts = Counter((visit.hospital.name, visit.sick) for visit in phantom.plan(900, seed=1, duplicates=0))
    assert len(counts) == 2 * len(HOSPITALS)
    for hospital in HOSPITALS:
        assert abs(counts[hospital.name, True] - counts[hospital.name, False]) <= 1


def test_some_patients_are_filmed_again_with_the_same_body_and_another_posture():
    films = defaultdict(list)
    for visit in phantom.plan(300, seed=4, duplicates=0):
        films[visit.patient].append(visit)
    again = [visits for visits in films.values() if len(visits) > 1]
    assert 0.1 < len(again) / len(films) < 0.4
    assert max(map(len, films.values())) == 3
    for visits in again:
        assert len({(visit.body_seed, visit.sex, visit.age, visit.hospital.name) for visit in visits}) == 1
        assert all(one.seed != other.seed for one, other in pairwise(visits))


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_strength_is_how_strongly_the_sign_follows_the_class(shortcut):
    agreement = {}
    for strength in (0.0, 0.5, 1.0):
        visits = phantom.plan(2000, seed=8, shortcut=shortcut, strength=strength, duplicates=0)
        agreement[strength] = np.mean([visit.flag == visit.sick for visit in visits])
    assert agreement[1.0] == 1
    assert abs(agreement[0.5] - 0.75) < 0.05
    assert abs(agreement[0.0] - 0.5) < 0.05


def test_planting_a_shortcut_leaves_the_patients_as_they_are():
    def bodies(shortcut):
        visits = phantom.plan(60, seed=6, shortcut=shortcut)
        return [(visit.patient, visit.body_seed, visit.seed, visit.sick, visit.copy) for visit in visits]

    assert all(bodies(shortcut) == bodies(None) for shortcut in SHORTCUTS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 3}, "at least 4"),
        ({"n": 40, "shortcut": "tag"}, "corner tag"),
        ({"n": 40, "shortcut": "border", "strength": 1.5}, "from 0 to 1"),
        ({"n": 40, "strength": float("nan")}, "from 0 to 1"),
        ({"n": 40, "duplicates": 21}, "0 to 20 duplicates"),
        ({"n": 40, "duplicates": -1}, "0 to 20 duplicates"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_an_error_of_one_line(options, words):
    with pytest.raises(UsageError, match=words) as caught:
        phantom.plan(**options)
    assert "\n" not in str(caught.value)


# signs of planted shortcuts


@pytest.mark.parametrize(
    ("shortcut", "seen"),
    [
        ("corner tag", lambda film: float((film.pixels[-22:-8, 8:50] > 243).mean())),
        ("border", lambda film: -float(film.pixels[:5].max())),
        ("aspect ratio", lambda film: film.pixels.shape[1] / film.pixels.shape[0]),
        ("resolution", lambda film: -film.pixels.shape[1]),
        ("JPEG quality", lambda film: -film.quality),
        ("brightness", lambda film: film.pixels.mean()),
        ("noise texture", lambda film: np.abs(np.diff(film.pixels[-60:-20, 90:200].astype(float), n=2)).mean()),
        ("hospital", lambda film: film.visit.hospital is HOSPITALS[0]),
    ],
)
def test_a_planted_sign_stands_on_all_sick_films_and_on_no_other(shortcut, seen):
    films = planted(shortcut, 26)
    assert roc_auc_score([film.visit.sick for film in films], [seen(film) for film in films]) > 0.97


def test_corners_alone_find_a_planted_tag():
    films = planted("corner tag", 60)
    assert cross_validated_auc(np.stack([corners(film.pixels) for film in films]), films) > 0.95


def test_a_near_copy_keeps_the_planted_sign():
    visit = replace(phantom.plan(4, shortcut="resolution")[0], copy="near")
    film, original = phantom.render(visit), phantom.render(replace(visit, copy=""))
    assert film.pixels.shape == original.pixels.shape
    assert film.quality == original.quality
    assert not np.array_equal(film.pixels, original.pixels)


# the folder


def test_a_folder_holds_what_its_table_says(tmp_path):
    folder = phantom.write_phantoms(tmp_path / "made", n=24, seed=7, duplicates=4)
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == ("file_name", "label", "source", "patient_id", "sex", "age", "view")
    assert {row["file_name"] for row in rows} == {str(p.relative_to(folder).as_posix()) for p in folder.glob("*/*.jpg")}
    assert len(rows) == 24
    for row, visit in zip(rows, phantom.plan(24, seed=7, duplicates=4), strict=True):
        assert row["file_name"].startswith(row["label"] + "/")
        assert (row["patient_id"], row["source"], row["label"]) == (visit.patient, visit.hospital.name, visit.label)
        with Image.open(folder / row["file_name"]) as image:
            assert (image.format, image.mode) == ("JPEG", "L")


def test_duplicates_are_exact_or_near_and_stay_with_their_patient(tmp_path):
    folder = phantom.write_phantoms(tmp_path / "made", n=16, seed=1, duplicates=4)
    visits = phantom.plan(16, seed=1, duplicates=4)
    digests = {v: hashlib.sha256((folder / v.label / f"{v.name}.jpg").read_bytes()).hexdigest() for v in visits}
    original = {visit.seed: visit for visit in visits if not visit.copy}
    kinds = Counter(visit.copy for visit in visits)
    assert (kinds["exact"], kinds["near"]) == (2, 2)
    for visit in visits:
        if visit.copy:
            first = original[visit.seed]
            assert (first.patient, first.label) == (visit.patient, visit.label)
            assert (digests[visit] == digests[first]) == (visit.copy == "exact")
            small, large = (resized(phantom.render(v).pixels, 16).ravel() for v in (visit, first))
            assert np.corrcoef(small, large)[0, 1] > 0.995


def test_two_processes_write_the_same_folder_as_one(tmp_path):
    one = phantom.write_phantoms(tmp_path / "one", n=6, seed=2)
    two = phantom.write_phantoms(tmp_path / "two", n=6, seed=2, workers=2)
    names = sorted(path.relative_to(one) for path in one.rglob("*.*"))
    assert len(names) == 7
    assert [(one / name).read_bytes() for name in names] == [(two / name).read_bytes() for name in names]


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CatalogError, match="new or empty folder") as caught:
        phantom.write_phantoms(tmp_path, n=4)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(CatalogError, match="new or empty folder"):
        phantom.write_phantoms(tmp_path / "notes.txt", n=4)


def test_an_empty_folder_is_filled_and_an_impossible_one_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    assert len(list(phantom.write_phantoms(tmp_path / "empty", n=4).rglob("*.jpg"))) == 4
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="can be written"):
        phantom.write_phantoms(tmp_path / "file" / "made", n=4)


def test_a_stopped_run_leaves_nothing_and_the_next_one_succeeds(tmp_path, monkeypatch):
    render, made = phantom.render, []

    def dies(visit):
        made.append(visit)
        if len(made) == 3:
            raise KeyboardInterrupt
        return render(visit)

    monkeypatch.setattr(phantom, "render", dies)
    with pytest.raises(KeyboardInterrupt):
        phantom.write_phantoms(tmp_path / "made", n=6)
    assert list(tmp_path.iterdir()) == []
    phantom.write_phantoms(tmp_path / "made", n=6)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert len(list(Path(tmp_path / "made").rglob("*.jpg"))) == 6
