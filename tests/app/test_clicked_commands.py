import json
from dataclasses import fields

import pytest

from plainfilm.app import declared
from plainfilm.app.commands import DECIDED, Maker
from plainfilm.serve.http_errors import Refused
from plainfilm.workflows.options import IngestOptions, TrainOptions


@pytest.fixture
def claimed():
    return set()


@pytest.fixture
def maker(places, claimed):
    words = {places.work / "films" / "films.h5": ["ingest", "/a", "--out", "/s.h5", "--size", "128"]}
    return Maker(places, lambda: claimed, lambda sources: 3 if "several" in str(sources[0]) else 1, words.get)


@pytest.fixture
def films(places):
    return str(places.root / "films")


def refusal(act, asked):
    with pytest.raises(Refused) as refused:
        act(asked)
    told = str(refused.value)
    assert told.startswith("Expected ")
    assert "received" in told
    assert told.count("\n") == 0
    return refused.value.code


# ---- options


def test_options_are_those_of_the_verbs_with_their_words():
    ingest, train = declared.of("ingest"), declared.of("train")
    assert {*ingest} == {each.name for each in fields(IngestOptions)} - declared._NOT_HERE - {"_", "progress"}
    assert {*train} >= {"recipe", "epochs", "folds", "figures", "settings"}
    assert {*train} <= {each.name for each in fields(TrainOptions)}
    assert all(
        option.help and option.flag.startswith("--") for verb in declared.VERBS for option in declared.of(verb).values()
    )
    assert ingest["classes"].told() | {"help": ""} == {
        "name": "classes", "flag": "--classes", "group": "Reading radiographs", "help": "", "kind": "list", "choices": None, "default": None, "again": False,
    }  # fmt: skip
    assert ingest["fit"].choices == ["stretch", "crop", "pad"]
    assert (train["settings"].flag, train["audit"].default, train["folds"].kind) == ("--set", True, "text")
    json.dumps([option.told() for option in train.values()])


@pytest.mark.parametrize(
    ("verb", "name", "value", "words"),
    [
        ("ingest", "classes", ["COVID", "NORMAL"], ["--classes", "COVID,NORMAL"]),
        ("ingest", "classes", "COVID", ["--classes", "COVID"]),
        ("ingest", "classes", ["A, or B", "C"], ["--classes", '"A, or B",C']),
        ("ingest", "keep", ["a", "b"], ["--keep", "a", "--keep", "b"]),
        ("train", "together", ["NIH,RSNA", "A,B"], ["--together", "NIH,RSNA", "--together", "A,B"]),
        ("evaluate", "prevalence", "Mass=0.1,Effusion=0.2", ["--prevalence", "Mass=0.1,Effusion=0.2"]),
        ("ingest", "classes_from", -1, ["--classes-from=-1"]),
        ("ingest", "label_pattern", "/(\\d)/", ["--label-pattern", "/(\\d)/"]),
        ("ingest", "pseudonyms", True, ["--pseudonyms"]),
        ("ingest", "pseudonyms", False, []),
        ("ingest", "fit", "crop", ["--fit", "crop"]),
        ("ingest", "label_column", "--out", ["--label-column=--out"]),
        ("ingest", "labels", None, []),
        ("train", "audit", False, ["--no-audit"]),
        ("train", "audit", True, []),
        ("train", "learning_rate", 1e-05, ["--learning-rate", "1e-05"]),
        ("train", "settings", ["head.layers=dense 64, dropout 0.5"], ["--set", "head.layers=dense 64, dropout 0.5"]),
    ],
)
def test_a_value_becomes_the_words_that_are_typed(verb, name, value, words):
    assert declared.of(verb)[name].words(value) == words


@pytest.mark.parametrize(
    ("verb", "name", "value"),
    [
        ("ingest", "classes", [{"a": 1}]),
        ("ingest", "fit", "other"),
        ("ingest", "seed", "many"),
        ("ingest", "pseudonyms", "yes"),
        ("ingest", "label_column", "a\0b"),
        ("ingest", "label_column", "\ud800"),
        ("ingest", "keep", ["\ud800"]),
        ("ingest", "label_column", "x" * 5000),
    ],
)
def test_a_value_of_another_kind_is_refused(maker, films, verb, name, value):
    assert refusal(maker.job, {"verb": verb, "inputs": [films], "options": {name: value}}) == "option"


# ---- commands


def test_a_folder_is_read_and_trained_on_in_two_commands(maker, places, films):
    work = maker.train(
        {"project": None, "sources": [films], "read": {"size": 128}, "recipe": "quick", "options": {"epochs": 2}}
    )
    folder = places.work / "films"
    assert work.commands == [
        ["ingest", films, "--out", str(folder / "films.h5"), "--size", "128"],
        ["train", str(folder / "films.h5"), "--out", str(folder / "run"), "--epochs", "2"],
    ]
    assert work.makes == [folder / "films.h5", folder / "run"]
    assert work.typed[1] == f"plainfilm train {folder}/films.h5 --out {folder}/run --epochs 2"


def test_the_three_choices_are_recipes(maker, places, films):
    def words(recipe, sources=films, **options):
        return maker.train({"sources": [sources], "recipe": recipe, "options": options}).commands[1][4:]

    (places.root / "several").mkdir()
    assert words("quick") == []
    assert words("paper") == ["--recipe", "paper-mobilenet"]
    assert words("hospitals") == ["--recipe", "robust"]
    assert words("hospitals", str(places.root / "several")) == ["--recipe", "robust", "--folds", "source"]
    assert words("hospitals", str(places.root / "several"), folds="5") == ["--recipe", "robust", "--folds", "5"]
    assert words("darkcovidnet") == ["--recipe", "darkcovidnet"]


def test_what_is_made_has_a_name_of_its_own(maker, places, films, claimed):
    folder = places.work / "films"
    folder.mkdir()
    (folder / "films.h5").touch()
    (folder / "run").mkdir()
    (folder / "run-2").symlink_to("nowhere")
    claimed.add(folder / "run-3")
    work = maker.train({"project": "films", "sources": [films]})
    assert [path.name for path in work.makes] == ["films-2.h5", "run-4"]
    assert maker.train({"sources": [films]}).project == "films-2"


def test_other_commands_take_their_inputs_by_place(maker, places, films):
    folder = places.work / "films"
    (folder / "doubts").mkdir(parents=True)
    (folder / "run").mkdir()
    store, run = str(folder / "films.h5"), str(folder / "run")

    def words(verb, *inputs, **options):
        return maker.job({"verb": verb, "inputs": list(inputs), "options": options}).commands[0]

    assert words("evaluate", f"{run}/model.plainfilm", films, recalibrate=True) == ["evaluate", f"{run}/model.plainfilm", films, "--out", str(folder / "evaluate"), "--recalibrate"]  # fmt: skip
    assert words("compare", store, recipes=["default", "robust"]) == [
        "compare",
        store,
        "--out",
        str(folder / "compare"),
        "--recipes",
        "default,robust",
    ]
    assert words("relabel", store) == ["relabel", store, "--out", str(folder / "doubts-2")]
    assert words("export", run, to="keras") == [
        "export",
        f"{run}/model.plainfilm",
        "--out",
        str(folder / "model.keras"),
        "--to",
        "keras",
    ]
    assert words("add", store, films) == ["ingest", films, "/a", "--out", "/s.h5", "--size", "128", "--add"]
    assert refusal(maker.job, {"verb": "apply", "inputs": [str(folder / "doubts"), store]}) == "undecided"
    (folder / "doubts" / DECIDED).touch()
    assert words("apply", str(folder / "doubts"), store, by="A. Reader")[4:] == [
        "--by",
        "A. Reader",
        "--out",
        str(folder / "corrected.h5"),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"verb": "ingest"},
        {"verb": "serve", "inputs": ["FILMS"]},
        {"verb": "ingest", "inputs": []},
        {"verb": "ingest", "inputs": ["FILMS"] * 65},
        {"verb": "ingest", "inputs": ["/etc"]},
        {"verb": "ingest", "inputs": ["FILMS"], "project": "../x"},
        {"verb": "ingest", "inputs": ["FILMS"], "options": {"out": "/tmp/x.h5"}},
        {"verb": "ingest", "inputs": ["FILMS"], "options": {"overwrite": True}},
        {"verb": "ingest", "inputs": ["FILMS"], "options": {"labels": "/etc/passwd"}},
        {"verb": "ingest", "inputs": ["FILMS"], "options": {"recipe": "/etc/passwd"}},
        {"verb": "ingest", "inputs": ["FILMS"], "options": {"recipe": "../../etc/passwd"}},
        {"verb": "ingest", "inputs": ["FILMS"], "options": {"cluster": "tls://elsewhere:8786"}},
        {"verb": "ingest", "inputs": ["FILMS"], "options": ["--overwrite"]},
        {"verb": "apply", "inputs": ["FILMS"], "options": ["by"]},
        {"verb": "export", "inputs": ["FILMS"], "options": "to"},
        {"verb": "train", "inputs": ["FILMS"], "options": 5, "recipe": "hospitals"},
        {"verb": ["ingest"], "inputs": ["FILMS"]},
        {"verb": "train", "inputs": ["FILMS"], "recipe": "\ud800"},
        {"verb": "tune", "inputs": ["FILMS"], "options": {"settings": ["a=b"]}},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_in_one_line(maker, films, asked):
    if "inputs" in asked:
        asked["inputs"] = [films if each == "FILMS" else each for each in asked["inputs"]]
    refusal(maker.job, asked)


@pytest.mark.parametrize(
    "options",
    [
        {"mlflow": "http://x"},
        {"weights": "/etc/passwd"},
        {"settings": ["backbone.weights=/etc/passwd"]},
        {"sign": "/root/key.pem"},
        {"progress": 1},
    ],
)
def test_a_training_reads_and_sends_nothing_outside(maker, films, options):
    assert refusal(maker.train, {"sources": [films], "options": options}) in {"option", "outside"}


def test_a_recipe_that_is_a_file_lies_below_the_root(maker, places, films):
    assert refusal(maker.train, {"sources": [films], "recipe": "/etc/recipe.toml"}) == "outside"
    own = str(places.root / "mine.toml")
    assert maker.train({"sources": [films], "recipe": own}).commands[1][-2:] == ["--recipe", own]


def test_no_name_becomes_a_flag_or_leaves_its_quotes(maker, places):
    odd = places.root / "--out;$(touch x) 'q'\n<b>"
    odd.mkdir()
    work = maker.job({"verb": "ingest", "inputs": [str(odd)]})
    assert work.commands[0][1] == str(odd)
    assert "\n" not in work.typed[0]
    assert work.makes[0].parent.name == "--out;$(touch x) 'q'--b-"
