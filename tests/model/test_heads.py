import numpy as np
import pytest

from plainfilm.model import heads, recipes
from plainfilm.model.recipe_schema import HeadSettings

pytestmark = pytest.mark.trains


@pytest.mark.parametrize(
    ("output", "classes", "expected"),
    [
        ("auto", 2, "sigmoid"),
        ("auto", 3, "softmax"),
        ("softmax", 2, "softmax"),
        ("sigmoid", 2, "sigmoid"),
        ("sigmoid", 4, "softmax"),  # one score cannot tell four classes apart
    ],
)
def test_two_classes_get_a_sigmoid_and_more_a_softmax(output, classes, expected):
    settings = HeadSettings(layers=(), output=output)
    assert heads.output_kind(settings, classes) == expected
    head = heads.build_head(5, classes, settings, seed=0)
    assert head.get_layer("logits").units == (1 if expected == "sigmoid" else classes)
    assert head.get_layer("probabilities").activation.__name__ == expected


def test_a_head_has_the_layers_of_the_recipe_in_order_and_the_output_last():
    settings = HeadSettings(layers=("dropout 0.25", "dense 7", "dense 3", "dropout 0.5"), activation="tanh")
    head = heads.build_head(5, 3, settings, seed=0)
    shapes = [
        (type(layer).__name__, getattr(layer, "units", None), getattr(layer, "rate", None)) for layer in head.layers[1:]
    ]
    assert shapes == [
        ("Dropout", None, 0.25),
        ("Dense", 7, None),
        ("Dense", 3, None),
        ("Dropout", None, 0.5),
        ("Dense", 3, None),
        ("Activation", None, None),
    ]
    assert [layer.activation.__name__ for layer in head.layers if hasattr(layer, "units")] == ["tanh", "tanh", "linear"]


def test_the_papers_heads_have_three_dense_layers():
    for name, dropouts in {"paper-mobilenet": 2, "paper-resnet50": 3}.items():
        head = heads.build_head(16, 2, recipes.load(name).head, seed=0)
        kinds = [type(layer).__name__ for layer in head.layers]
        assert (kinds.count("Dense"), kinds.count("Dropout")) == (3, dropouts)


def starts(seed):
    import keras

    settings = HeadSettings(layers=("dense 4", "dropout 0.5", "dense 4"))
    head = heads.build_head(6, 2, settings, seed=seed)
    dropped = keras.Model(head.input, head.get_layer("dropout1").output)
    noise = np.asarray(dropped(np.ones((20, 6), "float32"), training=True)) == 0
    return [np.asarray(each) for each in head.get_weights()], noise


@pytest.mark.parametrize("seed", [0, 12, 2**31 - 1])
def test_the_seed_alone_decides_the_first_weights_and_the_dropout(seed):
    import keras

    keras.utils.set_random_seed(1)
    first, dropped = starts(seed)
    keras.utils.set_random_seed(2)
    again, dropped_again = starts(seed)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(dropped, dropped_again)
    another, _ = starts(seed - 1 if seed else 1)
    assert not np.array_equal(first[0], another[0])


def test_no_two_layers_of_a_head_start_alike():
    head = heads.build_head(4, 4, HeadSettings(layers=("dense 4", "dense 4")), seed=3)
    kernels = [np.asarray(layer.kernel) for layer in head.layers if hasattr(layer, "kernel")]
    assert len(kernels) == 3
    assert not any(np.allclose(a, b) for i, a in enumerate(kernels) for b in kernels[:i])


def test_a_head_that_standardises_does_so_with_its_own_numbers_and_never_changes_them():
    head = heads.build_head(4, 2, HeadSettings(layers=("standardise", "dense 3")), seed=0)
    layer = head.get_layer(heads.STANDARDISE)
    layer.set_weights([np.array([1.0, 2, 3, 4]), np.array([4.0, 1, 0.25, 0])])
    received = np.asarray(layer(np.array([[3.0, 3, 3, 4]]), training=True))
    np.testing.assert_allclose(received, [[1, 1, 0, 0]], atol=1e-5)
    assert len(head.trainable_variables) == 4
    np.testing.assert_array_equal(np.asarray(layer.moving_mean), [1, 2, 3, 4])
