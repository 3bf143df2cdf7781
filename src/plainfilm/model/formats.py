"""The formats that a bundle is exported to: how each is written, and how it is run in its own runtime.

Each takes gray uint8 images (n, s, s) as the bundle does and gives calibrated probabilities float32 (n, classes).
"""

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plainfilm
from plainfilm.data.files import scratch
from plainfilm.errors import UsageError
from plainfilm.model import keras_backend, keras_rebuild
from plainfilm.model.bfloat16 import repeat_gray
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.model.onnx_session import open_network
from plainfilm.results import documents
from plainfilm.results.exported import FileMetadata

ABOUT = "plainfilm.json"  # a member of .keras and .tflite files, which may both hold a ZIP's members
Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the suffix of its files, the packages it needs, what writes one from a bundle, and what opens one in its own runtime."""

    suffix: str
    needs: tuple[str, ...]
    write: Callable[[Bundle, Path], None]
    open: Callable[[Path], Run]


def _about(bundle: Bundle) -> FileMetadata:
    decision, audit = bundle.classifier.decision, bundle.metrics.audit
    return FileMetadata(
        weights=bundle.manifest.backbone.origins,
        classes=decision.classes,
        positive=decision.positive,
        threshold=decision.threshold if decision.positive else None,
        task=decision.task,
        thresholds=decision.thresholds,
        lower_thresholds=decision.lower_thresholds,
        lower_threshold=decision.lower_threshold,
        image_size=bundle.classifier.image_size,
        intended_use=bundle.manifest.intended_use,
        verdict=audit.verdict if audit else "not audited",
        plainfilm=plainfilm.__version__,
        site=bundle.site,
    )


def _texts(about: FileMetadata) -> dict[str, str]:
    """Metadata for formats that hold texts alone: what is no text becomes JSON."""
    told = documents.plain(about)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}


def affine(decision: Decision, outputs: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Calibration as a matrix (outputs, classes) and an offset (classes) before a softmax, or of findings a sigmoid, both float32.

    A sigmoid's scaled logit is the log odds of the positive class: softmax over 0 and it.
    """
    slopes, intercepts = decision.scaling(outputs)
    is_positive = np.array([name == decision.positive for name in decision.classes], np.float64)
    matrix = is_positive[None] if outputs == 1 else np.eye(outputs)
    return (slopes[:, None] * matrix).astype(np.float32), (intercepts @ matrix).astype(np.float32)


def _onnx_model(bundle: Bundle) -> Any:
    """Cut the bundle's network down to its logits and add calibration and softmax."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(bundle.classifier.network)
    graph, classes = model.graph, len(bundle.classifier.classes_)
    outputs = next(each for each in graph.output if each.name == "logits").type.tensor_type.shape.dim[1].dim_value
    weights = [numpy_helper.from_array(value, f"calibration_{value.ndim}") for value in affine(bundle.classifier.decision, outputs)]  # fmt: skip
    names = [weight.name for weight in weights]
    nodes = [
        *_leading_to(graph, "logits"),
        helper.make_node("Gemm", ["logits", *names], ["calibrated"]),
        helper.make_node("Sigmoid", ["calibrated"], ["probabilities"])
        if bundle.classifier.decision.task == "findings"
        else helper.make_node("Softmax", ["calibrated"], ["probabilities"], axis=-1),
    ]
    used = {name for node in nodes for name in _reads(node)}
    kept = [weight for weight in graph.initializer if weight.name in used]
    given = helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["n", classes])
    made = helper.make_graph(nodes, "plainfilm", list(graph.input), [given], [*kept, *weights])
    small = helper.make_model(made, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    small.functions.extend(model.functions)
    small.producer_name, small.producer_version = "plainfilm", plainfilm.__version__
    helper.set_model_props(small, _texts(_about(bundle)))
    onnx.checker.check_model(small)
    return small


def _leading_to(graph: Any, output: str) -> list[Any]:
    """The nodes of a graph that an output needs, in their order."""
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed.update(_reads(node))
    return nodes[::-1]


def _reads(node: Any) -> Iterator[str]:
    """Names that a node takes in, its inner graphs' (If, Loop) too."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)
        yield from (each.name for each in attribute.g.output)


def _write_onnx(bundle: Bundle, path: Path) -> None:
    path.write_bytes(_onnx_model(bundle).SerializeToString())


def _open_onnx(path: Path) -> Run:
    session = open_network(path)
    return lambda images: np.asarray(session.run(["probabilities"], {"images": images})[0])


def _write_openvino(bundle: Bundle, path: Path) -> None:
    """Write FILE.xml and FILE.bin, all in float32."""
    import openvino

    model = openvino.Core().read_model(_onnx_model(bundle).SerializeToString(), b"")
    repeat_gray(model)
    for name, text in _texts(_about(bundle)).items():
        model.set_rt_info(text, ["plainfilm", name])
    openvino.save_model(model, path, compress_to_fp16=False)


def _open_openvino(path: Path) -> Run:
    import openvino

    # Without the hint a processor with bfloat16 computes in that: measured 0.2 of a logit away.
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.asarray(compiled(images)["probabilities"])


def _keras_model(bundle: Bundle) -> Any:
    keras = keras_backend.load()
    logits = keras_rebuild.keras_model(bundle)
    matrix, offset = affine(bundle.classifier.decision, logits.outputs[0].shape[-1])
    calibration = keras.layers.Dense(len(offset), name="calibration")
    last = keras.layers.Softmax(name="probabilities")
    if bundle.classifier.decision.task == "findings":
        last = keras.layers.Activation("sigmoid", name="probabilities")
    probabilities = last(calibration(logits.outputs[0]))
    calibration.set_weights([matrix, offset])
    model = keras.Model(logits.inputs, probabilities, name="plainfilm")
    model.trainable = False
    return model


def _write_keras(bundle: Bundle, path: Path) -> None:
    _keras_model(bundle).save(path)
    _attach(path, bundle)


def _attach(path: Path, bundle: Bundle) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(ABOUT), documents.encode(_about(bundle), indent=1))


def _open_keras(path: Path) -> Run:
    keras = keras_backend.load()
    model = keras.saving.load_model(path)
    return lambda images: np.asarray(model.predict_on_batch(images))


def _write_tflite(bundle: Bundle, path: Path) -> None:
    """Convert the Keras model; the file's ZIP members behind its end are TFLite's own way of keeping metadata."""
    keras = keras_backend.load(needed="tensorflow")
    model = _keras_model(bundle)
    if keras_backend.choose() != "tensorflow":
        raise UsageError(
            f"Expected Keras on TensorFlow to export to tflite; it runs on {keras_backend.choose()}. Unset KERAS_BACKEND, in a process that has not loaded Keras yet."
        )
    import tensorflow as tf

    images = keras.InputSpec(dtype="uint8", shape=model.inputs[0].shape, name="images")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", lambda images: {"probabilities": model(images, training=False)}, [images])
    with scratch() as folder:
        archive.write_out(str(folder), verbose=False)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert())
    _attach(path, bundle)


def _open_tflite(path: Path) -> Run:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces that its interpreter will move to another package
        run = tf.lite.Interpreter(str(path)).get_signature_runner()
    return lambda images: np.asarray(run(images=images)["probabilities"])


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "onnx": Format(".onnx", ("onnx",), _write_onnx, _open_onnx),
        "openvino": Format(".xml", ("openvino", "onnx"), _write_openvino, _open_openvino),
        "keras": Format(".keras", ("keras", "onnx"), _write_keras, _open_keras),
        "tflite": Format(".tflite", ("tensorflow", "keras", "onnx"), _write_tflite, _open_tflite),
    }
)
