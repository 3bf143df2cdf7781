import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.errors import RecipeError
from plainfilm.model import recipes, search_space
from plainfilm.model.recipe_schema import parse_layers
from plainfilm.model.search_space import STARTS, SearchSpace, title

WIDE = SearchSpace(
    backbones=("efficientnet_lite0", "mobilenet", "resnet50"), input_sizes=(0, 160), views=3, epochs=7, seed=5
)
NARROW = SearchSpace(backbones=("efficientnet_lite0",))


class Drawn:
    """A trial that chooses what Hypothesis draws, and notes the names that it was asked for."""

    def __init__(self, data):
        self.data, self.names = data, []

    def suggest_categorical(self, name, choices):
        self.names.append(name)
        return self.data.draw(st.sampled_from(list(choices)), label=name)

    def suggest_int(self, name, low, high, **_scale):
        self.names.append(name)
        return self.data.draw(st.integers(low, high), label=name)

    def suggest_float(self, name, low, high, step=None, **_scale):
        self.names.append(name)
        if step:
            return self.data.draw(st.integers(0, round((high - low) / step)), label=name) * step + low
        return self.data.draw(st.floats(low, high), label=name)


@given(st.data())
def test_whatever_a_trial_chooses_is_a_recipe_and_can_be_read_back_from_it(data):
    trial = Drawn(data)
    chosen = WIDE.choose(trial)
    recipe = WIDE.recipe(chosen)
    assert list(chosen) == trial.names
    assert set(chosen) <= set(WIDE.names())
    assert (recipe.training.epochs, recipe.seed) == (7, 5)
    again = WIDE.choices_of(recipe)
    assert set(again) == set(chosen)
    for name, value in chosen.items():  # the rate is rounded to three digits
        assert again[name] == (pytest.approx(value, rel=6e-3, abs=1e-9) if isinstance(value, float) else value)


@given(st.data())
def test_a_head_has_its_dropouts_where_the_trial_put_them(data):
    chosen = NARROW.choose(Drawn(data))
    layers = parse_layers(NARROW.recipe(chosen).head.layers)
    assert [value for kind, value in layers if kind == "dense"] == [
        chosen[f"width_{number}"] for number in range(1, chosen["hidden_layers"] + 1)
    ]
    rates = [chosen["dropout_on_features"]]
    rates += [chosen[f"dropout_after_{number}"] for number in range(1, chosen["hidden_layers"] + 1)]
    assert [rate for kind, rate in layers if kind == "dropout"] == pytest.approx([rate for rate in rates if rate])


@given(st.data())
def test_what_stands_alone_is_not_a_choice(data):
    trial = Drawn(data)
    chosen = NARROW.choose(trial)
    assert not {"backbone", "input_size", "views"} & set(trial.names)
    recipe = NARROW.recipe(chosen)
    assert (recipe.backbone.name, recipe.backbone.input_size, recipe.augmentation.views) == ("efficientnet_lite0", 0, 0)


@given(st.data())
def test_a_head_without_hidden_layers_has_no_activation_and_no_widths(data):
    chosen = NARROW.choose(Drawn(data))
    has_layers = chosen["hidden_layers"] > 0
    assert ("activation" in chosen) == has_layers
    assert ("width_1" in chosen) == has_layers


def test_the_first_trials_have_the_heads_and_trainings_of_the_recipes_that_come_with_plainfilm():
    starts = dict(WIDE.starts())
    assert list(starts) == list(STARTS)
    for name, chosen in starts.items():
        own, made = recipes.load(name), WIDE.recipe(chosen)
        assert made.head == own.head
        assert made.backbone == own.backbone
        for setting in ("batch_size", "optimizer", "learning_rate", "loss", "class_weight"):
            assert getattr(made.training, setting) == getattr(own.training, setting)


def test_a_start_whose_backbone_is_not_searched_says_so():
    names = [name for name, _ in NARROW.starts()]
    assert names == ["default", "paper-mobilenet, on efficientnet_lite0"]
    paper = dict(NARROW.starts())[names[1]]
    assert NARROW.recipe(paper).head == recipes.load("paper-mobilenet").head
    assert NARROW.recipe(paper).backbone.name == "efficientnet_lite0"


@pytest.mark.parametrize("layers", ["dense 32, dense 32, dense 32, dense 32", "dropout 0.1, dropout 0.2"])
def test_a_head_that_no_choice_gives_is_refused(layers):
    with pytest.raises(RecipeError, match="at most 3 hidden Dense layers"):
        NARROW.choices_of(recipes.load("default", {"head.layers": layers}))


def test_every_backbone_is_encoded_at_every_size():
    found = SearchSpace(backbones=("a", "b"), input_sizes=(0, 96)).encodings()
    assert list(found) == [("a", 0), ("a", 96), ("b", 0), ("b", 96)]
    assert [(own.backbone.name, own.backbone.input_size) for own in found.values()] == list(found)


@given(st.data())
def test_what_is_encoded_is_what_the_recipe_of_a_trial_says(data):
    recipe = WIDE.recipe(WIDE.choose(Drawn(data)))
    assert recipe.backbone == WIDE.encodings()[recipe.backbone.name, recipe.backbone.input_size].backbone


def test_what_an_older_search_did_not_know_is_not_chosen_when_it_goes_on():
    recipe = recipes.load(
        "default", {"training.class_weight": "group-dro", "training.l2": 3, "head.layers": ["standardise"]}
    )
    older = dataclasses.replace(NARROW, form=2)
    for space, weight, l2, layers in ((NARROW, "group-dro", 3, ("standardise",)), (older, "balanced", 0, ())):
        made = space.recipe(space.choices_of(recipe))
        assert (made.training.class_weight, made.training.l2, made.head.layers) == (weight, l2, layers)
    assert not {"features", "l2"} & set(older.names())
    assert older.recipe(older.choices_of(recipe)).backbone.depth == 0


def test_every_choice_has_a_name_for_people():
    titles = [title(name) for name in WIDE.names()]
    assert len(set(titles)) == len(titles)
    assert not [each for each in titles if "_" in each]
    assert title("dropout_after_2") == "Dropout after layer 2"


@given(st.data())
def test_widths_come_from_a_few_so_that_shapes_recur_unless_an_older_search_goes_on(data):
    chosen = NARROW.choose(Drawn(data))
    widths = [value for name, value in chosen.items() if name.startswith("width_")]
    assert set(widths) <= set(search_space.WIDTHS)


def test_a_search_of_the_first_form_goes_on_with_any_width():
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study()
    fixed = {"hidden_layers": 1, "width_1": 137}
    study.enqueue_trial(fixed)
    older = dataclasses.replace(NARROW, form=1)
    assert older.choose(study.ask())["width_1"] == 137
    assert older.choose(study.ask())  # the same distributions again
