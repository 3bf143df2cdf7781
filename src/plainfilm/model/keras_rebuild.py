"""A bundle's network as a Keras model again, with the weights that the bundle itself holds.

So no file of weights is needed, and a backbone that was fine-tuned comes back as it was tuned.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.files import scratch
from plainfilm.errors import ExportError
from plainfilm.model import backbone_blocks, backbones, encoder, heads, keras_backend, recipes
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import export_head
from plainfilm.model.recipe_schema import Recipe
from plainfilm.results.manifest import Preprocessing


def keras_model(bundle: Bundle) -> Any:
    """Build a bundle's network in Keras, from preprocessing to logits.

    Returns
    -------
    keras.Model
        uint8 "images" (n, s, s) to float32 "logits": (n, 1) of a sigmoid or (n, classes) of a softmax.

    Raises
    ------
    ExportError
        The backbone came as an ONNX file, the lungs are cut out or intensities harmonised, the network joins several, or it
        is not what the manifest and the recipe say.
    """
    keras = keras_backend.load()
    stored = _constants(_opened(bundle.classifier.network))
    _check_single(stored)
    recipe = _recipe(bundle.recipe)
    backbone, prepare = _backbone(bundle, recipe), _preprocessing(bundle)
    with keras_backend.unfilled():
        network = backbone_blocks.shortened(backbones.build(backbone, prepare.input_size), backbone)
    _fill(network, lambda: encoder.to_onnx(network, prepare), stored, prefix="")
    decision = bundle.classifier.decision
    head = heads.build_head(network.outputs[0].shape[-1], len(decision.classes), recipe.head, seed=0,
                            findings=decision.task == "findings")  # fmt: skip
    _fill(head, lambda: _opened(export_head(head)), stored, prefix="head_")
    images = keras.Input((prepare.image_size, prepare.image_size), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1.0, name="as_float")(images)
    features = encoder.to_keras(network, prepare)(x)
    return keras.Model(images, heads.up_to_logits(head)(features))


def _recipe(text: str) -> Recipe:
    with scratch() as folder:
        file = folder / "recipe.toml"
        file.write_text(text, encoding="utf-8")
        return recipes.load(str(file))


def _check_single(stored: Mapping[str, NDArray[Any]]) -> None:
    from plainfilm.model.onnx.ensemble import JOINED

    if any(name.startswith(JOINED) for name in stored):
        raise ExportError(
            "Expected one backbone and one head that see each image once; this bundle's network joins several, or several views, which "
            "its ONNX graph alone holds. Export it to onnx or openvino."
        )


def _backbone(bundle: Bundle, recipe: Recipe) -> backbones.Backbone:
    name = bundle.manifest.backbone.name
    if recipe.backbone.name.endswith(".onnx") or name not in backbones.BACKBONES:
        raise ExportError(
            f"Expected a backbone that plainfilm builds in Keras; this bundle's is {name}, from a file or a hub. "
            "Export it to onnx or openvino."
        )
    return backbones.find(name, recipe.backbone.depth)


def _preprocessing(bundle: Bundle) -> Preprocessing:
    prepare = bundle.manifest.preprocessing
    if not prepare.is_plain or prepare.resample != "bilinear":
        raise ExportError(
            "Expected a network that sees images as they are stored, resized bilinearly; this bundle's sees a lung crop, harmonised "
            "intensities or another resizing, which its ONNX graph alone holds. Export it to onnx or openvino."
        )
    return prepare


def _other(reason: str) -> ExportError:
    return ExportError(
        f"Expected a bundle whose network is what its manifest and recipe say; received one that is not ({reason}). "
        "Export it to onnx or openvino, or train it again."
    )


def _opened(network: bytes) -> Any:
    import onnx

    return onnx.load_from_string(network)


def _constants(model: Any) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


def _fill(model: Any, exported: Callable[[], Any], stored: Mapping[str, NDArray[Any]], *, prefix: str) -> None:
    """Give a Keras model the weights that stand in `stored` under the names that its own export gives them.

    The model is exported twice: once each weight is the number of its variable, once minus its place in that variable.
    So the export itself tells where every stored number belongs, however it turns axes.
    """
    shapes = [tuple(variable.shape) for variable in model.weights]
    model.set_weights([np.full(shape, number, np.float32) for number, shape in enumerate(shapes, 1)])
    numbers = _constants(exported())
    model.set_weights([-1 - np.arange(math.prod(shape), dtype=np.float32).reshape(shape) for shape in shapes])
    places = _constants(exported())
    found = [np.full(math.prod(shape), np.nan, np.float32) for shape in shapes]
    for name, number in numbers.items():
        value = stored.get(prefix + name)
        if value is None or value.shape != number.shape:
            raise _other(f"{prefix}{name} is missing or of another shape")
        if not np.array_equal(number, places[name]):
            found[int(number.flat[0]) - 1][(-1 - places[name]).astype(np.int64)] = value
        elif not np.array_equal(number, value):  # no weight but a bound or a scale: it stays as it is
            raise _other(f"{prefix}{name} is another constant")
    if any(np.isnan(values).any() for values in found):
        raise _other("weights are missing")
    model.set_weights([values.reshape(shape) for values, shape in zip(found, shapes, strict=True)])
