"""Heads in the cache: found as they were trained, and by nobody who asks for another."""

import dataclasses
import os

import numpy as np
import pytest

from plainfilm.data import cache
from plainfilm.model import kept_fits, recipes, training
from plainfilm.model.training import Part

pytestmark = pytest.mark.trains
QUICK = {"head.layers": "standardise, dropout 0.2, dense 4", "training.epochs": 2, "training.batch_size": 16}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


def part(n=48, seed=0):
    rng = np.random.default_rng(seed)
    labels, rows = rng.integers(0, 2, n), np.arange(n)
    inputs = (rng.normal(0, 1, (n, 6)) + labels[:, None]).astype(np.float32)
    return Part(rows, labels, inputs.__getitem__, strata=rows % 2)


def named(recipe, *, positive=1, train=None, validation=None, width=6, features=("a", "b"), computes=None):
    computes = computes or kept_fits.computes_here()
    parts = train or part(), validation or part(seed=1)
    return kept_fits.path_of(width, 2, positive, *parts, recipe, features=features, computes=computes)


@pytest.mark.parametrize("how", ["balanced", "group-dro"])
def test_a_fit_is_found_as_it_was_trained(monkeypatch, how):
    recipe = recipes.load("default", QUICK | {"training.class_weight": how})
    path, asked, told = named(recipe), (6, 2, 1, part(), part(seed=1), recipe), []
    made = kept_fits.fit_head(path, *asked)
    monkeypatch.setattr(training, "fit_head", None)
    found = kept_fits.fit_head(path, *asked, on_epoch=lambda epoch, row: told.append((epoch, row)))
    assert all(
        (one == other).all() for one, other in zip(made.model.get_weights(), found.model.get_weights(), strict=True)
    )
    assert (found.history, found.epoch, found.seconds, found.backend) == (
        made.history,
        made.epoch,
        made.seconds,
        made.backend,
    )
    assert told == [(2, made.history[-1])]
    assert (made.weights is None) == (how == "balanced")
    for name in ("label", "stratum", "share", "weight") if made.weights else ():
        assert (getattr(made.weights, name) == getattr(found.weights, name)).all()


def test_a_fit_that_was_damaged_is_trained_anew():
    recipe = recipes.load("default", QUICK)
    path, asked = named(recipe), (6, 2, 1, part(), part(seed=1), recipe)
    made = kept_fits.fit_head(path, *asked)
    content = path.read_bytes()
    path.write_bytes(content[:-50] + bytes(50))
    again = kept_fits.fit_head(path, *asked)
    assert again.history == made.history
    assert cache.has(path)


def test_whoever_asks_for_another_training_has_another_name(monkeypatch):
    recipe, computes = recipes.load("default", QUICK), kept_fits.computes_here()
    changes = {
        "seed": 1,
        "head.activation": "elu",
        "training.learning_rate": 0.01,
        "training.l2": 1.0,
        "training.patience": 3,
    }
    others = [
        *(named(recipes.load("default", QUICK | {key: value})) for key, value in changes.items()),
        named(recipe, positive=0),
        named(recipe, width=7),
        named(recipe, train=part(seed=2)),
        named(recipe, validation=part(seed=2)),
        named(recipe, train=dataclasses.replace(part(), strata=np.zeros(48, np.int64))),
        named(recipe, train=dataclasses.replace(part(), views=np.ones((48, 1), np.int64))),
        named(recipe, features=("b", "a")),
        *(named(recipe, computes=dataclasses.replace(computes, **{name: value})) for name, value in (("backend", "torch"), ("threads", 99), ("answer", ""), ("versions", ()), ("code", "other"), ("flags", (("XLA_FLAGS", "x"),)))),
    ]  # fmt: skip
    assert len({named(recipe), *others}) == 1 + len(others)
    unlike = {"name": "x", "description": "y", "evaluation.threshold": "0.5", "backbone.name": "mobilenet"}
    assert {named(recipes.load("default", QUICK | {key: value})) for key, value in unlike.items()} == {named(recipe)}
    monkeypatch.setenv("PLAINFILM_CACHE", str(named(recipe).parent / "elsewhere"))
    assert named(recipe).name == kept_fits.path_of(6, 2, 1, part(), part(seed=1), recipe, features=("a", "b"), computes=computes).name  # fmt: skip


def test_what_computes_is_named_and_can_be_told_to_another_process(monkeypatch):
    computes = kept_fits.computes_here()
    assert dict(computes.versions).keys() == {"plainfilm", "numpy", "keras", computes.backend}
    assert len(computes.answer) == len(computes.code) == 16
    assert kept_fits.computes_here(mixed=True) == dataclasses.replace(computes, answer="")
    other = dataclasses.replace(computes, threads=7, flags=(("TF_ENABLE_ONEDNN_OPTS", "0"),))
    for name, value in other.environment.items():
        monkeypatch.setitem(os.environ, name, value)
    assert kept_fits.computes_here() == other
