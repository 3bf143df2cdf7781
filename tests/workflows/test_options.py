"""The verbs as 0.1.0 had them: names, order and defaults of what Python and the command line take."""

import dataclasses
import inspect
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
from cyclopts import Token

import plainfilm
from plainfilm.data.store import Store
from plainfilm.errors import UsageError, VerdictError
from plainfilm.model import devices, recipes
from plainfilm.workflows import audit, clustering, evaluate, options, parsing, train
from plainfilm.workflows.parsing import mapping_of, settings_of
from plainfilm.workflows.verb import Run

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
    "name",
    sorted(
        {each for each in vars(options) if each.endswith("Options")}
        - {"ClusterOptions", "ReadingOptions", "RecipeOptions", "StoringOptions", "SourceOptions", "VerbOptions"}
    ),
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


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"device": "rocm"}, "received rocm. Put onnxruntime-migraphx in the place of onnxruntime"),
        ({"device": "cuda", "cluster": "local:2"}, "Expected `device` cpu with `cluster`, .*; received cuda"),
        ({"device": "gpu"}, "received 'gpu'|received gpu"),
    ],
)
def test_a_device_that_cannot_be_meant_is_one_line_before_anything_is_read(tmp_path, asked, line):
    for verb in (plainfilm.train, plainfilm.audit, plainfilm.ingest):
        with pytest.raises(UsageError, match=line):
            verb("no-such-folder-is-read", tmp_path / "made.h5", **asked)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_bundle_is_opened_for_the_device_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "offered", lambda: ("cuda", "cpu"))
    bundle, store = OLD / "run" / "model.plainfilm", shutil.copy(OLD / "store.h5", tmp_path)
    for verb, asked in (
        (evaluate, options.EvaluateOptions(bundle, store, tmp_path / "tested", device="cuda")),
        (audit, options.AuditOptions(store, tmp_path / "audit", model=bundle, device="cuda")),
    ):
        with pytest.raises(UsageError, match="Expected the device cuda to run networks"):
            verb.plan(asked)


@pytest.mark.parametrize("asked", [None, "auto", "cpu"])
def test_beside_a_cluster_networks_run_on_the_processor(monkeypatch, asked):
    monkeypatch.setenv("PLAINFILM_DEVICE", "rocm")
    found = []

    @clustering.on_cluster
    def run(_):
        found.append(devices.current().name)

    run(SimpleNamespace(options=options.ClusterOptions(cluster="local:1", device=asked)))
    assert found == ["cpu"]


def test_recipes_are_taken_under_their_earlier_name_too_with_a_note(tmp_path):
    for asked in ({"recipes": "default,none.toml"}, {"recipes": ["default", "none.toml"]}):
        with pytest.raises(UsageError, match=r"none\.toml"):
            plainfilm.compare(OLD / "store.h5", tmp_path / "compared", **asked)
    note = pytest.warns(DeprecationWarning, match="recipe_names is now called recipes")
    with note as noted, pytest.raises(UsageError, match=r"none\.toml"):
        plainfilm.compare(OLD / "store.h5", tmp_path / "compared", recipe_names=["none.toml"])
    assert noted[0].filename == __file__


def test_keys_of_the_recipe_are_arguments_that_win_over_settings(tmp_path):
    store = shutil.copy(OLD / "store.h5", tmp_path)
    asked = options.TrainOptions(
        store,
        tmp_path / "run",
        settings={"training.epochs": 9, "head.activation": "tanh"},
        backbone=str(OLD / "backbone.onnx"),
        epochs=3,
        seed=7,
    )
    recipe = recipes.load("default", settings_of(asked.settings) | asked.of_recipe())
    assert (recipe.training.epochs, recipe.seed, recipe.head.activation) == (3, 7, "tanh")
    assert recipe.backbone.name == str(OLD / "backbone.onnx")
    with pytest.raises(UsageError, match="training.epochs from 0 to 10,000; received -1"):
        plainfilm.train(store, tmp_path / "run", epochs=-1)


@pytest.mark.parametrize(
    ("asked", "level", "fails"),
    [(None, "warning", False), ("possible", "caution", True), ("not-to-be-believed", "caution", False), ("possible", "none", False)],
)  # fmt: skip
def test_an_audit_to_fail_on_raises_once_its_folder_is_whole(asked, level, fails, monkeypatch, tmp_path):
    done = Run(tmp_path, SimpleNamespace(level=level, verdict="shortcut possible"))
    monkeypatch.setattr(audit, "run", lambda _: done)
    plan = SimpleNamespace(options=SimpleNamespace(fail_on=asked))
    if not fails:
        assert audit.run_or_fail(plan) is done
        return
    with pytest.raises(VerdictError, match=r"received: shortcut possible\. Read .*audit\.html"):
        audit.run_or_fail(plan)


def test_a_dry_run_says_what_would_be_read_and_writes_nothing(tmp_path):
    for name, label in (("a", "X"), ("b", "X"), ("c", "Y")):
        (tmp_path / "films" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / label / f"{name}.png").write_bytes(b"never read")
    done = plainfilm.ingest(tmp_path / "films", tmp_path / "s.h5", dry_run=True)
    assert (done.images, done.classes, done.counts["X"]) == (3, ("X", "Y"), {"not given": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["films"]


def test_the_only_choice_is_named_alone():
    with pytest.raises(UsageError, match="Expected `by` to be study; received patient"):
        parsing._chosen(Literal["study"], [Token(keyword="--by", value="patient")])


def test_settings_and_labels_are_read_from_texts_or_mappings():
    assert settings_of(["a.b=1", "c = x=y"]) == {"a.b": "1", "c": "x=y"}
    assert settings_of({"a": 1}) == {"a": 1}
    assert mapping_of(["A=B, C=D", "E=F"]) == {"A": "B", "C": "D", "E": "F"}
    assert mapping_of(None) == {}
    assert mapping_of(['"A, or B"=C,"D=""E"""="F,G"', 'H=I=J, 5" film=K']) == {
        "A, or B": "C",
        'D="E"': "F,G",
        "H": "I=J",
        '5" film': "K",
    }
    assert mapping_of(["A=B,A=B"]) == {"A": "B"}
    with pytest.raises(UsageError, match="received A for B and C"):
        mapping_of(["A=B", "A=C"])
    with pytest.raises(UsageError, match='mapping={"LABEL": "CLASS"}; received A'):
        mapping_of(["A"])


@pytest.mark.parametrize("given", [["A=B,A=C"], ["A_x=B", "a x=C"], {"A_x": "B", "a x": "C"}])
def test_a_label_that_is_given_two_classes_is_one_line(given):
    with pytest.raises(UsageError, match="one class a label for .*; received .* for B and C. Leave one of them"):
        mapping_of(given)
    assert mapping_of(["A=B", "a=B"]) == {"A": "B", "a": "B"}


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_an_evaluation_runs_on_the_device_that_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "offered", lambda: ("cuda", "cpu"))
    with pytest.raises(UsageError, match="Expected the device cuda to run networks; received none that can"):
        plainfilm.evaluate(OLD / "run", OLD / "store.h5", tmp_path / "out", device="cuda")
