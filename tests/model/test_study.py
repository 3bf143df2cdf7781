import math
import time

import optuna
import pytest

from plainfilm.errors import UsageError
from plainfilm.model import study
from plainfilm.model.search_space import SearchSpace
from plainfilm.model.trials import Diverged, Scored, StoppedEarly

SPACE = SearchSpace(backbones=("efficientnet_lite0", "mobilenet"), epochs=8, seed=3)
ABOUT = {"store": "f00d", "labels and split": "beef", "epochs": 8, "backbones": ["efficientnet_lite0", "mobilenet"]}


def loss(chosen):
    """Best at a rate of 1e-3; the optimizer counts a little, nothing else does."""
    return 0.1 + (math.log10(chosen["learning_rate"]) + 3) ** 2 + 0.05 * (chosen["optimizer"] == "sgd")


def score(_trial, chosen):
    return Scored(score=loss(chosen), error=0.01, accuracy=0.9, auroc=0.95, kept=(2,))


def by_epoch(trial, chosen):
    """As `score`, reported at each epoch."""
    for epoch in range(1, SPACE.epochs + 1):
        trial.report(loss(chosen) + 1 / epoch, epoch)
        if trial.should_prune():
            raise StoppedEarly
    return score(trial, chosen)


def opened(path, space=SPACE, **about):
    return study.open_study(path / "trials.db", space, {**ABOUT, **about})


def told(tried):
    """What must be the same in two searches: all but the time."""
    return [(each.number, each.state, each.recipe, dict(each.chosen), each.log_loss, each.epochs) for each in tried]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search of 60 trials in one go."""
    made = opened(tmp_path_factory.mktemp("whole"))
    made.run(by_epoch, trials=60)
    return made


@pytest.mark.slow
def test_a_search_that_was_killed_again_and_again_goes_on_as_if_it_had_not_been(tmp_path, whole):
    for stop in (1, 4, 13, 30, 60):
        again, seen = opened(tmp_path), []
        left = stop - len(again.results())

        def dies(trial, chosen, seen=seen, left=left):
            if len(seen) == left:
                raise KeyboardInterrupt
            seen.append(chosen)
            return by_epoch(trial, chosen)

        try:
            again.run(dies, trials=60)
        except KeyboardInterrupt:
            assert len(opened(tmp_path).results()) == stop
    assert told(opened(tmp_path).results()) == told(whole.results())


def test_the_recipes_come_first_and_run_to_their_end(whole):
    first = whole.results()[:2]
    assert [each.recipe for each in first] == ["hidden-layer", "paper-mobilenet"]
    assert [each.state for each in first] == ["done", "done"]
    assert [each.recipe for each in whole.results()[2:]] == [""] * 58


def test_the_search_finds_what_is_good_and_stops_what_is_not(whole):
    tried = whole.results()
    stopped = [each for each in tried if each.state == "stopped early"]
    assert 5 < len(stopped) < 55
    assert all(each.epochs < SPACE.epochs and each.log_loss is not None for each in stopped)
    assert all(each.number > study.RANDOM_TRIALS for each in stopped)
    assert study.best(tried).log_loss == min(each.log_loss for each in tried if each.state == "done")
    early, late = ([loss(each.chosen) for each in part] for part in (tried[2:12], tried[-20:]))
    assert sorted(late)[10] < sorted(early)[5]


def test_another_seed_tries_other_things(tmp_path, whole):
    other = opened(tmp_path, SearchSpace(backbones=SPACE.backbones, epochs=8, seed=4))
    other.run(score, trials=4)
    assert [each.chosen for each in other.results()[:2]] == [each.chosen for each in whole.results()[:2]]
    assert [each.chosen for each in other.results()[2:]] != [each.chosen for each in whole.results()[2:4]]


def test_a_trial_that_diverged_is_kept_without_a_score_and_never_the_best(tmp_path):
    def diverges(trial, chosen):
        if chosen["optimizer"] != "adam":
            raise Diverged
        return score(trial, chosen)

    made = opened(tmp_path)
    made.run(diverges, trials=12)
    gone = [each for each in made.results() if each.state == "diverged"]
    assert gone
    assert all(each.log_loss is None for each in gone)
    assert study.best(made.results()).state == "done"


def test_what_is_kept_of_a_trial_comes_back(tmp_path):
    found = Scored(score=0.25, error=0.02, accuracy=0.9, auroc=0.8, kept=(3, 12))
    opened(tmp_path).run(lambda *_: found, trials=1)
    [kept] = opened(tmp_path).results()
    assert (kept.log_loss, kept.standard_error, kept.accuracy, kept.auroc) == (0.25, 0.02, 0.9, 0.8)
    assert kept.kept_epoch == "3 12"
    assert kept.seconds >= 0


def test_after_its_time_a_search_begins_no_trial_but_the_first_of_all(tmp_path):
    past = time.monotonic() - 1
    for _ in range(2):
        made = opened(tmp_path)
        made.run(score, trials=9, until=past)
        assert len(made.results()) == 1


def test_trials_that_are_there_are_counted(tmp_path):
    opened(tmp_path).run(score, trials=4)
    seen = []
    opened(tmp_path).run(lambda trial, chosen: seen.append(chosen) or score(trial, chosen), trials=6)
    assert len(seen) == 2
    opened(tmp_path).run(lambda *_: pytest.fail("no trial was asked for"), trials=3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"store": "cafe"}, "another store"),
        ({"labels and split": "cafe"}, "other labels or another split"),
        ({"epochs": 20}, r"other epochs \(20 instead of 8\)"),
        ({"backbones": ["mobilenet"]}, r"other backbones \(mobilenet instead of efficientnet_lite0,mobilenet\)"),
    ],
)
def test_a_search_of_something_else_is_not_gone_on_with(tmp_path, changed, said):
    opened(tmp_path).run(score, trials=1)
    with pytest.raises(UsageError, match=said) as refused:
        opened(tmp_path, **changed)
    assert "\n" not in str(refused.value)
    assert len(opened(tmp_path).results()) == 1


def test_a_file_that_is_no_search_is_refused_in_one_line(tmp_path):
    (tmp_path / "trials.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(UsageError, match="Expected the trials of a search") as refused:
        opened(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a b", "50%20?#", "ü"])
def test_the_folder_may_be_called_anything(tmp_path, name):
    (tmp_path / name).mkdir()
    opened(tmp_path / name).run(score, trials=1)
    assert [path.name for path in (tmp_path / name).iterdir()] == ["trials.db"]


def test_what_mattered_is_found_and_nothing_else_passes_for_it(whole):
    found = {each.name: each for each in whole.importances()}
    first = next(iter(found.values()))
    assert first.name == "learning_rate"
    assert first.share > first.by_chance
    assert sum(each.share for each in found.values()) == pytest.approx(1)
    assert sum(each.share > each.by_chance for each in found.values()) <= len(found) / 3


def test_the_importance_of_a_setting_that_few_trials_have_is_measured_too(whole):
    assert {"width_1", "width_3", "activation"} <= {each.name for each in whole.importances()}


def test_too_few_trials_tell_nothing_of_importance(tmp_path):
    made = opened(tmp_path)
    made.run(score, trials=study.FEWEST_FOR_IMPORTANCE - 1)
    assert made.importances() == []


def test_optunas_own_settings_are_left_as_they_were(whole, capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    whole.run(score, trials=61)
    whole.importances()
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr().err == ""
