from pathlib import Path
from types import SimpleNamespace

import pytest

from plainfilm.errors import RecipeError
from plainfilm.evidence.tuning.summary import summarise
from plainfilm.model.search_space import SearchSpace
from plainfilm.results.search import ScoredRows, TrialResult

CHOSEN = {
    "loss": "crossentropy", "optimizer": "adam", "batch_size": 32, "class_weight": "none", "hidden_layers": 1,
    "dropout_on_features": 0.0, "dropout_after_1": 0.2, "width_1": 64, "activation": "relu", "learning_rate": 0.001,
}  # fmt: skip


def trial(number, log_loss, *, state="done", recipe="", error=0.01):
    return TrialResult(
        number=number, state=state, recipe=recipe, log_loss=log_loss, standard_error=error, accuracy=0.9, auroc=0.95,
        kept_epoch="7", epochs=20, seconds=1.25, chosen=CHOSEN,
    )  # fmt: skip


def summary(trials, folds=1):
    store = SimpleNamespace(path=Path("my films.h5"), fingerprint="f00d", kept_at=None)
    return summarise(
        trials, [], SearchSpace(backbones=("mobilenet",)), store=store, folder=Path("runs/out"), asked=9,
        scored=ScoredRows(radiographs=1397, folds=folds), interrupted=False,
    )  # fmt: skip


def test_the_best_of_those_that_ended_is_chosen_and_comes_with_its_settings():
    found = summary(
        [trial(1, 0.5, recipe="default"), trial(2, 0.1, state="stopped early"), trial(3, 0.3), trial(4, 0.3)]
    )
    best = found.result.best
    assert (best.number, best.log_loss) == (3, 0.3)
    assert best.settings["backbone.name"] == "mobilenet"
    assert best.settings["head.layers"] == ("dense 64", "dropout 0.2")
    assert found.recipe(best).head.layers == ("dense 64", "dropout 0.2")
    assert "Trial 3 of 4" in found.recipe(best).description
    assert [each.number for each in found.result.starts] == [1]
    assert (found.result.trials.asked, found.result.trials.in_all, found.result.trials.stopped_early) == (9, 4, 1)
    assert found.result.seconds == 5.0
    assert found.result.next_command == "plainfilm train 'my films.h5' --recipe runs/out/best.toml --out runs/out-best"


@pytest.mark.parametrize(
    ("others", "alike", "said"),
    [([0.3], 0, "No other trial is"), ([0.205, 0.23], 1, "One other trial is"), ([0.2, 0.21], 2, "2 other trials are")],
)
def test_how_sure_the_best_is_the_best_is_said_in_words(others, alike, said):
    found = summary([trial(1, 0.2), *(trial(number, score) for number, score in enumerate(others, 2))])
    assert found.result.within_one_standard_error == alike
    assert found.alike.startswith(said)
    assert found.result.worth == f"{found.worth} {found.alike}"


def test_a_trial_behind_by_the_error_of_the_difference_is_alike_and_no_further():
    """Errors of 0.03 and 0.04 make one of 0.05."""
    assert summary([trial(1, 0.2, error=0.03), trial(2, 0.2499, error=0.04)]).result.within_one_standard_error == 1
    assert summary([trial(1, 0.2, error=0.03), trial(2, 0.2501, error=0.04)]).result.within_one_standard_error == 0


@pytest.mark.parametrize(
    ("folds", "said"), [(1, "1,397 radiographs of the validation set"), (4, "1,397 radiographs in 4 folds")]
)
def test_what_trials_were_scored_on_is_said(folds, said):
    found = summary([trial(1, 0.2)], folds)
    assert found.scored_on == said
    assert said in found.worth


@pytest.mark.parametrize(
    ("trials", "said"), [(1, "The only trial diverged"), (12, "All 12 trials diverged (the loss was not finite).")]
)
def test_without_a_trial_that_settled_one_line_says_so(trials, said):
    with pytest.raises(RecipeError) as refused:
        summary([trial(number, None, state="diverged") for number in range(1, trials + 1)])
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
