import csv
import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.evidence.tuning.summary import summarise
from plainfilm.model import recipes
from plainfilm.model.search_space import SearchSpace, title
from plainfilm.reporting import tune, tune_page
from plainfilm.reporting.figures import tuning
from plainfilm.results import documents
from plainfilm.results.comparison import LeftOutChoice, SourceChoice
from plainfilm.results.search import Importance, ScoredRows, Search, TrialResult

SPACE = SearchSpace(backbones=("efficientnet_lite0", "mobilenet"), epochs=20)
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
    return TrialResult(
        number=number, state=state, recipe=name, chosen=chosen, seconds=1.25, log_loss=score,
        standard_error=error if done else None, accuracy=0.9 if done else None, auroc=0.95 if done else None,
        kept_epoch="7" if done else "", epochs=20 if done else 6,
    )  # fmt: skip


def importance(name, share, by_chance):
    return Importance(title=title(name), name=name, share=share, by_chance=by_chance)


def summary(trials, *, importances=(), store="films.h5", asked=None, interrupted=False, choice=None, sources=()):
    opened = SimpleNamespace(path=Path(store), fingerprint="f00d", kept_at=None)
    return summarise(
        trials, importances, SPACE, store=opened, folder=Path("out"), asked=asked or len(trials),
        scored=ScoredRows(radiographs=397, folds=len(sources) or 1, sources=sources), interrupted=interrupted,
        choice=choice,
    )  # fmt: skip


def written(folder, found, command="plainfilm tune"):
    """What is in the folder, page and JSON."""
    folder.mkdir(exist_ok=True)
    tune.write(folder, found, command=command)
    return (folder / "tuning.html").read_text(), json.loads((folder / "tuning.json").read_text())


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
    found = summary(TRIALS, importances=[importance("learning_rate", 1.0, 0.2)])
    _, results = written(tmp_path / "out", found)
    assert results == documents.plain(found.result)
    assert documents.decode((tmp_path / "out" / "tuning.json").read_bytes(), Search, "tuning.json") == found.result
    with (tmp_path / "out" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [each.state for each in TRIALS]
    assert list(rows[0])[:10] == [
        *("trial", "state", "recipe", "log_loss", "standard_error", "accuracy", "auroc", "kept_epoch", "epochs", "seconds")
    ]  # fmt: skip
    assert rows[3]["log_loss"] == ""
    assert rows[4]["learning_rate"] == str(TRIALS[4].chosen["learning_rate"])
    assert results["best"]["trial"] == 5
    assert [row["recipe"] for row in results["starts"]] == ["default", "paper-mobilenet"]
    assert results["trials"] == {"asked": 19, "in_all": 19, "stopped_early": 1, "diverged": 1}
    assert results["within_one_standard_error"] == 1
    recipe = recipes.load(str(tmp_path / "out" / "best.toml"))
    assert recipe.head == SPACE.recipe(TRIALS[4].chosen).head
    assert recipe.training == recipes.load("default", results["best"]["settings"]).training
    assert (recipe.name, recipe.training.epochs) == ("tuned", 20)


def test_the_page_shows_the_best_the_known_recipes_and_how_trials_ended(tmp_path):
    page, _ = written(tmp_path, summary(TRIALS))
    for said in ("0.2000", "0.5000", "0.2500", "best of 19 trials", "One other trial is", "19 trials: 17 ran to the end, 1 stopped early, 1 diverged.", "19 trials are too few"):  # fmt: skip
        assert said in page, said
    assert page.count("<tbody>") == 1
    assert page.count('<tr><th scope="row">') == tune_page.SHOWN + 1  # the default recipe is not among the ten best


def test_importance_is_drawn_with_the_settings_of_the_highest_shares(tmp_path):
    found = summary(TRIALS, importances=[importance(name, 0.3 / (n + 1), 0.1) for n, name in enumerate(NAMES)])
    page, _ = written(tmp_path, found)
    assert "too few" not in page
    figures = sorted(path.stem for path in (tmp_path / "figures").iterdir())
    assert figures == sorted(["course", "importance", *(f"by-{name.replace('_', '-')}" for name in NAMES[: tune_page.CLOSELY])])  # fmt: skip
    for name in NAMES[: tune_page.CLOSELY]:
        word = title(name)
        assert f"<strong>{word[0].upper()}{word[1:]}</strong>" in page


def test_at_sources_left_out_the_headline_is_the_choice_that_had_no_part_in_it(tmp_path):
    areas = {"north": 0.8125, "<b>": 0.9375}
    trials = [msgspec.structs.replace(each, sources=areas) for each in TRIALS]
    choice = LeftOutChoice(
        rank="worst", recipe="5", worst=0.625, mean=0.75, sentence="It may be 0.62.",
        sources={name: SourceChoice(recipe="7", auroc=area - 0.1875) for name, area in areas.items()},
    )  # fmt: skip
    page, results = written(tmp_path, summary(trials, choice=choice, sources=tuple(areas)))
    assert results["choice"] == documents.plain(choice)
    for said in ("chosen without it", "0.625", "0.750", "It may be 0.62.", "Log loss at the worst source left out", "397 radiographs of 2 sources left out in turn", "&lt;b&gt;"):  # fmt: skip
        assert said in page, said
    assert "Validation log loss" not in page
    assert "<bdi><b></bdi>" not in page
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["auroc north"], row["auroc <b>"]) for row in rows} == {("0.8125", "0.9375")}
    alone = LeftOutChoice(rank="mean", recipe="5", sentence="It flatters.")
    page, _ = written(tmp_path, summary(trials, choice=alone, sources=tuple(areas)))
    assert "AUROC at sources left out, on average" in page
    assert "chosen without it" not in page
    assert "It flatters." in page


def test_names_of_the_user_are_escaped(tmp_path):
    page, _ = written(tmp_path / "<b>out", summary(TRIALS[:2], store="<i>films</i>\n.h5"), command="tune <u>")
    assert not [part for part in ("<b>out", "<i>films", "<u>") if part in page]
    assert recipes.load(str(tmp_path / "<b>out" / "best.toml")).name == "tuned"


def test_a_search_that_was_stopped_says_how_many_are_left(tmp_path):
    page, results = written(tmp_path, summary(TRIALS[:2], asked=100, interrupted=True))
    assert results["interrupted"] is True
    assert "98 of those asked for are left" in page


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
    assert tuning.importance([]) is None
    assert tuning.by_setting([point], point, tuning.Slice("optimizer", ("adam",))) is None


@given(st.floats(1e-6, 10), st.floats(1.44, 1e6))
def test_an_axis_of_scores_has_two_marks_or_more(low, times):
    marks = tuning.score_marks(low, low * times)
    assert 2 <= len(marks) <= 12
    assert all(low <= mark <= low * times for mark in marks)
    assert len(set(map(tuning.short, marks))) == len(marks)
