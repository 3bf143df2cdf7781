import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data import store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.model import recipes
from plainfilm.model.classifier import Decision, Trained
from plainfilm.model.encoder import Features
from plainfilm.model.onnx import from_keras
from plainfilm.reporting import compare
from plainfilm.reporting.compare import Attempt

N = 60


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_spread_is_mean_deviation_and_range(values):
    found = compare.spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == (min(values), max(values))
    if len(values) == 1:
        assert found.sd is None
    else:
        assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_a_number_that_is_not_defined_is_left_out_of_the_spread():
    found = compare.spread([0.5, float("nan"), 0.7])
    assert (found.mean, found.low, found.high) == (pytest.approx(0.6), 0.5, 0.7)
    nothing = compare.spread([float("nan")])
    assert (nothing.mean, nothing.sd, nothing.low, nothing.high) == (None, None, None, None)


@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 99))
def test_agreement_is_the_share_of_rows_that_all_answer_alike(trainings, n, seed):
    answers = np.random.default_rng(seed).integers(0, 2, (trainings, n))
    expected = np.mean([len(set(answers[:, row])) == 1 for row in range(n)])
    assert compare.agreement(list(answers)) == pytest.approx(expected)


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
        writer.finish(columns, keep=np.ones(N, bool), attributes={"fit": "pad", "seed": 0})
    with Store(tmp_path / "s.h5") as made:
        yield made


def identity():
    """A head that hands its one feature on as the logit."""
    graph = from_keras.Graph()
    graph.node("Identity", ["features"], output="logits")
    return graph.model(
        [from_keras.float_output("features", 1)], [from_keras.float_output("logits", 1)]
    ).SerializeToString()


def attempt(folder, opened, name, seed, wrong):
    """A training that answers right but for some of the rows."""
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
    return Attempt(trained, seconds=float(seed + 1))


def test_recipes_stand_side_by_side_in_json_csv_and_on_a_page(tmp_path, opened):
    test = opened.rows("test")
    steady = [attempt(tmp_path, opened, "steady", seed, test[:2]) for seed in range(3)]
    shaky = [attempt(tmp_path, opened, "shaky", seed, test[seed * 4 : seed * 4 + 4]) for seed in range(3)]
    folder = tmp_path / "out"
    folder.mkdir()
    results = compare.write(folder, opened, [steady, shaky], name="out", command="plainfilm compare …", openings=4)

    assert json.loads((folder / "comparison.json").read_text()) == results
    first, second = results["recipes"]
    assert (first["recipe"], second["recipe"]) == ("steady", "shaky")
    assert first["accuracy"] == {"mean": 0.9, "sd": 0.0, "low": 0.9, "high": 0.9, "values": [0.9] * 3}
    assert first["stability"] == 1
    assert second["accuracy"]["mean"] == pytest.approx(0.8)
    assert second["stability"] == pytest.approx(1 - 12 / 20)
    assert first["seconds"] == 2
    assert results["test_openings"] == 4
    assert set(results["worth"]) == {"level", "sentence"}

    with (folder / "comparison.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["recipe"], row["seed"]) for row in table] == [
        (name, str(seed)) for name in ("steady", "shaky") for seed in range(3)
    ]
    assert [float(row["accuracy"]) for row in table] == pytest.approx([0.9] * 3 + [0.8] * 3)
    assert [float(row["auroc"]) for row in table] == pytest.approx(first["auroc"]["values"] + second["auroc"]["values"])

    page = (folder / "comparison.html").read_text()
    for expected in ("steady", "shaky", "90.0", "80.0", compare.STABILITY, results["worth"]["sentence"]):
        assert expected in page


def test_one_seed_has_no_spread_and_no_stability(tmp_path, opened):
    folder = tmp_path / "out"
    folder.mkdir()
    own = [attempt(tmp_path, opened, "steady", 0, opened.rows("test")[:1])]
    [row] = compare.write(folder, opened, [own], name="out", command="", openings=1)["recipes"]
    assert row["accuracy"]["sd"] is None
    assert row["stability"] is None


def test_the_loudest_verdict_of_all_trainings_is_shown(tmp_path, opened):
    folder = tmp_path / "out"
    folder.mkdir()
    good = [attempt(tmp_path, opened, "good", 0, [])]
    bad = [attempt(tmp_path, opened, "bad", 1, opened.rows("test")[::2])]
    assert compare.write(folder, opened, [good], name="out", command="", openings=1)["worth"]["level"] == "none"
    assert compare.write(folder, opened, [good, bad], name="out", command="", openings=1)["worth"]["level"] != "none"
