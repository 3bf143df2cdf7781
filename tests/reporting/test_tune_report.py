import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.errors import RecipeError
from plainfilm.evidence.tuning.results import Searched
from plainfilm.model import recipes
from plainfilm.model.search_space import Space
from plainfilm.model.study import Importance
from plainfilm.model.trials import Tried
from plainfilm.reporting import tune, tune_page
from plainfilm.reporting.figures import tuning

SPACE = Space(backbones=("efficientnet_lite0", "mobilenet"), epochs=20)
NAMES = ("learning_rate", "optimizer", "width_1", "hidden_layers", "batch_size", "dropout_on_features", "loss")


def tried(number, score, *, state="done", name="", error=0.01):
    rng = np.random.default_rng(number)
    layers = int(rng.integers(1, 3))
    chosen = {
        "backbone": "mobilenet",
        "loss": "crossentropy",
        "optimizer": str(rng.choice(["adam", "sgd"])),
        "batch_size": 32,
        "class_weight": "none",
        "hidden_layers": layers,
        "dropout_on_features": 0.1,
        **{f"dropout_after_{layer}": 0.0 for layer in range(1, layers + 1)},
        **{f"width_{layer}": 64 for layer in range(1, layers + 1)},
        "activation": "relu",
        "learning_rate": float(10 ** rng.uniform(-5, -1)),
    }
    done = state == "done"
    return Tried(
        number=number, state=state, name=name, chosen=chosen, seconds=1.25, score=score, error=error if done else None,
        accuracy=0.9 if done else None, auroc=0.95 if done else None, kept=[7] if done else [], epochs=20 if done else 6,
    )  # fmt: skip


def searched(folder, trials, *, importances=(), store="films.h5", **changes):
    folder.mkdir(exist_ok=True)
    values = {
        "store": SimpleNamespace(path=Path(store), fingerprint="f00d"), "space": SPACE, "folds": 1, "asked": len(trials),
        "tried": trials, "importances": importances, "scored": 397, "interrupted": False, "folder": folder, "command": "plainfilm tune",
    }  # fmt: skip
    return Searched(**{**values, **changes})


TRIALS = (
    tried(1, 0.50, name="default"),
    tried(2, 0.25, name="paper-mobilenet"),
    tried(3, 0.6, state="stopped early"),
    tried(4, None, state="diverged"),
    tried(5, 0.20),
    tried(6, 0.205),
    *(tried(number, 0.22 + number / 100) for number in range(7, 20)),
)


def test_all_files_tell_of_the_same_trials(tmp_path):
    found = searched(tmp_path / "out", TRIALS, importances=[Importance("learning_rate", 1.0, 0.2)])
    results = tune.write(found)
    assert json.loads((found.folder / "tuning.json").read_text()) == results
    with (found.folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [each.state for each in TRIALS]
    assert rows[3]["log_loss"] == ""
    assert rows[4]["learning_rate"] == str(TRIALS[4].chosen["learning_rate"])
    assert results["best"]["trial"] == 5
    assert [row["recipe"] for row in results["starts"]] == ["default", "paper-mobilenet"]
    assert results["trials"] == {"asked": 19, "in_all": 19, "stopped_early": 1, "diverged": 1}
    assert results["within_one_standard_error"] == 1
    recipe = recipes.load(str(found.folder / "best.toml"))
    assert recipe.head == SPACE.recipe(TRIALS[4].chosen).head
    assert (recipe.name, recipe.training.epochs) == ("tuned", 20)


def test_the_page_shows_the_best_the_known_recipes_and_how_trials_ended(tmp_path):
    found = searched(tmp_path / "out", TRIALS)
    tune.write(found)
    page = (found.folder / "tuning.html").read_text()
    for said in ("0.2000", "0.5000", "0.2500", "best of 19 trials", "One other trial is", "19 trials: 17 ran to the end, 1 stopped early, 1 diverged.", "19 trials are too few"):  # fmt: skip
        assert said in page, said
    assert page.count("<tbody>") == 1
    assert page.count('<tr><th scope="row">') == tune_page.SHOWN + 1  # the default recipe is not among the ten best


def test_importance_is_drawn_with_the_settings_of_the_highest_shares(tmp_path):
    found = searched(tmp_path / "out", TRIALS, importances=[Importance(name, 0.3 / (n + 1), 0.1) for n, name in enumerate(NAMES)])  # fmt: skip
    tune.write(found)
    page = (found.folder / "tuning.html").read_text()
    assert "too few" not in page
    figures = sorted(path.stem for path in (found.folder / "figures").iterdir())
    assert figures == sorted(["course", "importance", *(f"by-{name.replace('_', '-')}" for name in NAMES[: tune_page.CLOSELY])])  # fmt: skip
    for name in NAMES[: tune_page.CLOSELY]:
        word = tune_page.word(name)
        assert f"<strong>{word[0].upper()}{word[1:]}</strong>" in page


def test_names_of_the_user_are_escaped(tmp_path):
    found = searched(tmp_path / "<b>out", TRIALS[:2], store="<i>films</i>\n.h5", command="tune <u>")
    tune.write(found)
    page = (found.folder / "tuning.html").read_text()
    assert not {"<b>out", "<i>films", "<u>"} & {part for part in ("<b>out", "<i>films", "<u>") if part in page}
    assert recipes.load(str(found.folder / "best.toml")).name == "tuned"


def test_a_search_that_was_stopped_says_how_many_are_left(tmp_path):
    found = searched(tmp_path / "out", TRIALS[:2], asked=100, interrupted=True)
    assert tune.write(found)["interrupted"] is True
    assert "98 of those asked for are left" in (found.folder / "tuning.html").read_text()


def test_without_a_trial_that_settled_one_line_says_so(tmp_path):
    found = searched(tmp_path / "out", [tried(1, None, state="diverged")])
    with pytest.raises(RecipeError, match="Expected a trial that settles; received 1"):
        tune.write(found)


@pytest.mark.parametrize(
    ("others", "said"), [([0.3], "No other trial is"), ([0.205, 0.23], "One other trial is"), ([0.2, 0.21], "2 other trials are")]
)  # fmt: skip
def test_how_sure_the_best_is_the_best_is_said_in_words(tmp_path, others, said):
    trials = [tried(1, 0.2, error=0.01), *(tried(number, score) for number, score in enumerate(others, 2))]
    assert searched(tmp_path, trials).alike_sentence.startswith(said)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 50), min_size=1, max_size=6))
def test_any_scores_can_be_drawn(scores):
    points = [tuning.Point(number, score, True, {"optimizer": "adam"}) for number, score in enumerate(scores, 1)]
    best = min(points, key=lambda point: point.score)
    assert tuning.course(points, best).svg.startswith("<svg")


@given(st.integers(-12, 2), st.sampled_from([1, 2, 5]))
def test_marks_of_an_axis_can_be_read_back(power, times):
    said = tuning.short(times * 10.0**power)
    superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    factor, ten, exponent = said.partition("10") if "⁻" in said else (said, "", "0")
    value = float(factor.rstrip("·") or 1) * (10.0 ** int(exponent.translate(superscripts)) if ten else 1)
    assert value == pytest.approx(times * 10.0**power)


def test_nothing_to_draw_is_no_drawing():
    point = tuning.Point(1, 0.2, True, {})
    assert tuning.importance([], [], []) is None
    assert tuning.by_setting([point], point, tuning.Slice("optimizer", ("adam",))) is None
