"""Several trained pairs of encoder and head as one pair of the same form; and one pair that looks at each image several times."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import RecipeError
from plainfilm.model.encoder import Encoder, Features, ImageSource, cached, encode_store
from plainfilm.model.onnx_safety import check
from plainfilm.model.onnx_safety.reading import NetworkRefused
from plainfilm.model.scaling import Scaling

_VERSION = 1
_APART, _OFFSET = 1.0, 0.1  # precision of the prior of stacking: of what sets the parts' weights apart, of offsets
# Squares that are looked at beside the whole image, in this order: top, left and side as shares of the image's.
VIEWS = (
    (0.02, 0.02, 0.96),
    (0.00, 0.00, 0.96),
    (0.04, 0.04, 0.96),
    (0.00, 0.04, 0.96),
    (0.04, 0.00, 0.96),
    (0.01, 0.01, 0.98),
    (0.03, 0.03, 0.94),
    (0.04, 0.04, 0.92),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderHead:
    """A trained pair: `head` is ONNX from "features" (n, width) to "logits"; `features` are its encoder's, of a store."""

    encoder: Encoder
    head: bytes
    features: Features


@dataclass(frozen=True, slots=True)
class JoinedFeatures(Features):
    """Features of several encoders side by side, read from the file of each; `path` is that of the first."""

    parts: tuple[Features, ...]

    @classmethod
    def of(cls, parts: Sequence[Features]) -> "JoinedFeatures":
        """Put features of the same images side by side."""
        width, seconds = sum(part.width for part in parts), sum(part.seconds for part in parts)
        cached = all(part.cached for part in parts)
        return cls(parts[0].path, parts[0].rows, width, seconds, cached=cached, parts=tuple(parts))

    def read(self, rows: NDArray[np.int64] | Sequence[int]) -> NDArray[np.float32]:
        """Read some rows, float32 (len(rows), width)."""
        return np.concatenate([part.read(rows) for part in self.parts], axis=1)


def combine(parts: Sequence[EncoderHead], weights: NDArray[np.float32], bias: NDArray[np.float32]) -> EncoderHead:
    """Join trained pairs to one whose logits are those of all parts, one behind the other, @ `weights` + `bias`.

    Parts with the same encoder share it: it runs once. The whole's features are those of the distinct encoders side by
    side, read from the files that are there. A part may itself be a whole.

    Parameters
    ----------
    parts
        Of the same images.
    weights, bias : float32 (sum of the parts' outputs, outputs), (outputs)
        Of `mean_of` or `stacked`.

    Raises
    ------
    RecipeError
        A bundle could not hold the whole.
    ValueError
        No parts, parts of other images, or weights that do not fit.
    """
    import onnx

    from plainfilm.model.onnx import ensemble

    if not parts or len({(part.features.rows, part.encoder.preprocessing.image_size) for part in parts}) != 1:
        raise ValueError(f"Expected parts of the same images; received {len(parts)} of others.")
    by_key: dict[str, EncoderHead] = {}
    distinct = list({part.encoder.key: by_key.setdefault(part.encoder.key, part) for part in parts}.values())
    ends = np.cumsum([part.encoder.width for part in distinct]).tolist()
    columns = {part.encoder.key: (end - part.encoder.width, end) for part, end in zip(distinct, ends, strict=True)}
    models = [onnx.load_from_string(part.head) for part in parts]
    outputs = sum(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value for model in models)
    if weights.shape != (outputs, len(bias)):
        raise ValueError(f"Expected weights ({outputs}, {len(bias)}); received {weights.shape}.")
    head = ensemble.heads_joined(
        models, [columns[part.encoder.key] for part in parts], weights.astype(np.float32), bias.astype(np.float32)
    )
    if len(distinct) == 1:
        encoder, features = distinct[0].encoder, distinct[0].features
    else:
        encoder = _side_by_side([part.encoder for part in distinct])
        features = JoinedFeatures.of([part.features for part in distinct])
    return EncoderHead(encoder=encoder, head=head.SerializeToString(), features=features)


def _side_by_side(encoders: Sequence[Encoder]) -> Encoder:
    from plainfilm.model.onnx import ensemble

    return _written(
        "joined",
        " ".join(encoder.key for encoder in encoders),
        lambda: ensemble.side_by_side([_opened(encoder) for encoder in encoders]),
        name=_joint_name([encoder.name for encoder in encoders]),
        first=encoders[0],
        weights_sha256=_sha256(" ".join(encoder.weights_sha256 for encoder in encoders)),
    )


def _joint_name(names: Sequence[str]) -> str:
    """Name encoders side by side: "mobilenet + efficientnet_lite0", "5 × mobilenet"."""
    counts: Counter[str] = Counter()
    for each in " + ".join(names).split(" + "):
        found = re.fullmatch(r"(\d+) × (.+)", each)
        counts[found[2] if found else each] += int(found[1]) if found else 1
    return " + ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())


def with_views(
    part: EncoderHead,
    views: int,
    store: ImageSource,
    *,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> EncoderHead:
    """Let a trained pair look at each image several times: the whole, then `views` - 1 squares of `VIEWS`, enlarged.

    The head, as it is, then gets the mean of their features. Every image of the store is encoded in all views, unless the
    cache has the features.

    Parameters
    ----------
    part
        Any.
    views
        1 to 9; with 1 the part stays as it is.
    store
        The images of the part's features.
    progress
        Called with images done and all.

    Raises
    ------
    RecipeError
        A bundle could not hold the whole.
    ValueError
        Another number of views.
    """
    from plainfilm.model.onnx import ensemble

    if not 1 <= views <= 1 + len(VIEWS):
        raise ValueError(f"Expected 1 to {1 + len(VIEWS)} views; received {views}.")
    if views == 1:
        return part
    inner, boxes = part.encoder, VIEWS[: views - 1]
    encoder = _written(
        "views",
        f"{inner.key} {boxes}",
        lambda: ensemble.over_views(_opened(inner), boxes),
        name=f"{inner.name} in {views} views",
        first=inner,
        weights_sha256=inner.weights_sha256,
    )
    return EncoderHead(encoder=encoder, head=part.head, features=encode_store(encoder, store, progress=progress))


def _written(
    kind: str, about: str, build: Callable[[], Any], *, name: str, first: Encoder, weights_sha256: str
) -> Encoder:
    """Open an encoder made of others; the first time, build it. `about` names all that it is made of."""
    key = _sha256(f"{kind} {_VERSION} {about}")[:32]

    def built() -> bytes:
        network: bytes = build().SerializeToString()
        _check(network, name)
        return network

    path = cached(f"{kind}-{key}", built)
    return Encoder(
        path,
        key=key,
        name=name,
        preprocessing=first.preprocessing,
        weights_sha256=weights_sha256,
        precision=first.precision,
    )


def _check(network: bytes, name: str) -> None:
    try:
        check.check(network, outputs=("features",))
    except NetworkRefused as error:
        raise RecipeError(
            f"Expected classifiers that one bundle can hold together; received {name}, whose network {error}. "
            "Set fewer ensemble.members, folds or evaluation.views."
        ) from error


def _opened(encoder: Encoder) -> Any:
    import onnx

    return onnx.load_from_string(encoder.network())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mean_of(scalings: Sequence[Scaling]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias of the mean of the parts' logits (log odds), each after its own scaling.

    Parameters
    ----------
    scalings
        One a part, of as many outputs: 1 of a sigmoid, one a class of a softmax.

    Returns
    -------
    float32 (parts x outputs, outputs), float32 (outputs)
    """
    weights = np.concatenate([np.diag(each.slopes) for each in scalings]) / len(scalings)
    bias = np.mean([each.intercepts for each in scalings], axis=0)
    return weights.astype(np.float32), bias.astype(np.float32)


def stacked(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int,
    positive: int,
    outputs: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias of a logistic regression on the parts' logits: one weight a part, one offset an output.

    So few numbers are safe to fit on a hundred images: a free matrix was less likely on the test folds (`docs/training.md`).
    Weights are drawn towards their mean, offsets towards 0, by a normal prior, which hundreds of rows outweigh.

    Parameters
    ----------
    logits : float32 (n, parts x outputs)
        Of the validation set, one part's behind the other's.
    labels : int64 (n)
        Index into classes.
    classes, positive
        Number of classes; index of the one that a sigmoid's one output means.
    outputs
        Logits of one part; by default 1 with two classes, one a class with more.

    Returns
    -------
    float32 (parts x outputs, outputs), float32 (outputs)
        As `mean_of`.

    References
    ----------
    Wolpert, Stacked generalization, Neural Networks 5, 1992; Ting & Witten, Issues in stacked generalization, JAIR 10, 1999.
    """
    outputs = outputs or (1 if classes == 2 else classes)
    each = np.asarray(logits, np.float64).reshape(len(logits), -1, outputs).transpose(1, 0, 2)
    spread = float(each.std()) or 1.0
    if outputs == 1:  # the log odds as two logits, of which the other is 0
        halves, truth = np.concatenate([np.zeros_like(each), each], axis=2), np.asarray(labels == positive, np.int64)
        by_part, offsets = _fitted(halves / spread, truth)
        offsets = offsets[1:] - offsets[:1]
    else:
        by_part, offsets = _fitted(each / spread, labels)
    weights = np.concatenate([np.eye(outputs) * weight / spread for weight in by_part])
    return weights.astype(np.float32), offsets.astype(np.float32)


def _fitted(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (parts) and offsets (k) of logits (parts, n, k) that make the labels most likely, under the prior."""
    from scipy.optimize import minimize  # heavy, and needed by training alone
    from scipy.special import log_softmax

    parts, _, classes = logits.shape
    truth = np.eye(classes)[labels]

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, offsets = point[:parts], point[parts:]
        likely = log_softmax(np.tensordot(weights, logits, 1) + offsets, axis=1)
        wrong, apart = np.exp(likely) - truth, weights - weights.mean()
        value = -(likely * truth).sum() + _APART * (apart @ apart) / 2 + _OFFSET * (offsets @ offsets) / 2
        slope = [(logits * wrong).sum(axis=(1, 2)) + _APART * apart, wrong.sum(axis=0) + _OFFSET * offsets]
        return float(value), np.concatenate(slope)

    start = np.concatenate([np.full(parts, 1 / parts), np.zeros(classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found[:parts], found[parts:]
