"""The verbs as 0.1.0 had them: names, order and defaults of what Python and the command line take."""

import dataclasses
import inspect
import shutil
from pathlib import Path

import pytest

import plainfilm
from plainfilm.data.store import Store
from plainfilm.errors import UsageError
from plainfilm.model import recipes
from plainfilm.workflows import options, train
from plainfilm.workflows.parsing import mapping_of, settings_of

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
EVERY = {"overwrite": False, "command": ""}
SIGNATURES = {  # of 0.1.0: what may be given by place, and what by name with its default
    "ingest": (
        ["sources", "out"],
        {"labels": None, "classes": None, "size": 256, "fit": "stretch", "on_bad": "skip", "workers": 0, "seed": 0}
        | {"resplit": False},
    ),
    "train": (
        ["store", "out"],
        {"recipe": "default", "settings": None, "positive": None, "folds": 0, "resume": False, "audit": True}
        | {"sign": None, **EVERY},
    ),
    "audit": (["store", "out"], {"model": None, "seed": 0, **EVERY}),
    "evaluate": (
        ["bundle", "source", "out"],
        {"mapping": None, "labels": None, "recalibrate": False, "workers": 0, "require_signature": None, **EVERY},
    ),
    "compare": (["store", "out"], {"seeds": 5, "settings": None, "positive": None, **EVERY}),
    "tune": (
        ["store", "out"],
        {"trials": 100, "timeout": None, "epochs": 20, "folds": 1, "backbones": (), "input_sizes": (0,), "views": 0}
        | {"seed": 0, "command": ""},
    ),
    "demo": (["out"], {"images": 360, "seed": 0, "shortcut": None, **EVERY}),
}


@pytest.mark.parametrize("verb", SIGNATURES)
def test_a_verb_takes_what_it_took(verb):
    by_place, by_name = SIGNATURES[verb]
    signature = inspect.signature(getattr(plainfilm, verb))
    places = [name for name, each in signature.parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert places == by_place
    for name, default in by_name.items():
        assert signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert signature.parameters[name].default == default
    assert callable(signature.parameters["progress"].default)


@pytest.mark.parametrize(
    "name", sorted({name for name in vars(options) if name.endswith("Options")} - {"ReadingOptions"})
)
def test_every_option_is_explained(name):
    kind = getattr(options, name)
    lines = [
        line.strip() for line in inspect.getdoc(getattr(plainfilm, name.removesuffix("Options").lower())).splitlines()
    ]
    explained = {name.strip() for line in lines for name in line.split(",")}
    assert {field.name for field in dataclasses.fields(kind)} <= explained


def test_a_training_opens_the_store_and_loads_the_recipe_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    opened, loaded = [], []
    opens, loads = Store.__init__, recipes.load
    monkeypatch.setattr(
        Store, "__init__", lambda self, path, **given: [opened.append(path), opens(self, path, **given)][1]
    )
    monkeypatch.setattr(recipes, "load", lambda *given: [loaded.append(given), loads(*given)][1])
    store = shutil.copy(OLD / "store.h5", tmp_path)
    told = options.TrainOptions(
        store,
        tmp_path / "run",
        settings={"training.epochs": 1, "backbone.name": str(OLD / "backbone.onnx"), "backbone.scaling": "0..255"},
    )
    assert train.run(train.plan(told)).metrics["positive"] == "COVID"
    assert (len(opened), len(loaded)) == (1, 1)


def test_settings_and_labels_are_read_from_texts_or_mappings():
    assert settings_of(["a.b=1", "c = x=y"]) == {"a.b": "1", "c": "x=y"}
    assert settings_of({"a": 1}) == {"a": 1}
    assert mapping_of(["A=B, C=D", "E=F"]) == {"A": "B", "C": "D", "E": "F"}
    assert mapping_of(None) == {}
    with pytest.raises(UsageError, match="--map LABEL=CLASS; received A"):
        mapping_of(["A"])
