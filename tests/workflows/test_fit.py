import csv
import dataclasses
import json

import numpy as np
import pytest

import plainfilm
from made_networks import OWN_SIDE, endless_loop
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, RecipeError, UsageError, WeightsError
from plainfilm.model import bundle, checkpoints, kept_fits, keras_backend, recipes, training
from plainfilm.workflows import fit

QUICK = {"backbone.input_size": 64, "backbone.depth": 6, "training.epochs": 2}
FOLDS = 3
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("fitting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        phantom.write_phantoms(made / "radiographs", n=90, seed=0)
        plainfilm.ingest(made / "radiographs", made / "s.h5", size=64)
        yield made


@pytest.fixture
def store(folder):
    with Store(folder / "s.h5") as opened:
        yield opened


def answers(network, images):
    return network.decision.log_odds(network.logits(images))


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def noting(seen):
    """Make a callback that notes when it is called."""
    return keras_backend.load().callbacks.LambdaCallback(
        on_train_begin=lambda _: seen.append("begin"),
        on_epoch_begin=lambda epoch, _: seen.append(epoch),
        on_train_end=lambda _: seen.append("end"),
    )


# Cross-validation


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def validated(folder, told):
    return plainfilm.train(
        folder / "s.h5",
        folder / "folds",
        settings=QUICK,
        folds=FOLDS,
        audit=False,
        command="plainfilm train …",
        callbacks=[noting(told)],
    )


def test_callbacks_are_told_of_each_fold(validated, told):
    assert told == ["begin", 0, 1, "end"] * FOLDS


@pytest.mark.trains
def test_every_radiograph_is_answered_once_by_a_classifier_that_has_not_seen_it(validated, store):
    table = rows_of(validated.folder / "predictions.csv")
    assert sorted(row["file"] for row in table) == sorted(store.file[store.labels >= 0].tolist())
    for number in range(1, FOLDS + 1):
        own = bundle.load(validated.folder / "folds" / str(number) / "model.plainfilm").classifier
        kept_out = [row for row in table if row["split"] == f"fold {number}"]
        at = {str(name): row for row, name in enumerate(store.file)}
        images = store.images(np.array([at[row["file"]] for row in kept_out]))
        positive = own.predict_proba(images)[:, own.classes_.index(own.decision.positive)]
        np.testing.assert_allclose(positive, [float(row["probability"]) for row in kept_out], atol=2e-5)
        assert [row["predicted"] for row in kept_out] == own.predict(images)


def test_the_numbers_are_of_all_radiographs_and_of_no_test_part(validated, store):
    found = validated.metrics["splits"]
    assert set(found) == {"out_of_fold", "validation"}
    table = rows_of(validated.folder / "predictions.csv")
    right = np.mean([row["label"] == row["predicted"] for row in table])
    assert found["out_of_fold"]["n"] == len(table) == (store.labels >= 0).sum()
    assert found["out_of_fold"]["accuracy"]["value"] == pytest.approx(right)
    assert found["out_of_fold"]["accuracy"]["low"] < right < found["out_of_fold"]["accuracy"]["high"] or right == 1
    assert validated.metrics["folds"] == FOLDS
    own = [json.loads((validated.folder / "folds" / str(n) / "metrics.json").read_text()) for n in range(1, FOLDS + 1)]
    assert sum(each["splits"]["test"]["n"] for each in own) == len(table)


@pytest.mark.trains
def test_the_joined_classifier_answers_with_the_mean_of_the_folds_log_odds(validated, store):
    images = store.images(np.arange(8))
    joined = bundle.load(validated.folder / "model.plainfilm").classifier
    folds = [
        bundle.load(validated.folder / "folds" / str(n) / "model.plainfilm").classifier for n in range(1, FOLDS + 1)
    ]
    mean = np.mean([answers(each, images) for each in folds], axis=0)
    expected = mean / joined.decision.temperature + joined.decision.shift
    np.testing.assert_allclose(answers(joined, images), expected, atol=1e-4)


def test_the_joined_classifier_has_seen_all_and_is_not_tested_on_its_own_store(validated, folder):
    with pytest.raises(CatalogError, match="that it has not seen"):
        plainfilm.evaluate(validated.folder / "model.plainfilm", folder / "s.h5", folder / "own")


def test_the_page_and_info_say_that_folds_were_kept_out(validated):
    page = (validated.folder / "report.html").read_text(encoding="utf-8")
    assert "Accuracy on the held-out folds" in page
    assert f"Each of {FOLDS} classifiers was tested on the fold that it had not seen" in page
    assert "--folds 3" in page
    for path in (validated.folder, validated.folder / "model.plainfilm"):
        from plainfilm.workflows import info

        assert info.describe(path)["out_of_fold_accuracy"] == validated.metrics["splits"]["out_of_fold"]["accuracy"]


@pytest.mark.parametrize("folds", [1, -1, 101])
def test_another_number_of_folds_is_an_error_before_anything_is_done(folds, folder):
    with pytest.raises(UsageError, match=f"from 2 to 100 folds, none, or source; received {folds}"):
        plainfilm.train(folder / "s.h5", folder / "never", settings=QUICK, folds=folds)
    assert not (folder / "never").exists()


# Augmentation, ensembles and views


def test_altered_views_are_encoded_once_and_change_the_training(store, folder):
    progress = []

    def tell(stage, done, every, note="", /):
        progress.append((stage, note))

    settings = QUICK | {"augmentation.views": 2}
    first = fit.fit(store, recipes.load("default", settings), positive="COVID", progress=tell)
    assert {"Encoding view 1", "Encoding view 2"} <= {stage for stage, _ in progress}
    progress.clear()
    again = fit.fit(store, recipes.load("default", settings), positive="COVID", progress=tell)
    assert ("Encoding view 2", "features found in the cache") in progress
    assert first.head == again.head
    assert first.head != fit.fit(store, recipes.load("default", QUICK), positive="COVID").head


@pytest.mark.trains
def test_calibration_goes_by_what_group_dro_ended_with(store, monkeypatch):
    seen = []

    def noted(*given, own=fit.fit_scaling, **named):
        seen.append(named)
        return own(*given, **named)

    monkeypatch.setattr(fit, "fit_scaling", noted)
    settings = {"training.class_weight": "group-dro", "training.epochs": 10}
    weights = fit.fit(store, recipes.load("default", QUICK | settings), positive="COVID").fitted.weights
    by_class = np.bincount(weights.label, weights.weight)
    assert abs(by_class[0] - 0.5) > 0.005, "as class balance would have it"
    np.testing.assert_allclose(seen[0]["trained_at"], by_class, rtol=1e-4)
    np.testing.assert_allclose(seen[0]["shares"], np.bincount(weights.label, weights.share), rtol=1e-4)


@pytest.mark.trains
@pytest.mark.parametrize("combine", ["mean", "stacking"])
def test_an_ensemble_answers_from_all_of_its_members(combine, store):
    members = ["backbone.depth=6", "backbone.depth=9; seed=3", "head.layers=dense 8"]
    recipe = recipes.load("default", QUICK | {"ensemble.members": members, "ensemble.combine": combine})
    told = []
    trained = fit.fit(store, recipe, positive="COVID", callbacks=[noting(told)])
    assert told == ["begin", 0, 1, "end"] * len(members)
    assert trained.encoder.width > fit.fit(store, recipes.load("default", QUICK), positive="COVID").encoder.width
    assert {row["member"] for row in trained.fitted.history} == {1, 2, 3}
    rows = store.rows("test")
    from_images = trained.classifier().predict_proba(store.images(rows))
    np.testing.assert_allclose(trained.probabilities(rows), from_images, atol=1e-4)


def test_a_classifier_of_several_views_answers_from_the_image_alone(store):
    trained = fit.fit(store, recipes.load("default", QUICK | {"evaluation.views": 3}), positive="COVID")
    rows = store.rows("test")
    from_images = trained.classifier().predict_proba(store.images(rows))
    np.testing.assert_allclose(trained.probabilities(rows), from_images, atol=1e-4)


@pytest.mark.parametrize("member", ["seed", "nonsense=1", "ensemble.members=seed=1", "training.epochs=-1"])
def test_a_member_that_cannot_be_is_an_error_before_the_training(member, folder):
    with pytest.raises(RecipeError):
        plainfilm.train(folder / "s.h5", folder / "never", settings=QUICK | {"ensemble.members": [member]})


# Fine-tuning that stops


TUNED = QUICK | {"finetuning.blocks": "1", "finetuning.epochs": 3, "finetuning.learning_rate": 1e-3}


@pytest.mark.trains
def test_an_interrupted_fine_tuning_goes_on_when_asked_and_ends_the_same(folder):
    def stop(stage, done, _every, note="", /):
        if stage == "Fine-tuning" and done == 2:
            raise KeyboardInterrupt

    told = []
    whole = plainfilm.train(
        folder / "s.h5", folder / "whole", recipe="hidden-layer", settings=TUNED, audit=False, callbacks=[noting(told)]
    )
    assert told == ["begin", 0, 1, "end", "begin", 0, 1, 2, "end"]
    told.clear()
    with pytest.raises(KeyboardInterrupt):
        plainfilm.train(
            folder / "s.h5", folder / "stopped", recipe="hidden-layer", settings=TUNED, audit=False, progress=stop
        )
    assert not (folder / "stopped").exists()
    with pytest.raises(UsageError, match="resume=True to go on with the interrupted training"):
        plainfilm.train(folder / "s.h5", folder / "stopped", recipe="hidden-layer", settings=TUNED, audit=False)
    epochs = []

    def note(stage, done, _every, _note="", /):
        epochs.append(done if stage == "Fine-tuning" else None)

    resumed = plainfilm.train(
        folder / "s.h5",
        folder / "stopped",
        recipe="hidden-layer",
        settings=TUNED,
        audit=False,
        resume=True,
        progress=note,
        callbacks=[noting(told)],
    )
    assert told == ["begin", 0, 1, "end", "begin", 2, "end"]
    assert 1 not in epochs
    networks = [bundle.load(run.folder / "model.plainfilm").classifier.network for run in (whole, resumed)]
    assert networks[0] == networks[1]
    assert [path.name for path in folder.glob(".*")] == []
    frozen = fitting_network(folder)
    assert networks[0] != frozen


def test_a_comparison_that_was_stopped_goes_on_and_trains_only_what_is_missing(folder, monkeypatch):
    kept_fits.computes_here()  # trains a head of its own, once
    heads, epochs = [], []
    fit_head, write = training.fit_head, checkpoints.write
    monkeypatch.setattr(training, "fit_head", lambda *args, **kwargs: heads.append(1) or fit_head(*args, **kwargs))
    monkeypatch.setattr(checkpoints, "write", lambda *args, **kwargs: epochs.append(1) or write(*args, **kwargs))

    def stop(stage, done, _every, _note="", /):
        if stage == "Recipe hidden-layer" and done == 1:
            raise KeyboardInterrupt

    asked = {"recipes": ["hidden-layer"], "seeds": 2, "settings": TUNED | {"training.epochs": 3}}
    with pytest.raises(KeyboardInterrupt) as stopped:
        plainfilm.compare(folder / "s.h5", folder / "compared", **asked, progress=stop)
    assert "run the same command to go on" in str(getattr(stopped.value, "__notes__", stopped.value))
    trained = len(heads)
    assert (trained, len(epochs)) == (1, 3)
    made = plainfilm.compare(folder / "s.h5", folder / "compared", **asked)
    assert (len(heads) - trained, len(epochs)) == (1, 6)
    assert [path.name for path in folder.glob(".*")] == []
    (row,) = made.metrics["recipes"]
    assert [json.loads((made.folder / own / "metrics.json").read_text())["splits"]["test"]["auroc"]["value"] for own in row["folders"]] == row["auroc"]["values"]  # fmt: skip


def fitting_network(folder):
    with Store(folder / "s.h5") as store:
        settings = dataclasses.asdict(recipes.load("hidden-layer", QUICK))
        assert settings["finetuning"]["blocks"] == "none"
        return fit.fit(store, recipes.load("hidden-layer", QUICK), positive="COVID").classifier().network


@pytest.mark.parametrize("verb", ["train", "compare"])
def test_an_onnx_file_that_never_ends_is_refused_before_the_training(folder, tmp_path, monkeypatch, verb):
    monkeypatch.setattr(keras_backend, "load", lambda **_: pytest.fail("the training began"))
    file, options = (
        endless_loop(tmp_path / "mine.onnx"),
        {"recipes": ["default", "hidden-layer"]} if verb == "compare" else {},
    )
    settings = {"backbone.name": str(file), "backbone.scaling": "0..1", "backbone.input_size": OWN_SIDE}
    with pytest.raises(WeightsError, match=r"^Expected[^\n]*a graph inside a node[^\n]*$"):
        getattr(plainfilm, verb)(folder / "s.h5", folder / "never", settings=settings, **options)


def test_an_onnx_file_cannot_be_fine_tuned_and_that_is_said_first(folder, tmp_path):
    file = tmp_path / "mine.onnx"
    file.touch()
    with pytest.raises(RecipeError, match="runs but does not learn"):
        plainfilm.train(
            folder / "s.h5", folder / "never", settings={"backbone.name": str(file), "finetuning.blocks": "all"}
        )
