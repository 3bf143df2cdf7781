import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data import store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.evidence.evaluation.comparison import TrainingRun, agreement, compare, spread
from plainfilm.model import recipes
from plainfilm.model.classifier import Decision, Trained
from plainfilm.model.encoder import Features
from plainfilm.model.onnx import from_keras

N = 60


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_spread_is_mean_deviation_and_range(values):
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == (min(values), max(values))
    if len(values) == 1:
        assert found.sd is None
    else:
        assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_a_number_that_is_not_defined_is_left_out_of_the_spread():
    found = spread([0.5, float("nan"), 0.7])
    assert (found.mean, found.low, found.high) == (pytest.approx(0.6), 0.5, 0.7)
    assert found.values == (0.5, None, 0.7)
    nothing = spread([float("nan")])
    assert (nothing.mean, nothing.sd, nothing.low, nothing.high) == (None, None, None, None)


@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 99))
def test_agreement_is_the_share_of_rows_that_all_runs_answer_alike(runs, n, seed):
    answers = np.random.default_rng(seed).integers(0, 2, (runs, n))
    expected = np.mean([len(set(answers[:, row])) == 1 for row in range(n)])
    assert agreement(list(answers)) == pytest.approx(expected)


@pytest.fixture
def opened(tmp_path):
    columns = Columns(
        classes=("A", "B"),
        labels=np.arange(N) % 2,
        split=np.array(["train", "validation", "test"])[np.arange(N) % 3],
        patient=np.full(N, ""),
        source=np.array(["north", "south"])[np.arange(N) // 2 % 2],
        file=np.array([f"{i}.jpg" for i in range(N)]),
        sha256=np.full(N, ""),
        group=np.arange(N),
    )
    with store_writer.create(tmp_path / "s.h5", size=4, expected=N) as writer:
        writer.append(np.zeros((N, 4, 4), np.uint8))
        writer.finish(columns, attributes={"fit": "pad", "seed": 0})
    with Store(tmp_path / "s.h5") as made:
        yield made


def identity():
    """A head that hands its one feature on as the logit."""
    graph = from_keras.Graph()
    graph.node("Identity", ["features"], output="logits")
    return graph.model(
        [from_keras.float_output("features", 1)], [from_keras.float_output("logits", 1)]
    ).SerializeToString()


def run(folder, opened, name, seed, wrong):
    """A training run that answers right but for some of the rows."""
    logit = np.where(opened.labels == 1, 2.0, -2.0) + 0.01 * np.random.default_rng(seed).normal(size=N)
    logit[wrong] *= -1
    path = folder / f"{name}{seed}.npy"
    np.save(path, logit.astype(np.float32)[:, None])
    trained = Trained(
        recipe=recipes.load("default", {"name": name, "seed": seed}),
        encoder=None,
        features=Features(path, N, 1, 0.0, cached=True),
        fitted=None,
        head=identity(),
        decision=Decision(classes=("A", "B"), positive="B"),
    )
    return TrainingRun(trained, seconds=float(seed + 1))


def test_recipes_stand_side_by_side(tmp_path, opened):
    test = opened.rows("test")
    steady = [run(tmp_path, opened, "steady", seed, test[:2]) for seed in range(3)]
    shaky = [run(tmp_path, opened, "shaky", seed, test[seed * 4 : seed * 4 + 4]) for seed in range(3)]
    compared = compare(opened, [steady, shaky], openings=4)
    first, second = compared.result.recipes
    assert (first.recipe, second.recipe) == ("steady", "shaky")
    assert (first.accuracy.mean, first.accuracy.sd, first.accuracy.low, first.accuracy.high) == (0.9, 0.0, 0.9, 0.9)
    assert first.accuracy.values == (0.9, 0.9, 0.9)
    assert first.stability == 1
    assert second.accuracy.mean == pytest.approx(0.8)
    assert second.stability == pytest.approx(1 - 12 / 20)
    assert first.seconds == 2
    assert compared.result.test_openings == 4
    seeds = [(each.recipe, each.seed, each.seconds) for each in compared.seeds]
    assert seeds == [(name, seed, seed + 1.0) for name in ("steady", "shaky") for seed in range(3)]
    assert [each.test.accuracy.value for each in compared.seeds] == pytest.approx([0.9] * 3 + [0.8] * 3)
    assert [each.test.auroc.value for each in compared.seeds] == pytest.approx(first.auroc.values + second.auroc.values)
    assert [each.validation.accuracy.value for each in compared.seeds] == [1.0] * 6


def test_one_seed_has_no_spread_and_no_stability(tmp_path, opened):
    own = [run(tmp_path, opened, "steady", 0, opened.rows("test")[:1])]
    [row] = compare(opened, [own], openings=1).result.recipes
    assert row.accuracy.sd is None
    assert row.stability is None


def test_the_worth_is_that_of_the_most_doubtful_of_all_training_runs(tmp_path, opened):
    good = [run(tmp_path, opened, "good", 0, [])]
    bad = [run(tmp_path, opened, "bad", 1, opened.rows("test")[::2])]
    assert compare(opened, [good], openings=1).result.worth.level == "none"
    worth = compare(opened, [good, bad], openings=1).result.worth
    assert worth.level != "none"
    assert worth.sentence.startswith("bad with seed 1, accuracy 50.0 %: ")
