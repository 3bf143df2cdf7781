import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import needs_jax
from plainfilm.model import heads, keras_backend, passes, recipes, training

pytestmark = pytest.mark.trains
WIDTH = 6


def compiled(classes=2, layers="dropout 0.3, dense 8", *, seed=0, **changes):
    recipe = recipes.load("hidden-layer", {"head.layers": layers, "seed": seed, **changes})
    model = heads.build_head(WIDTH, classes, recipe.head, seed=seed, l2=recipe.training.l2)
    training.compile_as_told(model, recipe, classes, recipe.training.learning_rate)
    return model


def columns(rows, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    wanted = training.targets(labels, classes, output="sigmoid" if classes == 2 else "softmax", positive=1)
    return rng.normal(0, 1, (rows, WIDTH)).astype(np.float32), wanted, rng.uniform(0.2, 3, rows).astype(np.float32)


def one(model, kind, batch, *stretches):
    like = tuple(column[:1] for column in stretches[0])
    return passes.runner(model, kind, batch, like).run(iter(stretches))


def by_keras(model, kind, batch, *stretches):
    """The same by Keras' own steps, a batch at a time."""
    return passes._Batchwise(model, kind, batch).run(iter(stretches))


@pytest.mark.parametrize(
    ("classes", "loss", "optimizer"),
    [
        *((2, "crossentropy", optimizer) for optimizer in ("adam", "adamw", "sgd", "rmsprop", "nadam")),
        (3, "crossentropy", "adam"),
        (2, "mean_squared_error", "sgd"),
        (3, "mean_squared_error", "rmsprop"),
    ],
)
def test_a_pass_ends_where_keras_own_steps_end(classes, loss, optimizer):
    changes = {"training.loss": loss, "training.optimizer": optimizer, "training.learning_rate": 0.01}
    ours, theirs = (compiled(classes, "dropout 0.3, dense 8, dropout 0.2", **changes) for _ in range(2))
    data = [columns(21, classes, 1), columns(5, classes, 2)]
    for _ in range(2):
        received, expected = one(ours, "train", 8, *data), by_keras(theirs, "train", 8, *data)
        assert list(received) == ["loss", "accuracy"]
        for name, value in received.items():
            assert value == pytest.approx(expected[name], rel=1e-4)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-4)
    tested = columns(19, classes, 3)
    expected = by_keras(theirs, "test", 8, tested)
    for name, value in one(ours, "test", 8, tested).items():
        assert value == pytest.approx(expected[name], rel=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_penalty_is_keras_own_in_training_and_no_part_of_the_loss_of_a_test(classes):
    changes = {"training.optimizer": "sgd", "training.learning_rate": 0.1}
    ours, theirs, free = (compiled(classes, "dense 8", **{**changes, "training.l2": l2}) for l2 in (0.4, 0.4, 0.0))
    data = columns(21, classes, 1)
    tested = [one(model, "test", 8, data)["loss"] for model in (ours, free)]
    assert tested[0] == pytest.approx(tested[1], rel=1e-5)
    squares = sum(np.square(each).sum() for each in ours.get_weights() if each.ndim == 2)
    received, expected = one(ours, "train", 32, data), by_keras(theirs, "train", 32, data)
    assert received["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert received["loss"] - one(free, "train", 32, data)["loss"] == pytest.approx(0.4 / 2 * squares, rel=1e-4)
    for own, other, without in zip(*(model.get_weights() for model in (ours, theirs, free)), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)
        assert np.allclose(own, without) == (own.ndim == 1), "biases have no penalty"


def test_a_test_changes_nothing():
    model = compiled()
    one(model, "train", 8, columns(20))
    before = [np.array(each) for each in model.get_weights()]
    one(model, "test", 8, columns(20))
    assert all(np.array_equal(own, other) for own, other in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("classes", [2, 3])
def test_logits_are_those_of_the_model(classes):
    model, inputs = compiled(classes), columns(700)[0]
    found = passes.logits_of(model)(inputs)
    expected = keras_backend.load().ops.convert_to_numpy(heads.up_to_logits(model)(inputs, training=False))
    assert found.shape == (700, 1 if classes == 2 else 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_confident_wrong_answers_have_a_finite_loss_that_still_teaches():
    model = compiled(layers="dense 8", **{"training.optimizer": "sgd", "training.learning_rate": 0.001})
    *_, kernel, bias = model.get_weights()
    model.set_weights([*model.get_weights()[:2], kernel, np.full_like(bias, 200.0)])
    inputs, _, weights = columns(8)
    found = one(model, "train", 8, (inputs, np.zeros((8, 1), np.float32), np.ones_like(weights)))
    assert found["loss"] == pytest.approx(200, rel=0.1)
    assert model.get_weights()[-1][0] < 200


@needs_jax
def test_penalties_of_any_size_share_a_pass_and_count_as_much_as_they_are():
    import jax

    seen = []
    plain = {"training.optimizer": "sgd", "training.learning_rate": 0.01}
    one(compiled(**plain, **{"training.l2": 0.5}), "train", 8, columns(40))
    jax.monitoring.register_event_duration_secs_listener(lambda name, _seconds, **_more: seen.append(name))
    sizes = []
    for l2 in (0.01, 3.0, 100.0):
        model = compiled(**plain, **{"training.l2": l2})
        seen.clear()
        for _ in range(20):
            one(model, "train", 8, columns(40))
        assert not [name for name in seen if "backend_compile" in name or "trace" in name]
        sizes.append(np.abs(model.get_weights()[-2]).sum())
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]


@needs_jax
def test_heads_of_one_shape_share_a_pass_whatever_their_numbers_and_folds():
    import jax

    seen = []
    one(compiled(), "train", 8, columns(40))
    one(compiled(), "test", 8, columns(8))
    passes.logits_of(compiled())(columns(8)[0])
    jax.monitoring.register_event_duration_secs_listener(lambda name, _seconds, **_more: seen.append(name))
    for seed, rate, learning_rate, rows in ((1, 0.1, 0.1, 33), (2, 0.6, 0.001, 50), (9, 0.35, 0.02, 64)):
        model = compiled(layers=f"dropout {rate}, dense 8", seed=seed, **{"training.learning_rate": learning_rate})
        seen.clear()
        before = model.get_weights()
        one(model, "train", 8, columns(rows))
        one(model, "test", 8, columns(rows))
        passes.logits_of(model)(columns(rows)[0])
        assert not [name for name in seen if "backend_compile" in name or "trace" in name]
        assert not np.array_equal(before[0], model.get_weights()[0])


@needs_jax
@given(rows=st.integers(1, 70), batch=st.sampled_from([2, 3, 8, 32]))
@settings(max_examples=6, deadline=None)
def test_rows_that_only_fill_a_batch_count_for_nothing(rows, batch):
    ours, theirs = compiled(layers="dense 4"), compiled(layers="dense 4")
    data = columns(rows, seed=rows)
    received, expected = one(ours, "train", batch, data), by_keras(theirs, "train", batch, data)
    assert received["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], atol=1e-5)


@pytest.mark.parametrize("seed", [0, 4_294_968, 2**31 - 1])
def test_any_seed_trains_and_the_same_seed_gives_the_same_bits(seed):
    ended = []
    for _ in range(2):
        model = compiled(seed=seed)
        one(model, "train", 8, columns(20))
        ended.append(b"".join(each.tobytes() for each in model.get_weights()))
    assert ended[0] == ended[1]


@needs_jax
def test_what_was_compiled_is_let_go_when_a_new_shape_is_one_too_many_and_not_before(monkeypatch):
    import jax

    cleared = []
    monkeypatch.setattr(passes, "_SHARED", {})
    monkeypatch.setattr(passes, "_MOST_SHARED", 2)
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(len(passes._SHARED)))
    heads_of_three_shapes = [compiled(layers=f"dense {units}") for units in (3, 4, 5)]
    for at in (0, 1, 0, 1):
        passes.logits_of(heads_of_three_shapes[at])
    assert (cleared, len(passes._SHARED)) == ([], 2)
    passes.logits_of(heads_of_three_shapes[2])
    assert (cleared, len(passes._SHARED)) == ([0], 1)
