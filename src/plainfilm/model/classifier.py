"""Encoder, head, calibration and threshold: images to probabilities, in ONNX Runtime and NumPy, without Keras."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.arguments import Prevalence
from plainfilm.data.spelling import listed
from plainfilm.errors import UsageError
from plainfilm.model import devices
from plainfilm.model.onnx_safety import writing
from plainfilm.model.onnx_session import ImageNetwork, open_network
from plainfilm.model.scaling import Scaling, expit
from plainfilm.results.manifest import Combining
from plainfilm.results.task import Task, combination

if TYPE_CHECKING:
    from plainfilm.model.encoder import Encoder, Features
    from plainfilm.model.recipe_schema import Recipe
    from plainfilm.model.training import Fitted
    from plainfilm.results.metrics import Promise

_ROWS = 1024  # features a step through the head: 5 MB at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What turns logits into probabilities and a class.

    `classes` in label order; `positive` the class that sensitivity is about, None with more than two;
    `temperature` > 0 divides the logits; `shift` is then added to the positive class's log odds (two classes only: the
    intercept of Platt's scaling, and what recalibration adds). With more classes `slopes` > 0 multiply the logits and
    `intercepts` are added, one a class; empty, they change nothing. `threshold` on the positive class's probability, 0 to 1;
    with a `lower_threshold` the other class is called below that alone, and between the two the answer is unsure. `combining`
    says how several films become one answer; None where that is not known.

    Of the `task` "findings" `classes` are findings, each of which is told by itself, by its own slope, intercept and one of
    `thresholds`, of `lower_thresholds` where there are two, and of `combinings` where these are known; `of` gives what decides on
    one of them, as on two classes.
    """

    classes: tuple[str, ...]
    positive: str | None
    temperature: float = 1.0
    threshold: float = 0.5
    shift: float = 0.0
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()
    lower_threshold: float | None = None
    combining: Combining | None = None
    task: Task = "classes"
    thresholds: tuple[float, ...] = ()
    lower_thresholds: tuple[float, ...] = ()
    combinings: tuple[Combining, ...] = ()

    @classmethod
    def joined(cls, each: Sequence[Decision]) -> Decision:
        """Decide on findings, by what decides on each of them as on two classes; `of` gives it back."""
        lower = [own.lower_threshold for own in each if own.lower_threshold is not None]
        combinings = [own.combining for own in each if own.combining is not None]
        return cls(
            classes=tuple(str(own.positive) for own in each),
            positive=None,
            slopes=tuple(1 / own.temperature for own in each),
            intercepts=tuple(own.shift for own in each),
            task="findings",
            thresholds=tuple(own.threshold for own in each),
            lower_thresholds=tuple(lower) if len(lower) == len(each) else (),
            combinings=tuple(combinings) if len(combinings) == len(each) else (),
        )

    def of(self, finding: str) -> Decision:
        """Give what decides on one finding, as on two classes: "no FINDING" and FINDING."""
        at = self.classes.index(finding)
        return Decision(
            classes=(f"no {finding}", finding),
            positive=finding,
            temperature=1 / self.slopes[at],
            threshold=self.thresholds[at],
            shift=self.intercepts[at],
            lower_threshold=self.lower_thresholds[at] if self.lower_thresholds else None,
            combining=self.combinings[at] if self.combinings else None,
        )

    @property
    def ways(self) -> dict[str, Combining]:
        """How several films become one answer, by the positive class, or by each finding; nothing where that is not known."""
        if self.task == "findings":
            return dict(zip(self.classes, self.combinings, strict=True)) if self.combinings else {}
        return {self.positive: self.combining} if self.positive is not None and self.combining is not None else {}

    @classmethod
    def scaled(cls, classes: tuple[str, ...], positive: str | None, scaling: Scaling) -> Decision:
        """Decide on logits that `scaling` brings to log probabilities; the threshold is 0.5."""
        mean = float(np.exp(np.log(scaling.slopes).mean()))
        if positive is not None:
            return cls(classes=classes, positive=positive, temperature=1 / mean, shift=float(scaling.intercepts.sum()))
        return cls(classes=classes, positive=None, temperature=1 / mean, slopes=tuple((scaling.slopes / mean).tolist()),
                   intercepts=tuple(scaling.intercepts.tolist()))  # fmt: skip

    def scaling(self, outputs: int) -> Scaling:
        """Slope and intercept of each of a network's `outputs`: 1 of a sigmoid, one a class of a softmax."""
        slopes, intercepts = np.full(outputs, 1 / self.temperature), np.zeros(outputs)
        if self.slopes:
            slopes, intercepts = slopes * self.slopes, intercepts + self.intercepts
        if self.positive is not None:
            intercepts[self.classes.index(self.positive) if outputs > 1 else 0] += self.shift
        return Scaling(slopes, intercepts)

    def probabilities(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Turn logits (n, 1) of a sigmoid, or (n, k) of a softmax or of findings, into probabilities float64 (n, classes)."""
        scaled = self.scaling(logits.shape[1]).of(logits)
        if self.task == "findings":
            return expit(scaled)
        if scaled.shape[1] == 1:
            score = expit(scaled[:, 0])
            columns = [1 - score, score] if self.classes[1] == self.positive else [score, 1 - score]
            return np.stack(columns, axis=1)
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def log_odds(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Turn logits into the log odds of the positive class, float64 (n), or of each finding (n, k); not with more than two classes."""
        if self.task == "findings":
            return self.scaling(logits.shape[1]).of(logits)
        if self.positive is None:
            raise ValueError("Expected two classes; received more.")
        scaled, column = self.scaling(logits.shape[1]).of(logits), self.classes.index(self.positive)
        return np.asarray(scaled[:, 0] if scaled.shape[1] == 1 else scaled[:, column] - scaled[:, 1 - column])

    def predict(
        self, probabilities: NDArray[np.float64], threshold: float | NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Decide: the positive class from the threshold on; with more than two classes the most probable.

        Another `threshold` than the decision's own may be given, one for all rows or one a row (n).

        Raises
        ------
        ValueError
            Of findings, which are `called`.
        """
        if self.task == "findings":
            raise ValueError(
                "Expected classes, of which one is predicted; received findings, which are called each by itself."
            )
        if self.positive is None:
            return np.asarray(probabilities.argmax(axis=1))
        positive = self.classes.index(self.positive)
        least = self.threshold if threshold is None else threshold
        return np.where(probabilities[:, positive] >= least, positive, 1 - positive)

    def unsure(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which rows (n) lie between the two thresholds, of findings (n, k); none where there is one."""
        if self.task == "findings":
            lower = np.array(self.lower_thresholds or self.thresholds)
            return np.asarray((probabilities >= lower) & (probabilities < np.array(self.thresholds)))
        if self.positive is None or self.lower_threshold is None:
            return np.zeros(len(probabilities), bool)
        chance = probabilities[:, self.classes.index(self.positive)]
        return np.asarray((chance >= self.lower_threshold) & (chance < self.threshold))

    def check_prevalence(self, stated: Prevalence, named: str = "prevalence") -> None:
        """Refuse prevalences that are not the one of the positive class, or of findings by name; `named` is what people call it.

        Raises
        ------
        UsageError
            One share with findings, shares by name with classes, a name of no finding, or a share that is not between 0 and 1.
        """
        of_findings, by_name = self.task == "findings", isinstance(stated, Mapping)
        if of_findings and not by_name:
            raise UsageError(
                f"Expected {named} of findings by name, since each has its own; received {stated} alone. Write for example {self.classes[0]}={stated}"
            )
        if by_name and not of_findings:
            raise UsageError(
                f"Expected {named} as one share, that of the positive class; received shares by name. Write for example 0.09"
            )
        shares = stated if isinstance(stated, Mapping) else {"": stated}
        if by_name and (unknown := [name for name in shares if name not in self.classes]):
            raise UsageError(
                f"Expected {named} of findings of the model ({listed(self.classes)}); received {listed(unknown)}. Correct it."
            )
        for share in shares.values():
            if not 0 < share < 1:
                raise UsageError(
                    f"Expected a {named} between 0 and 1, neither of them; received {share}. Write for example 0.05."
                )

    def called(
        self, probabilities: NDArray[np.float64], thresholds: NDArray[np.float64] | None = None
    ) -> NDArray[np.bool_]:
        """Tell which findings are called present, bool (n, k), each from its threshold on; other ones may be given, (k) or (n, k)."""
        return np.asarray(probabilities >= (np.array(self.thresholds) if thresholds is None else thresholds))

    def named(self, probabilities: NDArray[np.float64]) -> list[str]:
        """Give the answer to each row: its class, or its findings, `Effusion|Mass`, and `No Finding` where none is called."""
        if self.task == "classes":
            return [self.classes[label] for label in self.predict(probabilities)]
        return [combination(np.array(self.classes)[own].tolist()) for own in self.called(probabilities)]


class KnownLogits:
    """Logits of rows of a store by a head on cached features, computed when they are first asked for."""

    def __init__(self, head: bytes, features: Features) -> None:
        self._head, self._features = head, features
        self._known = np.zeros(features.rows, bool)
        self._held = np.zeros((features.rows, 0), np.float32)

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits float32 (len(rows), outputs)."""
        new = np.unique(rows[~self._known[rows]])
        if len(new) or not self._held.shape[1]:
            found = head_logits(self._head, self._features.read, new if len(new) else rows)
            if not self._held.shape[1]:
                self._held = np.zeros((self._features.rows, found.shape[1]), np.float32)
            self._held[new], self._known[new] = found[: len(new)], True
        return self._held[rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained head with all that made it, before the test set has been seen. `head` is its ONNX form.

    `promise` says what its two thresholds promise, `promise_by_patient` what those of one answer a patient do; None where it has one.
    `promises` are both of each finding; none of classes. Of one finding of several, `output` is its own, and `logits` what they all share.
    """

    recipe: Recipe
    encoder: Encoder
    features: Features
    fitted: Fitted
    head: bytes
    decision: Decision
    promise: Promise | None = None
    promise_by_patient: Promise | None = None
    promises: Sequence[tuple[Promise | None, Promise | None]] = ()
    output: int | None = None
    logits: KnownLogits | None = None

    def sharing(self) -> Trained:
        """Give the same with logits that all its findings share, each computed once."""
        return self if self.logits else replace(self, logits=KnownLogits(self.head, self.features))

    def of(self, finding: str) -> Trained:
        """Give what tells one finding of several, as if it told two classes: "no FINDING" and FINDING."""
        at = self.decision.classes.index(finding)
        promise, by_patient = self.promises[at] if self.promises else (None, None)
        return replace(
            self, decision=self.decision.of(finding), promise=promise, promise_by_patient=by_patient, output=at
        )

    def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities float64 (len(rows), classes) of rows of the store, from the cached features."""
        known = self.logits.of(rows) if self.logits else head_logits(self.head, self.features.read, rows)
        return self.decision.probabilities(known if self.output is None else known[:, [self.output]])

    def classifier(self) -> Classifier:
        """Join encoder, head and decision to what runs without Keras."""
        return Classifier(join(self.encoder.network(), self.head), self.decision)


class Classifier:
    """A trained network with its decision: gray uint8 images (n, s, s) to probabilities.

    Attributes
    ----------
    classes_ : tuple of str
        Class names in the order of the probabilities' columns.
    decision : Decision
    image_size : int
        Height and width s in pixels that images must have.
    looks_at_maps : bool
        Whether the network also gives "maps" and "slopes" (`model.onnx.gradients`), which Grad-CAM needs.
    """

    def __init__(self, network: bytes, decision: Decision) -> None:
        self.decision, self.classes_, self.network = decision, decision.classes, network
        # What has been trained by now is not lost to a device that runs its encoder, and not the whole.
        self._device = replace(devices.current(), is_demanded=False)

    @property
    def device(self) -> str:
        """Name the device that it was opened for; where that fails it runs on the processor."""
        return self._device.name

    def deciding(self, decision: Decision) -> Classifier:
        """Give the same network with another decision."""
        other = copy.copy(self)
        other.decision = decision
        return other

    def through(self, network: Any) -> Classifier:
        """Give the same classifier run by another `ImageNetwork` of the same outputs; the bytes of its own are let go."""
        other = copy.copy(self)
        other.__dict__ |= {"_prepared": network, "key": self.key, "network": b""}
        return other

    def of(self, finding: str) -> Classifier:
        """Give what tells one finding of several, as a network with one logit for two classes."""
        return _OneFinding(self, finding)

    def prepare(self) -> None:
        """Open the network now, so that a device that cannot run it is told before the first answer.

        Raises
        ------
        UsageError
            The device was asked for by its name, and cannot.
        """
        _ = self._prepared

    @cached_property
    def _prepared(self) -> ImageNetwork:
        return self._prepare()

    def _prepare(self) -> ImageNetwork:
        """Let ONNX Runtime prepare the network for speed, at first use: that takes several times its size in memory."""
        return ImageNetwork(self.network, device=self._device)

    @cached_property
    def image_size(self) -> int:  # noqa: D102 - an attribute
        return int(self._prepared.session.get_inputs()[0].shape[1])

    @cached_property
    def looks_at_maps(self) -> bool:  # noqa: D102 - an attribute
        return {"maps", "slopes"} <= {each.name for each in self._prepared.session.get_outputs()}

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32 (n, 1) or (n, classes) of gray uint8 images (n, s, s).

        Raises
        ------
        ValueError
            Images of another shape or dtype.
        """
        return self.run(images, "logits")[0]

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (n, width) of gray uint8 images (n, s, s)."""
        return self.run(images, "features")[0]

    def run(self, images: NDArray[np.uint8], *names: str) -> list[NDArray[np.float32]]:
        """Outputs of the network by name for gray uint8 images (n, s, s), from one pass.

        Raises
        ------
        ValueError
            Images of another shape or dtype.
        """
        images = np.asarray(images)
        size = self.image_size
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (size, size):
            raise ValueError(f"Expected gray uint8 images (n, {size}, {size}); received {images.dtype} {images.shape}.")
        return self._prepared.run(images, *names)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the network, in hex: what its features depend on."""
        return hashlib.sha256(self.network).hexdigest()

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated probabilities float64 (n, classes)."""
        return self.decision.probabilities(self.logits(images))

    def predict(self, images: NDArray[np.uint8]) -> list[str]:
        """Class name of each image, at the threshold; its findings, `Effusion|Mass`, where it may have several."""
        return self.decision.named(self.predict_proba(images))


class _OneFinding(Classifier):
    """One finding of a classifier of several; the network is the same, and runs once."""

    def __init__(self, whole: Classifier, finding: str) -> None:
        super().__init__(whole.network, whole.decision.of(finding))
        self._whole, self._at = whole, whole.classes_.index(finding)

    @cached_property
    def _prepared(self) -> ImageNetwork:
        return self._whole._prepared

    def run(self, images: NDArray[np.uint8], *names: str) -> list[NDArray[np.float32]]:
        found = self._whole.run(images, *names)
        own = slice(self._at, self._at + 1)
        return [each[:, own] if name in {"logits", "slopes"} else each for name, each in zip(names, found, strict=True)]


def export_head(head: Any) -> bytes:
    """Export a trained Keras head (`heads.build_head`) as ONNX: float32 "features" (n, width) to "logits" (n, outputs)."""
    from onnx import TensorProto, helper

    from plainfilm.model.onnx import from_keras

    graph = from_keras.Graph()
    from_keras.add_keras(graph, head, "features", until="logits", output="logits")
    inputs = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", head.inputs[0].shape[1]])
    return bytes(
        graph.model(
            [inputs], [from_keras.float_output("logits", head.get_layer("logits").output.shape[-1])]
        ).SerializeToString()
    )


def join(encoder: bytes, head: bytes) -> bytes:
    """Join an encoder and a head, both in ONNX, to one network: "images" to "features" and "logits".

    Where the encoder ends in a global average, or in a token that attends to patches, the network also gives "maps" and "slopes"
    (`gradients.add_outputs`); not where it sees a box around the lungs, in whose frame its maps would lie.
    """
    import onnx

    from plainfilm.model.onnx import gradients, preprocessing

    bare, apart = writing.parted(encoder)  # of the large weights one copy is made, the last
    joined = onnx.load_from_string(bare)
    top = onnx.compose.add_prefix(onnx.load_from_string(head), "head_", rename_inputs=False, rename_outputs=False).graph
    joined.graph.node.extend(top.node)
    joined.graph.initializer.extend(top.initializer)
    joined.graph.output.extend(top.output)
    if not preprocessing.is_cropped(joined):
        with contextlib.suppress(gradients.Unsloped):
            gradients.add_outputs(joined)
    return writing.joined(joined.SerializeToString(), apart)


def blank_head(width: int) -> bytes:
    """Make a head as `export_head` does, that answers 0 to any features: to see what a network becomes with one."""
    from onnx import TensorProto, helper

    from plainfilm.model.onnx import from_keras

    graph = from_keras.Graph()
    matrix, offset = (graph.weight(np.zeros(shape, np.float32)) for shape in ((width, 1), (1,)))
    graph.node("Gemm", ["features", matrix, offset], output="logits")
    inputs = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])
    return bytes(graph.model([inputs], [from_keras.float_output("logits", 1)]).SerializeToString())


def head_logits(
    head: bytes, read: Callable[[NDArray[np.int64]], NDArray[np.float32]], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Run a head over the cached features of some rows: float32 (len(rows), outputs)."""
    session = open_network(head)
    parts: Sequence[NDArray[np.float32]] = [
        session.run(None, {"features": read(rows[at : at + _ROWS])})[0] for at in range(0, len(rows), _ROWS)
    ]
    return np.concatenate(parts)
