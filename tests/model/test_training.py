import hashlib
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_files import Pictures
from made_networks import keras_encoder
from plainfilm.errors import RecipeError
from plainfilm.model import encoder, heads, recipes, training
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.recipe_schema import HeadSettings
from plainfilm.model.training import Part

pytestmark = pytest.mark.trains

LITE0 = BACKBONES["efficientnet_lite0"]
SMALL = {
    "head.layers": "dropout 0.2, dense 8, dropout 0.2",
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.keep": "last",
}

QUICK = {"training.epochs": 8, "training.learning_rate": 0.1, "head.layers": "dense 8"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


def part(inputs, labels, seen=None):
    """All rows of some inputs; `seen` notes the rows of each batch that is read."""
    rows = np.arange(len(labels))

    def read(asked):
        if seen is not None:
            seen.append(np.array(asked))
        return inputs[asked]

    return training.Part(rows, np.asarray(labels), read)


def blobs(n=64, classes=2, width=6, seed=0, apart=2.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(99).normal(0, apart, (classes, width))
    return (centres[labels] + rng.normal(0, 1, (n, width))).astype(np.float32), labels


def fit(settings=None, classes=2, positive=0, train=None, validation=None, **more):
    train, validation = train or blobs(classes=classes), validation or blobs(32, classes=classes, seed=1)
    recipe = recipes.load("hidden-layer", {**SMALL, **(settings or {})})
    return training.fit_head(train[0].shape[1], classes, positive, part(*train), part(*validation), recipe, **more)


def weights(fitted):
    return [np.asarray(each) for each in fitted.model.get_weights()]


def fingerprint(fitted):
    return hashlib.sha256(b"".join(each.tobytes() for each in weights(fitted))).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "head.layers": "dense 32, dropout 0.5, dense 16, dropout 0.3",
            "training.loss": "mean_squared_error",
            "training.class_weight": "none",
        },
    ],
    ids=["crossentropy, weighted", "squared error"],
)
def test_the_head_on_cached_features_ends_where_the_frozen_network_trained_end_to_end_with_model_fit_ends(settings):
    import keras

    recipe = recipes.load(
        "hidden-layer", {"training.epochs": 3, "training.batch_size": 16, "training.keep": "last", **settings}
    )
    rng = np.random.default_rng(0)
    labels = (np.arange(48) % 3 == 0).astype(np.int64)
    images = rng.integers(0, 200, (48, 64, 64)).astype(np.uint8)
    images[labels == 1, 16:48, 16:48] += 40
    prepare = encoder.preprocessing(LITE0, image_size=64, input_size=64)

    features = encoder.encode_store(encoder.open_encoder(LITE0, prepare), Pictures(images))
    seen = []
    train = training.Part(np.arange(48), labels, lambda rows: (seen.append(np.array(rows)), features.read(rows))[1])
    ours = training.fit_head(features.width, 2, 1, train, part(features.read(np.arange(9)), labels[:9]), recipe)
    batches = [
        rows[at : at + 16] for rows in seen if len(rows) == 48 for at in range(0, 48, 16)
    ]  # three epochs of three

    frozen = keras_encoder(LITE0, prepare)
    frozen.trainable = False
    head = heads.build_head(features.width, 2, recipe.head, seed=recipe.seed)
    start = [np.asarray(each) for each in head.get_weights()]
    whole = keras.Model(frozen.input, head(frozen.output))
    loss = {"crossentropy": "binary_crossentropy"}.get(recipe.training.loss, recipe.training.loss)
    whole.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    count = np.bincount(labels)
    weigh = 48 / count / 2 if recipe.training.class_weight == "balanced" else np.ones(2)

    def replay():
        for rows in batches:
            yield images[rows].astype(np.float32), labels[rows, None].astype(np.float32), weigh[labels[rows]]

    whole.fit(replay(), steps_per_epoch=3, epochs=3, verbose=0, shuffle=False)
    theirs = [np.asarray(each) for each in head.get_weights()]
    assert len(theirs) == len(weights(ours)) > 2
    for own, other in zip(weights(ours), theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-3)
    moved = max(np.abs(other - first).max() for other, first in zip(theirs, start, strict=True))
    assert moved > 5e-3, "the training moved nothing that could have differed"


def test_every_epoch_reads_every_image_once_in_an_order_of_its_own():
    inputs, labels = blobs(50)
    seen = []
    recipe = recipes.load("hidden-layer", {**SMALL, "training.epochs": 4, "training.batch_size": 13})
    training.fit_head(6, 2, 0, part(inputs, labels, seen), part(*blobs(20, seed=1)), recipe)
    epochs = [rows for rows in seen if len(rows) == 50]
    assert len(epochs) == 4
    for order in epochs:
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in epochs}) == 4


def test_the_same_seed_gives_the_same_weights_to_the_bit_whatever_the_global_seed_and_another_seed_others():
    import keras

    first = fit()
    keras.utils.set_random_seed(77)
    second, other = fit(), fit({"seed": 1})
    assert fingerprint(first) == fingerprint(second)
    assert first.history == second.history
    assert fingerprint(first) != fingerprint(other)


def test_training_leaves_the_global_random_state_alone():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the very state that must not be touched
    before = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]  # noqa: NPY002
    fit()
    assert (random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]) == before  # noqa: NPY002


def test_class_weights_balance_a_problem_of_nine_to_one():
    rng = np.random.default_rng(0)
    labels = (np.arange(600) % 10 == 0).astype(np.int64)
    inputs = (rng.normal(0, 1, (600, 1)) + 1.5 * labels[:, None]).astype(np.float32)
    settings = {"head.layers": (), "training.epochs": 8, "training.learning_rate": 0.3, "training.batch_size": 200}

    def rates(weighting):
        fitted = fit({**settings, "training.class_weight": weighting}, 2, 1, (inputs, labels), (inputs, labels))
        called = np.asarray(fitted.model(inputs))[:, 0] >= 0.5
        return called[labels == 1].mean(), (~called[labels == 0]).mean()

    sensitivity, specificity = rates("balanced")
    assert abs(sensitivity - specificity) < 0.2
    sensitivity, specificity = rates("none")
    assert specificity - sensitivity > 0.4


@pytest.mark.parametrize("l2", [0.03, 3.0])
def test_a_linear_head_with_a_penalty_ends_at_the_logistic_regression_with_it(l2):
    from sklearn.linear_model import LogisticRegression

    inputs, labels = noise(60, 0)
    inputs = inputs + 0.7 * labels[:, None].astype(np.float32)
    settings = {"head.layers": (), "training.epochs": 600, "training.batch_size": 60, "training.learning_rate": 0.02}
    fitted = fit({**settings, "training.class_weight": "none", "training.l2": l2}, 2, 1, (inputs, labels))
    kernel, bias = weights(fitted)
    expected = LogisticRegression(C=1 / (l2 * 60), tol=1e-8, max_iter=1000).fit(inputs, labels)
    np.testing.assert_allclose(kernel[:, 0], expected.coef_[0], atol=1e-3)
    np.testing.assert_allclose(bias, expected.intercept_, atol=1e-3)


def test_the_loss_of_an_epoch_has_the_penalty_and_the_validation_loss_has_not():
    settings = {"head.layers": "dense 4", "training.epochs": 1, "training.learning_rate": 1e-8}
    plain, penalised = fit(settings).history[0], fit({**settings, "training.l2": 2.0}).history[0]
    squares = sum(np.square(each).sum() for each in weights(fit(settings)) if each.ndim == 2)
    assert penalised["loss"] - plain["loss"] == pytest.approx(squares, rel=1e-3)
    assert penalised["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-5)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_class_weights_give_every_class_that_is_there_the_same_sum_and_the_mean_one(labels):
    labels = np.array(labels)
    each = training.class_weights(labels, 4)
    sums = [each[labels][labels == c].sum() for c in np.unique(labels)]
    np.testing.assert_allclose(sums, len(labels) / 4, rtol=1e-5)
    present = len(np.unique(labels))
    np.testing.assert_allclose(each[labels].mean(), present / 4, rtol=1e-5)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.integers(0, 1))
def test_targets_are_one_hot_for_a_softmax_and_one_column_of_the_positive_class_for_a_sigmoid(labels, positive):
    labels = np.array(labels)
    hot = training.targets(labels, 3, output="softmax", positive=positive)
    assert hot.shape == (len(labels), 3)
    np.testing.assert_array_equal(hot.argmax(axis=1), labels)
    np.testing.assert_array_equal(hot.sum(axis=1), 1)
    one = training.targets(labels, 2, output="sigmoid", positive=positive)
    assert one.shape == (len(labels), 1)
    np.testing.assert_array_equal(one[:, 0] == 1, labels == positive)


@pytest.mark.parametrize("positive", [0, 1])
def test_the_sigmoid_scores_the_positive_class_whichever_it_is(positive):
    fitted = fit(QUICK, positive=positive)
    inputs, labels = blobs(40, seed=3)
    called = np.asarray(fitted.model(inputs))[:, 0] >= 0.5
    assert (called == (labels == positive)).mean() > 0.9


OVERFITTING = {"training.epochs": 7, "training.learning_rate": 0.05, "head.layers": "dense 32"}


def noise(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)).astype(np.float32), np.arange(n) % 2


def crossentropy(fitted, inputs, labels):
    score = np.asarray(fitted.model(inputs), np.float64)[:, 0].clip(1e-7, 1 - 1e-7)
    return -np.log(np.where(labels == 0, score, 1 - score)).mean()


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_epoch_of_least_validation_loss_is_kept_or_the_last(keep):
    validation = noise(40, 1)
    fitted = fit({**OVERFITTING, "training.keep": keep}, train=noise(40, 0), validation=validation)
    losses = [row["val_loss"] for row in fitted.history]
    assert np.argmin(losses) < 6, "the problem is not one where the last epoch is not the best"
    assert fitted.epoch == (np.argmin(losses) + 1 if keep == "best" else 7)
    np.testing.assert_allclose(crossentropy(fitted, *validation), losses[fitted.epoch - 1], rtol=1e-4)


def test_patience_stops_after_so_many_epochs_without_a_better_one():
    settings = {**OVERFITTING, "training.keep": "last", "training.patience": 2}
    fitted = fit(settings, train=noise(40, 0), validation=noise(40, 1))
    losses = [row["val_loss"] for row in fitted.history]
    assert len(losses) < 7
    assert len(losses) == np.argmin(losses) + 1 + 2
    assert fitted.epoch == len(losses)


def test_three_classes_train_with_a_softmax():
    fitted = fit(QUICK, classes=3)
    inputs, labels = blobs(60, classes=3, seed=4)
    scores = np.asarray(fitted.model(inputs))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert (scores.argmax(axis=1) == labels).mean() > 0.9
    assert fitted.history[-1]["accuracy"] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["crossentropy", "mean_squared_error"])
@pytest.mark.parametrize(("classes", "output"), [(2, "sigmoid"), (3, "softmax")])
def test_every_loss_is_the_one_that_is_named(loss, classes, output):
    validation = blobs(40, classes=classes, seed=2)
    fitted = fit(
        {"training.loss": loss, "head.output": output, "training.epochs": 1}, classes, 1, validation=validation
    )
    scores = np.asarray(fitted.model(validation[0]), np.float64)
    wanted = training.targets(validation[1], classes, output=output, positive=1)
    if loss == "mean_squared_error":
        expected = np.square(scores - wanted).mean()
    elif output == "sigmoid":
        expected = -np.log(np.where(wanted == 1, scores, 1 - scores)).mean()
    else:
        expected = -np.log((scores * wanted).sum(axis=1)).mean()
    np.testing.assert_allclose(fitted.history[-1]["val_loss"], expected, rtol=1e-4)
    called = scores.argmax(axis=1) == validation[1] if output == "softmax" else (scores >= 0.5) == wanted
    np.testing.assert_allclose(fitted.history[-1]["val_accuracy"], called.mean(), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop", "nadam"])
def test_every_optimizer_learns_with_the_learning_rate_given(optimizer):
    import keras

    fitted = fit({"training.optimizer": optimizer, "training.learning_rate": 0.02, "training.epochs": 3})
    assert type(fitted.model.optimizer) is type(keras.optimizers.get(optimizer))
    np.testing.assert_allclose(float(fitted.model.optimizer.learning_rate), 0.02, rtol=1e-6)
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]


def test_history_has_a_row_an_epoch_and_each_is_reported_when_it_ends():
    reported = []
    fitted = fit(on_epoch=lambda number, row: reported.append((number, dict(row))))
    assert [set(row) for row in fitted.history] == [{"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}] * 3
    assert reported == [(number, row) for number, row in enumerate(fitted.history, 1)]
    assert [row["epoch"] for row in fitted.history] == [1, 2, 3]
    assert fitted.seconds > 0


def diverging(n, after):
    """Features that turn to NaN after so many reads (one for the shape, one an epoch): what follows has no weights that are numbers."""
    inputs, labels = blobs(n)
    calls = []

    def read(rows):
        calls.append(rows)
        return inputs[rows] * (np.nan if len(calls) > after else 1)

    return training.Part(np.arange(n), labels, read)


def test_a_training_that_diverges_keeps_the_best_epoch_before():
    recipe = recipes.load("hidden-layer", {**SMALL, "training.keep": "best", "head.activation": "elu"})
    fitted = training.fit_head(6, 2, 0, diverging(32, after=1 + 1), part(*blobs(16, seed=1)), recipe)
    assert np.isnan(fitted.history[-1]["loss"])
    assert fitted.epoch == 1
    assert all(np.isfinite(each).all() for each in weights(fitted))


@pytest.mark.parametrize(
    ("keep", "after", "activation"),
    [("best", 0, "elu"), ("last", 2, "relu")],  # a ReLU hides NaN: the loss stays a number
)
def test_a_training_without_a_usable_epoch_says_what_to_do(keep, after, activation):
    recipe = recipes.load("hidden-layer", {**SMALL, "training.keep": keep, "head.activation": activation})
    with pytest.raises(RecipeError, match=r"Lower training\.learning_rate"):
        training.fit_head(6, 2, 0, diverging(32, after=after), part(*blobs(16, seed=1)), recipe)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=60))
def test_by_source_every_class_counts_the_same_and_within_it_every_source(rows):
    labels, strata = np.array(rows).T
    part = training.Part(np.arange(len(rows)), labels, lambda numbers: numbers, strata=strata)
    weights = training.row_weights(part, 3, "by source")
    present = np.unique(labels)
    assert weights.sum() == pytest.approx(len(rows) * len(present) / 3, rel=1e-5)
    for label in present:
        sources = np.unique(strata[labels == label])
        sums = [weights[(labels == label) & (strata == source)].sum() for source in sources]
        assert sums == pytest.approx([len(rows) / 3 / len(sources)] * len(sources), rel=1e-5)


def test_without_sources_by_source_is_balanced_and_none_is_one():
    part = training.Part(np.arange(4), np.array([0, 0, 0, 1]), lambda numbers: numbers)
    np.testing.assert_array_equal(training.row_weights(part, 2, "by source"), training.row_weights(part, 2, "balanced"))
    np.testing.assert_array_equal(training.row_weights(part, 2, "none"), [1, 1, 1, 1])


@pytest.mark.parametrize("stretch", [1, 7, 1000])
def test_a_standardising_head_learns_mean_and_variance_of_the_training_rows(stretch, monkeypatch):
    features = np.random.default_rng(0).normal(5, 3, (40, 6)).astype(np.float32)
    rows = np.arange(3, 33)
    monkeypatch.setattr(training, "_STRETCH_BYTES", stretch * 6 * 4)
    head = heads.build_head(6, 2, HeadSettings(layers=("standardise", "dense 4")), seed=0)
    training.standardise(head, Part(rows, np.zeros(30, int), lambda rows: features[rows]))
    layer = head.get_layer(heads.STANDARDISE)
    np.testing.assert_allclose(np.asarray(layer.moving_mean), features[rows].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(layer.moving_variance), features[rows].var(axis=0), rtol=1e-4)


@pytest.mark.parametrize("kept", [0, 10**6])
def test_features_are_read_alike_whether_they_are_kept_or_not(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "_KEPT_BYTES", kept)
    values = np.random.default_rng(0).normal(size=(3, 20, 6)).astype(np.float32)
    views = []
    for number, view in enumerate(values):
        np.save(tmp_path / f"{number}.npy", view)
        views.append(encoder.Features(tmp_path / f"{number}.npy", 20, 6, 0.0, cached=True))
    numbers = np.array([3, 59, 20, 3, 0])
    np.testing.assert_array_equal(training.kept_reader(views)(numbers), values.reshape(60, 6)[numbers])
    np.testing.assert_array_equal(training.kept_reader(views[:1])(numbers[[0, 4]]), values[0][[3, 0]])


@pytest.mark.parametrize("ahead", [2, 8])
def test_reading_stretches_ahead_changes_no_bit(ahead, monkeypatch):
    monkeypatch.setattr(training, "_STRETCH_BYTES", 16 * 6 * 4)  # a batch
    features, labels = blobs(n=200)
    seen = []

    def trained(own):
        told = part(features, labels, seen)
        recipe = recipes.load("hidden-layer", SMALL)
        own = training.Part(told.rows, told.labels, told.read, ahead=own)
        return training.fit_head(6, 2, 0, own, part(*blobs(32, seed=1)), recipe)

    alone, together = trained(1), trained(ahead)
    assert alone.history == together.history
    for one, other in zip(weights(alone), weights(together), strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(map(len, seen)) == 16 * ahead


def test_an_epoch_draws_one_view_of_each_row_and_all_views_come_up():
    rows = np.arange(50)
    part = Part(rows, np.zeros(50, int), lambda rows: rows, views=rows[:, None] + 100 * np.arange(1, 4))
    rng = np.random.default_rng(0)
    drawn = np.stack([part.draw(rng) for _ in range(30)])
    np.testing.assert_array_equal(drawn % 100, np.broadcast_to(rows, drawn.shape))
    assert set(np.unique(drawn // 100)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(Part(rows, rows, lambda rows: rows).draw(rng), rows)


@pytest.mark.parametrize(
    ("asked", "images", "batch", "expected"),
    [(0, 256, 32, 125), (0, 257, 32, 112), (0, 1600, 32, 20), (0, 10**6, 32, 20), (0, 100, 32, 200), (7, 256, 32, 7)],
)
def test_few_images_are_seen_as_often_as_makes_a_thousand_steps_but_200_times_at_most(asked, images, batch, expected):
    recipe = recipes.load("hidden-layer", {"training.epochs": asked, "training.batch_size": batch})
    assert training.epochs(recipe, images) == expected
