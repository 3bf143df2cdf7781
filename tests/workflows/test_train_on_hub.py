"""A training on a network from a hub, as docs/backbones.md has it: a bundle that answers alone, and what is refused before it begins."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import made_hub
import plainfilm
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.errors import RecipeError, UsageError, WeightsError
from plainfilm.model import backbones, bundle, encoder, recipes, weights
from plainfilm.workflows import checks, ingest, train
from plainfilm.workflows.options import IngestOptions, TrainOptions

FILES = ["config.json", "model.safetensors", "preprocessor_config.json"]
OLD = Path(__file__).parents[1] / "written_by_0_1_0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    path = made_hub.write(tmp_path / "my-vit", made_hub.originals()["dinov2"])
    told = {"crop_size": {"height": 56, "width": 56}, "image_mean": [0.53] * 3, "image_std": [0.25] * 3, "resample": 3}
    (path / "preprocessor_config.json").write_text(json.dumps(told))
    (path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# A card")
    return path


def store_of(place):
    """Copy the store of 0.1, whose log a training writes to."""
    return shutil.copyfile(OLD / "store.h5", place / "store.h5")


def images():
    return np.random.default_rng(5).integers(0, 256, (3, 64, 64), np.uint8)


def opened(name, **settings):
    row, prepare = recipes.prepared(recipes.load(settings={"backbone.name": str(name), **settings}), 64)
    return encoder.open_encoder(row, prepare)


def test_what_is_set_goes_before_what_the_folder_says_and_makes_another_encoder(folder):
    own = opened(folder)
    assert (own.width, own.name, own.preprocessing.input_size) == (32, "my-vit", 56)
    assert own.preprocessing.scaling == "0..1, mean 0.53, std 0.25"
    assert own.preprocessing.resample == "bicubic-antialias"
    first = own.encode(images())
    np.testing.assert_allclose(own.encode(images()[1:2])[0], first[1], atol=1e-5)
    changes = [{"backbone.pooling": "mean"}, {"backbone.depth": 1}, {"backbone.mean": 0.4}, {"backbone.input_size": 84}]
    others = [opened(folder, **change) for change in changes]
    assert len({own.key, *(other.key for other in others)}) == 5
    assert all(np.abs(other.encode(images()) - first).max() > 1e-3 for other in others)


def test_a_bundle_of_a_network_from_a_hub_answers_without_the_folder(folder, tmp_path):
    settings = {"training.epochs": 1, "backbone.name": str(folder)}
    plainfilm.train(store_of(tmp_path), tmp_path / "run", settings=settings, audit=False)
    with zipfile.ZipFile(tmp_path / "run" / "model.plainfilm") as archive:
        told = json.loads(archive.read("manifest.json"))["backbone"]
        card = archive.read("card.md").decode()
    assert (told["name"], told["features"]) == ("my-vit", 32)
    (origin,) = told["origins"]
    assert (origin["backbone"], origin["licence"], sorted(origin["files"])) == ("my-vit", "cc-by-nc-4.0", FILES)
    assert re.search(r"Licence of my-vit\W+cc-by-nc-4\.0\. This file holds the weights", card)
    assert "56 × 56 px, from images kept at 64 × 64 px" in card
    assert told["weights_sha256"] == weights.locate(backbones.find(str(folder))).sha256
    for file in folder.iterdir():
        file.unlink()
    done = plainfilm.export(tmp_path / "run" / "model.plainfilm", "onnx", tmp_path / "model.onnx")
    assert [each.licence for each in done.weights] == ["cc-by-nc-4.0"]
    about = {each.key: each.value for each in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(about["weights"])[0]["licence"] == "cc-by-nc-4.0"
    with Store(OLD / "store.h5") as store:
        shown = next(store.batches(4))
    answers = bundle.load(tmp_path / "run" / "model.plainfilm").classifier.predict_proba(shown)
    assert answers.shape[0] == len(shown)
    assert np.isfinite(answers).all()


def test_what_a_network_from_a_hub_cannot_is_said_before_a_training(folder, tmp_path):
    def refused(error, match, **settings):
        with pytest.raises(error, match=match):
            plainfilm.train(store_of(tmp_path), tmp_path / "run", settings={"backbone.name": str(folder)} | settings)

    refused(
        WeightsError, r"the weights of rad_dino \(MIT\) on this machine; received none", **{"backbone.name": "rad_dino"}
    )
    refused(RecipeError, "a network from a hub, which runs but does not learn", **{"finetuning.blocks": "1"})
    refused(RecipeError, 'of "" or "embedding"', **{"backbone.output": "logits"})
    refused(RecipeError, "cls, mean, which this network has", **{"backbone.pooling": "map"})
    (folder / "weights.h5").touch()
    refused(WeightsError, "whose folder has its own", **{"backbone.weights": str(folder / "weights.h5")})


def test_what_is_to_be_known_of_a_backbone_is_said_before_a_training(folder):
    def told(size=64, **settings):
        return checks.remarks([recipes.load(settings={"backbone.name": str(folder)} | settings)], size)

    assert told()[0].startswith("The bundle will hold the weights of my-vit, whose terms bind")
    assert told()[0].endswith("forbid to pass it on: cc-by-nc-4.0. Read them before you share it.")
    for licence in ("mit-for-nobody", "apache-2.0-nc", "cc-by-nd-4.0"):
        (folder / "README.md").write_text(f"---\nlicense: {licence}\n---")
        assert "whose terms bind" in told()[0]
    (folder / "README.md").write_text("My own.")
    assert told() == [
        "The bundle will hold the weights of my-vit, whose folder states no licence. Find out what may be done with them before you share it."
    ]
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---")
    assert told() == []
    assert told(32) == [
        "my-vit looks at 56 px, the store keeps 32 px: what is finer is lost. Read the films again with --size 56, or auto."
    ]
    (folder / "README.md").unlink()
    assert "states no licence" in told()[0]
    assert checks.remarks([recipes.load()], 256) == []


def test_a_store_keeps_what_the_recipes_backbones_look_at(folder, tmp_path, call):
    told = {"crop_size": {"height": 280, "width": 280}, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    phantom.write_phantoms(tmp_path / "films", n=24, seed=2)
    made = plainfilm.ingest(tmp_path / "films", tmp_path / "own.h5", size="auto", backbone=str(folder), workers=1)
    with Store(made.path) as store:
        assert store.size == 280
    (tmp_path / "own.toml").write_text('[ensemble]\nmembers = ["seed=1", "backbone.input_size=300"]')
    plan = ingest.plan(
        IngestOptions(tmp_path / "films", tmp_path / "other.h5", size="auto", recipe=tmp_path / "own.toml")
    )
    assert plan.options.size == 300
    assert ingest.plan(IngestOptions(tmp_path / "films", tmp_path / "other.h5", size="auto")).options.size == 256
    for wrong in ({"recipe": "robust"}, {"backbone": "mobilenet"}):
        with pytest.raises(UsageError, match="auto with a recipe or a backbone"):
            plainfilm.ingest(tmp_path / "films", tmp_path / "other.h5", **wrong)
    code, _, err = call("audit", tmp_path / "films", "--size", "auto", "--out", tmp_path / "audit")
    assert (code, "which ingest and train know by a recipe" in err) == (2, True)
    code, _, err = call("ingest", tmp_path / "films", "--size", "large", "--out", tmp_path / "other.h5")
    assert (code, "a size in pixels or auto; received large" in err) == (2, True)


def test_a_training_on_a_folder_of_films_takes_its_size_from_the_recipe(folder, tmp_path):
    told = {"crop_size": {"height": 280, "width": 280}, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    phantom.write_phantoms(tmp_path / "films", n=24, seed=2)
    settings = {"backbone.name": str(folder)}
    plan = train.plan(TrainOptions(tmp_path / "films", tmp_path / "run", settings=settings, size="auto", workers=1))
    with plan.store as store:
        assert store.size == 280
        assert [each for each in plan.remarks if "looks at" in each] == []
