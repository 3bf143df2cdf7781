import dataclasses
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.errors import RecipeError
from plainfilm.model import recipes
from plainfilm.model.recipe_schema import (
    KEYS,
    BackboneSettings,
    EvaluationSettings,
    HeadSettings,
    Recipe,
    TrainingSettings,
    parse_layers,
    parse_threshold,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rates = st.floats(0, 0.999).map(lambda rate: f"dropout {rate}")
units = st.integers(1, 65_536).map(lambda count: f"dense {count}")
thresholds = st.one_of(
    st.sampled_from(["youden", "accuracy"]),
    st.floats(0, 1).map(str),
    st.tuples(st.sampled_from(["sensitivity", "specificity"]), st.floats(0, 1)).map(
        lambda pair: f"{pair[0]}:{pair[1]}"
    ),
)
made = st.builds(
    Recipe,
    name=text,
    description=text,
    seed=st.integers(0, 2**31 - 1),
    backbone=st.builds(
        BackboneSettings,
        name=text,
        weights=text,
        input_size=st.integers(0, 2048),
        scaling=st.sampled_from(["auto", "caffe"]),
        range=st.sampled_from(["", "-1024..1024", "0..1.5"]),
        mean=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=1).map(tuple) | st.just((0.5, 0.4, 0.3)),
        std=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=1).map(tuple) | st.just(()),
        channels=st.sampled_from([0, 1, 3]),
        output=text,
    ),
    head=st.builds(
        HeadSettings,
        layers=st.lists(st.one_of(rates, units), max_size=5).map(tuple),
        activation=st.sampled_from(["relu", "gelu", "tanh"]),
        output=st.sampled_from(["auto", "sigmoid", "softmax"]),
    ),
    training=st.builds(
        TrainingSettings,
        epochs=st.integers(1, 10_000),
        batch_size=st.integers(1, 65_536),
        optimizer=st.sampled_from(["adam", "adamw", "sgd", "rmsprop", "nadam"]),
        learning_rate=st.floats(1e-8, 10),
        loss=st.sampled_from(["crossentropy", "mean_squared_error"]),
        class_weight=st.sampled_from(["balanced", "none"]),
        keep=st.sampled_from(["best", "last"]),
        patience=st.integers(0, 10_000),
    ),
    evaluation=st.builds(EvaluationSettings, threshold=thresholds, calibrate=st.booleans()),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("recipe") / "own.toml"


def written(folder, content):
    path = folder / "own.toml"
    path.write_text(content, encoding="utf-8")
    return str(path)


def refused(settings, *, name="default"):
    with pytest.raises(RecipeError) as caught:
        recipes.load(name, settings)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert caught.value.exit_code == 2
    return sentence


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_that_comes_along_loads_and_says_what_it_is(name):
    recipe = recipes.load(name)
    assert recipe.name == name
    assert recipe.description
    assert parse_layers(recipe.head.layers)


def test_the_recipes_that_come_along():
    assert recipes.names() == ["darkcovidnet", "default", "hidden-layer", "paper-mobilenet", "paper-resnet50", "robust"]


def test_the_default_recipe_uses_the_weights_that_are_installed():
    from plainfilm.model import backbones

    assert recipes.load().backbone.name == backbones.DEFAULT


def test_hidden_layer_has_the_value_of_every_key_that_a_recipe_does_not_set():
    recipe = recipes.load("hidden-layer")
    assert recipe == dataclasses.replace(Recipe(), name=recipe.name, description=recipe.description)


@pytest.mark.parametrize("name", ["default", "robust"])
def test_what_is_to_travel_penalises_weights_and_weighs_sources(name):
    recipe = recipes.load(name)
    assert recipe.backbone.depth
    assert recipe.training.l2
    assert recipe.training.class_weight == "group-dro"


def test_another_backbone_is_used_whole_unless_a_depth_is_set():
    def depth(**settings):
        return recipes.load("robust", {f"backbone.{key}": value for key, value in settings.items()}).backbone.depth

    own = recipes.load("robust").backbone
    assert depth(name=own.name) == own.depth
    assert depth(name="resnet50") == 0
    assert depth(name="resnet50", depth=4) == depth(depth=4, name="resnet50") == 4
    assert depth(depth=4) == 4
    joined = recipes.load(
        "robust", {"ensemble.members": ["seed=1", "backbone.name=resnet50", "backbone.depth=4; backbone.name=resnet50"]}
    )
    assert [each.backbone.depth for each in recipes.members(joined)] == [own.depth, 0, 4]


def dense_and_dropout(recipe):
    kinds = [kind for kind, _ in parse_layers(recipe.head.layers)]
    return kinds.count("dense") + 1, kinds.count("dropout")  # the output is a Dense layer too


def test_paper_mobilenet_is_the_papers():
    recipe = recipes.load("paper-mobilenet")
    assert recipe.backbone == BackboneSettings(name="mobilenet")
    assert dense_and_dropout(recipe) == (3, 2)
    assert recipe.training == TrainingSettings(
        epochs=20,
        batch_size=32,
        optimizer="adam",
        learning_rate=1e-3,
        loss="crossentropy",
        class_weight="none",
        keep="last",
    )
    assert recipe.evaluation == EvaluationSettings(threshold="0.5", calibrate=False)


def test_paper_resnet50_is_the_papers():
    recipe = recipes.load("paper-resnet50")
    assert recipe.backbone == BackboneSettings(name="resnet50")
    assert dense_and_dropout(recipe) == (3, 3)
    assert recipe.training == TrainingSettings(
        epochs=20,
        batch_size=32,
        optimizer="adam",
        learning_rate=1e-3,
        loss="mean_squared_error",
        class_weight="none",
        keep="last",
    )


@given(recipe=made)
def test_what_is_written_as_toml_is_read_back_the_same(recipe, file):
    file.write_text(recipe.to_toml(), encoding="utf-8")
    assert recipes.load(str(file)) == recipe


def test_toml_holds_every_value_resolved():
    values = tomllib.loads(recipes.load("paper-mobilenet").to_toml())
    assert set(values) == {field.name for field in dataclasses.fields(Recipe)}
    assert set(values["training"]) == {field.name for field in dataclasses.fields(TrainingSettings)}
    assert values["training"]["patience"] == 0


def test_every_value_of_a_recipe_has_a_key_with_its_type_default_and_a_meaning():
    values = dataclasses.asdict(Recipe())
    flat = {name: value for name, value in values.items() if not isinstance(value, dict)}
    for section, content in values.items():
        if isinstance(content, dict):
            flat |= {f"{section}.{name}": value for name, value in content.items()}
    assert {key.key: key.default for key in KEYS.values()} == flat
    for name, key in KEYS.items():
        assert isinstance(key.default, getattr(key.kind, "__origin__", key.kind))
        assert (key.low is None) == (key.high is None) == (key.kind not in {int, float})
        assert key.meaning[-1] == "."
        assert recipes.checked(name, key.default) == key.default  # a default lies in its own range


@pytest.mark.parametrize("key", [key for key in KEYS.values() if key.low is not None], ids=lambda key: key.key)
def test_both_ends_of_a_range_are_allowed_and_nothing_beyond(key):
    low, high = (recipes.checked(key.key, key.kind(end)) for end in (key.low, key.high))
    assert (low, high) == (key.low, key.high)
    for beyond in (low - (high - low) / 2, high * 2):
        assert f"from {key.allowed}; received" in refused({key.key: key.kind(beyond - (key.kind is int))})


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("backbone.mean", (0.1, 0.2), "one number, or one for each channel"),
        ("backbone.mean", (float("nan"),), "one number"),
        ("backbone.mean", "dark", "a list of numbers"),
        ("backbone.mean", (True,), "a list of numbers"),
        ("backbone.std", (0.0,), "above 0"),
        ("backbone.std", (1.0, -1.0, 1.0), "above 0"),
        ("backbone.range", "0", "LOWEST..HIGHEST"),
        ("backbone.range", "1..0", "LOWEST..HIGHEST"),
        ("backbone.range", "0..inf", "LOWEST..HIGHEST"),
        ("backbone.channels", 2, "1 or 3"),
    ],
)
def test_a_preparation_that_no_network_has_is_refused(key, value, told):
    assert told in refused({key: value})


@pytest.mark.parametrize("written", ["0.5", "0.5, 0.4,0.3", "[0.5, 0.4, 0.3]", 0.5, [0.5, 0.4, 0.3]])
def test_a_list_of_numbers_may_be_written_as_one(written):
    assert recipes.load(settings={"backbone.mean": written}).backbone.mean in {(0.5,), (0.5, 0.4, 0.3)}


def test_scalings_are_those_of_the_backbones():
    from plainfilm.model.backbones import SCALINGS

    assert KEYS["backbone.scaling"].choices == ("auto", *SCALINGS)


@pytest.mark.parametrize(
    ("key", "allowed", "default"),
    [
        ("seed", "0 to 2,147,483,647", "0"),
        ("training.learning_rate", "1e-8 to 10", "0.001"),
        ("augmentation.rotation", "0 to 45", "5"),
        ("backbone.crop", "none or lungs", "none"),
        ("training.optimizer", "adam, adamw, sgd, rmsprop or nadam", "adam"),
        ("finetuning.blocks", "none, all or a number of blocks", "none"),
        ("evaluation.calibrate", "", "true"),
        ("backbone.weights", "", ""),
        ("ensemble.members", "", ""),
        ("head.layers", '"dense UNITS" and "dropout RATE" (0 ≤ RATE < 1), "standardise" as the first at most',
         '["dropout 0.2", "dense 64", "dropout 0.2"]'),
    ],
)  # fmt: skip
def test_what_is_allowed_and_the_default_are_shown_as_people_write_them(key, allowed, default):
    assert (KEYS[key].allowed, KEYS[key].shown_default) == (allowed, default)


def test_a_file_without_a_name_is_named_after_itself(tmp_path):
    recipe = recipes.load(written(tmp_path, "[training]\nepochs = 7\n"))
    assert (recipe.name, recipe.training.epochs, recipe.training.batch_size) == ("own", 7, 32)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", "12", 12),
        ("training.epochs", "0x10", 16),
        ("training.learning_rate", "1e-4", 1e-4),
        ("training.learning_rate", "1", 1.0),
        ("evaluation.calibrate", "false", False),
        ("evaluation.threshold", "sensitivity:0.95", "sensitivity:0.95"),
        ("evaluation.threshold", 0.3, "0.3"),
        ("backbone.name", "mobilenet", "mobilenet"),
        ("head.layers", '["dense 8", "dropout 0.1"]', ("dense 8", "dropout 0.1")),
        ("head.layers", "dense 8, dropout 0.1", ("dense 8", "dropout 0.1")),
        ("head.layers", "dense 8", ("dense 8",)),
        ("head.layers", "[]", ()),
        ("name", "tried", "tried"),
    ],
)
def test_a_setting_is_read_as_toml_or_as_text(key, value, expected):
    section, _, last = key.rpartition(".")
    recipe = recipes.load("default", {key: value})
    found = getattr(getattr(recipe, section) if section else recipe, last)
    assert found == expected
    assert type(found) is type(expected)


def test_settings_win_over_the_file_and_leave_the_rest(tmp_path):
    path = written(tmp_path, "seed = 3\n[training]\nepochs = 7\nbatch_size = 8\n")
    recipe = recipes.load(path, {"training.epochs": "2"})
    assert (recipe.seed, recipe.training.epochs, recipe.training.batch_size) == (3, 2, 8)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("training.epoch", "training.epochs"),
        ("training.learning-rate", "training.learning_rate"),
        ("sead", "seed"),
        ("head.layer", "head.layers"),
        ("trainig.epochs", "training"),
        ("backbone.nme", "backbone.name"),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(key, meant):
    assert f"received {key.split('.')[0]}" in refused({key: "1"})
    assert f"Did you mean {meant}?" in refused({key: "1"})


def test_an_unknown_key_in_a_file_is_answered_too(tmp_path):
    path = written(tmp_path, "[training]\nepoch = 7\n")
    assert "Did you mean training.epochs?" in refused({}, name=path)


@pytest.mark.parametrize("key", ["", ".", "a.b.c", "name.x", "training.epochs.x", "name.", "😀", "zzz"])
def test_a_key_that_is_like_none_lists_those_there_are(key):
    assert "Known: name, description, seed" in refused({key: 3}) or "Did you mean" in refused({key: 3})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.epochs", "-1", "from 0 to 10,000; received -1"),
        ("training.epochs", 10_001, "received 10,001"),
        ("training.batch_size", 0, "from 1"),
        ("training.learning_rate", "0", "received 0"),
        ("training.learning_rate", "-1e-3", "received -0.001"),
        ("training.learning_rate", "nan", "received nan"),
        ("training.learning_rate", "inf", "received inf"),
        ("seed", -1, "from 0"),
        ("seed", 2**31, "from 0 to 2,147,483,647"),
        ("backbone.input_size", 4096, "from 0 to 2,048"),
        ("training.patience", -1, "from 0"),
    ],
)
def test_a_number_out_of_range_is_answered_with_the_range(key, value, expected):
    assert expected in refused({key: value})
    assert key in refused({key: value})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.epochs", "five", "a whole number; received 'five'"),
        ("training.epochs", 2.5, "a whole number"),
        ("training.epochs", "2.0", "a whole number"),
        ("training.epochs", True, "a whole number"),
        ("training.epochs", "", "a whole number"),
        ("training.epochs", [3], "a whole number"),
        ("training.epochs", "2024-01-01", "a whole number"),
        ("training.epochs", "[" * 3000, "a whole number"),
        ("training.epochs", "1" * 5000, "a whole number"),
        ("training.learning_rate", "fast", "a number"),
        ("training.learning_rate", False, "a number"),
        ("evaluation.calibrate", "yes", "true or false"),
        ("evaluation.calibrate", 1, "true or false"),
        ("head.layers", 64, "a list of texts"),
        ("head.layers", "[64, 32]", "a list of texts"),
        ("backbone.name", ["mobilenet"], "a text"),
        ("name", True, "a text"),
        ("training", 3, "a table"),
        ("training", None, "a table"),
    ],
)
def test_a_value_of_another_type_is_answered_with_the_type(key, value, expected):
    sentence = refused({key: value})
    assert expected in sentence
    assert sentence.startswith(f"Expected {key} to be ")


@pytest.mark.parametrize(
    ("key", "value", "choice"),
    [
        ("training.optimizer", "adams", "rmsprop"),
        ("training.loss", "hinge", "mean_squared_error"),
        ("training.keep", "first", "best"),
        ("training.class_weight", "", "balanced"),
        ("head.activation", "swish", "silu"),
        ("head.output", "linear", "softmax"),
    ],
)
def test_a_word_that_is_no_choice_is_answered_with_the_choices(key, value, choice):
    assert choice in refused({key: value})


@pytest.mark.parametrize("content", ["{", "a = ", "a = 1\na = 2\n", "x = " + "[" * 3000, "seed = " + "1" * 5000])
def test_a_file_that_is_no_toml_is_named(content, tmp_path):
    path = written(tmp_path, content)
    assert f"received {path}, which is none" in refused({}, name=path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00seed")
    assert "which is none" in refused({}, name=str(path))


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    assert "No such file" in refused({}, name=str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    assert "Give the path of a TOML file" in refused({}, name=str(tmp_path / "folder.toml"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("training = 5\n", "a table"),
        ("[training.epochs]\nx = 1\n", "a whole number"),
        ("[[training]]\nepochs = 1\n", "a table"),
        ("[seed]\n", "a whole number"),
        ("[head]\nlayers = [['dense 3']]\n", "a list of texts"),
    ],
)
def test_nested_nonsense_is_answered(content, expected, tmp_path):
    assert expected in refused({}, name=written(tmp_path, content))


def test_a_setting_inside_of_what_is_no_table_in_the_file_is_answered(tmp_path):
    assert "Expected" in refused({"training.epochs": 3}, name=written(tmp_path, "training = 5\n"))


@pytest.mark.parametrize(("name", "meant"), [("paper-mobilnet", "paper-mobilenet"), ("defalt", "default")])
def test_an_unknown_recipe_is_answered_with_the_one_that_was_meant(name, meant):
    assert f"Did you mean {meant}?" in refused({}, name=name)


@pytest.mark.parametrize("name", ["", "zzzz", "../recipes/default", "default.yaml", "Default/"])
def test_an_unknown_recipe_lists_those_there_are(name):
    assert "paper-mobilenet, paper-resnet50" in refused({}, name=name)


@given(st.lists(st.one_of(rates, units), max_size=6).map(tuple))
def test_layers_are_read_in_order(layers):
    parsed = parse_layers(layers)
    assert [(kind, value) for kind, value in parsed] == [(each.split()[0], float(each.split()[1])) for each in layers]


@given(st.text(max_size=12))
def test_whatever_is_no_layer_is_refused_in_a_line(layer):
    try:
        [(kind, value)] = parse_layers((layer,))
    except RecipeError:
        assert "dropout RATE" in refused({"head.layers": (layer,)})
    else:
        assert kind in {"dense", "dropout"}
        assert (value == int(value) >= 1) if kind == "dense" else 0 <= value < 1


@pytest.mark.parametrize(
    "layer",
    ["dense", "dense 0", "dense -3", "dense 1.5", "dense inf", "dense nan", "dense 1e9", "dropout 1", "dropout -0.1", "dropout nan", "conv 3", "Dense 3", "dense 3 4", ""],
)  # fmt: skip
def test_a_layer_that_cannot_be_meant_is_refused(layer):
    assert repr(layer) in refused({"head.layers": ("dense 4", layer)})


@given(thresholds)
def test_a_threshold_rule_is_read(rule):
    kind, value = parse_threshold(rule)
    if rule in {"youden", "accuracy"}:
        assert kind == rule
        assert value != value  # noqa: PLR0124 - NaN
    elif ":" in rule:
        assert (kind, value) == (rule.split(":")[0], float(rule.split(":")[1]))
    else:
        assert (kind, value) == ("fixed", float(rule))


@given(st.text(max_size=20))
def test_whatever_is_no_threshold_rule_is_refused_in_a_line(rule):
    try:
        kind, value = parse_threshold(rule)
    except RecipeError:
        assert "evaluation.threshold" in refused({"evaluation.threshold": rule})
    else:
        assert kind in {"fixed", "youden", "accuracy", "sensitivity", "specificity"}
        assert kind in {"youden", "accuracy"} or 0 <= value <= 1


@pytest.mark.parametrize(
    "rule", ["", "1.5", "-0.1", "nan", "inf", "sensitivity", "sensitivity:", "sensitivity:2", "specificity:x", "f1:0.9", "youden:0.5", ":0.5", "0.5:0.5"]
)  # fmt: skip
def test_a_threshold_rule_that_cannot_be_meant_is_refused(rule):
    assert "evaluation.threshold" in refused({"evaluation.threshold": rule})
