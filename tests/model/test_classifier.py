import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, softmax

from made_networks import keras_encoder
from plainfilm.model import classifier, devices, encoder, heads, view
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx import from_keras
from plainfilm.model.recipe_schema import HeadSettings

LITE0 = BACKBONES["efficientnet_lite0"]


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def logits(columns):
    return hnp.arrays(
        np.float32, st.tuples(st.integers(0, 6), st.just(columns)), elements=st.floats(-500, 500, width=32)
    )


def two(positive, **more):
    return Decision(classes=("COVID", "NORMAL"), positive=positive, **more)


@given(logits(1), st.sampled_from([0, 1]), st.floats(0.05, 20))
def test_one_logit_is_the_positive_class_wherever_it_stands(values, positive, temperature):
    chance = two(("COVID", "NORMAL")[positive], temperature=temperature).probabilities(values)
    expected = expit(values[:, 0].astype(np.float64) / temperature)
    assert chance.shape == (len(values), 2)
    assert chance.dtype == np.float64
    np.testing.assert_allclose(chance[:, positive], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(chance.sum(axis=1), 1, rtol=1e-12)


@given(logits(3), st.floats(0.05, 20))
def test_a_logit_a_class_is_a_softmax(values, temperature):
    decision = Decision(classes=("A", "B", "C"), positive=None, temperature=temperature)
    expected = softmax(values.astype(np.float64) / temperature, axis=1)
    np.testing.assert_allclose(decision.probabilities(values), expected, rtol=1e-9, atol=1e-300)


@given(logits(2), st.sampled_from(["COVID", "NORMAL"]))
def test_a_softmax_of_two_classes_keeps_the_order_of_the_classes(values, positive):
    expected = softmax(values.astype(np.float64), axis=1)
    np.testing.assert_allclose(two(positive).probabilities(values), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("positive", [0, 1])
@given(
    chance=hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(0, 1)),
    threshold=st.one_of(st.floats(0, 1), st.just(np.nextafter(1.0, 2.0))),
)
def test_the_positive_class_is_called_from_the_threshold_on(chance, threshold, positive):
    both = np.stack([chance, 1 - chance] if positive == 0 else [1 - chance, chance], axis=1)
    called = two(("COVID", "NORMAL")[positive], threshold=threshold).predict(both)
    np.testing.assert_array_equal(called == positive, chance >= threshold)
    assert set(called.tolist()) <= {0, 1}


def test_of_more_than_two_classes_the_most_probable_is_called():
    decision = Decision(classes=("A", "B", "C"), positive=None, threshold=0.9)
    np.testing.assert_array_equal(decision.predict(np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])), [1, 0])


def linear(outputs, size=4, seed=0):
    """A network without a backbone: the mean of the rows of an image, times a matrix."""
    graph = from_keras.Graph()
    mean = graph.node("ReduceMean", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1]))], keepdims=0)
    features = graph.node("Identity", [mean], output="features")
    matrix = np.random.default_rng(seed).normal(0, 0.01, (size, outputs)).astype(np.float32)
    graph.node("MatMul", [features, graph.weight(matrix)], output="logits")
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", size, size])
    outs = [from_keras.float_output("features", size), from_keras.float_output("logits", outputs)]
    return graph.model([images], outs).SerializeToString(), matrix


def test_a_classifier_runs_its_network_and_decides():
    network, matrix = linear(1)
    images = np.random.default_rng(1).integers(0, 256, (21, 4, 4), dtype=np.uint8)
    made = Classifier(network, two("COVID", temperature=2.0, threshold=0.4))
    score = expit((images.mean(axis=1) @ matrix)[:, 0] / 2)
    assert (made.image_size, made.classes_) == (4, ("COVID", "NORMAL"))
    np.testing.assert_allclose(made.predict_proba(images)[:, 0], score, rtol=1e-4)
    assert made.predict(images) == ["COVID" if each >= 0.4 else "NORMAL" for each in made.predict_proba(images)[:, 0]]


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (2, 2), (3, 3)])
def test_no_images_give_no_probabilities(classes, outputs):
    decision = Decision(classes=tuple("ABC"[:classes]), positive="A" if classes == 2 else None)
    made = Classifier(linear(outputs)[0], decision)
    none = np.zeros((0, 4, 4), np.uint8)
    assert made.logits(none).shape == (0, outputs)
    assert made.predict_proba(none).shape == (0, classes)
    assert made.predict(none) == []


def test_images_in_any_memory_layout_give_the_same():
    made = Classifier(linear(3)[0], Decision(classes=("A", "B", "C"), positive=None))
    images = np.random.default_rng(1).integers(0, 256, (12, 4, 4), dtype=np.uint8)
    odd = np.asfortranarray(images)
    np.testing.assert_array_equal(made.logits(odd), made.logits(images))
    np.testing.assert_array_equal(made.logits(images[::-2]), made.logits(images)[::-2])


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 4), np.float32),
        np.zeros((2, 4, 4), np.int64),
        np.zeros((4, 4), np.uint8),
        np.zeros((2, 4, 5), np.uint8),
        np.zeros((2, 5, 5), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 1), np.uint8),
        [[1, 2], [3, 4]],
    ],
)
def test_images_of_another_shape_or_dtype_are_refused(images):
    made = Classifier(linear(1)[0], two("COVID"))
    with pytest.raises(ValueError, match=r"Expected gray uint8 images \(n, 4, 4\); received"):
        made.logits(images)


@pytest.mark.parametrize(("classes", "positive"), [(2, "A"), (2, "B"), (3, None)])
def test_the_joined_network_answers_as_keras_does_from_pixels_to_probabilities(classes, positive):
    import keras

    prepare = encoder.preprocessing(LITE0, image_size=72, input_size=64)
    opened = encoder.open_encoder(LITE0, prepare)
    head = heads.build_head(opened.width, classes, HeadSettings(layers=("dropout 0.2", "dense 16")), seed=1)
    frozen = keras_encoder(LITE0, prepare)
    images = np.random.default_rng(0).integers(0, 256, (9, 72, 72), dtype=np.uint8)
    whole = keras.Model(frozen.input, head(frozen.output))
    expected = np.asarray(whole(images.astype(np.float32), training=False))

    exported = classifier.export_head(head)
    made = Classifier(
        classifier.join(opened.network(), exported), Decision(classes=tuple("ABC"[:classes]), positive=positive)
    )
    received = made.predict_proba(images)
    if positive is None:
        np.testing.assert_allclose(received, expected, atol=1e-4)
    else:
        np.testing.assert_allclose(received[:, "AB".index(positive)], expected[:, 0], atol=1e-4)
    features = opened.encode(images)
    rows = np.array([4, 0, 8])
    np.testing.assert_allclose(
        classifier.head_logits(exported, lambda asked: features[asked], rows), made.logits(images)[rows], atol=1e-4
    )


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_that_cannot_run_what_was_trained_does_not_lose_it(monkeypatch, caplog):
    monkeypatch.setattr(devices, "offered", lambda: ("cuda", "cpu"))
    with devices.using("cuda"):
        made = Classifier(view.NETWORK.read_bytes(), two("COVID"))
    assert made.device == "cuda"
    assert made.image_size == view.SIDE
    assert "cuda cannot be used" in caplog.text
