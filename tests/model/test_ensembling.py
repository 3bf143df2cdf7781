import dataclasses

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import made_bundles
from made_files import Pictures
from made_networks import empty_network
from plainfilm.data import cache
from plainfilm.errors import ExportError, RecipeError
from plainfilm.model import backbones, bundle, classifier, encoder, ensembling, export
from plainfilm.model.classifier import Classifier, Decision, head_logits
from plainfilm.model.ensembling import EncoderHead
from plainfilm.model.onnx import ensemble, from_keras
from plainfilm.model.onnx_safety import check
from plainfilm.model.scaling import Scaling
from plainfilm.results.manifest import BackboneUsed, Preprocessing

SIZE, N = 64, 11
IMAGES = np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE), dtype=np.uint8)
STORE, ROWS = Pictures(IMAGES), np.arange(N)
PREPARE = Preprocessing(image_size=SIZE, input_size=SIZE, scaling="0..1", scale=(1 / 255,) * 3, offset=(0.0,) * 3)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def network(width, seed, *, stride=2, opset=from_keras.OPSET):
    """An encoder of one convolution and a global average."""
    rng, graph = np.random.default_rng(seed), from_keras.Graph(opset)
    gray = graph.node("Mul", [graph.node("Cast", ["images"], to=1), graph.weight(np.float32(1 / 255))])
    one = graph.node("Unsqueeze", [gray, graph.weight(np.array([1]))])
    kernel = graph.weight(rng.normal(0, 1, (width, 1, 3, 3)).astype(np.float32))
    maps = graph.node("Relu", [graph.node("Conv", [one, kernel], strides=[stride, stride])])
    graph.node("Flatten", [graph.node("GlobalAveragePool", [maps])], output="features")
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE])
    return graph.model([images], [from_keras.float_output("features", width)])


def head(width, outputs, seed, *, linear=False):
    rng, graph = np.random.default_rng(seed), from_keras.Graph()

    def gemm(x, a, b, **named):
        weights = [graph.weight(rng.normal(0, 1, shape).astype(np.float32)) for shape in ((a, b), (b,))]
        return graph.node("Gemm", [x, *weights], **named)

    if linear:
        gemm("features", width, outputs, output="logits")
    else:
        gemm(graph.node("Tanh", [gemm("features", width, 5)]), 5, outputs, output="logits")
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])
    return graph.model([features], [from_keras.float_output("logits", outputs)]).SerializeToString()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a part: of the same name and seed, the same encoder."""
    folder = tmp_path_factory.mktemp("encoders")

    def part(name="a", seed=0, *, width=6, outputs=3, head_seed=0, linear=False, **how):
        path = folder / f"{name}{seed}{width}{how}.onnx"
        cache.write(path, network(width, seed, **how).SerializeToString())
        opened = encoder.Encoder(path, key=path.name, name=name, preprocessing=PREPARE, weights_sha256="0" * 64)
        features = encoder.encode_store(opened, STORE)
        return EncoderHead(encoder=opened, head=head(width, outputs, head_seed, linear=linear), features=features)

    return part


def joined(part, outputs=3):
    classes, positive = (("A", "B"), "B") if outputs < 3 else (("A", "B", "C"), None)
    return Classifier(classifier.join(part.encoder.network(), part.head), Decision(classes=classes, positive=positive))


def logits(part, rows=ROWS):
    return head_logits(part.head, part.features.read, rows)


def mixed(parts, outputs=3, seed=0):
    """Weights and bias at random, and the logits that they should give."""
    rng, width = np.random.default_rng(seed), len(parts) * outputs
    weights, bias = (rng.normal(0, 1, shape).astype(np.float32) for shape in ((width, outputs), (outputs,)))
    return weights, bias, np.concatenate([logits(part) for part in parts], axis=1) @ weights + bias


# ---- several classifiers


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 9, N])
def test_the_whole_answers_as_its_parts_mixed_by_the_weights(outputs, n, made):
    parts = [
        made("a", outputs=outputs),
        made("b", 1, width=4, outputs=outputs),
        made("a", outputs=outputs, head_seed=5),
    ]
    weights, bias, expected = mixed(parts, outputs)
    whole = ensembling.combine(parts, weights, bias)
    np.testing.assert_allclose(logits(whole), expected, atol=1e-5)
    np.testing.assert_allclose(joined(whole, outputs).logits(IMAGES[:n]), expected[:n], atol=1e-5)


def test_parts_with_one_encoder_share_it_unchanged(made):
    parts = [made("a", head_seed=seed) for seed in range(3)]
    weights, bias, expected = mixed(parts)
    whole = ensembling.combine(parts, weights, bias)
    assert whole.encoder is parts[0].encoder
    assert whole.features is parts[0].features
    np.testing.assert_allclose(joined(whole).logits(IMAGES), expected, atol=1e-5)


def test_distinct_encoders_stand_in_the_file_once_and_their_features_are_not_encoded_again(made):
    parts = [made("a"), made("b", 1, width=4), made("a", head_seed=3), made("b", 1, width=4, head_seed=2)]
    before = STORE.asked
    whole = ensembling.combine(parts, *mixed(parts)[:2])
    assert STORE.asked == before
    assert whole.encoder.width == whole.features.width == 10
    convolutions = [each.op_type for each in onnx.load_from_string(whole.encoder.network()).graph.node].count("Conv")
    assert convolutions == 2
    some = np.array([4, 0, 4])
    np.testing.assert_allclose(whole.features.read(some), whole.encoder.encode(IMAGES[some]), atol=1e-6)
    np.testing.assert_array_equal(whole.features.read(some)[:, :6], parts[0].features.read(some))


def test_wholes_are_parts_of_other_wholes(made):
    folds = []
    for seed in range(3):
        members = [made("a", head_seed=seed), made("b", 1, width=4, head_seed=seed + 7)]
        folds.append(ensembling.combine(members, *mixed(members, seed=seed)[:2]))
    weights, bias, expected = mixed(folds)
    whole = ensembling.combine(folds, weights, bias)
    assert whole.encoder is folds[0].encoder
    np.testing.assert_allclose(joined(whole).logits(IMAGES), expected, atol=1e-5)
    other = [ensembling.combine(folds[:2], *mixed(folds[:2])[:2]), made("c", 3)]
    weights, bias, expected = mixed(other)
    np.testing.assert_allclose(joined(ensembling.combine(other, weights, bias)).logits(IMAGES), expected, atol=1e-5)


def test_a_whole_is_named_and_known_by_what_is_in_it(made):
    a, b, tuned = made("a"), made("b", 1), [made("a", seed) for seed in range(4)]

    def name(*parts):
        return ensembling.combine(parts, *mixed(parts)[:2]).encoder.name

    assert name(a, b) == "a + b"
    assert name(*tuned) == "4 × a"
    one, two = (ensembling.combine(pair, *mixed(pair)[:2]) for pair in ((tuned[0], b), (tuned[1], made("b", 2))))
    assert name(one, two) == "2 × a + 2 × b"
    assert one.encoder.key != two.encoder.key
    again = ensembling.combine((tuned[0], made("b", 1)), *mixed((a, b))[:2])
    assert again.encoder.key == one.encoder.key


def test_operators_of_different_versions_are_brought_to_the_newest(made):
    parts = [made("old", opset=13), made("new", 1)]
    weights, bias, expected = mixed(parts)
    whole = ensembling.combine(parts, weights, bias)
    assert onnx.load_from_string(whole.encoder.network()).opset_import[0].version == from_keras.OPSET
    np.testing.assert_allclose(joined(whole).logits(IMAGES), expected, atol=1e-5)


def test_parts_that_do_not_fit_are_refused(made):
    a = made("a")
    short = dataclasses.replace(a, features=dataclasses.replace(a.features, rows=3))
    with pytest.raises(ValueError, match="parts of the same images"):
        ensembling.combine([a, short], *mixed([a, a])[:2])
    with pytest.raises(ValueError, match="parts of the same images"):
        ensembling.combine([], *mixed([a])[:2])
    with pytest.raises(ValueError, match=r"weights \(6, 3\)"):
        ensembling.combine([a, made("b", 1)], *mixed([a])[:2])


def test_what_no_bundle_could_hold_is_refused_at_once(made, monkeypatch):
    monkeypatch.setattr(check, "MOST_NODES", 10)
    parts = [made("too", 1), made("large", 2)]
    with pytest.raises(RecipeError, match=r"Set fewer ensemble\.members, folds or evaluation\.views"):
        ensembling.combine(parts, *mixed(parts)[:2])
    with pytest.raises(RecipeError, match="bundle can hold"):
        ensembling.with_views(made("too", 1), 3, STORE)


# ---- how parts are weighed


def scaling(outputs, seed):
    random = np.random.default_rng(seed)
    return Scaling(random.uniform(0.1, 10, outputs), random.normal(0, 3, outputs))


@given(st.integers(1, 5), st.integers(1, 4))
def test_the_mean_is_of_log_odds_each_after_its_own_scaling(parts, outputs):
    each = np.random.default_rng(0).normal(0, 3, (parts, 7, outputs))
    scalings = [scaling(outputs, seed) for seed in range(parts)]
    weights, bias = ensembling.mean_of(scalings)
    expected = np.mean([own * s.slopes + s.intercepts for own, s in zip(each, scalings, strict=True)], axis=0)
    np.testing.assert_allclose(np.concatenate(each, axis=1) @ weights + bias, expected, rtol=1e-4, atol=1e-4)


def told(labels, strength, seed, outputs, positive):
    """Logits that know the labels more or less well."""
    rng = np.random.default_rng(seed)
    truth = np.eye(max(outputs, 2))[labels] if outputs > 1 else (labels == positive)[:, None] - 0.5
    return strength * truth + rng.normal(0, 1, truth.shape)


def likelihood(scores, labels, outputs, positive):
    both = np.concatenate([np.zeros_like(scores), scores], axis=1) if outputs == 1 else scores
    truth = (labels == positive).astype(int) if outputs == 1 else labels
    return (both - np.logaddexp.reduce(both, axis=1, keepdims=True))[np.arange(len(truth)), truth].mean()


@pytest.mark.parametrize(("classes", "outputs", "positive"), [(2, 1, 0), (2, 1, 1), (2, 2, 1), (3, 3, 0), (5, 5, 0)])
def test_stacking_weighs_parts_by_what_they_know_and_is_likelier_than_the_mean(classes, outputs, positive):
    labels = np.random.default_rng(1).integers(0, classes, 400)
    train, test = np.arange(200), np.arange(200, 400)
    parts = np.concatenate(
        [told(labels, each, seed, outputs, positive) for seed, each in enumerate((2.0, 0.0))], axis=1
    )
    weights, bias = ensembling.stacked(
        parts[train], labels[train], classes=classes, positive=positive, outputs=None if outputs != 2 else 2
    )
    assert weights.shape == (2 * outputs, outputs)
    assert bias.shape == (outputs,)
    assert weights.dtype == bias.dtype == np.float32
    good, bad = np.abs(weights[:outputs]).max(), np.abs(weights[outputs:]).max()
    assert good > 5 * bad
    mean, none = ensembling.mean_of([Scaling(np.ones(outputs), np.zeros(outputs))] * 2)
    of_mean, of_stack = (
        likelihood(parts[test] @ w + b, labels[test], outputs, positive) for w, b in ((mean, none), (weights, bias))
    )
    assert of_stack > of_mean + 0.05
    again = ensembling.stacked(parts[train], labels[train], classes=classes, positive=positive, outputs=outputs)
    np.testing.assert_array_equal(again[0], weights)


def test_stacking_one_sigmoid_is_logistic_regression():
    """Scikit-learn, without a penalty, is the oracle: the prior holds one part's weight nowhere."""
    from sklearn.linear_model import LogisticRegression

    labels = np.random.default_rng(1).integers(0, 2, 3000)
    part = told(labels, 0.7, 3, 1, 0)
    weights, bias = ensembling.stacked(part, labels, classes=2, positive=0)
    oracle = LogisticRegression(C=np.inf).fit(part, labels == 0)
    assert weights[0, 0] == pytest.approx(oracle.coef_[0, 0], rel=1e-2)
    assert bias[0] == pytest.approx(oracle.intercept_[0], abs=1e-2)


@given(st.integers(0, 100), st.integers(1, 12), st.sampled_from([1, 3]))
@settings(max_examples=20)
def test_stacking_is_finite_on_few_rows_perfect_rows_and_rows_that_lack_a_class(seed, n, outputs):
    labels = np.random.default_rng(seed).integers(0, 2, n)
    parts = np.concatenate([told(labels, 1e3, each, outputs, 1) for each in range(4)], axis=1)
    for each in (parts, np.zeros_like(parts)):
        weights, bias = ensembling.stacked(each, labels, classes=max(2, outputs), positive=1)
        assert np.isfinite(weights).all()
        assert np.isfinite(bias).all()


# ---- several views


def cut(images, box):
    """Cut a square out and enlarge it, as half-pixel centres say: pixel i of s shows (i + 0.5) side / s - 0.5."""
    top, left, side = (round(share * SIZE) for share in box)
    at = np.clip((np.arange(SIZE) + 0.5) * side / SIZE - 0.5, 0, side - 1)
    low = np.minimum(at.astype(int), side - 2)
    matrix = np.zeros((SIZE, side))
    matrix[np.arange(SIZE), low], matrix[np.arange(SIZE), low + 1] = 1 - (at - low), at - low
    return np.rint(matrix @ images[:, top : top + side, left : left + side] @ matrix.T).astype(np.uint8)


@pytest.mark.parametrize("views", [2, 3, 9])
@pytest.mark.parametrize("opset", [13, 18])
def test_views_give_the_mean_of_the_features_of_the_image_and_its_squares(views, opset, made):
    part = made("v", opset=opset)
    seen = ensembling.with_views(part, views, STORE)
    each = [
        part.encoder.encode(picture)
        for picture in (IMAGES, *(cut(IMAGES, box) for box in ensembling.VIEWS[: views - 1]))
    ]
    # A level of gray may be rounded otherwise where interpolation ends half-way between two.
    np.testing.assert_allclose(seen.features.read(ROWS), np.mean(each, axis=0), atol=1e-4)
    assert np.abs(each[1] - each[0]).max() > 1e-3
    np.testing.assert_allclose(joined(seen).logits(IMAGES[:5]), logits(seen)[:5], atol=1e-5)
    assert seen.encoder.name == f"v in {views} views"


def test_one_view_is_the_image_itself(made):
    part = made("a")
    assert ensembling.with_views(part, 1, STORE) is part


@pytest.mark.parametrize("views", [0, 10])
def test_other_numbers_of_views_are_refused(views, made):
    with pytest.raises(ValueError, match="1 to 9 views"):
        ensembling.with_views(made("a"), views, STORE)


def test_all_views_go_through_the_same_weights(made):
    part = made("wide", width=2000)
    plain, seen = (each.encoder.path.stat().st_size for each in (part, ensembling.with_views(part, 9, STORE)))
    assert plain > 70_000
    assert seen < plain + 8_000


def test_every_square_lies_in_the_image():
    assert len(set(ensembling.VIEWS)) == len(ensembling.VIEWS) == 8
    for top, left, side in ensembling.VIEWS:
        assert min(top, left) >= 0
        assert max(top, left) + side <= 1
        assert 0.5 <= side < 1


@given(st.integers(16, 2048), st.floats(0.5, 1))
def test_a_square_becomes_exactly_as_large_as_the_image(size, share):
    side = max(1, round(share * size))
    scale = from_keras.least_scale(side, size)
    assert np.floor(side * float(scale)) == np.floor(np.float32(side) * scale) == size


# ---- where it looked


def gradients(part, features):
    """Central differences of the logits over each feature, (n, outputs, width)."""
    step = 1e-2
    found = []
    for column in range(features.shape[1]):
        up, down = features.copy(), features.copy()
        up[:, column] += step
        down[:, column] -= step
        ends = (head_logits(part.head, lambda rows, own=own: own[rows], ROWS) for own in (up, down))
        found.append((next(ends) - next(ends)) / (2 * step))
    return np.stack(found, axis=2)


def test_maps_and_slopes_of_several_encoders_stand_side_by_side(made):
    parts = [made("a"), made("b", 1, width=4), made("a", head_seed=3)]
    whole = ensembling.combine(parts, *mixed(parts)[:2])
    maps, slopes, features = joined(whole).run(IMAGES, "maps", "slopes", "features")
    assert maps.shape == (N, 10, 31, 31)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), features, atol=1e-5)
    np.testing.assert_allclose(slopes, gradients(whole, features), atol=2e-3)


def test_the_activation_maps_of_a_linear_whole_sum_up_to_its_logits(made):
    parts = [made("a", linear=True), made("b", 1, width=4, linear=True)]
    weights, bias, expected = mixed(parts)
    maps, slopes = joined(ensembling.combine(parts, weights, bias)).run(IMAGES, "maps", "slopes")
    explained = np.einsum("noc,nchw->no", slopes, maps) / maps[0, 0].size
    rest = expected - explained
    np.testing.assert_allclose(rest, np.repeat(rest[:1], N, axis=0), atol=1e-4)
    assert np.ptp(explained, axis=0).min() > 1e-3


@pytest.mark.parametrize("views", [2, 4])
def test_of_several_views_the_whole_image_has_the_maps(views, made):
    parts = [made("a"), made("b", 1, width=4)]
    whole = ensembling.combine(parts, *mixed(parts)[:2])
    plain, seen = joined(whole), ensembling.with_views(whole, views, STORE)
    maps, slopes, features = joined(seen).run(IMAGES, "maps", "slopes", "features")
    np.testing.assert_allclose(maps, plain.run(IMAGES, "maps")[0], atol=1e-5)
    np.testing.assert_allclose(slopes, gradients(seen, features) / views, atol=2e-3)


def test_views_of_each_part_have_the_same_maps_as_views_of_the_whole(made):
    parts = [made("a"), made("b", 1, width=4)]
    weights, bias, _ = mixed(parts)
    one = ensembling.with_views(ensembling.combine(parts, weights, bias), 3, STORE)
    other = ensembling.combine([ensembling.with_views(part, 3, STORE) for part in parts], weights, bias)
    for first, second in zip(
        *(joined(each).run(IMAGES, "logits", "maps", "slopes") for each in (one, other)), strict=True
    ):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_maps_of_different_sizes_are_left_out_and_the_answers_stay(made):
    parts = [made("a"), made("b", 1, stride=3)]
    weights, bias, expected = mixed(parts)
    made_whole = joined(ensembling.combine(parts, weights, bias))
    assert not made_whole.looks_at_maps
    np.testing.assert_allclose(made_whole.logits(IMAGES), expected, atol=1e-5)


# ---- kept and exported


@pytest.fixture
def kept(made, tmp_path):
    """A bundle of two backbones in three views each, as it is opened again."""

    def write(parts, views=1):
        whole = ensembling.with_views(ensembling.combine(parts, *mixed(parts)[:2]), views, STORE)
        path, used = tmp_path / "model.plainfilm", whole.encoder
        backbone = BackboneUsed(name=used.name, weights_sha256=used.weights_sha256, features=used.width)
        about = made_bundles.provenance(joined(whole).classes_, PREPARE, backbone=backbone)
        bundle.write(path, joined(whole), about=about, metrics=made_bundles.metrics(), recipe='name = "default"\n')
        return whole, bundle.load(path)

    return write


@pytest.mark.parametrize("views", [1, 3])
def test_a_bundle_holds_the_whole_and_answers_as_it(views, made, kept):
    whole, opened = kept([made("a"), made("b", 1, width=4), made("a", head_seed=2)], views)
    np.testing.assert_allclose(opened.classifier.logits(IMAGES), logits(whole), atol=1e-5)
    assert opened.classifier.looks_at_maps


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_whole_is_exported_with_all_its_parts_and_views(to, made, kept, tmp_path):
    _, opened = kept([made("a"), made("b", 1, width=4)], 3)
    suffix = {"onnx": "onnx", "openvino": "xml"}[to]
    found = export.export(opened, to, tmp_path / f"m.{suffix}")
    assert found.largest_difference < 1e-4


@pytest.mark.parametrize("to", ["keras", "tflite"])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("names", ["ab", "aa"])
def test_keras_cannot_hold_what_is_joined_and_the_line_says_so(to, views, names, made, kept, tmp_path):
    _, opened = kept([made(name, name == "b", head_seed=at) for at, name in enumerate(names)], views)
    with pytest.raises(ExportError, match="joins several, or several views.*Export it to onnx or openvino"):
        export.export(opened, to, tmp_path / f"m.{to}")


@pytest.mark.slow
def test_five_tuned_backbones_and_two_backbones_in_nine_views_fit_into_a_bundle():
    rows = [backbones.BACKBONES[name] for name in ("mobilenet", "efficientnet_lite0")]
    prepare = [encoder.preprocessing(row, image_size=384, input_size=288) for row in rows]
    first, second = (encoder.to_onnx(empty_network(row, 288), own) for row, own in zip(rows, prepare, strict=True))
    for whole in (
        ensemble.side_by_side([first] * 5),
        ensemble.over_views(ensemble.side_by_side([first, second]), ensembling.VIEWS),
    ):
        check.check(whole.SerializeToString(), outputs=("features",))
