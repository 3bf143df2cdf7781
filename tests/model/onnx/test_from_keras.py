import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plainfilm.model import classifier, heads
from plainfilm.model.onnx import from_keras
from plainfilm.model.recipe_schema import HeadSettings

ACTIVATIONS = ("relu", "elu", "gelu", "silu", "tanh", "sigmoid")
layers = st.lists(
    st.one_of(
        st.integers(1, 9).map(lambda units: f"dense {units}"),
        st.sampled_from([0, 0.3, 0.9]).map(lambda rate: f"dropout {rate}"),
    ),
    max_size=4,
).map(tuple)


def shake(model, seed=0):
    """Random values everywhere: a bias of 0 or a variance of 1 would hide a translator that leaves it out."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.2, 1.2, each.shape) * rng.choice([1, 1, 1, 0.5]) for each in model.get_weights()])


def run(network, **inputs):
    return ort.InferenceSession(network, providers=["CPUExecutionProvider"]).run(None, inputs)[0]


@settings(max_examples=40)
@given(
    layers=layers,
    activation=st.sampled_from(ACTIVATIONS),
    output=st.sampled_from(["auto", "softmax"]),
    classes=st.integers(2, 4),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_an_exported_head_gives_keras_logits(layers, activation, output, classes, width, seed):
    import keras

    head = heads.build_head(
        width, classes, HeadSettings(layers=layers, activation=activation, output=output), seed=seed
    )
    rng = np.random.default_rng(seed)
    head.set_weights([rng.normal(0, 0.7, each.shape) for each in head.get_weights()])
    features = rng.normal(0, 2, (5, width)).astype(np.float32)
    expected = np.asarray(keras.Model(head.input, head.get_layer("logits").output)(features, training=False))
    received = run(classifier.export_head(head), features=features)
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_that_a_recipe_may_name_can_be_exported(activation):
    import keras

    head = heads.build_head(3, 2, HeadSettings(layers=("dense 5",), activation=activation), seed=1)
    features = np.linspace(-6, 6, 30, dtype=np.float32).reshape(10, 3)
    expected = np.asarray(keras.Model(head.input, head.get_layer("logits").output)(features))
    np.testing.assert_allclose(run(classifier.export_head(head), features=features), expected, rtol=1e-5, atol=1e-5)


def exported(model, channels):
    """A Keras network of images, run by ONNX Runtime on images that are channels last."""
    graph = from_keras.Graph()
    from_keras.add_keras(graph, model, "x", output="y")
    shape = ["n", channels, *model.input.shape[1:3]]
    inputs = from_keras.helper.make_tensor_value_info("x", from_keras.TensorProto.FLOAT, shape)
    outputs = from_keras.helper.make_tensor_value_info(
        "y", from_keras.TensorProto.FLOAT, list("nabc")[: len(model.output.shape)]
    )
    network = graph.model([inputs], [outputs]).SerializeToString()

    def infer(images):
        result = run(network, x=np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return result.transpose(0, 2, 3, 1) if result.ndim == 4 else result

    return infer


def check(build, *, size=(9, 11), channels=4):
    import keras

    inputs = keras.Input((*size, channels))
    model = keras.Model(inputs, build(inputs))
    shake(model)
    images = np.random.default_rng(1).normal(0, 1, (2, *size, channels)).astype(np.float32)
    expected = np.asarray(model(images, training=False))
    received = exported(model, channels)(images)
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=25)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
    size=st.tuples(st.integers(8, 12), st.integers(8, 12)),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
)
@example(kernel=(3, 2), stride=1, dilation=2, padding="same", size=(9, 8), groups=2, bias=True)
def test_a_convolution_is_the_same_for_every_size_stride_and_padding(
    kernel, stride, dilation, padding, size, groups, bias
):
    import keras

    if stride > 1:  # Keras has no dilation with strides
        dilation = 1
    options = {"strides": stride, "dilation_rate": dilation, "padding": padding, "use_bias": bias}
    check(lambda x: keras.layers.Conv2D(6, kernel, groups=groups, activation="silu", **options)(x), size=size)


@settings(max_examples=12)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
    multiplier=st.integers(1, 2),
    size=st.tuples(st.integers(8, 12), st.integers(8, 12)),
)
def test_a_depthwise_convolution_and_pools_are_the_same(kernel, stride, padding, multiplier, size):
    import keras

    options = {"strides": stride, "padding": padding}
    check(lambda x: keras.layers.DepthwiseConv2D(kernel, depth_multiplier=multiplier, **options)(x), size=size)
    check(lambda x: keras.layers.MaxPooling2D(kernel, **options)(x), size=size)
    check(lambda x: keras.layers.AveragePooling2D(kernel, **options)(x), size=size)


def test_the_other_layers_of_the_backbones_are_the_same():
    import keras

    k = keras.layers
    builds = [
        lambda x: k.BatchNormalization(epsilon=0.01)(x),
        lambda x: k.BatchNormalization(scale=False, center=False)(x),
        lambda x: k.LayerNormalization(epsilon=0.01)(x),
        lambda x: k.LayerNormalization()(k.GlobalAveragePooling2D()(x)),
        lambda x: k.ReLU()(x),
        lambda x: k.ReLU(max_value=0.6)(x),
        lambda x: k.Activation("hard_sigmoid")(x),
        lambda x: k.Activation("hard_silu")(x),
        lambda x: k.ZeroPadding2D(((0, 1), (2, 3)))(x),
        lambda x: k.Concatenate()([x, k.Activation("tanh")(x), x]),
        lambda x: k.Add()([x, k.Activation("elu")(x), x]),
        lambda x: k.Multiply()([x, k.Reshape((1, 1, 4))(k.GlobalAveragePooling2D()(x))]),
        lambda x: k.Multiply()([x, k.GlobalAveragePooling2D(keepdims=True)(x)]),
        lambda x: k.Dense(3, activation="gelu")(x),
        lambda x: x * 0.5 + 2.0,
        lambda x: keras.Sequential([keras.Input((9, 11, 4)), k.Conv2D(2, 3), k.ReLU()])(x),
        lambda x: k.Dropout(0.5)(x),
    ]
    for build in builds:
        check(build)


def dense_model(layer):
    import keras

    inputs = keras.Input((6,))
    return keras.Model(inputs, layer(inputs))


def test_a_layer_without_a_translator_is_named_with_those_that_have_one():
    import keras

    model = dense_model(keras.layers.UnitNormalization(name="unit"))
    with pytest.raises(NotImplementedError, match=r"BatchNormalization.*Dense.*UnitNormalization \(unit\)"):
        from_keras.add_keras(from_keras.Graph(), model, "x")


def test_an_activation_without_a_translator_is_named_with_those_that_have_one():
    import keras

    model = dense_model(keras.layers.Dense(3, activation="softplus"))
    with pytest.raises(NotImplementedError, match="relu.*softplus"):
        from_keras.add_keras(from_keras.Graph(), model, "x")


@pytest.mark.parametrize("options", [{"negative_slope": 0.1}, {"threshold": 0.5}])
def test_a_relu_that_cannot_be_translated_is_refused(options):
    import keras

    model = dense_model(keras.layers.ReLU(**options))
    with pytest.raises(NotImplementedError, match="slope or a threshold"):
        from_keras.add_keras(from_keras.Graph(), model, "x")
