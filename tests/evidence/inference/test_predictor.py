import csv
import itertools
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

import made_outliers
import plainfilm
from made_files import dataset, dicom_bytes, endless_jpeg, written
from plainfilm.cli.predictions import Tally, _summary
from plainfilm.data import decoder_pool, phantom
from plainfilm.data.images import fitted
from plainfilm.errors import BundleError, ImageError, UsageError
from plainfilm.evidence.inference.context import About
from plainfilm.evidence.inference.predictor import Predictor

pytestmark = pytest.mark.slow
QUICK = {"backbone.input_size": 96, "training.epochs": 3}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("prediction")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def run(folder):
    phantom.write_phantoms(folder / "films", n=90, seed=4)
    plainfilm.ingest(folder / "films", folder / "s.h5", size=96, fit="pad", workers=1)
    return plainfilm.train(folder / "s.h5", folder / "run", settings=QUICK, audit=False).folder


@pytest.fixture(scope="module")
def predictor(run):
    return plainfilm.load(run / "model.plainfilm")


@pytest.fixture(scope="module")
def films(folder, run):
    return sorted((folder / "films").rglob("*.jpg")) + sorted((folder / "films").rglob("*.png"))


def test_files_get_the_probabilities_that_the_run_wrote(run, folder, predictor):
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    answers = predictor.predict([folder / "films" / row["file"] for row in rows])
    assert predictor.classes_ == ("COVID", "NORMAL")
    np.testing.assert_allclose(answers.probabilities[:, 0], [float(row["probability"]) for row in rows], atol=1e-4)
    told = {(row["predicted"], answer.label) for row, answer in zip(rows, answers, strict=True) if answer.label}
    assert told == {("COVID", "COVID"), ("NORMAL", "NORMAL")}
    assert sum(answer.level == "refused" for answer in answers) <= 2


def test_several_processes_answer_the_same_in_the_same_order(predictor, films):
    assert predictor.predict(films[:20], workers=2)[:] == predictor.predict(films[:20], workers=1)[:]


def test_a_folder_stands_for_the_radiographs_below_it(predictor, folder, films):
    answers = predictor.predict(folder / "films")
    assert sorted(answer.file for answer in answers) == sorted(map(str, films))


def test_arrays_are_answered_like_the_files_that_hold_them(predictor, films, tmp_path):
    pixels = [np.asarray(Image.open(path).convert("L")) for path in films[:3]]
    for number, gray in enumerate(pixels):
        Image.fromarray(gray).save(tmp_path / f"{number}.png")
    by_file = predictor.predict([tmp_path / f"{number}.png" for number in range(3)])
    by_array = predictor.predict(pixels)
    np.testing.assert_array_equal(by_file.probabilities, by_array.probabilities)
    assert [answer.file for answer in by_array] == ["array 0", "array 1", "array 2"]
    mixed = predictor.predict([tmp_path / "0.png", pixels[1], tmp_path / "2.png"])
    np.testing.assert_array_equal(mixed.probabilities, by_file.probabilities)
    stacked = predictor.predict(np.stack([fitted(gray, size=96, fit="pad") for gray in pixels]))
    np.testing.assert_array_equal(stacked.probabilities, by_array.probabilities)


def test_a_dicom_file_of_either_photometric_is_answered_like_its_picture(predictor, films, tmp_path):
    gray = np.asarray(Image.open(films[0]).convert("L"))
    Image.fromarray(gray).save(tmp_path / "film.png")
    for name, pixels in (("MONOCHROME2", gray), ("MONOCHROME1", 255 - gray)):
        made = dataset(
            pixels, bits=8, photometric=name, Modality="DX", BodyPartExamined="CHEST", ViewPosition="LATERAL"
        )
        (tmp_path / f"{name}.dcm").write_bytes(dicom_bytes(made))
    answers = predictor.predict([tmp_path / f"{name}" for name in ("film.png", "MONOCHROME1.dcm", "MONOCHROME2.dcm")])
    np.testing.assert_allclose(answers.probabilities, answers.probabilities[[0, 0, 0]], atol=2e-3)
    assert ["lateral" in answer.notes for answer in answers] == [False, True, True]


def test_a_bad_file_is_one_answer_with_its_reason_and_the_others_stand(predictor, films, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    answers = predictor.predict([films[0], tmp_path / "bad.jpg", tmp_path / "gone.png", films[1]])
    assert [answer.level == "unreadable" for answer in answers] == [False, True, True, False]
    assert answers.labels[1] is None
    assert "begins like none of them" in answers[1].reasons[0]
    assert np.isnan(answers.probabilities[1]).all()
    assert "no file" in answers[2].reasons[0] or "with none" in answers[2].reasons[0]
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        predictor.predict_proba([films[0], tmp_path / "bad.jpg"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_takes_minutes_is_unreadable_after_the_limit(predictor, films, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(decoder_pool, "read_many", partial(decoder_pool.read_many, seconds=2.0))
    endless = written(tmp_path, endless_jpeg(), "endless.jpg")
    answers = predictor.predict([films[0], endless, films[1]], workers=workers)
    assert [answer.level == "unreadable" for answer in answers] == [False, True, False]
    assert "decoded within 2 s" in answers[1].reasons[0]


def test_a_lateral_view_is_not_passed_unmarked_with_or_without_a_detector(predictor, run, films):
    drawn = [made_outliers.draw("lateral", seed) for seed in range(4)]
    assert "ok" not in {answer.level for answer in predictor.predict(drawn)}
    bare = plainfilm.load(run / "model.plainfilm")
    bare._detector = None
    answers = bare.predict([*drawn, films[0]])
    assert [(a.level, a.reasons) for a in answers] == [("flagged", ("looks like a lateral view",))] * 4 + [("ok", ())]
    assert answers.labels[0] is not None


def test_what_is_no_radiograph_gets_no_class_and_a_small_one_a_note(predictor, films, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    (answer,) = predictor.predict(noise)
    assert (answer.level, answer.label) == ("refused", None)
    assert answer.reasons == ("unlike the training images",)
    assert set(answer.probabilities) == {"COVID", "NORMAL"}
    Image.open(films[0]).convert("L").resize((80, 90)).save(tmp_path / "small.png")
    (small,) = predictor.predict(tmp_path / "small.png")
    assert small.notes[-1] == "low resolution: 80 × 90 px, the network looks at 96"
    (upside_down,) = predictor.predict(np.ascontiguousarray(np.asarray(Image.open(films[0]).convert("L"))[::-1]))
    assert upside_down.level != "ok"


def test_a_probability_moves_with_the_prevalence_by_bayes_rule(predictor, films):
    own = predictor.prevalence
    assert 0 < own < 1
    same, rare = predictor.predict(films[:6]), predictor.predict(films[:6], prevalence=0.02)
    for here, there in zip(same, rare, strict=True):
        assert here.at_prevalence == pytest.approx(here.probabilities["COVID"])
        ratio = here.probabilities["COVID"] / here.probabilities["NORMAL"] / (own / (1 - own))
        assert there.at_prevalence / (1 - there.at_prevalence) == pytest.approx(ratio * 0.02 / 0.98)
        assert there.probabilities == here.probabilities
    for wrong in (0, 1, 3.0):
        with pytest.raises(UsageError, match="Expected a prevalence between 0 and 1"):
            predictor.predict(films[0], prevalence=wrong)


def test_score_is_the_accuracy_at_the_threshold(predictor, films):
    some = films[:10]
    chance = predictor.predict_proba(some)
    threshold = predictor.bundle.classifier.decision.threshold
    called = np.where(chance[:, 0] >= threshold, "COVID", "NORMAL")
    assert predictor.score(some, called) == 1
    assert predictor.score(some, ["COVID"] * 10) == pytest.approx(np.mean(called == "COVID"))
    with pytest.raises(UsageError, match="Expected 10 labels"):
        predictor.score(some, ["COVID"])


def test_answers_come_as_they_are_asked_for(predictor):
    gray = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    endless = predictor.stream(itertools.repeat(gray))
    assert [next(endless).file for _ in range(3)] == ["array 0", "array 1", "array 2"]


@pytest.mark.parametrize("wrong", [np.zeros((40, 40)), np.zeros(40, np.uint8), np.zeros((8, 8), np.uint8)])
def test_an_array_that_is_no_film_is_refused_with_what_came(predictor, wrong):
    with pytest.raises(UsageError, match="Expected a gray uint8 array"):
        predictor.predict([wrong])


def test_predicting_needs_onnxruntime_numpy_pillow_simplejpeg_and_msgspec_alone(run, films, tmp_path):
    installed = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs", "onnxruntime", "PIL", "pillow.libs", "simplejpeg", "msgspec"):
        if (installed / name).exists():
            (tmp_path / name).symlink_to(installed / name)
    (tmp_path / "plainfilm").symlink_to(Path(plainfilm.__file__).parent)
    program = "import plainfilm, sys; print(*plainfilm.load(sys.argv[1]).predict(sys.argv[2:]).labels)"
    command = [sys.executable, "-S", "-c", program, str(run / "model.plainfilm"), *map(str, films[:20])]
    done = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 20


def test_a_bundle_without_what_prediction_needs_is_said_to_be_no_such(run, monkeypatch):
    from plainfilm.model import bundle

    opened = bundle.load(run / "model.plainfilm")
    opened.manifest.prevalence["COVID"] = 0.0
    monkeypatch.setattr(bundle, "load", lambda *_args, **_named: opened)
    with pytest.raises(BundleError, match="prevalence"):
        plainfilm.load(run / "model.plainfilm")


def test_probabilities_that_were_not_calibrated_hold_at_no_prevalence(predictor, films):
    bundle = predictor.bundle
    raw = Predictor(replace(bundle, metrics=structs.replace(bundle.metrics, calibrated=False)))
    assert raw.prevalence is None
    [answer] = raw.predict(films[0])
    assert answer.at_prevalence is None
    context = About.of(raw).context
    assert (context.calibrated, context.calibrated_at_prevalence) == (False, None)
    with pytest.raises(UsageError, match="this classifier's probabilities are not calibrated"):
        raw.predict(films[0], prevalence=0.1)
    text = "".join(str(line) for line in _summary(Tally(), About.of(raw)))
    assert "probabilities are not calibrated: they hold at no stated prevalence." in text
    assert "the probabilities hold where" in "".join(str(line) for line in _summary(Tally(), About.of(predictor)))


def test_before_0_3_a_temperature_of_one_says_that_nothing_was_calibrated(predictor):
    metrics = structs.replace(predictor.bundle.metrics, calibrated=None)
    assert structs.replace(metrics, temperature=1.3).is_calibrated
    assert structs.replace(metrics, temperature=None).is_calibrated
    assert not structs.replace(metrics, temperature=1.0).is_calibrated
