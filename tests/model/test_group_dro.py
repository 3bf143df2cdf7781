import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.model import group_dro, keras_backend, passes, recipes, training
from plainfilm.model.group_dro import GroupDro, GroupWeights
from plainfilm.model.training import Part

trains = pytest.mark.trains
SETTINGS = {
    "head.layers": (),
    "training.class_weight": "group-dro",
    "training.epochs": 40,
    "training.batch_size": 4096,
    "training.learning_rate": 0.05,
}
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=40)


def hospitals(n, seed=0):
    """Two signs of disease: one that holds everywhere, and a clearer one that the 4 % of the films of source 1 turn round."""
    rng = np.random.default_rng(seed)
    labels, strata = np.arange(n) % 2, (np.arange(n) % 50 < 2).astype(np.int64)
    sign = 2 * labels - 1
    means = np.column_stack([0.8 * sign, 1.5 * sign * (1 - 2 * strata)])
    return (means + rng.normal(size=(n, 2))).astype(np.float32), labels, strata


def part(inputs, labels, strata):
    return Part(np.arange(len(labels)), labels, lambda rows: inputs[rows], strata=strata)


def fit(settings=None, *, n=400, train=None, **more):
    recipe = recipes.load("hidden-layer", {**SETTINGS, **(settings or {})})
    return training.fit_head(2, 2, 1, part(*(train or hospitals(n))), part(*hospitals(200, 1)), recipe, **more)


def weights(fitted):
    return [np.asarray(each) for each in fitted.model.get_weights()]


# The weights of groups


@given(ROWS)
def test_groups_are_the_classes_and_sources_that_occur_and_begin_alike(rows):
    labels, strata = np.array(rows).T
    groups = GroupDro(labels, strata)
    ended = groups.ended(groups.weights)
    assert set(zip(ended.label.tolist(), ended.stratum.tolist(), strict=True)) == set(rows)
    np.testing.assert_allclose(ended.weight, 1 / len(set(rows)), rtol=1e-6)
    for number, (label, stratum) in enumerate(rows):
        at = groups.numbers[number] - 1
        assert (ended.label[at], ended.stratum[at]) == (label, stratum)
        assert ended.share[at] == pytest.approx(rows.count((label, stratum)) / len(rows), rel=1e-6)


@given(ROWS, st.integers(0, 100))
def test_weights_of_all_rows_have_mean_one_and_each_group_has_its_share_of_them(rows, seed):
    labels, strata = np.array(rows).T
    groups = GroupDro(labels, strata)
    given_to = groups.take(np.random.default_rng(seed).exponential(size=len(rows)), groups.numbers)
    assert given_to.mean() == pytest.approx(1, rel=1e-5)
    ended = groups.ended(groups.weights)
    np.testing.assert_allclose(ended.of_rows(labels, strata), given_to, rtol=1e-5)
    for number, weight in enumerate(ended.weight, 1):
        assert given_to[groups.numbers == number].sum() / len(rows) == pytest.approx(weight, rel=1e-4)


def test_a_group_grows_by_the_exponential_of_a_tenth_of_its_mean_loss():
    groups = GroupDro(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 0, 0]))
    losses = np.array([2.0, 5.0, 1.0, 0.5, 0.0])
    for steps in (1, 2):
        groups.take(losses, groups.numbers)
        grown = np.exp(0.1 * steps * np.array([2.0, 5.0, 0.5]))
        np.testing.assert_allclose(groups.weights, grown / grown.sum(), rtol=1e-5)


def test_a_group_that_a_batch_lacks_goes_on_with_its_last_loss_and_one_never_seen_with_the_batchs():
    groups = GroupDro(np.array([0, 0, 1]), np.array([0, 1, 0]))
    groups.take(np.array([2.0, 4.0]), np.array([1, 2], np.int32))
    np.testing.assert_allclose(np.diff(np.log(groups.weights)), [0.2, -0.1], rtol=1e-4)  # losses 2, 4 and 3
    groups.take(np.array([1.0]), np.array([3], np.int32))
    np.testing.assert_allclose(np.diff(np.log(groups.weights)), [0.4, -0.4], rtol=1e-4)  # and 2, 4 and 1


def test_rows_of_no_group_weigh_nothing_and_change_nothing():
    plain, filled = (GroupDro(np.array([0, 0, 1]), np.array([0, 1, 0])) for _ in range(2))
    own = plain.take(np.array([2.0, 4.0]), np.array([1, 3], np.int32))
    received = filled.take(np.array([2.0, 4.0, 9.0]), np.array([1, 3, 0], np.int32))
    np.testing.assert_array_equal(received, [*own, 0])
    np.testing.assert_array_equal(filled.weights, plain.weights)


def test_losses_of_hundreds_stay_finite():
    groups = GroupDro(np.array([0, 1, 1]), np.array([0, 0, 1]))
    for _ in range(200):
        row = groups.take(np.array([500.0, 0.0, 1.0]), groups.numbers)
    assert np.isfinite(row).all()
    np.testing.assert_allclose(groups.weights, [1, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "strata"), [([0, 0, 1, 1], [0, 0, 1, 1]), ([0, 0, 1, 1], [0, 0, 0, 0]), ([0, 1], None)]
)
def test_where_no_class_has_two_sources_there_is_nothing_to_weigh(labels, strata):
    assert group_dro.opened(np.array(labels), None if strata is None else np.array(strata)) is None


# Training


def by_the_paper(train, epochs, rate, start):
    """Algorithm 1 of Sagawa et al. with all rows a batch, for a linear head under Adam, in double precision: means of the second half."""
    inputs, labels, strata = (np.asarray(each, np.float64) for each in train)
    group = (2 * labels + strata).astype(int)
    point, first, second = np.concatenate([each.ravel() for each in start]).astype(np.float64), 0, 0
    weight, kept = np.full(4, 0.25), []
    columns = np.column_stack([inputs, np.ones(len(inputs))])
    for at in range(1, epochs + 1):
        odds = columns @ point
        losses = np.logaddexp(0, -(2 * labels - 1) * odds)
        weight = weight * np.exp(0.1 * np.array([losses[group == g].mean() for g in range(4)]))
        weight = weight / weight.sum()
        wrong = 1 / (1 + np.exp(-odds)) - labels
        gradient = sum(weight[g] * (wrong[group == g, None] * columns[group == g]).mean(axis=0) for g in range(4))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        point = point - rate * (first / (1 - 0.9**at)) / (np.sqrt(second / (1 - 0.999**at)) + 1e-7)
        kept.append((point, weight))
    half = kept[epochs // 2 :]
    return np.mean([each for each, _ in half], axis=0), np.mean([each for _, each in half], axis=0)


@trains
@pytest.mark.parametrize("epochs", [1, 7, 40])
def test_a_training_ends_where_the_papers_algorithm_ends(epochs):
    start = training.heads.build_head(2, 2, recipes.load("hidden-layer", SETTINGS).head, seed=0).get_weights()
    point, weight = by_the_paper(hospitals(400), epochs, 0.05, start)
    fitted = fit({"training.epochs": epochs})
    np.testing.assert_allclose(np.concatenate([each.ravel() for each in weights(fitted)]), point, atol=2e-4)
    ended = fitted.weights
    np.testing.assert_array_equal(np.stack([ended.label, ended.stratum]), [[0, 0, 1, 1], [0, 1, 0, 1]])
    np.testing.assert_allclose(ended.weight, weight, atol=1e-4)
    np.testing.assert_allclose(ended.share, [0.48, 0.02, 0.48, 0.02], rtol=1e-6)
    assert fitted.epoch == len(fitted.history) == epochs


@trains
@pytest.mark.parametrize("classes", [2, 3])
def test_batches_of_any_size_are_weighed_alike_in_a_compiled_pass_and_step_by_step(classes):
    rng = np.random.default_rng(0)
    labels, strata = rng.integers(0, classes, 90), rng.integers(0, 3, 90)
    inputs = rng.normal(size=(90, 5)).astype(np.float32)
    recipe = recipes.load("hidden-layer", {"head.layers": "dense 4", "training.l2": 0.1})
    output = "sigmoid" if classes == 2 else "softmax"
    wanted = training.targets(labels, classes, output=output, positive=1)
    ended = []
    for is_own in (True, False):
        model = training.heads.build_head(5, classes, recipe.head, seed=0, l2=0.1)
        training.compile_as_told(model, recipe, classes, 0.01)
        groups = GroupDro(labels, strata)
        columns = inputs, wanted, groups.numbers
        like = tuple(column[:1] for column in columns)
        run = passes.runner(model, "train", 16, like, groups) if is_own else passes._Weighing(model, 16, groups)
        model.optimizer.build(model.trainable_variables)
        metrics = [run.run(iter([columns])) for _ in range(3)]
        ended.append((metrics, groups.weights, model.get_weights()))
    (metrics, weight, own), (other_metrics, other_weight, others) = ended
    for one, other in zip(metrics, other_metrics, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    np.testing.assert_allclose(weight, other_weight, rtol=1e-4)
    for one, other in zip(own, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def rightly_called(fitted):
    """Share of right answers, in the class and source where it is least."""
    inputs, labels, strata = hospitals(4000, 7)
    right = (np.asarray(fitted.model(inputs))[:, 0] >= 0.5) == labels
    return min(right[(labels == c) & (strata == s)].mean() for c in (0, 1) for s in (0, 1))


@trains
@pytest.mark.parametrize("batches", [{}, {"training.batch_size": 50, "training.epochs": 15}])
def test_the_source_that_is_called_worst_is_called_better_and_weighs_more_than_its_share(batches):
    fitted = fit({**batches, "training.epochs": batches.get("training.epochs", 150)}, n=1000)
    balanced = fit({**batches, "training.class_weight": "balanced", "training.epochs": len(fitted.history)}, n=1000)
    assert rightly_called(balanced) < 0.4
    assert rightly_called(fitted) > 0.65
    minority = fitted.weights.stratum == 1
    assert fitted.weights.share[minority].sum() == pytest.approx(0.04)
    assert fitted.weights.weight[minority].sum() > 0.4
    assert fitted.weights.weight.sum() == pytest.approx(1)


@trains
def test_the_head_is_the_mean_of_the_second_half_whatever_keep_says():
    ended = []
    note = keras_backend.load().callbacks.LambdaCallback(
        on_epoch_end=lambda _epoch, _logs: ended.append([np.array(each) for each in note.model.get_weights()])
    )
    fitted = fit({"training.epochs": 5, "training.keep": "best"}, callbacks=[note])
    for received, *own in zip(weights(fitted), *ended[2:], strict=True):
        np.testing.assert_allclose(received, np.mean(own, axis=0), atol=1e-6)
    last = fit({"training.epochs": 5, "training.keep": "last"})
    for received, other in zip(weights(fitted), weights(last), strict=True):
        np.testing.assert_array_equal(received, other)


@trains
def test_patience_waits_for_the_second_half():
    rising = {
        "training.epochs": 12,
        "training.patience": 1,
        "training.optimizer": "sgd",
        "training.learning_rate": 1e-8,
    }
    fitted = fit(rising)
    losses = [row["val_loss"] for row in fitted.history]
    assert len(losses) >= 7
    assert fitted.epoch == len(losses) == 12 or losses[-1] >= min(losses[:-1])


@trains
def test_a_training_that_a_callback_ends_before_the_second_half_keeps_its_last_epoch():
    ended = []

    def stop(epoch, _logs):
        ended.append([np.array(each) for each in note.model.get_weights()])
        note.model.stop_training = epoch == 1

    note = keras_backend.load().callbacks.LambdaCallback(on_epoch_end=stop)
    fitted = fit({"training.epochs": 9}, callbacks=[note])
    assert fitted.epoch == len(fitted.history) == 2
    for received, own in zip(weights(fitted), ended[-1], strict=True):
        np.testing.assert_array_equal(received, own)


@trains
@pytest.mark.parametrize("strata", [None, np.arange(400) % 2])
def test_where_no_class_has_two_sources_it_is_class_balance(strata):
    inputs, labels, _ = hospitals(400)
    rare = np.where(np.arange(400) < 300, 0, labels)
    strata = None if strata is None else rare
    fitted = fit({"training.epochs": 3}, train=(inputs, rare, strata))
    balanced = fit({"training.epochs": 3, "training.class_weight": "balanced"}, train=(inputs, rare, strata))
    assert fitted.weights is None
    assert fitted.history == balanced.history
    for received, other in zip(weights(fitted), weights(balanced), strict=True):
        np.testing.assert_array_equal(received, other)


@trains
def test_another_class_weight_ends_with_no_weights_of_groups():
    assert fit({"training.epochs": 1, "training.class_weight": "by source"}).weights is None


def test_what_a_training_ended_with_weighs_its_rows_from_then_on():
    labels, strata = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0])
    ended = GroupWeights(
        np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.2, 0.6])
    )
    one = part(np.zeros((4, 1), np.float32), labels, strata)
    np.testing.assert_allclose(training.row_weights(one, 2, "group-dro", ended), [0.4, 0.4, 0.8, 2.4], rtol=1e-6)
    balanced = training.row_weights(one, 2, "balanced")
    np.testing.assert_array_equal(training.row_weights(one, 2, "group-dro"), balanced)
