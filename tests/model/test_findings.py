"""Heads of several findings: a sigmoid each, a loss that leaves out what is not known, and what decides on each."""

import json

import numpy as np
import pytest

from made_backbone import SIZE, TINY, pictures, weights_file
from plainfilm.model import (
    encoder,
    finetuning,
    group_dro,
    heads,
    keras_backend,
    manifest,
    passes,
    recipes,
    training,
)
from plainfilm.model.bundle_zip import Damaged
from plainfilm.model.classifier import Decision
from plainfilm.model.training import Part
from plainfilm.results import documents

pytestmark = pytest.mark.trains
LINEAR = {
    "head.layers": "standardise",
    "training.epochs": 150,
    "training.batch_size": 512,
    "training.l2": 0.1,
    "training.learning_rate": 0.05,
}


def part(states, features, strata=None):
    return Part(np.arange(len(states)), states, features.__getitem__, strata=strata)


def made(rows=300, seed=0, unknown=0.3):
    """Features (n, 6), and three findings that the first three tell, some of them not known."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 6)).astype(np.float32)
    states = (features[:, :3] + rng.normal(0, 0.5, (rows, 3)) > [0, 0.8, 1.5]).astype(np.int8)
    states[rng.random(states.shape) < unknown] = -1
    return states, features


def test_targets_weigh_each_finding_alike_and_what_is_not_known_nothing():
    states, features = made()
    wanted = training.finding_targets(part(states, features), "balanced")
    truth, weights = np.split(wanted, 2, axis=1)
    assert ((weights > 0) == (states >= 0)).all()
    assert (truth == (states == 1)).all()
    assert weights.sum(axis=0) == pytest.approx(len(states), rel=1e-5)
    for own, weight in zip(states.T, weights.T, strict=True):
        assert weight[own == 1].sum() == pytest.approx(weight[own == 0].sum(), rel=1e-5)
    plain = training.finding_targets(part(states, features), "none")[:, 3:]
    assert len(np.unique(plain[states[:, 0] >= 0, 0])) == 1
    strata = np.arange(len(states)) % 2
    by_source = training.finding_targets(part(states, features, strata), "by source")[:, 3:]
    for own, weight in zip(states.T, by_source.T, strict=True):
        cells = [weight[(own == label) & (strata == source)].sum() for label in (0, 1) for source in (0, 1)]
        assert cells == pytest.approx([cells[0]] * 4, rel=1e-5)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error"])
def test_the_loss_of_every_backend_is_the_weighed_mean_over_findings(loss):
    states, features = made(40)
    wanted, rng = training.finding_targets(part(states, features), "balanced"), np.random.default_rng(1)
    logits = rng.normal(size=states.shape).astype(np.float32)
    chance = 1 / (1 + np.exp(-logits.astype(np.float64)))
    truth, weights = np.split(wanted.astype(np.float64), 2, axis=1)
    each = (chance - truth) ** 2 if loss == "mean_squared_error" else -np.log(np.where(truth == 1, chance, 1 - chance))
    found, right = passes._judged(logits, wanted, loss, np)
    assert found == pytest.approx((each * weights).mean(axis=1), rel=1e-4)
    known = states >= 0
    share = (chance > 0.5) == (states == 1)
    assert right == pytest.approx((share & known).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    keras = keras_backend.load()
    of_keras = keras.ops.convert_to_numpy(passes.findings_loss(loss)(wanted, chance.astype(np.float32)))
    assert of_keras == pytest.approx(found, rel=1e-3)
    metric = passes.findings_accuracy()
    metric.update_state(wanted, chance.astype(np.float32))
    assert float(metric.result()) == pytest.approx(right.mean(), rel=1e-5)


def test_groups_of_findings_are_weighed_as_those_of_each_finding_alone():
    states, _ = made()
    strata, losses = np.arange(len(states)) % 3, np.random.default_rng(2).random(states.shape)
    together = group_dro.opened(states, strata)
    for _ in range(5):
        weights = together.take(losses, together.numbers)
    ended = together.ended(together.weights)
    for number, own in enumerate(states.T):
        known = own >= 0
        alone = group_dro.opened(own[known].astype(np.int64), strata[known])
        for _ in range(5):
            expected = alone.take(losses[known, number], alone.numbers)
        assert weights[known, number] == pytest.approx(expected * len(own) / known.sum(), rel=1e-4)
        assert (weights[~known, number] == 0).all()
        assert weights[:, number].mean() == pytest.approx(1, rel=1e-4)
        told = ended.of(number)
        assert (told.share.sum(), told.weight.sum()) == pytest.approx((1, 1))
        assert told.of_rows(own[known].astype(np.int64), strata[known]) == pytest.approx(expected, rel=1e-4)


def test_a_head_of_findings_without_hidden_layer_is_one_of_each_finding_alone():
    (states, features), (other, seen) = made(), made(150, 1)
    recipe = recipes.load("hidden-layer", {**LINEAR, "training.keep": "last"})
    together = training.fit_head(6, 3, 0, part(states, features), part(other, seen), recipe)
    assert [layer["loss"] > 0 for layer in together.history] == [True] * 150
    logits = passes.logits_of(together.model)(features)
    assert logits.shape == (300, 3)
    for number in range(3):
        known, kept = states[:, number] >= 0, other[:, number] >= 0
        own = Part(np.flatnonzero(known), states[known, number].astype(np.int64), features.__getitem__)
        check = Part(np.flatnonzero(kept), other[kept, number].astype(np.int64), seen.__getitem__)
        alone = passes.logits_of(training.fit_head(6, 2, 1, own, check, recipe).model)(features)[:, 0]
        assert np.corrcoef(alone, logits[:, number])[0, 1] > 0.995


def test_what_is_not_known_changes_nothing():
    states, features = made()
    recipe = recipes.load("hidden-layer", {**LINEAR, "training.epochs": 3})
    first = training.fit_head(6, 3, 0, part(states, features), part(states, features), recipe)
    hidden = states.copy()
    hidden[:, 1] = np.where(states[:, 1] >= 0, states[:, 1], -1)
    again = training.fit_head(6, 3, 0, part(hidden, features), part(hidden, features), recipe)
    for one, other in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        assert (one == other).all()


def test_a_head_has_a_sigmoid_a_finding_whatever_output_is_asked_for():
    settings = recipes.load("hidden-layer", {"head.output": "softmax"}).head
    head = heads.build_head(4, 2, settings, seed=0, findings=True)
    chance = keras_backend.load().ops.convert_to_numpy(head(np.ones((3, 4), np.float32)))
    assert chance.shape == (3, 2)
    assert head.get_layer("probabilities").activation.__name__ == "sigmoid"


DECISION = Decision.joined(
    [
        Decision(classes=("no A", "A"), positive="A", temperature=2.0, shift=0.5, threshold=0.3),
        Decision(classes=("no B", "B"), positive="B", threshold=0.9),
    ]
)


def test_a_decision_tells_each_finding_as_one_of_two_classes_does():
    logits = np.random.default_rng(0).normal(0, 2, (20, 2))
    chance = DECISION.probabilities(logits)
    for number, name in enumerate("AB"):
        own = DECISION.of(name)
        alone = own.probabilities(logits[:, [number]])
        assert chance[:, number] == pytest.approx(alone[:, 1])
        assert (DECISION.called(chance)[:, number] == own.predict(alone).astype(bool)).all()
    assert DECISION.of("A") == Decision(classes=("no A", "A"), positive="A", temperature=2.0, shift=0.5, threshold=0.3)
    assert DECISION.named(np.array([[0.3, 0.9], [0.31, 0.1], [0.29, 0.89]])) == ["A|B", "A", "No Finding"]
    with pytest.raises(ValueError, match="called each by itself"):
        DECISION.predict(chance)


def manifest_of(**changed):
    told = {
        "format": "plainfilm-bundle", "version": 3, "created": "2026-01-01", "versions": {}, "task": "findings",
        "classes": ["A", "B"], "positive": None, "temperature": 1.0, "shift": 0.0, "threshold": 0.5,
        "slopes": [1.0, 2.0], "intercepts": [0.0, 0.0], "thresholds": [0.3, 0.9], "prevalence": {"A": 0.5, "B": 0.1},
        "backbone": {"name": "b", "weights_sha256": "", "features": 4}, "intended_use": "", "data_fingerprint": "", "members": {},
        "preprocessing": {"image_size": 64, "input_size": 64, "scaling": "-1..1", "scale": [1, 1, 1], "offset": [0, 0, 0],
                          "crop": "none", "intensities": "stored", "channels": 3, "resample": "bilinear", "fit": "stretch", "sha256": ""},
    }  # fmt: skip
    return manifest.read(json.dumps({**told, **changed}).encode())


def test_a_manifest_of_findings_is_of_version_3_and_gives_back_its_decision():
    told = manifest_of()
    assert manifest.decision(told).called(np.array([[0.3, 0.8]])).tolist() == [[True, False]]
    assert documents.plain(told)["version"] == 3
    for changed in ({"thresholds": [0.3]}, {"slopes": [], "intercepts": []}, {"positive": "A"}):
        with pytest.raises(Damaged):
            manifest_of(**changed)


def tuned(head, states, file, **settings):
    """Fine-tune a head of findings for two epochs on 48 made films."""
    images, _ = pictures(48)
    recipe = recipes.load("hidden-layer", {"head.layers": "standardise", "finetuning.epochs": 2, "finetuning.blocks": "1", "finetuning.batch_size": 16,
                                           "finetuning.learning_rate": 0.01, "finetuning.patience": 0, **settings})  # fmt: skip
    parts = [
        Part(rows, states[rows], images.__getitem__, strata=rows % 2) for rows in (np.arange(32), np.arange(32, 48))
    ]
    prepare = encoder.preprocessing(TINY, image_size=SIZE)
    kinds = states.shape[1] if states.ndim == 2 else 2
    return finetuning.finetune(head, TINY, prepare, *parts, kinds, 1, recipe, fingerprint="made", weights_file=file)


@pytest.mark.slow
def test_what_is_not_known_of_a_finding_moves_nothing_while_blocks_are_tuned(tmp_path, monkeypatch):
    """A finding of which nothing is known has no part in the loss: the others' logits are those of a tuning without it."""
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    file, labels = weights_file(tmp_path / "tiny.weights.h5"), pictures(48)[1].astype(np.int8)
    states = np.stack([labels, np.where(np.arange(48) % 3, 1 - labels, -1)], axis=1).astype(np.int8)
    never = np.concatenate([states, np.full((48, 1), -1, np.int8)], axis=1)
    recipe = recipes.load("hidden-layer", {"head.layers": "standardise"})
    heads_of = [heads.build_head(TINY.width, k, recipe.head, seed=0, findings=True) for k in (2, 3)]
    kernel, bias = heads_of[0].get_layer("logits").get_weights()
    heads_of[1].get_layer("logits").set_weights([np.pad(kernel, ((0, 0), (0, 1))), np.pad(bias, (0, 1))])
    training.compile_as_told(heads_of[0], recipe, 2, 0.1, findings=True)  # as a head that was trained is
    found, other = tuned(heads_of[0], states, file), tuned(heads_of[1], never, file)
    last = found.fitted.history[-1]
    assert last["loss"] < found.fitted.history[0]["loss"]
    assert other.fitted.history[-1]["loss"] == pytest.approx(last["loss"] * 2 / 3, rel=1e-3)  # the mean is over three
    assert other.fitted.model.get_layer("logits").get_weights()[0][:, 2] == pytest.approx(0)
    drawn = tuned(heads_of[0], states, file, **{"training.class_weight": "group-dro"})
    assert drawn.fitted.history[-1]["loss"] > 0


def test_group_dro_weighs_each_finding_as_it_would_alone_on_every_backend():
    (states, features), (other, seen) = made(), made(150, 1)
    strata, there = np.arange(300) % 2, np.arange(150) % 2
    features = np.where(strata[:, None] == 1, features[:, ::-1], features)  # in one source other features tell
    recipe = recipes.load("hidden-layer", {**LINEAR, "training.epochs": 200, "training.class_weight": "group-dro"})
    together = training.fit_head(6, 3, 0, part(states, features, strata), part(other, seen, there), recipe)
    for number in range(3):
        known, kept = states[:, number] >= 0, other[:, number] >= 0
        own = Part(
            np.flatnonzero(known), states[known, number].astype(np.int64), features.__getitem__, strata=strata[known]
        )
        check = Part(np.flatnonzero(kept), other[kept, number].astype(np.int64), seen.__getitem__, strata=there[kept])
        alone = training.fit_head(6, 2, 1, own, check, recipe)
        assert together.weights.of(number).weight == pytest.approx(alone.weights.weight, abs=0.02)
        logits = [passes.logits_of(each.model)(features) for each in (together, alone)]
        assert np.corrcoef(logits[0][:, number], logits[1][:, 0])[0, 1] > 0.995
